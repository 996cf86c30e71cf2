//! Says why a level was not proved.

use crate::finding::Finding;

/// Why no commit order was found.
pub(super) enum Failure {
    /// No order exists, and this shows why.
    Violation(Finding),
    /// The time or memory budget is exhausted; the message says where.
    BudgetExceeded(String),
}
