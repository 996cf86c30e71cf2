//! Where and how a run takes place.

use report::Style;
use std::path::PathBuf;
use std::time::Instant;
use testbed::net::Backend;
use tokio::sync::watch as channel;

/// Where and how a run takes place, as opposed to what it does.
pub struct Place {
    /// When the command began.
    pub began: Instant,
    /// What links are made of.
    pub backend: Backend,
    /// Why they are not made of what `auto` prefers.
    pub why: Option<String>,
    /// Where runs are filed.
    pub results: PathBuf,
    /// How standard error is written to.
    pub style: Style,
    /// Whether to say nothing while it lasts.
    pub quiet: bool,
    /// Says when to stop early.
    pub stop: channel::Receiver<bool>,
}

impl Place {
    pub(super) fn since_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}
