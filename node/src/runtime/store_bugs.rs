//! Carries out the seeded bugs of the store; without bugs, each method does what a correct replica
//! does.
//!
//! No bug touches the log: replicas agree on it, and disagree on its meaning or on when it shows.

use super::request::{Answer, Request};
use crate::bug::{Bug, BugSet};
use crate::kv::{Changes, Command, MicroOp, Outcome, Results, Store, Txn};
use crate::raft::{Index, Token};
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::time::Duration;

/// How many ticks the slow lane of a follower is late.
const LANE_TICKS: u64 = 10;
/// How many ticks the rest of a torn transaction is late.
const TORN_TICKS: u64 = 2;
/// How many entries a restart applies twice.
const REAPPLIED_ENTRIES: Index = 3;

/// The bugs of one replica's store, and what they hold back.
#[derive(Debug)]
pub(super) struct BuggyStore {
    bugs: BugSet,
    /// Which lane of a follower is late.
    lane: u8,
    /// The last entry of the log when the replica started.
    start: Index,
    now: u64,
    /// How long a majority's confirmation holds, by the wall clock.
    lease: Duration,
    leased_until: Duration,
    /// The read whose confirmation will begin the next lease, and when it was asked.
    lease_read: Option<(Token, Duration)>,
    /// The values of the log, where the store does not show all of them yet.
    full_store: Store,
    /// Changes that do not show yet, and when they will.
    delayed: VecDeque<(u64, Changes)>,
}

impl BuggyStore {
    /// The bugs of the replica with that number, whose log ended at `start`, and its shortest
    /// election timeout.
    pub(super) fn new(bugs: BugSet, me: u64, start: Index, election: Duration) -> Self {
        Self {
            bugs,
            lane: u8::from(me.is_multiple_of(2)),
            start,
            now: 0,
            lease: election * 4 / 5,
            leased_until: Duration::ZERO,
            lease_read: None,
            full_store: Store::default(),
            delayed: VecDeque::new(),
        }
    }

    pub(super) fn has_bug(&self, bug: Bug) -> bool {
        self.bugs.contains(bug)
    }

    /// Whether a linearizable read need not be confirmed; remembers when it asks, if it must be.
    /// Without clock faults the bug has no effect: no other replica leads before the lease ends.
    pub(super) fn is_leased(&mut self, token: Token, wall: Duration) -> bool {
        if !self.has_bug(Bug::WallClockLease) {
            return false;
        }
        let leased = wall < self.leased_until;
        if !leased {
            self.lease_read.get_or_insert((token, wall));
        }
        leased
    }

    /// A majority has confirmed the read to this replica, which leads or does not.
    pub(super) fn confirm_read(&mut self, token: Token, leads: bool) {
        if let Some((_, at)) = self.lease_read.take_if(|(asked, _)| *asked == token)
            && leads
        {
            self.leased_until = self.leased_until.max(at + self.lease);
        }
    }

    /// The read was not confirmed.
    pub(super) fn reject_read(&mut self, token: Token) {
        self.lease_read.take_if(|(asked, _)| *asked == token);
    }

    /// A tick has passed.
    pub(super) fn tick(&mut self, store: &mut Store) {
        self.now += 1;
        while self.delayed.front().is_some_and(|(due, _)| *due <= self.now) {
            self.apply_next_delayed(store);
        }
    }

    fn apply_next_delayed(&mut self, store: &mut Store) {
        if let Some((_, changes)) = self.delayed.pop_front() {
            store.apply_changes(changes);
        }
    }

    fn apply_all_delayed(&mut self, store: &mut Store) {
        while !self.delayed.is_empty() {
            self.apply_next_delayed(store);
        }
    }

