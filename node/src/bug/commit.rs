//! Registers the bugs of committing entries and of what clients are told about them.

use super::bug_id::Bug;
use super::column::{Fault, Place, SeenBy, Setting, SimGap};
use super::row::BugRow;

pub(super) const ROWS: &[BugRow] = &[
    BugRow::new(
        Bug::ApplyOnAppend,
        "apply-on-append",
        "a follower applies entries when it appends them",
    )
    .faults(&[Fault::Partition]),
    BugRow::new(
        Bug::CommitLeaderIndex,
        "commit-leader-index",
        "a follower commits up to the leader's index, even what it did not get from that leader",
    )
    .faults(&[Fault::Partition, Fault::Pause]),
    BugRow::new(
        Bug::CommitOldTerm,
        "commit-old-term",
        "entries of older terms are committed by counting replicas; a new leader appends no \
         no-op",
    )
    .faults(&[Fault::Kill, Fault::Partition]),
    BugRow::new(
        Bug::CountUnsynced,
        "count-unsynced",
        "a leader counts its own entries before they are durable",
    )
    .faults(&[Fault::PowerLoss]),
    BugRow::new(
        Bug::EarlyAck,
        "early-ack",
        "a leader acknowledges a write once it is in its own log, before it is committed",
    )
    .faults(&[Fault::Kill, Fault::Partition, Fault::Pause]),
    BugRow::new(
        Bug::FailOnStepDown,
        "fail-on-step-down",
        "a leader that steps down reports open writes as failed, although they may still be \
         committed",
    )
    .place(Place::Runtime)
    .faults(&[Fault::Partition, Fault::Pause, Fault::Transfer]),
    BugRow::new(
        Bug::HalfIsMajority,
        "half-is-majority",
        "half of an even number of voters counts as a majority",
    )
    .faults(&[Fault::Partition])
    .settings(&[Setting::EvenVoters])
    .sim_gaps(&[SimGap::EvenVoters]),
    BugRow::new(
        Bug::StopAtOldTerm,
        "stop-at-old-term",
        "a leader commits nothing behind an uncommitted entry of an older term",
    )
    .seen_by(SeenBy::Liveness)
    .faults(&[Fault::Kill, Fault::Partition, Fault::Pause]),
];
