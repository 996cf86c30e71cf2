//! Judges what readers of replicas really got: session guarantees, staleness, convergence.
//!
//! The history is of registers, one per key, whose written values are distinct. Writes are taken to be in real-time
//! order, as a replicated log puts them: a write that was acknowledged before another began is older. A value is
//! *certainly older* than another if its write had taken effect before the other's began; it has taken effect once
//! it is acknowledged, or a read has returned it. Of concurrent writes nobody knows which is older, and nobody is
//! convicted on a guess.
//!
//! A client is a process. What it saw before is compared with what it sees now:
//!
//! | guarantee | broken by a read of something certainly older than |
//! |---|---|
//! | read your writes | what the client wrote to the key before |
//! | monotonic reads | what the client read from the key before |
//! | monotonic writes | what another wrote to the key before it wrote something that the client has read |
//! | writes follow reads | what another read from the key before it wrote something that the client has read |
//! | consistent prefix | what was overwritten before something else came to be that the same read shows |
//! | freshness | what was acknowledged, or returned to anybody, before the read began |
//!
//! The third and the fourth speak of one replica; seen by a client that moves between replicas they need monotonic
//! reads too, so they convict only where that is promised as well. Replicas that go back are counted, not convicted:
//! a replica that restarts may replay its log.

mod causes;
mod client;
mod convergence;
mod prefix;
mod staleness;
mod versions;

pub use convergence::convergence;

use crate::history::History;
use crate::property::tally::{Tally, meaningless};
use crate::verdict::{Check, Limits, Verdict};
use versions::Record;

const NAME: &str = "session";

/// A guarantee to clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Guarantee {
    /// A read shows the client's own earlier writes.
    ReadYourWrites,
    /// A read shows what the client read before, or newer.
    MonotonicReads,
    /// Who sees a write sees what its client wrote before.
    MonotonicWrites,
    /// Who sees a write sees what its client had read before.
    WritesFollowReads,
    /// A read of several keys shows a state that once was.
    ConsistentPrefix,
    /// A read shows the latest acknowledged write, as a linearizable one must.
    Freshness,
}

/// What a history is held to. Values from nowhere and from the future are always wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Promise<'a> {
    /// What must hold.
    pub guarantees: &'a [Guarantee],
    /// By how many milliseconds a read may certainly be stale.
    pub most_ms: Option<u64>,
    /// By how many acknowledged versions a read may certainly be behind.
    pub most_versions: Option<u64>,
}

impl Promise<'static> {
    /// Reads may be of any age; all is measured.
    pub const STALE: Self = Self { guarantees: &[], most_ms: None, most_versions: None };
    /// What reads `after` a token give: everything but freshness.
    pub const SESSION: Self = Self {
        guarantees: &[
            Guarantee::ReadYourWrites,
            Guarantee::MonotonicReads,
            Guarantee::MonotonicWrites,
            Guarantee::WritesFollowReads,
            Guarantee::ConsistentPrefix,
        ],
        ..Self::STALE
    };
    /// What linearizable reads give. Necessary, not sufficient; the model `register` decides.
    pub const LINEARIZABLE: Self = Self {
        guarantees: &[
            Guarantee::ReadYourWrites,
            Guarantee::MonotonicReads,
            Guarantee::MonotonicWrites,
            Guarantee::WritesFollowReads,
            Guarantee::ConsistentPrefix,
            Guarantee::Freshness,
        ],
        ..Self::STALE
    };
}

impl Promise<'_> {
    fn has(&self, guarantee: Guarantee) -> bool {
        self.guarantees.contains(&guarantee)
    }
}

/// All session guarantees.
pub(crate) struct Session;

impl Check for Session {
    fn name(&self) -> &'static str {
        NAME
    }

    fn doc(&self) -> &'static str {
        "read your writes, monotonic reads, monotonic writes, writes follow reads and consistent prefix, \
         for each client of registers with distinct values; measures how stale reads of each replica were"
    }

    fn check(&self, history: &History, limits: &Limits<'_>) -> Verdict {
        judge(history, limits, &Promise::SESSION)
    }
}

const KINDS: &[&str] = &[
    "unwritten-value",
    "future-read",
    "read-your-writes",
    "monotonic-reads",
    "stale-read",
    "writes-follow-reads",
    "monotonic-writes",
    "consistent-prefix",
    "bounded-staleness",
    "not-converged",
];

/// Holds a history to a promise, and measures the staleness of every read.
pub fn judge(history: &History, limits: &Limits<'_>, promise: &Promise<'_>) -> Verdict {
    match Record::of(history, limits.keyed) {
        Ok(record) => judged(&record, promise),
        Err(why) => meaningless(NAME, why),
    }
}

fn judged(record: &Record<'_>, promise: &Promise<'_>) -> Verdict {
    let mut tally = Tally::new(NAME, KINDS);
    record.impossible(&mut tally);
    client::judge(record, promise, &mut tally);
    if promise.has(Guarantee::MonotonicReads) {
        causes::judge(record, promise, &mut tally);
    }
    if promise.has(Guarantee::ConsistentPrefix) {
        prefix::judge(record, &mut tally);
    }
    staleness::judge(record, promise, &mut tally);
    tally.stats.operations = record.ops.len();
    tally.stats.keys = record.keys.len();
    let reads = record.reads.len();
    if reads == 0 {
        tally.doubt(|| "nothing was ever read".to_owned());
    }
    tally.verdict(&format!("{reads} reads kept every promise"))
}

#[cfg(test)]
mod laws;
#[cfg(test)]
mod tests;
