//! Registers workloads under the names that Maelstrom uses.

use crate::append::Append;
use crate::cas::Cas;
use crate::object::Object;
use crate::read_consistency::ReadConsistency;
use crate::rng::Rng;
use crate::workload::{Traffic, TrafficConfig, Workload};
use crate::wr::Wr;

/// A workload under another name.
pub(crate) struct Alias {
    name: &'static str,
    doc: &'static str,
    target: &'static dyn Workload,
}

/// Maelstrom's linearizable key-value store.
pub(crate) const LIN_KV: Alias = Alias {
    name: "lin-kv",
    doc: "Maelstrom's name for `cas`: read, write and compare-and-set on registers with few \
          values; judged by linearizability",
    target: &Cas,
};

/// Maelstrom's list-append transactions.
pub(crate) const TXN_LIST_APPEND: Alias = Alias {
    name: "txn-list-append",
    doc: "Maelstrom's name for `append`: transactions that append to lists and read them; judged \
          by dependency cycles",
    target: &Append,
};

/// Maelstrom's read-write transactions over registers.
pub(crate) const TXN_RW_REGISTER: Alias = Alias {
    name: "txn-rw-register",
    doc: "Maelstrom's name for `wr`: transactions that write and read registers; judged by \
          dependency cycles",
    target: &Wr,
};

impl Workload for Alias {
    fn name(&self) -> &'static str {
        self.name
    }

    fn doc(&self) -> &'static str {
        self.doc
    }

    fn object(&self) -> Object {
        self.target.object()
    }

    fn function_names(&self) -> &'static [&'static str] {
        self.target.function_names()
    }

    fn check_names(&self, consistency: ReadConsistency) -> &'static [&'static str] {
        self.target.check_names(consistency)
    }

    fn takes_key_choice(&self) -> bool {
        self.target.takes_key_choice()
    }

    fn make_traffic(&self, rng: Rng, config: &TrafficConfig) -> Traffic {
        self.target.make_traffic(rng, config)
    }
}
