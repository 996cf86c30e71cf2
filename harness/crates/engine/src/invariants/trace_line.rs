//! Parses the lines of a protocol trace, which `harness node --trace` writes.
//!
//! A line that ends too early is the end of the file of a replica that was killed: what it would
//! have said is unknown. Unknown events and fields are skipped.

use serde::{Deserialize, Deserializer};
use std::collections::BTreeSet;

/// The term and the digest of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct EntryId {
    pub(super) term: u64,
    pub(super) digest: u32,
}

/// One event of a replica.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct TraceLine {
    pub(super) replica: String,
    /// The group of keys; 0 where there is only one.
    #[serde(default)]
    pub(super) group: u32,
    /// Its term at that time.
    pub(super) term: u64,
    #[serde(flatten)]
    pub(super) event: Event,
}

/// What happened.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub(super) enum Event {
    /// Recovery found entries up to `to`, the last of them of term `of`.
    Start { to: u64, of: u64 },
    /// The role changed.
    Role { role: String },
    /// It voted for a replica in its term.
    Vote {
        #[serde(rename = "for")]
        candidate: String,
        sequence: u64,
    },
    /// Entries were written to its log in the place of all from index `from` on.
    Append { from: u64, entries: Vec<EntryId>, sequence: u64 },
    /// The whole log was written anew: it begins after index `base`.
    Rewrite { base: u64, entries: Vec<EntryId>, sequence: u64 },
    /// Everything up to this write is durable.
    Durable { sequence: u64 },
    /// Entries from index `from` on are committed.
    Commit {
        from: u64,
        entries: Vec<EntryId>,
        #[serde(default)]
        configs: Vec<Config>,
    },
    /// A peer lacks entries that it had acknowledged.
    Lost { peer: String, acknowledged: u64, rejected: u64 },
    /// Anything else.
    #[serde(other)]
    Other,
}

/// A committed configuration.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Config {
    pub(super) index: u64,
    pub(super) voters: BTreeSet<u64>,
    pub(super) outgoing: BTreeSet<u64>,
}

impl<'de> Deserialize<'de> for EntryId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let parsed = text.split_once(':').and_then(|(term, digest)| {
            Some(Self { term: term.parse().ok()?, digest: u32::from_str_radix(digest, 16).ok()? })
        });
        parsed.ok_or_else(|| serde::de::Error::custom("an entry must be TERM:DIGEST"))
    }
}

/// Each event with the number of its line, from 1. Lines of older versions lack digests: they and
/// other unreadable lines are skipped.
pub(super) fn parse_trace(text: &str) -> impl Iterator<Item = (usize, TraceLine)> {
    let parse = |(number, line)| Some((number, serde_json::from_str(line).ok()?));
    (1..).zip(text.lines()).filter_map(parse)
}
