//! Tells clients, and peers in whose name a write was proposed, what became of what they asked: each
//! once, and never more than is known.

use super::Driver;
use crate::kv::{Command, Outcome};
use crate::raft::{Index, Role, ServerId, Token};
use crate::server::request::{Finding, Reason, Reply, SessionFlaw, Stage, Writer};
use crate::server::transport::{Answer, Frame, Proposal};
use std::time::Instant;

impl Driver {
    /// Answers a client, with the state that the answer was found in.
    pub(super) fn answer(&self, reply: Reply, finding: Finding) {
        let origin = self.view.origin_at(self.raft.status().term, self.store.applied());
        // A client that has gone away needs no answer.
        drop(reply.send((finding, origin)));
    }

    pub(super) fn forwarded(&mut self, from: ServerId, token: Token, answer: Answer) {
        match self.memory.waiting.leave(token) {
            Some((Stage::Forwarded { to, reply }, _)) if to == from => {
                let finding = match answer {
                    Answer::Refused => Finding::Failed(Reason::ForwardRefused),
                    answer => finding(answer),
                };
                self.answer(reply, finding);
            }
            Some((stage, deadline)) => self.memory.waiting.enter(token, stage, deadline),
            None => {}
        }
    }

    pub(super) fn acknowledge(&mut self, token: Token, index: Index) {
        let outcome = match self.memory.outcomes.get(&index) {
            Some(outcome) => Some(outcome.clone()),
            None => self.foretell(token, index),
        };
        let answer = outcome.map_or(Answer::Lost, |outcome| Answer::Done { index, outcome });
        self.finish_write(token, answer);
    }

    /// What a command acknowledged before it is applied would find now: a brain without bugs never
    /// wants to know.
    fn foretell(&mut self, token: Token, index: Index) -> Option<Outcome> {
        let (stage, deadline) = self.memory.waiting.leave(token)?;
        let outcome = match &stage {
            Stage::Proposed { proposal: Proposal::Command(command), .. }
                if index > self.store.applied() =>
            {
                Command::decode(command).ok().map(|command| self.store.run(&command).0)
            }
            _ => None,
        };
        self.memory.waiting.enter(token, stage, deadline);
        outcome
    }

    pub(super) fn finish_write(&mut self, token: Token, answer: Answer) {
        let Some((Stage::Proposed { writer, .. }, _)) = self.memory.waiting.leave(token) else {
            return;
        };
        match writer {
            Writer::Client(reply) => self.answer(reply, finding(answer)),
            Writer::Peer { peer, request } => {
                self.send(peer, Frame::Forwarded { request, answer });
            }
        }
    }

    /// Hands a client's write to the leader, once; a peer's write goes back. A leader refuses only
    /// when too much waits to be committed.
    pub(super) fn refused(&mut self, token: Token, leader: Option<ServerId>) {
        let Some((stage, deadline)) = self.memory.waiting.leave(token) else { return };
        match (stage, leader) {
            (Stage::Proposed { writer: Writer::Client(reply), .. }, Some(to))
                if to == self.members.me() =>
            {
                self.answer(reply, Finding::Failed(Reason::Overloaded));
            }
            (Stage::Proposed { proposal, writer: Writer::Client(reply) }, Some(to)) => {
                let left = deadline.saturating_duration_since(Instant::now());
                let timeout_ms = u64::try_from(left.as_millis()).unwrap_or(u64::MAX);
                if self.send(to, Frame::Forward { request: token, timeout_ms, proposal }) {
                    self.memory.waiting.enter(token, Stage::Forwarded { to, reply }, deadline);
                } else {
                    self.answer(reply, Finding::Failed(Reason::ForwardRefused));
                }
            }
            (stage, _) => {
                self.memory.waiting.enter(token, stage, deadline);
                self.finish_write(token, Answer::Refused);
            }
        }
    }

    pub(super) fn read_ready(&mut self, token: Token, index: Index) {
        self.flaws.confirmed(token, self.raft.status().role == Role::Leader);
        let confirmed = self.memory.waiting.leave(token);
        if let Some((Stage::Confirming { query, after, reply }, deadline)) = confirmed {
            let read = (query, reply, deadline);
            self.memory.waiting.enter_applying(token, index.max(after), read);
            self.serve_reads();
        }
    }

    pub(super) fn read_failed(&mut self, token: Token, reason: Reason) {
        self.flaws.unconfirmed(token);
        let failed = self.memory.waiting.leave(token);
        if let Some((Stage::Confirming { reply, .. }, _)) = failed {
            self.answer(reply, Finding::Failed(reason));
        }
    }
}

/// What a client of this replica is told.
fn finding(answer: Answer) -> Finding {
    match answer {
        Answer::Done { index, outcome: Outcome::Done } => Finding::Written { index },
        Answer::Done { index, outcome: Outcome::Results(results) } => {
            Finding::Results { results, index: Some(index) }
        }
        Answer::Done { outcome: Outcome::Again { index, found: Ok(results) }, .. } => {
            Finding::Results { results, index: Some(index) }
        }
        Answer::Done {
            outcome: Outcome::Mismatch { current } | Outcome::Again { found: Err(current), .. },
            ..
        } => Finding::Mismatch { current },
        Answer::Done { outcome: Outcome::NoSession, .. } => Finding::Session(SessionFlaw::Unknown),
        Answer::Done { outcome: Outcome::OldSequence { .. }, .. } => {
            Finding::Session(SessionFlaw::Old)
        }
        Answer::Declined(why) => Finding::Declined(why),
        Answer::Refused => Finding::Failed(Reason::NoLeader),
        Answer::TooLarge => Finding::Failed(Reason::AnswerTooLarge),
        Answer::MembersBusy => Finding::Failed(Reason::MembersBusy),
        Answer::Lost => Finding::Failed(Reason::LeadershipLost),
    }
}
