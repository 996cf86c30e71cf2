//! Where and how a run takes place.

use report::Style;
use std::path::PathBuf;
use std::time::Instant;
use testbed::net::Backend;
use tokio::sync::watch as channel;

/// Where and how a run takes place, as opposed to what it does.
pub struct RunContext {
    /// When the command began.
    pub began: Instant,
    /// What the network is made of.
    pub backend: Backend,
    /// Why it is not what `auto` prefers.
    pub fallback_reason: Option<String>,
    /// The directory of all runs.
    pub results: PathBuf,
    /// The style of standard error.
    pub style: Style,
    /// Whether to show nothing while the run lasts.
    pub quiet: bool,
    /// Becomes true when the run is to stop early.
    pub stop: channel::Receiver<bool>,
}

impl RunContext {
    pub(super) fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}
