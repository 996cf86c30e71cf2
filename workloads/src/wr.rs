//! Writes and reads registers in transactions.
//!
//! Every value is unique per key, so a read identifies the write it observed; unlike a list it does
//! not reveal the order of earlier writes. Transactions are generated as in [`crate::append`].

use crate::append::txn_traffic;
use crate::call::MicroOp;
use crate::object::Object;
use crate::read_consistency::ReadConsistency;
use crate::rng::Rng;
use crate::txn_generator::TxnKind;
use crate::workload::{Traffic, TrafficConfig, Workload};

/// Read-write transactions over registers.
pub(crate) struct Wr;

impl Workload for Wr {
    fn name(&self) -> &'static str {
        "wr"
    }

    fn doc(&self) -> &'static str {
        "transactions that write and read registers, over rotating keys; judged by dependency \
         cycles"
    }

    fn object(&self) -> Object {
        Object::Transactions
    }

    fn function_names(&self) -> &'static [&'static str] {
        &["txn"]
    }

    fn check_names(&self, _: ReadConsistency) -> &'static [&'static str] {
        &["rw-register-closed"]
    }

    fn takes_key_choice(&self) -> bool {
        true
    }

    fn make_traffic(&self, rng: Rng, config: &TrafficConfig) -> Traffic {
        txn_traffic(rng, TxnKind { read: MicroOp::Read, write: MicroOp::Write }, config.keys)
    }
}
