//! Registers the bugs of the state machine, of sessions and of answers.

use super::bug_id::Bug;
use super::column::{Fault, Load, Place, SimGap};
use super::row::BugRow;

pub(super) const ROWS: &[BugRow] = &[
    BugRow::new(
        Bug::ApplyFailedConditions,
        "apply-failed-conditions",
        "a follower applies the writes of a transaction or compare-and-set whose condition \
         failed",
    )
    .place(Place::Runtime)
    .loads(&[Load::Bank, Load::FollowerReads, Load::Register]),
    BugRow::new(
        Bug::ApplyLanes,
        "apply-lanes",
        "followers apply keys in two lanes; one lane is late, and which one differs between \
         replicas",
    )
    .place(Place::Runtime)
    .loads(&[Load::FollowerReads]),
    BugRow::new(
        Bug::DoubleApply,
        "double-apply",
        "a restarted replica applies the last entries of its log twice",
    )
    .place(Place::Runtime)
    .faults(&[Fault::Kill])
    .loads(&[Load::Append, Load::Bank, Load::Counter])
    .sim_gaps(&[SimGap::Transactions]),
    BugRow::new(
        Bug::EvaluateEarly,
        "evaluate-early",
        "the receiving replica evaluates a transaction, and only its writes are replicated",
    )
    .place(Place::Runtime)
    .loads(&[Load::Append, Load::Bank, Load::Counter])
    .sim_gaps(&[SimGap::Transactions]),
    BugRow::new(
        Bug::FailOnLostForward,
        "fail-on-lost-forward",
        "a write counts as failed when the connection breaks over which it was forwarded",
    )
    .place(Place::Runtime)
    .faults(&[Fault::Kill, Fault::Partition])
    .sim_gaps(&[SimGap::Connections]),
    BugRow::new(
        Bug::FailOnTimeout,
        "fail-on-timeout",
        "a write that was not committed in time counts as failed, although it may still be",
    )
    .place(Place::Server)
    .faults(&[Fault::Partition, Fault::Pause, Fault::SlowDisk])
    .sim_gaps(&[SimGap::Server]),
    BugRow::new(
        Bug::ForwardTwice,
        "forward-twice",
        "a write that is forwarded to the leader is sent twice, and runs twice",
    )
    .place(Place::Runtime)
    .loads(&[Load::Append, Load::Counter, Load::Register]),
    BugRow::new(
        Bug::LeaderSessions,
        "leader-sessions",
        "only the leader remembers the last request of a session, so a retry at the next one \
         runs again",
    )
    .place(Place::Runtime)
    .faults(&[Fault::Kill, Fault::Partition])
    .loads(&[Load::Sessions])
    .sim_gaps(&[SimGap::Sessions]),
    BugRow::new(
        Bug::LocalSessionClock,
        "local-session-clock",
        "sessions expire by the clock of the replica that applies an entry",
    )
    .place(Place::Runtime)
    .faults(&[Fault::Clock])
    .loads(&[Load::Sessions])
    .sim_gaps(&[SimGap::Sessions, SimGap::WallClocks]),
    BugRow::new(Bug::NoDedup, "no-dedup", "a retry in a session runs again")
        .place(Place::Runtime)
        .faults(&[Fault::Kill, Fault::Partition, Fault::Pause])
        .loads(&[Load::Sessions])
        .sim_gaps(&[SimGap::Sessions]),
    BugRow::new(
        Bug::ReuseTokens,
        "reuse-tokens",
        "a restarted replica reuses the numbers of writes that it has forwarded to the leader",
    )
    .place(Place::Runtime)
    .faults(&[Fault::Kill]),
    BugRow::new(
        Bug::TornTxn,
        "torn-txn",
        "one key of a transaction becomes visible first, the others a moment later",
    )
    .place(Place::Runtime)
    .loads(&[Load::Append, Load::Bank])
    .sim_gaps(&[SimGap::Transactions]),
];
