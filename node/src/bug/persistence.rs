//! Registers the bugs of disks and recovery.

use super::bug_id::Bug;
use super::column::{Fault, Place, SeenBy, Setting, SimGap};
use super::row::BugRow;

pub(super) const ROWS: &[BugRow] = &[
    BugRow::new(
        Bug::AcceptWipedPeer,
        "accept-wiped-peer",
        "a member whose disk was emptied is accepted under its old name, and votes again",
    )
    .place(Place::Server)
    .faults(&[Fault::Wipe])
    .sim_gaps(&[SimGap::Server]),
    BugRow::new(
        Bug::CheckpointWithoutVote,
        "checkpoint-without-vote",
        "term and vote are not written when the log is compacted, and go with its old segments",
    )
    .seen_by(SeenBy::Invariant)
    .faults(&[Fault::Kill])
    .settings(&[Setting::Snapshots]),
    BugRow::new(
        Bug::CutAtDamage,
        "cut-at-damage",
        "recovery takes damage in the middle of the log for its end, and drops what follows",
    )
    .place(Place::Runtime)
    .faults(&[Fault::BitRot])
    .sim_gaps(&[SimGap::DamagedDisks]),
    BugRow::new(
        Bug::CutBeforeSnapshot,
        "cut-before-snapshot",
        "the log is compacted before the snapshot is written, so a crash in between leaves \
         neither",
    )
    .place(Place::Runtime)
    .seen_by(SeenBy::Invariant)
    .faults(&[Fault::Kill, Fault::PowerLoss])
    .settings(&[Setting::Snapshots]),
    BugRow::new(
        Bug::IgnoreFullDisk,
        "ignore-full-disk",
        "a write that failed because the disk is full counts as durable",
    )
    .place(Place::Runtime)
    .faults(&[Fault::DiskFull])
    .sim_gaps(&[SimGap::DiskErrors]),
    BugRow::new(
        Bug::IgnoreIoError,
        "ignore-io-error",
        "a write or sync that failed with an I/O error counts as durable",
    )
    .place(Place::Runtime)
    .faults(&[Fault::DiskError])
    .sim_gaps(&[SimGap::DiskErrors]),
    BugRow::new(
        Bug::NoFsync,
        "no-fsync",
        "votes and writes are acknowledged before they are durable",
    )
    .faults(&[Fault::PowerLoss]),
    BugRow::new(
        Bug::NoGroupCommit,
        "no-group-commit",
        "each write is synced alone, however many wait",
    )
    .place(Place::Runtime)
    .seen_by(SeenBy::Performance)
    .sim_gaps(&[SimGap::Performance]),
    BugRow::new(
        Bug::SendAckEarly,
        "send-ack-early",
        "a follower acknowledges entries before they are durable",
    )
    .faults(&[Fault::Kill, Fault::PowerLoss]),
    BugRow::new(
        Bug::SkipDirectorySync,
        "skip-directory-sync",
        "new files are synced, and their names in the directory are not",
    )
    .place(Place::Runtime)
    .seen_by(SeenBy::Invariant)
    .faults(&[Fault::PowerLoss])
    .settings(&[Setting::Snapshots]),
    BugRow::new(
        Bug::TornTailFatal,
        "torn-tail-fatal",
        "a replica refuses to start from a log whose last record is torn",
    )
    .place(Place::Runtime)
    .seen_by(SeenBy::Invariant)
    .faults(&[Fault::Kill, Fault::PowerLoss]),
    BugRow::new(
        Bug::TrustDisk,
        "trust-disk",
        "recovery checks no checksum, keeps what it can decode of the log and drops the rest",
    )
    .place(Place::Runtime)
    .faults(&[Fault::BitRot])
    .sim_gaps(&[SimGap::DamagedDisks]),
    BugRow::new(
        Bug::VolatileTerm,
        "volatile-term",
        "a term is written only with a vote, so a restart can take it back",
    )
    .seen_by(SeenBy::Invariant)
    .faults(&[Fault::Kill]),
];
