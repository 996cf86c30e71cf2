//! Appends to lists and reads them in transactions: the workload of Elle's strongest check.
//!
//! Every element is unique per key, so a read of a list tells the order of all writes before it. Transactions are
//! of the sizes and on the keys that Elle's generator chooses ([`crate::keys`]).

use crate::generator::calls;
use crate::keys::{Fresh, Kind, Transactions, final_reads};
use crate::{Call, Freshness, Micro, Object, Rng, Scene, Traffic, Workload, each_until_ok};

/// Transactions of appends and reads.
pub(crate) struct Append;

impl Workload for Append {
    fn name(&self) -> &'static str {
        "append"
    }

    fn doc(&self) -> &'static str {
        "transactions that append to lists and read them, over rotating keys; judged by the cycles of their dependencies"
    }

    fn object(&self) -> Object {
        Object::Transactions
    }

    fn functions(&self) -> &'static [&'static str] {
        &["txn"]
    }

    fn checks(&self, _: Freshness) -> &'static [&'static str] {
        &["list-append"]
    }

    fn traffic(&self, rng: Rng, _: &Scene) -> Traffic {
        transactions(rng, Kind { read: Micro::List, write: Micro::Append })
    }
}

/// The key that is written and read once everything is healed.
const RECOVERY: u64 = 0;

/// Transactions of that kind, and at the end reads of every key that was used.
pub(crate) fn transactions(rng: Rng, kind: Kind) -> Traffic {
    let (opened, recovered) = (Fresh::default(), Fresh::default());
    let txn = |ops| Call::Txn { function: "txn", ops };
    let mut made = Transactions::new(rng, kind, opened.clone());
    let write = move |recovered: &Fresh| txn(vec![(kind.write)(RECOVERY, recovered.next())]);
    Traffic {
        main: calls(move |_| txn(made.next())),
        recovery: Box::new(move || {
            let recovered = recovered.clone();
            let writes = calls(move |_| write(&recovered));
            each_until_ok([writes, calls(move |_| txn(vec![(kind.read)(RECOVERY)]))])
        }),
        finale: Box::new(move || {
            let reads = final_reads(kind, &opened).into_iter();
            each_until_ok(reads.map(|ops| calls(move |_| txn(ops.clone()))))
        }),
    }
}
