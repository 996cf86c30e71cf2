//! Applies committed commands to a map of strings: the same commands in the same order give the
//! same store and the same outcomes on every replica.
//!
//! [`Command`] is what clients ask for and what the log carries; [`Store`] is what replicas agree
//! on; [`Outcome`] is what a command found when its turn came.

mod command;
mod store;

pub use command::{Command, Undecodable};
pub use store::{Outcome, Store};
