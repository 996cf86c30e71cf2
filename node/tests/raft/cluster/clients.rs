//! Records the requests and answers of clients, and checks them: each request gets one answer, an
//! acknowledged write stays, a refused one never commits, and no read is stale.

use node::raft::invariants::CommittedEntry;
use node::raft::{Effect, Index, Payload, ServerId, Token};
use std::collections::BTreeMap;

/// The answer to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The write is entry `.0`, or the read sees everything up to it.
    Ok(Index),
    /// A definite failure.
    Failed,
    /// An indefinite failure.
    Unknown,
}

struct Question {
    server: ServerId,
    /// The command of a write.
    command: Option<String>,
    /// The least index that a read must see.
    floor: Index,
    answer: Option<Answer>,
    /// Whether its server stopped before it answered.
    orphaned: bool,
}

/// All clients.
#[derive(Default)]
pub(crate) struct Clients {
    asked: BTreeMap<Token, Question>,
    /// The greatest index in any answer so far.
    known: Index,
    /// The acknowledged writes.
    acknowledged: Vec<(Token, Index)>,
}

impl Clients {
    pub(crate) fn writes(&mut self, server: ServerId, command: &str) -> Token {
        self.ask(server, Some(command.to_owned()))
    }

    pub(crate) fn reads(&mut self, server: ServerId) -> Token {
        self.ask(server, None)
    }

    fn ask(&mut self, server: ServerId, command: Option<String>) -> Token {
        let token = self.asked.len() as Token + 1;
        let floor = self.known;
        let question = Question { server, command, floor, answer: None, orphaned: false };
        self.asked.insert(token, question);
        token
    }

    pub(crate) fn crash(&mut self, server: ServerId) {
        let open = self.asked.values_mut().filter(|q| q.server == server && q.answer.is_none());
        open.for_each(|question| question.orphaned = true);
    }

    pub(crate) fn unanswered(&self) -> Vec<Token> {
        let open = self.asked.iter().filter(|(_, q)| q.answer.is_none() && !q.orphaned);
        open.map(|(token, _)| *token).collect()
    }

    pub(crate) fn answer(&self, token: Token) -> Option<Answer> {
        self.asked[&token].answer
    }

    /// Records an effect of a server.
    pub(crate) fn hear(&mut self, server: ServerId, effect: &Effect) -> Result<(), String> {
        match effect {
            Effect::Acknowledge { token, index } => {
                if self.asked.get(token).is_some_and(|question| question.command.is_some()) {
                    self.acknowledged.push((*token, *index));
                }
                self.close(server, *token, Answer::Ok(*index))
            }
            Effect::Refused { token, .. }
            | Effect::ChangeRejected { token, .. }
            | Effect::ReadFailed { token }
            | Effect::ReadExpired { token } => self.close(server, *token, Answer::Failed),
            Effect::OutcomeUnknown { token } => self.close(server, *token, Answer::Unknown),
            Effect::ReadReady { token, index } => {
                self.close(server, *token, Answer::Ok(*index))?;
                self.fresh(*token, *index)
            }
            _ => Ok(()),
        }
    }

    fn close(&mut self, server: ServerId, token: Token, answer: Answer) -> Result<(), String> {
        let question = self.asked.get_mut(&token).ok_or("answer to no question")?;
        assert!(question.server == server && !question.orphaned, "answered by another life");
        if let Some(earlier) = question.answer.replace(answer) {
            return Err(format!("question {token} answered {earlier:?}, then {answer:?}"));
        }
        if let Answer::Ok(index) = answer {
            self.known = self.known.max(index);
        }
        Ok(())
    }

    fn fresh(&self, token: Token, index: Index) -> Result<(), String> {
        let floor = self.asked[&token].floor;
        if index < floor {
            return Err(format!(
                "stale read: sees up to {index}, {floor} was known before it began"
            ));
        }
        Ok(())
    }

    /// Whether every acknowledged write is what was committed at its place, as far as that is
    /// known.
    pub(crate) fn kept(&self, committed: &[CommittedEntry]) -> Result<(), String> {
        for (token, index) in &self.acknowledged {
            let Some(found) = committed.get(*index as usize - 1) else { continue };
            if found.entry.payload != self.payload(*token) {
                return Err(format!("lost write: {index} was acknowledged and is another entry"));
            }
        }
        Ok(())
    }

    /// Checks that every acknowledged write, and no refused one, is committed.
    pub(crate) fn settled(&self, committed: &[CommittedEntry]) -> Result<(), String> {
        if let Some((_, index)) =
            self.acknowledged.iter().find(|(_, i)| *i > committed.len() as u64)
        {
            return Err(format!("lost write: {index} was acknowledged and is gone"));
        }
        let refused = self.asked.iter().filter(|(_, q)| q.answer == Some(Answer::Failed));
        for (token, _) in refused.filter(|(_, q)| q.command.is_some()) {
            if committed.iter().any(|c| c.entry.payload == self.payload(*token)) {
                return Err(format!("refused write {token} was committed"));
            }
        }
        self.kept(committed)
    }

    fn payload(&self, token: Token) -> Payload {
        let command = self.asked[&token].command.clone().unwrap_or_default();
        Payload::Command(command.into_bytes())
    }
}
