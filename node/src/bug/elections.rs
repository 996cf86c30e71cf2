//! Registers the bugs of elections.

use super::bug_id::Bug;
use super::column::{Fault, SeenBy, Setting};
use super::row::BugRow;

pub(super) const ROWS: &[BugRow] = &[
    BugRow::new(
        Bug::CountLearnerVotes,
        "count-learner-votes",
        "learners campaign, and every vote counts, also that of a server without one",
    )
    .seen_by(SeenBy::Invariant)
    .faults(&[Fault::Membership, Fault::Replace]),
    BugRow::new(
        Bug::CountPreVotes,
        "count-pre-votes",
        "a candidate counts late pre-votes as votes",
    )
    .seen_by(SeenBy::Invariant)
    .faults(&[Fault::Kill, Fault::Packet, Fault::Partition]),
    BugRow::new(
        Bug::CountStaleVotes,
        "count-stale-votes",
        "a candidate counts votes that were given in an older term",
    )
    .seen_by(SeenBy::Invariant)
    .faults(&[Fault::Kill, Fault::Packet, Fault::Partition]),
    BugRow::new(
        Bug::ForgetVote,
        "forget-vote",
        "a restarted replica forgets its vote of the current term",
    )
    .seen_by(SeenBy::Invariant)
    .faults(&[Fault::Kill, Fault::PowerLoss]),
    BugRow::new(
        Bug::FreeVoteOnStepDown,
        "free-vote-on-step-down",
        "a candidate or leader that steps down may vote again in the same term",
    )
    .seen_by(SeenBy::Invariant)
    .faults(&[Fault::Kill, Fault::Packet, Fault::Partition, Fault::Pause]),
    BugRow::new(Bug::SendVoteEarly, "send-vote-early", "a vote is sent before it is durable")
        .seen_by(SeenBy::Invariant)
        .faults(&[Fault::Kill, Fault::PowerLoss]),
    BugRow::new(
        Bug::TermFromSnapshot,
        "term-from-snapshot",
        "a replica that installs a snapshot takes over the term of its last entry, even an \
         older one",
    )
    .seen_by(SeenBy::Invariant)
    .faults(&[Fault::Kill, Fault::Partition])
    .settings(&[Setting::Snapshots]),
    BugRow::new(
        Bug::VoteByLength,
        "vote-by-length",
        "voters compare the lengths of logs, and not their last terms",
    )
    .faults(&[Fault::Kill, Fault::Partition]),
    BugRow::new(
        Bug::VoteByVector,
        "vote-by-vector",
        "a vote needs a last term and a length that are both as great, so two logs can \
         refuse each other",
    )
    .seen_by(SeenBy::Liveness)
    .faults(&[Fault::Kill, Fault::Partition]),
    BugRow::new(
        Bug::VoteTwice,
        "vote-twice",
        "a voter grants its vote to every candidate of a term",
    )
    .seen_by(SeenBy::Invariant)
    .faults(&[Fault::Kill, Fault::Packet, Fault::Partition]),
    BugRow::new(
        Bug::VoteWithoutLogCheck,
        "vote-without-log-check",
        "votes and pre-votes are granted without comparing logs",
    )
    .faults(&[Fault::Kill, Fault::Partition]),
    BugRow::new(
        Bug::ZeroLastTerm,
        "zero-last-term",
        "a log whose entries are all compacted counts as one of term 0 in elections",
    )
    .faults(&[Fault::Kill, Fault::Partition])
    .settings(&[Setting::Snapshots]),
];
