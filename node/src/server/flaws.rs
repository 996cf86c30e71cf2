//! Keeps the bugs of the store apart from the store: what a replica without bugs does stands here, too, as the
//! branch that every method falls through to.
//!
//! No bug touches the log: replicas still agree on it, and disagree on what it means or on when it shows.

use super::request::{Finding, Reply, Request};
use crate::kv::{Changes, Command, MicroOp, Outcome, Results, Store, StoreBug, Txn};
use crate::raft::{Index, Token};
use std::collections::VecDeque;
use std::time::{Duration, SystemTime};
use tokio::sync::oneshot;

/// How many ticks the slow lane of a follower is late.
const LANE_TICKS: u64 = 10;
/// How many ticks the rest of a torn transaction is late.
const TORN_TICKS: u64 = 2;
/// How many entries a restart applies twice.
const DOUBLED: Index = 3;

/// The bugs of one replica's store, and what they hold back.
#[derive(Debug)]
pub(super) struct Flaws {
    bugs: Vec<StoreBug>,
    /// Which lane of a follower is late.
    lane: u8,
    /// The last entry of the log when the replica started.
    start: Index,
    now: u64,
    /// How long a majority's word holds, by the wall clock.
    lease: Duration,
    leased_until: SystemTime,
    /// The read whose confirmation will make the next lease, and when it was asked.
    asked: Option<(Token, SystemTime)>,
    /// What the log says, where the store does not show all of it yet.
    truth: Store,
    /// Changes that do not show yet, and when they will.
    late: VecDeque<(u64, Changes)>,
}

impl Flaws {
    /// The bugs of the replica with that number, whose log ended at `start`, and its shortest election timeout.
    pub(super) fn new(bugs: Vec<StoreBug>, me: u64, start: Index, election: Duration) -> Self {
        Self {
            bugs,
            lane: u8::from(me.is_multiple_of(2)),
            start,
            now: 0,
            lease: election * 4 / 5,
            leased_until: SystemTime::UNIX_EPOCH,
            asked: None,
            truth: Store::default(),
            late: VecDeque::new(),
        }
    }

    fn has(&self, bug: StoreBug) -> bool {
        self.bugs.contains(&bug)
    }

    /// Whether a linearizable read need not be confirmed; remembers when it asks, if it must be. Harmless as long as
    /// the clock is right: nobody else leads before the lease is over, whatever this replica is by then.
    pub(super) fn is_leased(&mut self, token: Token) -> bool {
        if !self.has(StoreBug::WallClockLease) {
            return false;
        }
        let now = SystemTime::now();
        let leased = now < self.leased_until;
        if !leased {
            self.asked.get_or_insert((token, now));
        }
        leased
    }

    /// A majority has confirmed the read to this replica, which leads or does not.
    pub(super) fn confirmed(&mut self, token: Token, leads: bool) {
        if let Some((_, at)) = self.asked.take_if(|(asked, _)| *asked == token)
            && leads
        {
            self.leased_until = self.leased_until.max(at + self.lease);
        }
    }

    /// The read was not confirmed.
    pub(super) fn unconfirmed(&mut self, token: Token) {
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

    /// Takes a request in, as it is to be carried out from here on, or answers it at once.
    pub(super) fn receive(
        &self,
        store: &Store,
        request: Request,
        reply: Reply,
    ) -> Result<(Request, Reply), (Reply, Finding)> {
        match request {
            Request::Read { query, lease, .. } if self.has(StoreBug::IgnoreAfter) => {
                Ok((Request::Read { query, after: 0, lease }, reply))
            }
            Request::ReadStale { query, .. } if self.has(StoreBug::IgnoreAfter) => {
                Ok((Request::ReadStale { query, after: 0 }, reply))
            }
            Request::Write(Command::Txn(txn)) if self.has(StoreBug::EvaluateEarly) => {
                match txn.run(store) {
                    Err(current) => Err((reply, Finding::Mismatch { current })),
                    Ok((results, changes)) => {
                        Ok((Request::Write(writes(changes)), answering(results, reply)))
                    }
                }
            }
            request => Ok((request, reply)),
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
            self.late.push_back((self.now + TORN_TICKS, std::mem::replace(&mut changes, first)));
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
fn writes(changes: Changes) -> Command {
    let write = |(key, value)| match value {
        Some(value) => MicroOp::Write(key, value),
        None => MicroOp::Delete(key),
    };
    Command::Txn(Txn { conditions: Vec::new(), ops: changes.into_iter().map(write).collect() })
}

/// Someone who waits for the writes, and tells the client those early results in place of theirs.
fn answering(early: Results, client: Reply) -> Reply {
    let (reply, answer) = oneshot::channel();
    tokio::spawn(async move {
        if let Ok((finding, origin)) = answer.await {
            let finding = match finding {
                Finding::Results { index, .. } => Finding::Results { results: early, index },
                other => other,
            };
            drop(client.send((finding, origin)));
        }
    });
    reply
}

#[cfg(test)]
mod tests;
