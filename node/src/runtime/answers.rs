//! Applies what is committed, and answers clients and peers: each once, and never more than is
//! known.

use super::interpreter::{Output, Runtime};
use super::pending::{Proposer, Stage};
use super::request::{Answer, FailureReason, Proposal, ProposalResult, Query, Reply};
use crate::bug::Bug;
use crate::kv::{Changes, Command, Outcome, Store};
use crate::raft::{Effect, Entry, Index, Payload, Role, ServerId, Snapshot, Token};
use alloc::borrow::ToOwned;
use alloc::format;
use alloc::vec::Vec;

/// How many bytes of keys and values one range holds, unless a single entry is larger.
const MAX_RANGE_BYTES: usize = 1 << 20;

impl<C> Runtime<C> {
    /// Answers a client, with the state that the answer was found in.
    pub(super) fn send_reply(&mut self, client: C, answer: Answer) {
        let (term, applied) = (self.raft.status().term, self.store.applied());
        self.outputs.push(Output::Reply(Reply { client, answer, term, applied }));
    }

    pub(super) fn apply_entries(&mut self, entries: Vec<Entry>) {
        let leads = self.raft.status().role == Role::Leader;
        for Entry { index, payload, .. } in &entries {
            let command = match payload {
                Payload::Command(bytes) => Command::decode(bytes).ok(),
                Payload::Membership(_) => {
                    self.outcomes.insert(*index, Outcome::Done);
                    None
                }
                Payload::Noop => None,
            };
            match command {
                Some(mut command) => {
                    if self.bugs.has_bug(Bug::LocalSessionClock) {
                        command.set_time(u64::try_from(self.wall.as_millis()).unwrap_or(u64::MAX));
                    }
                    let outcome = self.bugs.apply_command(&mut self.store, *index, &command, leads);
                    self.outcomes.insert(*index, outcome);
                }
                None => self.store.skip_entry(*index),
            }
        }
        self.outputs.push(Output::Done(Effect::Commit { entries }));
        self.serve_reads();
    }

    /// Puts the leader's store in the place of this one.
    pub(super) fn restore_snapshot(&mut self, snapshot: Snapshot) {
        match Store::decode(&snapshot.data) {
            Ok(mut store) => {
                if self.bugs.has_bug(Bug::RestoreKeepsValues) {
                    store.apply_changes(all_values(&self.store));
                }
                self.store = store;
                self.outputs.push(Output::Done(Effect::Restore { snapshot }));
                self.serve_reads();
            }
            Err(error) => self.fail(format!(
                "the leader's snapshot up to entry {} is not one of this version: {error}",
                snapshot.last.index
            )),
        }
    }

    /// Answers the reads that waited for as much as is applied now.
    pub(super) fn serve_reads(&mut self) {
        while let Some((query, client)) = self.pending.remove_applied(self.store.applied()) {
            let answer = self.run_query(&query);
            self.send_reply(client, answer);
        }
    }

    fn run_query(&self, query: &Query) -> Answer {
        match query {
            Query::Key(key) => Answer::Value(self.store.get(key).map(ToOwned::to_owned)),
            Query::Txn(txn) => match txn.evaluate_on(&self.store) {
                Ok((results, _)) => Answer::Results { results, index: None },
                Err(current) => Answer::Mismatch { current },
            },
            Query::Members => Answer::Members(self.roster.clone()),
            Query::Range { from, to, limit } => {
                Answer::Range(self.store.range(from, to.as_deref(), *limit, MAX_RANGE_BYTES))
            }
        }
    }

    pub(super) fn acknowledge_write(&mut self, token: Token, index: Index) {
        let outcome = match self.outcomes.get(&index) {
            Some(outcome) => Some(outcome.clone()),
            None => self.predict_outcome(token, index),
        };
        let done = |outcome| ProposalResult::Done { index, outcome };
        self.finish_proposal(token, outcome.map_or(ProposalResult::Lost, done));
    }

    /// What a command that is acknowledged before it is applied would find now: only a core with a
    /// seeded bug needs it.
    fn predict_outcome(&self, token: Token, index: Index) -> Option<Outcome> {
        match self.pending.get(token)? {
            Stage::Proposed { proposal: Proposal::Command(command), .. }
                if index > self.store.applied() =>
            {
                Command::decode(command).ok().map(|command| self.store.evaluate_command(&command).0)
            }
            _ => None,
        }
    }

