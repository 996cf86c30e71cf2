//! The state that all request handlers share.

use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// What is served.
#[derive(Clone)]
pub(crate) struct Site {
    /// The results directory, with every link followed.
    pub(crate) results: Arc<PathBuf>,
    /// This program, which judges again.
    pub(crate) program: Arc<PathBuf>,
    /// Names of this host that a request may use; empty is any.
    pub(crate) allowed_hosts: Arc<Vec<String>>,
    /// Runs are judged again one at a time.
    pub(crate) recheck_permit: Arc<Semaphore>,
}
