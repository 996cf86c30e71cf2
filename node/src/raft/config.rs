//! Defines how a server is configured.

use super::types::{Index, ServerId};
use crate::bug::{Bug, BugSet, Variation, VariationSet};
use alloc::vec::Vec;

/// When the log is compacted, and how much of it is kept. The default is never.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compaction {
    /// Take a snapshot once this many entries were delivered since the last one; 0: never.
    pub entries: Index,
    /// Take a snapshot once entries of this many bytes were delivered; 0: no limit by size.
    pub bytes: usize,
    /// How many entries before the end of the snapshot stay in the log. A follower that is only
    /// a few entries behind then needs no snapshot.
    pub keep_entries: Index,
    /// The most bytes of a snapshot in one message; 0: the whole snapshot.
    pub chunk_bytes: usize,
}

/// The configuration of a server; constant while it runs.
#[derive(Clone, Debug)]
pub struct Config {
    /// This server's id.
    pub id: ServerId,
    /// The voters of the initial configuration; empty for a server that joins later.
    pub voters: Vec<ServerId>,
    /// Ticks between a leader's heartbeats.
    pub heartbeat_ticks: u32,
    /// Election timeouts are drawn uniformly from `election_ticks .. 2 * election_ticks`.
    pub election_ticks: u32,
    /// Seeds every random choice of this server. It must differ from one start to the next:
    /// request numbers also come from it, and must not repeat those of an earlier start.
    pub seed: u64,
    /// Serve reads by lease. All servers of a cluster must agree on it, as voters enforce leases.
    pub lease_reads: bool,
    /// When the log is compacted.
    pub compaction: Compaction,
    /// The seeded bugs that are switched on; none except in tests of the harness.
    pub bugs: BugSet,
    /// The harmless variations that are switched on; none except in tests of the harness.
    pub variations: VariationSet,
}

impl Config {
    /// Whether a bug is switched on.
    pub(super) fn has_bug(&self, bug: Bug) -> bool {
        self.bugs.contains(bug)
    }

    /// Whether a variation is switched on.
    pub(super) fn varies(&self, variation: Variation) -> bool {
        self.variations.contains(variation)
    }
}
