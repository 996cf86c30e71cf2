//! A fault that was due and could not begin: it waits for its target. Pure data.

use super::timeline::PlannedFault;

/// How long a fault may wait for a leader, or for a target that another fault holds, in
/// milliseconds.
pub(super) const MAX_WAIT_MS: u64 = 3_000;

/// A fault that waits for its target.
pub(super) struct WaitingFault {
    pub(super) planned: PlannedFault,
    /// When it was due, in milliseconds since the main phase began.
    pub(super) due_ms: u64,
    /// Why it could not begin when it was last tried.
    pub(super) why: String,
}
