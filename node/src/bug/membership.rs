//! Registers the bugs of changes of members.

use super::bug_id::Bug;
use super::column::{Fault, SeenBy, Setting, SimGap};
use super::row::BugRow;

pub(super) const ROWS: &[BugRow] = &[
    BugRow::new(
        Bug::CountLearnerAcks,
        "count-learner-acks",
        "a leader counts the acknowledgements of learners and of removed members",
    )
    .faults(&[Fault::Membership, Fault::Replace]),
    BugRow::new(
        Bug::JointForever,
        "joint-forever",
        "a new leader does not leave the joint configuration that another one began",
    )
    .seen_by(SeenBy::Liveness)
    .faults(&[Fault::Kill, Fault::Membership, Fault::Replace]),
    BugRow::new(
        Bug::JointNewMajority,
        "joint-new-majority",
        "in a joint configuration the new voters decide alone",
    )
    .seen_by(SeenBy::Invariant)
    .faults(&[Fault::Membership, Fault::Replace]),
    BugRow::new(
        Bug::JointUnion,
        "joint-union",
        "in a joint configuration a majority of all voters together elects",
    )
    .seen_by(SeenBy::Invariant)
    .faults(&[Fault::Membership, Fault::Replace]),
    BugRow::new(
        Bug::KeepOverwrittenConfig,
        "keep-overwritten-config",
        "a configuration stays in force after another leader has overwritten its entry",
    )
    .seen_by(SeenBy::Invariant)
    .faults(&[Fault::Membership, Fault::Replace]),
    BugRow::new(
        Bug::LeaveJointEarly,
        "leave-joint-early",
        "a leader leaves a joint configuration before that is committed",
    )
    .seen_by(SeenBy::Invariant)
    .faults(&[Fault::Membership, Fault::Replace]),
    BugRow::new(
        Bug::PromoteAtOnce,
        "promote-at-once",
        "a newcomer becomes a voter before it has caught up",
    )
    .seen_by(SeenBy::Liveness)
    .faults(&[Fault::Membership, Fault::Replace]),
    BugRow::new(
        Bug::RestoreKeepsConfig,
        "restore-keeps-config",
        "a replica that installs a snapshot keeps its old configuration",
    )
    .seen_by(SeenBy::Invariant)
    .faults(&[Fault::Membership, Fault::Replace])
    .settings(&[Setting::Snapshots]),
    BugRow::new(
        Bug::SwapVoters,
        "swap-voters",
        "new voters replace the old ones at once, without a joint configuration",
    )
    .seen_by(SeenBy::Invariant)
    .faults(&[Fault::Membership, Fault::Replace]),
    BugRow::new(
        Bug::TransferUnready,
        "transfer-unready",
        "a leader hands over to a replica that lacks entries, which then loses its election",
    )
    .seen_by(SeenBy::Performance)
    .faults(&[Fault::Transfer])
    .sim_gaps(&[SimGap::Performance]),
];
