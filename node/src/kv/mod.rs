//! Applies committed commands to a map of strings. The same commands in the same order give the
//! same state and the same outcomes on every replica.
//!
//! [`Command`] is what clients ask for and what the log carries; [`Txn`] is the command on several
//! keys. [`Sessions`] make retries safe. [`Store`] is the replicated state, [`Outcome`] the result
//! of a command. [`group_of`] maps a key to its group.

mod command;
mod evaluate;
mod outcome;
mod session;
mod shard;
mod store;
mod txn;

pub use command::{Command, DecodeError};
pub use outcome::{Outcome, TxnResult};
pub use session::{MAX_SESSIONS, SESSION_TTL_MS, Sessions};
pub use shard::group_of;
pub use store::{Range, Store};
pub use txn::{Changes, Condition, MAX_TXN_OPS, MicroOp, Results, Txn};