    /// Admits a request as it is to be carried out, with the results it will be answered with if
    /// those are known already; or answers it at once.
    pub(super) fn admit_request(
        &self,
        store: &Store,
        request: Request,
    ) -> Result<(Request, Option<Results>), Answer> {
        match request {
            Request::Read { query, lease, .. } if self.has_bug(Bug::IgnoreAfter) => {
                Ok((Request::Read { query, after: 0, lease }, None))
            }
            Request::ReadStale { query, .. } if self.has_bug(Bug::IgnoreAfter) => {
                Ok((Request::ReadStale { query, after: 0 }, None))
            }
            Request::Write(Command::Txn(txn)) if self.has_bug(Bug::EvaluateEarly) => {
                let (results, changes) =
                    txn.evaluate_on(store).map_err(|current| Answer::Mismatch { current })?;
                Ok((Request::Write(write_all(changes)), Some(results)))
            }
            request => Ok((request, None)),
        }
    }

    /// What the command finds and changes: a store that does not show everything is not asked.
    fn evaluate_command(&mut self, store: &Store, command: &Command) -> (Outcome, Changes) {
        if !self.has_bug(Bug::ApplyLanes) && !self.has_bug(Bug::TornTxn) {
            return store.evaluate_command(command);
        }
        let (outcome, changes) = self.full_store.evaluate_command(command);
        self.full_store.apply_changes(changes.clone());
        (outcome, changes)
    }

    /// Applies log entry `index`; with bugs, partly, later, or more than once.
    pub(super) fn apply_command(
        &mut self,
        store: &mut Store,
        index: Index,
        command: &Command,
        leads: bool,
    ) -> Outcome {
        store.skip_entry(index);
        match store.check_session(index, command) {
            Err(Outcome::Again { .. }) if self.has_bug(Bug::NoDedup) => {}
            Err(outcome) => return outcome,
            Ok(()) => {}
        }
        let (outcome, mut changes) = self.evaluate_command(store, command);
        if matches!(outcome, Outcome::Mismatch { .. })
            && !leads
            && self.has_bug(Bug::ApplyFailedConditions)
        {
            changes = evaluate_unconditionally(store, command);
        }
        if leads || self.has_bug(Bug::TornTxn) {
            self.apply_all_delayed(store);
        }
        if self.has_bug(Bug::ApplyLanes) && !leads {
            let slow = changes.extract_if(.., |key, _| key_lane(key) == self.lane).collect();
            self.delayed.push_back((self.now + LANE_TICKS, slow));
        }
        if self.has_bug(Bug::TornTxn) && changes.len() > 1 {
            let first: Changes = changes.pop_first().into_iter().collect();
            self.delayed
                .push_back((self.now + TORN_TICKS, core::mem::replace(&mut changes, first)));
        }
        store.apply_changes(changes);
        if self.has_bug(Bug::DoubleApply)
            && (index..index + REAPPLIED_ENTRIES).contains(&self.start)
        {
            store.apply_changes(store.evaluate_command(command).1);
        }
        if leads || !self.has_bug(Bug::LeaderSessions) {
            store.record_result(index, command, &outcome);
        }
        outcome
    }
}

/// What a command would change if its conditions held.
fn evaluate_unconditionally(store: &Store, command: &Command) -> Changes {
    let txn = command.clone().into_txn().unwrap_or_default();
    let txn = Txn { conditions: Vec::new(), ..txn };
    txn.evaluate_on(store).map(|(_, changes)| changes).unwrap_or_default()
}

/// The lane of a key: neighbours in a sequence of numbered keys are in different ones.
fn key_lane(key: &str) -> u8 {
    key.bytes().last().unwrap_or_default() % 2
}

/// A transaction that makes these changes, whatever it finds.
fn write_all(changes: Changes) -> Command {
    let write = |(key, value)| match value {
        Some(value) => MicroOp::Write(key, value),
        None => MicroOp::Delete(key),
    };
    Command::Txn(Txn { conditions: Vec::new(), ops: changes.into_iter().map(write).collect() })
}

#[cfg(test)]
mod tests;
