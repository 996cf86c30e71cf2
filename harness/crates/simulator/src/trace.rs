//! Records the events of a simulated run, one line each, or only their digest.

use super::setting::{Micros, SECOND};
use std::fmt::{self, Write as _};

/// The record.
#[derive(Default)]
pub struct Trace {
    text: Option<String>,
    digest: u64,
}

impl Trace {
    /// A trace that keeps every line.
    pub fn recording() -> Self {
        Self { text: Some(String::new()), digest: 0 }
    }

    /// Everything so far, where it is remembered.
    pub fn text(&self) -> &str {
        self.text.as_deref().unwrap_or_default()
    }

    /// A number that stands for everything so far.
    pub fn digest(&self) -> u64 {
        self.digest
    }

    /// Something happened: numbers that tell it from everything else, and the words for it.
    pub(super) fn record_event(&mut self, at: Micros, mark: [u64; 4], line: fmt::Arguments<'_>) {
        for number in [at].into_iter().chain(mark) {
            self.digest = (self.digest.rotate_left(5) ^ number).wrapping_mul(0x517c_c1b7_2722_0a95);
        }
        if let Some(text) = &mut self.text {
            let _ = writeln!(text, "{:10.6} {line}", at as f64 / SECOND as f64);
        }
    }
}
