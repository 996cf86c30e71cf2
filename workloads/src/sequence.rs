//! Issues unique integers.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// Issues the integers from 1 upwards, each once; clones share the sequence.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sequence(Arc<AtomicI64>);

impl Sequence {
    /// Issues the next integer.
    pub(crate) fn next_number(&self) -> i64 {
        self.0.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// The last integer issued; 0 before the first.
    pub(crate) fn last_number(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}
