//! Carries out the seeded bugs of the store; without bugs, each method does what a correct replica
//! does.
//!
//! No bug touches the log: replicas agree on it, and disagree on its meaning or on when it shows.

use super::request::{Answer, Request};
use crate::kv::{Changes, Command, MicroOp, Outcome, Results, Store, StoreBug, Txn};
use crate::raft::{Index, Token};
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::time::Duration;

/// How many ticks the slow lane of a follower is late.
const LANE_TICKS: u64 = 10;
/// How many ticks the rest of a torn transaction is late.
const TORN_TICKS: u64 = 2;
/// How many entries a restart applies twice.
const DOUBLED: Index = 3;

/// The bugs of one replica's store, and what they hold back.
#[derive(Debug)]
pub(super) struct BuggyStore {
    bugs: Vec<StoreBug>,
    /// Which lane of a follower is late.
    lane: u8,
    /// The last entry of the log when the replica started.
    start: Index,
    now: u64,
    /// How long a majority's confirmation holds, by the wall clock.
    lease: Duration,
    leased_until: Duration,
    /// The read whose confirmation will begin the next lease, and when it was asked.
    asked: Option<(Token, Duration)>,
    /// What the log says, where the store does not show all of it yet.
    truth: Store,
    /// Changes that do not show yet, and when they will.
    late: VecDeque<(u64, Changes)>,
}

impl BuggyStore {
    /// The bugs of the replica with that number, whose log ended at `start`, and its shortest
    /// election timeout.
    pub(super) fn new(bugs: Vec<StoreBug>, me: u64, start: Index, election: Duration) -> Self {
        Self {
            bugs,
            lane: u8::from(me.is_multiple_of(2)),
            start,
            now: 0,
            lease: election * 4 / 5,
            leased_until: Duration::ZERO,
            asked: None,
            truth: Store::default(),
            late: VecDeque::new(),
        }
    }

    fn has(&self, bug: StoreBug) -> bool {
        self.bugs.contains(&bug)
    }

    /// Whether a linearizable read need not be confirmed; remembers when it asks, if it must be.
    /// Without clock faults the bug has no effect: no other replica leads before the lease ends.
    pub(super) fn is_leased(&mut self, token: Token, wall: Duration) -> bool {
        if !self.has(StoreBug::WallClockLease) {
            return false;
        }
        let leased = wall < self.leased_until;
        if !leased {
            self.asked.get_or_insert((token, wall));
        }
        leased
    }

    /// A majority has confirmed the read to this replica, which leads or does not.
    pub(super) fn confirm(&mut self, token: Token, leads: bool) {
        if let Some((_, at)) = self.asked.take_if(|(asked, _)| *asked == token)
            && leads
        {
            self.leased_until = self.leased_until.max(at + self.lease);
        }
    }

    /// The read was not confirmed.
    pub(super) fn reject(&mut self, token: Token) {
        self.asked.take_if(|(asked, _)| *asked == token);
    }

    /// A tick has passed.
    pub(super) fn tick(&mut self, store: &mut Store) {
        self.now += 1;
        while self.late.front().is_some_and(|(due, _)| *due <= self.now) {
            self.show_next(store);
        }
    }

    fn show_next(&mut self, store: &mut Store) {
        if let Some((_, changes)) = self.late.pop_front() {
            store.apply_changes(changes);
        }
    }

    fn show_all(&mut self, store: &mut Store) {
        while !self.late.is_empty() {
            self.show_next(store);
        }
    }

    /// Admits a request as it is to be carried out, with the results it will be answered with if
    /// those are known already; or answers it at once.
    pub(super) fn admit(
        &self,
        store: &Store,
        request: Request,
    ) -> Result<(Request, Option<Results>), Answer> {
        match request {
            Request::Read { query, lease, .. } if self.has(StoreBug::IgnoreAfter) => {
                Ok((Request::Read { query, after: 0, lease }, None))
            }
            Request::ReadStale { query, .. } if self.has(StoreBug::IgnoreAfter) => {
                Ok((Request::ReadStale { query, after: 0 }, None))
            }
            Request::Write(Command::Txn(txn)) if self.has(StoreBug::EvaluateEarly) => {
                let (results, changes) =
                    txn.run(store).map_err(|current| Answer::Mismatch { current })?;
                Ok((Request::Write(write_all(changes)), Some(results)))
            }
            request => Ok((request, None)),
        }
    }

    /// What the command finds and changes: a store that does not show everything is not asked.
    fn run(&mut self, store: &Store, command: &Command) -> (Outcome, Changes) {
        if !self.has(StoreBug::ApplyLanes) && !self.has(StoreBug::TornTxn) {
            return store.run(command);
        }
        let (outcome, changes) = self.truth.run(command);
        self.truth.apply_changes(changes.clone());
        (outcome, changes)
    }

    /// Does what log entry `index` says; with bugs, not all of it now, or more than once.
    pub(super) fn apply(
        &mut self,
        store: &mut Store,
        index: Index,
        command: &Command,
        leads: bool,
    ) -> Outcome {
        store.skip(index);
        if let Err(outcome) = store.check_session(index, command) {
            return outcome;
        }
        let (outcome, mut changes) = self.run(store, command);
        if leads || self.has(StoreBug::TornTxn) {
            self.show_all(store);
        }
        if self.has(StoreBug::ApplyLanes) && !leads {
            let slow = changes.extract_if(.., |key, _| lane(key) == self.lane).collect();
            self.late.push_back((self.now + LANE_TICKS, slow));
        }
        if self.has(StoreBug::TornTxn) && changes.len() > 1 {
            let first: Changes = changes.pop_first().into_iter().collect();
            self.late.push_back((self.now + TORN_TICKS, core::mem::replace(&mut changes, first)));
        }
        store.apply_changes(changes);
        if self.has(StoreBug::DoubleApply) && (index..index + DOUBLED).contains(&self.start) {
            store.apply_changes(store.run(command).1);
        }
        store.record_result(index, command, &outcome);
        outcome
    }
}

/// The lane of a key: neighbours in a sequence of numbered keys are in different ones.
fn lane(key: &str) -> u8 {
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
