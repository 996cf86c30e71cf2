//! Checks what clients observe when they read from replicas: session guarantees, staleness,
//! convergence.
//!
//! The history is of registers, one per key, whose written values are distinct. Writes are assumed
//! to take effect in real-time order, as a replicated log applies them: a write that was
//! acknowledged before another began is older. A version is *certainly older* than another if its
//! write had taken effect before the other's began. A write has taken effect once it is
//! acknowledged or a read has returned it. The order of concurrent writes is unknown, so it never
//! proves an anomaly.
//!
//! A client is a process. Each of its reads is compared with what it observed before.
//! Each guarantee is violated by a read that is certainly older than:
//!
//! - read your writes: an earlier write of the client to the key
//! - monotonic reads: an earlier read of the key by the client
//! - monotonic writes: a write to the key by the writer of something the client read, made before
//!   that
//! - writes follow reads: a read of the key by the writer of something the client read, made before
//!   that
//! - consistent prefix: a version that had taken effect before another version in the same read was
//!   written
//! - freshness: a version that was acknowledged or returned to any client before the read began
//!
//! Monotonic writes and writes follow reads constrain the order at a single replica. A client that
//! moves between replicas also needs monotonic reads to observe them, so they are only checked
//! where monotonic reads are promised. A replica whose state goes back is counted but not an
//! anomaly, because a restarted replica may replay its log.

mod causality;
mod client;
mod convergence;
#[cfg(test)]
mod laws;
mod prefix;
mod promise;
mod register_history;
mod staleness;
#[cfg(test)]
mod tests;

pub use convergence::check_convergence;
pub use promise::{Guarantee, Promise};

use crate::history::History;
use crate::property::verdict_builder::{VerdictBuilder, unsupported_history};
use crate::verdict::{Check, Limits, Verdict};
use promise::{ANOMALIES, NAME};
use register_history::RegisterHistory;

/// All session guarantees.
pub(crate) struct Session;

impl Check for Session {
    fn name(&self) -> &'static str {
        NAME
    }

    fn doc(&self) -> &'static str {
        "read your writes, monotonic reads, monotonic writes, writes follow reads and consistent \
         prefix, for each client of registers with distinct values; measures how stale reads of \
         each replica were"
    }

    fn check(&self, history: &History, limits: &Limits<'_>) -> Verdict {
        check_session(history, limits, &Promise::SESSION)
    }
}

/// Checks a history against a promise, and measures the staleness of every read.
pub fn check_session(history: &History, limits: &Limits<'_>, promise: &Promise<'_>) -> Verdict {
    match RegisterHistory::new(history, limits.keyed) {
        Ok(history) => check_registers(&history, promise),
        Err(why) => unsupported_history(NAME, why),
    }
}

fn check_registers(history: &RegisterHistory<'_>, promise: &Promise<'_>) -> Verdict {
    let mut builder = VerdictBuilder::new(NAME, ANOMALIES);
    history.report_impossible_reads(&mut builder);
    client::check_clients(history, promise, &mut builder);
    if promise.has(Guarantee::MonotonicReads) {
        causality::check_causality(history, promise, &mut builder);
    }
    if promise.has(Guarantee::ConsistentPrefix) {
        prefix::check_consistent_prefix(history, &mut builder);
    }
    staleness::check_staleness(history, promise, &mut builder);
    builder.stats.operations = history.ops.len();
    builder.stats.keys = history.keys.len();
    let reads = history.reads.len();
    if reads == 0 {
        builder.add_unknown(|| "no read completed, so no guarantee was tested".to_owned());
    }
    builder.build(&format!("all {reads} reads kept every promised guarantee"))
}
