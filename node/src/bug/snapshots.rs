//! Registers the bugs of snapshots and compaction.

use super::bug_id::Bug;
use super::column::{Fault, Load, Place, SeenBy, Setting, SimGap};
use super::row::BugRow;

pub(super) const ROWS: &[BugRow] = &[
    BugRow::new(
        Bug::AppendAnyChunk,
        "append-any-chunk",
        "a late or repeated chunk of a snapshot is appended like the next one",
    )
    .faults(&[Fault::Kill, Fault::Packet, Fault::Partition])
    .settings(&[Setting::Snapshots]),
    BugRow::new(
        Bug::InstallOlderSnapshot,
        "install-older-snapshot",
        "a snapshot is installed even if the replica has applied more than it contains",
    )
    .faults(&[Fault::Packet, Fault::Partition])
    .settings(&[Setting::Snapshots]),
    BugRow::new(
        Bug::KeepTail,
        "keep-tail",
        "a replica that installs a snapshot keeps the entries after it, even another leader's",
    )
    .faults(&[Fault::Partition])
    .settings(&[Setting::Snapshots]),
    BugRow::new(
        Bug::MixSnapshotChunks,
        "mix-snapshot-chunks",
        "chunks of different snapshots are put together",
    )
    .faults(&[Fault::Kill, Fault::Partition])
    .settings(&[Setting::Snapshots]),
    BugRow::new(
        Bug::PurgedLeaderSilent,
        "purged-leader-silent",
        "a leader whose entries are all compacted sends nothing to a follower that lags",
    )
    .seen_by(SeenBy::Liveness)
    .faults(&[Fault::Kill, Fault::Partition, Fault::Pause])
    .settings(&[Setting::Snapshots]),
    BugRow::new(
        Bug::RestartSnapshot,
        "restart-snapshot",
        "a leader sends the first chunk of a snapshot again and again",
    )
    .seen_by(SeenBy::Liveness)
    .faults(&[Fault::Kill, Fault::Partition, Fault::Pause])
    .settings(&[Setting::Snapshots]),
    BugRow::new(
        Bug::RestoreKeepsValues,
        "restore-keeps-values",
        "a replica that installs a snapshot keeps its own values of the keys that it had",
    )
    .place(Place::Runtime)
    .faults(&[Fault::Kill, Fault::Partition, Fault::Pause])
    .settings(&[Setting::Snapshots]),
    BugRow::new(
        Bug::SnapshotInPlace,
        "snapshot-in-place",
        "a snapshot is written over the last one, so a crash in between leaves neither",
    )
    .place(Place::Runtime)
    .seen_by(SeenBy::Invariant)
    .faults(&[Fault::Kill, Fault::PowerLoss])
    .settings(&[Setting::Snapshots]),
    BugRow::new(
        Bug::SnapshotLabelBehind,
        "snapshot-label-behind",
        "a snapshot names the entry before its last one, which is then applied twice",
    )
    .faults(&[Fault::Kill, Fault::Partition, Fault::Pause])
    .loads(&[Load::Append, Load::Bank, Load::Counter])
    .settings(&[Setting::Snapshots])
    .sim_gaps(&[SimGap::Transactions]),
    BugRow::new(
        Bug::SnapshotLatestConfig,
        "snapshot-latest-config",
        "a snapshot holds the latest configuration, even an uncommitted one",
    )
    .seen_by(SeenBy::Invariant)
    .faults(&[Fault::Membership, Fault::Replace])
    .settings(&[Setting::Snapshots]),
    BugRow::new(
        Bug::SnapshotWithoutSessions,
        "snapshot-without-sessions",
        "a snapshot lacks the sessions, so a retry after it runs again",
    )
    .place(Place::Runtime)
    .faults(&[Fault::Kill, Fault::Partition, Fault::Pause])
    .loads(&[Load::Sessions])
    .settings(&[Setting::Snapshots])
    .sim_gaps(&[SimGap::Sessions]),
];
