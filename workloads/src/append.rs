//! Appends to lists and reads them in transactions: Elle's list-append.
//!
//! Every element is unique per key, so a read of a list reveals the order of all writes before it.
//! Sizes and keys of transactions follow Elle's generator ([`crate::txn_generator`]).

use crate::call::{Call, MicroOp};
use crate::combinator::each_until_ok;
use crate::generator::repeat_with;
use crate::key_choice::KeyChoice;
use crate::object::Object;
use crate::read_consistency::ReadConsistency;
use crate::rng::Rng;
use crate::sequence::Sequence;
use crate::txn_generator::{TxnGenerator, TxnKind, final_reads};
use crate::workload::{Traffic, TrafficConfig, Workload};

/// List-append transactions.
pub(crate) struct Append;

impl Workload for Append {
    fn name(&self) -> &'static str {
        "append"
    }

    fn doc(&self) -> &'static str {
        "transactions that append to lists and read them, over rotating keys; judged by dependency \
         cycles"
    }

    fn object(&self) -> Object {
        Object::Transactions
    }

    fn function_names(&self) -> &'static [&'static str] {
        &["txn"]
    }

    fn check_names(&self, _: ReadConsistency) -> &'static [&'static str] {
        &["list-append"]
    }

    fn takes_key_choice(&self) -> bool {
        true
    }

    fn make_traffic(&self, rng: Rng, config: &TrafficConfig) -> Traffic {
        let kind = TxnKind { read: MicroOp::ReadList, write: MicroOp::Append };
        txn_traffic(rng, kind, config.keys)
    }
}

/// The key that the recovery phase writes and reads.
const RECOVERY_KEY: u64 = 0;

/// Runs transactions of this kind; the final reads cover every key that was used.
pub(crate) fn txn_traffic(rng: Rng, kind: TxnKind, keys: KeyChoice) -> Traffic {
    let (opened, recovered) = (Sequence::default(), Sequence::default());
    let txn = |ops| Call::Txn { function: "txn", ops };
    let mut transactions = TxnGenerator::new(rng, kind, opened.clone(), keys);
    let write =
        move |recovered: &Sequence| txn(vec![(kind.write)(RECOVERY_KEY, recovered.next_number())]);
    Traffic {
        main: repeat_with(move |_| txn(transactions.next_txn())),
        recovery: Box::new(move || {
            let recovered = recovered.clone();
            let writes = repeat_with(move |_| write(&recovered));
            each_until_ok([writes, repeat_with(move |_| txn(vec![(kind.read)(RECOVERY_KEY)]))])
        }),
        final_reads: Box::new(move || {
            let reads = final_reads(kind, &opened).into_iter();
            each_until_ok(reads.map(|ops| repeat_with(move |_| txn(ops.clone()))))
        }),
    }
}
