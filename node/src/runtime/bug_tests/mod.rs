//! Shows each bug of the runtime and of the log store in the smallest case.

use super::log_store::LogStore;
use super::memory_disk::MemoryDisk;
use super::store_bugs::BuggyStore;
use super::*;
use crate::bug::tests::BugCase;
use crate::bug::{Bug, BugSet, VariationSet};
use crate::kv::{Command, MicroOp, Outcome, Store, Txn};
use crate::raft::{
    Compaction, Config, Content, Effect, Entry, HardState, Index, Input, Membership,
};
use crate::raft::{Message, Payload, Persist, Position, Snapshot, Stored};
use core::time::Duration;

mod answers;
mod disk;
mod store;

/// The cases of the runtime.
pub(crate) const CASES: &[BugCase] = &[
    BugCase { bug: Bug::ApplyFailedConditions, shows: store::a_failed_condition_changes_a_key },
    BugCase { bug: Bug::ApplyLanes, shows: store::a_key_is_late_at_a_follower },
    BugCase { bug: Bug::CutAtDamage, shows: disk::damage_cuts_the_log },
    BugCase { bug: Bug::CutBeforeSnapshot, shows: disk::a_compaction_loses_its_snapshot },
    BugCase { bug: Bug::DoubleApply, shows: store::an_entry_is_applied_twice },
    BugCase { bug: Bug::EvaluateEarly, shows: store::a_transaction_is_evaluated_at_once },
    BugCase { bug: Bug::FailOnLostForward, shows: answers::a_lost_forward_is_definite },
    BugCase { bug: Bug::FailOnStepDown, shows: answers::a_lost_leadership_is_definite },
    BugCase { bug: Bug::ForwardTwice, shows: answers::a_write_is_forwarded_twice },
    BugCase { bug: Bug::IgnoreAfter, shows: store::a_read_forgets_what_was_seen },
    BugCase { bug: Bug::IgnoreFullDisk, shows: disk::a_full_disk_is_ignored },
    BugCase { bug: Bug::IgnoreIoError, shows: disk::a_broken_disk_is_ignored },
    BugCase { bug: Bug::LeaderSessions, shows: store::a_follower_forgets_a_request },
    BugCase { bug: Bug::LocalSessionClock, shows: answers::a_clock_ends_a_session },
    BugCase { bug: Bug::NoDedup, shows: store::a_retry_runs_again },
    BugCase { bug: Bug::NoFsync, shows: disk::a_power_loss_takes_an_entry },
    BugCase { bug: Bug::NoGroupCommit, shows: disk::two_writes_are_two_batches },
    BugCase { bug: Bug::RestoreKeepsValues, shows: answers::an_old_value_survives_a_snapshot },
    BugCase { bug: Bug::ReuseTokens, shows: answers::two_starts_share_numbers },
    BugCase { bug: Bug::SkipApplyWait, shows: answers::a_read_does_not_wait },
    BugCase { bug: Bug::SkipDirectorySync, shows: disk::a_segment_loses_its_name },
    BugCase { bug: Bug::SnapshotInPlace, shows: disk::a_crash_damages_the_snapshot },
    BugCase { bug: Bug::SnapshotWithoutSessions, shows: answers::a_snapshot_loses_the_sessions },
    BugCase { bug: Bug::TornTailFatal, shows: disk::a_torn_tail_is_refused },
    BugCase { bug: Bug::TornTxn, shows: store::a_transaction_shows_half },
    BugCase { bug: Bug::TrustDisk, shows: disk::a_flipped_bit_is_believed },
    BugCase { bug: Bug::WallClockLease, shows: store::a_wall_clock_confirms_a_read },
];
