//! Gives workloads of ours the names under which Maelstrom knows them.

use crate::append::Append;
use crate::cas::Cas;
use crate::wr::Wr;
use crate::{Freshness, Object, Rng, Scene, Traffic, Workload};

/// A workload by another name.
pub(crate) struct Same {
    name: &'static str,
    doc: &'static str,
    other: &'static dyn Workload,
}

/// Maelstrom's linearizable store.
pub(crate) const LIN_KV: Same = Same {
    name: "lin-kv",
    doc: "Maelstrom's name of `cas`: reads, writes and compares-and-sets registers of few values; judged by linearizability",
    other: &Cas,
};

/// Maelstrom's transactions over lists.
pub(crate) const TXN_LIST_APPEND: Same = Same {
    name: "txn-list-append",
    doc: "Maelstrom's name of `append`: transactions that append to lists and read them; judged by the cycles of their dependencies",
    other: &Append,
};

/// Maelstrom's transactions over registers.
pub(crate) const TXN_RW_REGISTER: Same = Same {
    name: "txn-rw-register",
    doc: "Maelstrom's name of `wr`: transactions that write registers and read them; judged by the cycles of their dependencies",
    other: &Wr,
};

impl Workload for Same {
    fn name(&self) -> &'static str {
        self.name
    }

    fn doc(&self) -> &'static str {
        self.doc
    }

    fn object(&self) -> Object {
        self.other.object()
    }

    fn functions(&self) -> &'static [&'static str] {
        self.other.functions()
    }

    fn checks(&self, freshness: Freshness) -> &'static [&'static str] {
        self.other.checks(freshness)
    }

    fn traffic(&self, rng: Rng, scene: &Scene) -> Traffic {
        self.other.traffic(rng, scene)
    }
}