    /// Answers the client or the peer that proposed a write.
    pub(super) fn finish_proposal(&mut self, token: Token, result: ProposalResult) {
        match self.pending.remove(token) {
            Some((Stage::Proposed { proposer: Proposer::Client { client, early }, .. }, _)) => {
                self.send_reply(client, use_early_results(early, result.into()));
            }
            Some((Stage::Proposed { proposer: Proposer::Peer { peer, request }, .. }, _)) => {
                self.outputs.push(Output::ForwardResult { to: peer, request, result });
            }
            Some(_) | None => {}
        }
    }

    /// Forwards a client's proposal to the leader, once; a peer's proposal goes back. A leader
    /// refuses only when too much waits to be committed.
    pub(super) fn forward_or_refuse(&mut self, token: Token, leader: Option<ServerId>) {
        let Some((Stage::Proposed { proposal, proposer: writer }, deadline)) =
            self.pending.remove(token)
        else {
            return;
        };
        match (writer, leader) {
            (Proposer::Client { client, .. }, Some(to)) if to == self.me => {
                self.send_reply(client, Answer::Failed(FailureReason::Overloaded));
            }
            (Proposer::Client { client, early }, Some(to)) => {
                let timeout = deadline.saturating_sub(self.now);
                self.pending.insert(token, Stage::Forwarded { to, client, early }, deadline);
                if self.bugs.has_bug(Bug::ForwardTwice) {
                    let proposal = proposal.clone();
                    self.outputs.push(Output::Forward { to, request: token, timeout, proposal });
                }
                self.outputs.push(Output::Forward { to, request: token, timeout, proposal });
            }
            (Proposer::Client { client, .. }, None) => {
                self.send_reply(client, Answer::Failed(FailureReason::NoLeader));
            }
            (Proposer::Peer { peer, request }, _) => {
                let result = ProposalResult::Refused;
                self.outputs.push(Output::ForwardResult { to: peer, request, result });
            }
        }
    }

    /// The proposal of [`Output::Forward`] was certainly not sent.
    pub fn fail_forward(&mut self, request: Token) {
        if let Some((Stage::Forwarded { client, .. }, _)) = self.pending.remove(request) {
            self.send_reply(client, Answer::Failed(FailureReason::ForwardRefused));
        }
    }

    /// Takes a peer's report of what became of a proposal that was forwarded to it.
    pub fn receive_result(&mut self, from: ServerId, request: Token, result: ProposalResult) {
        match self.pending.remove(request) {
            Some((Stage::Forwarded { to, client, early }, _)) if to == from => {
                let answer = match result {
                    ProposalResult::Refused => Answer::Failed(FailureReason::ForwardRefused),
                    result => use_early_results(early, result.into()),
                };
                self.send_reply(client, answer);
            }
            Some((stage, deadline)) => self.pending.insert(request, stage, deadline),
            None => {}
        }
    }

    /// The connection to a peer broke: what it was sent may or may not have arrived.
    pub fn lose_connection(&mut self, peer: ServerId) {
        for client in self.pending.remove_forwarded(peer) {
            let fails = self.bugs.has_bug(Bug::FailOnLostForward);
            let reason =
                if fails { FailureReason::ForwardRefused } else { FailureReason::ForwardLost };
            self.send_reply(client, Answer::Failed(reason));
        }
    }

    pub(super) fn read_ready(&mut self, token: Token, index: Index) {
        self.bugs.confirm_read(token, self.raft.status().role == Role::Leader);
        let confirmed = self.pending.remove(token);
        if let Some((Stage::Confirming { query, after, client }, deadline)) = confirmed {
            let read = (query, client, deadline);
            let skips = self.bugs.has_bug(Bug::SkipApplyWait);
            let index = if skips { after } else { index.max(after) };
            self.pending.insert_applying(token, index, read);
            self.serve_reads();
        }
    }

    pub(super) fn fail_read(&mut self, token: Token, reason: FailureReason) {
        self.bugs.reject_read(token);
        if let Some((Stage::Confirming { client, .. }, _)) = self.pending.remove(token) {
            self.send_reply(client, Answer::Failed(reason));
        }
    }
}

/// What would set every key of a store to the value that it has there.
fn all_values(store: &Store) -> Changes {
    store.iter().map(|(key, value)| (key.to_owned(), Some(value.to_owned()))).collect()
}

/// The results that a seeded bug has found early, in the place of those that were found late.
fn use_early_results(early: Option<Vec<Option<alloc::string::String>>>, answer: Answer) -> Answer {
    match (early, answer) {
        (Some(results), Answer::Results { index, .. }) => Answer::Results { results, index },
        (_, answer) => answer,
    }
}
