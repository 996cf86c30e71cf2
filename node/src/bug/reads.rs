//! Registers the bugs of reads.

use super::bug_id::Bug;
use super::column::{Fault, Load, Place, Setting, SimGap};
use super::row::BugRow;

pub(super) const ROWS: &[BugRow] = &[
    BugRow::new(
        Bug::FollowerReads,
        "follower-reads",
        "a follower serves its own state as if it were linearizable",
    )
    .loads(&[Load::FollowerReads, Load::Register]),
    BugRow::new(
        Bug::IgnoreAfter,
        "ignore-after",
        "a read does not wait until the log is applied up to the index that the client has seen",
    )
    .place(Place::Runtime)
    .loads(&[Load::FollowerReads])
    .settings(&[Setting::SessionReads])
    .sim_gaps(&[SimGap::Sessions]),
    BugRow::new(
        Bug::JoinOpenRound,
        "join-open-round",
        "a read joins a round of confirmation that began before it",
    )
    .loads(&[Load::FollowerReads, Load::Register]),
    BugRow::new(
        Bug::LateReplyConfirms,
        "late-reply-confirms",
        "every reply of a follower confirms the reads that wait, even if it was sent before \
         them",
    )
    .faults(&[Fault::Packet, Fault::Partition, Fault::Pause]),
    BugRow::new(
        Bug::LeaseCountsTicks,
        "lease-counts-ticks",
        "a lease does not end while the leader stands still",
    )
    .faults(&[Fault::Pause])
    .settings(&[Setting::LeaseReads]),
    BugRow::new(
        Bug::LeaseFromReply,
        "lease-from-reply",
        "a lease counts from when the answers arrive, and not from when they were asked for",
    )
    .faults(&[Fault::Packet, Fault::Partition])
    .settings(&[Setting::LeaseReads]),
    BugRow::new(
        Bug::LeaseSurvivesTransfer,
        "lease-survives-transfer",
        "a leader that hands over its leadership keeps its lease",
    )
    .faults(&[Fault::Transfer])
    .settings(&[Setting::LeaseReads]),
    BugRow::new(
        Bug::ReadBeforeCommit,
        "read-before-commit",
        "a new leader serves reads before it has committed an entry of its term",
    )
    .faults(&[Fault::Kill, Fault::Partition]),
    BugRow::new(
        Bug::ReadWithoutLeader,
        "read-without-leader",
        "a replica that hears no leader serves reads from its own state",
    )
    .faults(&[Fault::Kill, Fault::Partition, Fault::Pause])
    .loads(&[Load::FollowerReads, Load::Register]),
    BugRow::new(
        Bug::ReuseReadNumbers,
        "reuse-read-numbers",
        "a restarted replica reuses the numbers of reads that it has forwarded to the leader",
    )
    .faults(&[Fault::Kill]),
    BugRow::new(
        Bug::SkipApplyWait,
        "skip-apply-wait",
        "a read does not wait until its replica has applied as much as the leader has confirmed",
    )
    .place(Place::Runtime)
    .loads(&[Load::FollowerReads, Load::Register]),
    BugRow::new(
        Bug::StaleReads,
        "stale-reads",
        "a leader serves reads without a quorum, and never steps down",
    )
    .faults(&[Fault::Partition, Fault::Pause]),
    BugRow::new(
        Bug::VoteWithinLease,
        "vote-within-lease",
        "replicas vote although they hear a leader or have promised it a lease",
    )
    .faults(&[Fault::Packet, Fault::Partition])
    .settings(&[Setting::LeaseReads]),
    BugRow::new(
        Bug::WallClockLease,
        "wall-clock-lease",
        "a leader serves reads by a lease that is timed by the wall clock",
    )
    .place(Place::Runtime)
    .faults(&[Fault::Clock])
    .sim_gaps(&[SimGap::WallClocks]),
];
