//! Writes and reads registers in transactions.
//!
//! Every value is unique per key, so a read tells which write it saw; unlike a list it does not tell the order of
//! the writes before. Transactions are made as [`crate::append`]'s are.

use crate::append::transactions;
use crate::keys::Kind;
use crate::{Freshness, Micro, Object, Rng, Scene, Traffic, Workload};

/// Transactions of writes and reads.
pub(crate) struct Wr;

impl Workload for Wr {
    fn name(&self) -> &'static str {
        "wr"
    }

    fn doc(&self) -> &'static str {
        "transactions that write registers and read them, over rotating keys; judged by the cycles of their dependencies"
    }

    fn object(&self) -> Object {
        Object::Transactions
    }

    fn functions(&self) -> &'static [&'static str] {
        &["txn"]
    }

    fn checks(&self, _: Freshness) -> &'static [&'static str] {
        &["rw-register-closed"]
    }

    fn traffic(&self, rng: Rng, _: &Scene) -> Traffic {
        transactions(rng, Kind { read: Micro::Read, write: Micro::Write })
    }
}
