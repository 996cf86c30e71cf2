//! Applies committed commands to a map of strings: the same commands in the same order give the
//! same store and the same outcomes on every replica.
//!
//! [`Command`] is what clients ask for and what the log carries, [`Txn`] the one that is about several
//! keys; [`Sessions`] are what makes retries harmless; [`Store`] is what replicas agree on; [`Outcome`] is what a command found when its turn came; [`group_of`]
//! says which of several groups has a key.

mod bug;
mod command;
mod session;
mod shard;
mod store;
mod txn;

pub use bug::{BUGS, StoreBug};
pub use command::{Command, Undecodable};
pub use session::{Found, LIFETIME_MS, MOST_SESSIONS, Sessions};
pub use shard::group_of;
pub use store::{Outcome, Range, Store};
pub use txn::{Changes, Condition, MOST_PARTS, Micro, Results, Txn};
