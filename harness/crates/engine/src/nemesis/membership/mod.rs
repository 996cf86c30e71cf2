//! Changes of members through the system's own interface: a member is removed, or replaced.

mod changes;
mod rejoin;
mod removal;
mod replace;

pub(super) use rejoin::{finish_changes, rejoin_removed};
pub(super) use removal::Removal;
pub(super) use replace::Replace;
