//! Registers the bugs of replication.

use super::bug_id::Bug;
use super::column::{Fault, SeenBy};
use super::row::BugRow;

pub(super) const ROWS: &[BugRow] = &[
    BugRow::new(
        Bug::AckLogEnd,
        "ack-log-end",
        "a follower acknowledges everything in its log, also what the message did not cover",
    )
    .faults(&[Fault::Partition, Fault::Pause]),
    BugRow::new(
        Bug::BacktrackOnce,
        "backtrack-once",
        "a leader ignores the rejection of a follower that lacks more than one entry",
    )
    .seen_by(SeenBy::Liveness)
    .faults(&[Fault::Kill, Fault::Partition, Fault::Pause]),
    BugRow::new(Bug::CandidateDeaf, "candidate-deaf", "a candidate ignores the leader of its term")
        .seen_by(SeenBy::Liveness)
        .faults(&[Fault::Kill, Fault::Packet, Fault::Partition, Fault::Pause]),
    BugRow::new(
        Bug::CountStaleAcks,
        "count-stale-acks",
        "a leader counts acknowledgements that were given in an older term",
    )
    .seen_by(SeenBy::Invariant)
    .faults(&[Fault::Packet, Fault::Partition]),
    BugRow::new(
        Bug::DurableByIndex,
        "durable-by-index",
        "a completed write marks the entries that replaced its own as durable",
    )
    .seen_by(SeenBy::Invariant)
    .faults(&[Fault::PowerLoss, Fault::SlowDisk]),
    BugRow::new(
        Bug::KeepConflictingTail,
        "keep-conflicting-tail",
        "a follower replaces conflicting entries and keeps those that follow them",
    )
    .faults(&[Fault::Partition, Fault::Pause]),
    BugRow::new(
        Bug::MatchByIndex,
        "match-by-index",
        "a follower compares the index of the entry before new ones, and not its term",
    )
    .faults(&[Fault::Kill, Fault::Partition, Fault::Pause]),
    BugRow::new(
        Bug::MatchFromHint,
        "match-from-hint",
        "a leader takes the hint of a rejection for an acknowledgement",
    )
    .faults(&[Fault::Kill, Fault::Partition, Fault::Pause]),
    BugRow::new(
        Bug::TruncateOnAppend,
        "truncate-on-append",
        "a follower cuts its log off behind every message with entries, even a late one",
    )
    .faults(&[Fault::Kill, Fault::Packet]),
];
