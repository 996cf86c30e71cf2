//! Records the requests and answers of clients, and checks them: each request gets one answer, an
//! acknowledged write stays, a refused one never commits, and no read is stale.

use node::raft::invariants::CommittedEntry;
use node::raft::{Effect, Index, Payload, ServerId, Token};
use std::collections::BTreeMap;

/// The answer to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ClientOutcome {
    /// The write is entry `.0`, or the read sees everything up to it.
    Ok(Index),
    /// A definite failure.
    Failed,
    /// An indefinite failure.
    Unknown,
}

struct TrackedRequest {
    server: ServerId,
    /// The command of a write.
    command: Option<String>,
    /// The least index that a read must see.
    floor: Index,
    answer: Option<ClientOutcome>,
    /// Whether its server stopped before it answered.
    orphaned: bool,
}

/// All clients.
#[derive(Default)]
pub(crate) struct Clients {
    requests: BTreeMap<Token, TrackedRequest>,
    /// The greatest index in any answer so far.
    known: Index,
    /// The acknowledged writes.
    acknowledged: Vec<(Token, Index)>,
}

impl Clients {
    pub(crate) fn register_write(&mut self, server: ServerId, command: &str) -> Token {
        self.register_request(server, Some(command.to_owned()))
    }

    pub(crate) fn register_read(&mut self, server: ServerId) -> Token {
        self.register_request(server, None)
    }

    fn register_request(&mut self, server: ServerId, command: Option<String>) -> Token {
        let token = self.requests.len() as Token + 1;
        let floor = self.known;
        let question = TrackedRequest { server, command, floor, answer: None, orphaned: false };
        self.requests.insert(token, question);
        token
    }

    pub(crate) fn orphan_requests(&mut self, server: ServerId) {
        let open = self.requests.values_mut().filter(|q| q.server == server && q.answer.is_none());
        open.for_each(|question| question.orphaned = true);
    }

    pub(crate) fn unanswered(&self) -> Vec<Token> {
        let open = self.requests.iter().filter(|(_, q)| q.answer.is_none() && !q.orphaned);
        open.map(|(token, _)| *token).collect()
    }

    pub(crate) fn answer(&self, token: Token) -> Option<ClientOutcome> {
        self.requests[&token].answer
    }

    /// Records an effect of a server.
    pub(crate) fn record_effect(
        &mut self,
        server: ServerId,
        effect: &Effect,
    ) -> Result<(), String> {
        match effect {
            Effect::Acknowledge { token, index } => {
                if self.requests.get(token).is_some_and(|question| question.command.is_some()) {
                    self.acknowledged.push((*token, *index));
                }
                self.record_answer(server, *token, ClientOutcome::Ok(*index))
            }
            Effect::Refused { token, .. }
            | Effect::ChangeRejected { token, .. }
            | Effect::ReadFailed { token }
            | Effect::ReadExpired { token } => {
                self.record_answer(server, *token, ClientOutcome::Failed)
            }
            Effect::OutcomeUnknown { token } => {
                self.record_answer(server, *token, ClientOutcome::Unknown)
            }
            Effect::ReadReady { token, index } => {
                self.record_answer(server, *token, ClientOutcome::Ok(*index))?;
                self.check_freshness(*token, *index)
            }
            _ => Ok(()),
        }
    }

    fn record_answer(
        &mut self,
        server: ServerId,
        token: Token,
        answer: ClientOutcome,
    ) -> Result<(), String> {
        let question = self.requests.get_mut(&token).ok_or("answer to no question")?;
        assert!(question.server == server && !question.orphaned, "answered by another life");
        if let Some(earlier) = question.answer.replace(answer) {
            return Err(format!("question {token} answered {earlier:?}, then {answer:?}"));
        }
        if let ClientOutcome::Ok(index) = answer {
            self.known = self.known.max(index);
        }
        Ok(())
    }

    fn check_freshness(&self, token: Token, index: Index) -> Result<(), String> {
        let floor = self.requests[&token].floor;
        if index < floor {
            return Err(format!(
                "stale read: sees up to {index}, {floor} was known before it began"
            ));
        }
        Ok(())
    }

    /// Whether every acknowledged write is what was committed at its place, as far as that is
    /// known.
    pub(crate) fn check_acknowledged(&self, committed: &[CommittedEntry]) -> Result<(), String> {
        for (token, index) in &self.acknowledged {
            let Some(found) = committed.get(*index as usize - 1) else { continue };
            if found.entry.payload != self.payload_of(*token) {
                return Err(format!("lost write: {index} was acknowledged and is another entry"));
            }
        }
        Ok(())
    }

    /// Checks that every acknowledged write, and no refused one, is committed.
    pub(crate) fn check_final_log(&self, committed: &[CommittedEntry]) -> Result<(), String> {
        if let Some((_, index)) =
            self.acknowledged.iter().find(|(_, i)| *i > committed.len() as u64)
        {
            return Err(format!("lost write: {index} was acknowledged and is gone"));
        }
        let refused = self.requests.iter().filter(|(_, q)| q.answer == Some(ClientOutcome::Failed));
        for (token, _) in refused.filter(|(_, q)| q.command.is_some()) {
            if committed.iter().any(|c| c.entry.payload == self.payload_of(*token)) {
                return Err(format!("refused write {token} was committed"));
            }
        }
        self.check_acknowledged(committed)
    }

    fn payload_of(&self, token: Token) -> Payload {
        let command = self.requests[&token].command.clone().unwrap_or_default();
        Payload::Command(command.into_bytes())
    }
}
