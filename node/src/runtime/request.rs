//! Defines the requests of clients and peers to a replica, and its answers.
//!
//! [`FailureReason`] is the one table of errors: what went wrong, whether that is definite, and a
//! sentence.

use crate::kv::{Command, Outcome, Range, Results, Txn};
use crate::raft::{Index, Term};
use crate::wire::{MemberReply, MembersRequest};
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;
use serde::{Deserialize, Serialize};

/// What a client wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Change something.
    Write(Command),
    /// Change the members.
    ChangeMembers(MembersRequest),
    /// Transfer leadership to the replica of that name.
    TransferLeadership(String),
    /// Read the current state.
    Read {
        /// What to read.
        query: Query,
        /// The log must be applied up to here.
        after: Index,
        /// Whether a leader's lease may serve it.
        lease: bool,
    },
    /// Read whatever is here.
    ReadStale {
        /// What to read.
        query: Query,
        /// The log must be applied up to here.
        after: Index,
    },
}

/// What a client wants to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Query {
    /// The value of a key.
    Key(String),
    /// The results of a transaction that changes nothing.
    Txn(Txn),
    /// The members.
    Members,
    /// The entries from a key on and below another one.
    Range {
        /// The first key.
        from: String,
        /// The first key that is too great.
        to: Option<String>,
        /// The most entries.
        limit: usize,
    },
}

impl Query {
    /// How many bytes it holds, more or less.
    pub(super) fn byte_size(&self) -> usize {
        match self {
            Self::Key(key) => key.len(),
            Self::Txn(txn) => txn.byte_size(),
            Self::Members => 0,
            Self::Range { from, to, .. } => from.len() + to.as_ref().map_or(0, String::len),
        }
    }
}

impl Request {
    /// How many bytes it holds while it waits, more or less.
    pub(super) fn byte_size(&self) -> usize {
        match self {
            Self::Write(command) => command.byte_size(),
            Self::ChangeMembers(request) => members_size(request),
            Self::TransferLeadership(name) => name.len(),
            Self::Read { query, .. } | Self::ReadStale { query, .. } => query.byte_size(),
        }
    }
}

fn members_size(MembersRequest { add, learn, remove }: &MembersRequest) -> usize {
    (add.len() + learn.len() + remove.len()) * 128
}

/// A client's request; `C` is how the caller finds the client again.
#[derive(Debug)]
pub struct ClientRequest<C> {
    /// What it wants.
    pub request: Request,
    /// When it gives up, by the clock of [`super::Runtime::set_time`].
    pub deadline: Duration,
    /// The client.
    pub client: C,
}

/// A client's answer, and the state that it was found in.
#[derive(Debug)]
pub struct Reply<C> {
    /// The client.
    pub client: C,
    /// The answer.
    pub answer: Answer,
    /// The replica's term.
    pub term: Term,
    /// The last entry that it had applied.
    pub applied: Index,
}

/// The answer to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The read found this.
    Value(Option<String>),
    /// The range has these.
    Range(Range),
    /// The write took effect.
    Written {
        /// At this entry.
        index: Index,
    },
    /// The transaction took effect, or only read.
    Results {
        /// What its micro-operations returned.
        results: Results,
        /// The entry, where it took effect.
        index: Option<Index>,
    },
    /// A key was not as expected.
    Mismatch {
        /// What it has.
        current: Option<String>,
    },
    /// A session was opened.
    Opened {
        /// Its number.
        session: u64,
    },
    /// The session refuses the request, and nothing changed.
    Session(SessionError),
    /// The members are these.
    Members(Vec<MemberReply>),
    /// It was not begun, and this is why.
    Declined(String),
    /// There is no answer.
    Failed(FailureReason),
}

/// Why a session refuses a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionError {
    /// There is no such session, or it has expired.
    Unknown,
    /// A later request of the session was carried out.
    OldSequence,
}

impl SessionError {
    /// Its name, that this request was not carried out, and a sentence.
    pub fn describe(self) -> (&'static str, bool, &'static str) {
        match self {
            Self::Unknown => (
                "unknown-session",
                true,
                "there is no such session (any more); this try was not carried out, \
                 an earlier one of the same request may have been",
            ),
            Self::OldSequence => (
                "old-sequence",
                true,
                "the session has had a later request carried out; this try was not",
            ),
        }
    }
}

/// Why a request has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureReason {
    /// The leader has carried it out, and what it returned is too large for a frame.
    AnswerTooLarge,
    /// The connection to the leader broke after the request was forwarded.
    ForwardLost,
    /// The replica that was taken for the leader refused, or could not be reached.
    ForwardRefused,
    /// The leader was replaced after it had proposed the write.
    LeadershipLost,
    /// Another change of members is under way.
    MembersBusy,
    /// No leader is known.
    NoLeader,
    /// No majority has confirmed the leader to a read in time.
    NoQuorum,
    /// Too many requests wait.
    Overloaded,
    /// The deadline of a read has passed.
    ReadTimeout,
    /// The deadline of a write has passed.
    WriteTimeout,
}

impl FailureReason {
    /// Its name, whether it is definite, and a sentence.
    pub fn describe(self) -> (&'static str, bool, &'static str) {
        match self {
            Self::AnswerTooLarge => (
                "answer-too-large",
                false,
                "it was carried out, but its result is too large for the leader to send back",
            ),
            Self::ForwardLost => (
                "forward-lost",
                false,
                "the connection to the leader broke after the write; it may or may not happen",
            ),
            Self::ForwardRefused => {
                ("no-leader", true, "the leader known here did not take the write; try again")
            }
            Self::LeadershipLost => (
                "leadership-lost",
                false,
                "the leader was replaced while it had the write; it may or may not happen",
            ),
            Self::MembersBusy => (
                "members-busy",
                true,
                "another change of members is under way, or this leader is new; try again",
            ),
            Self::NoLeader => ("no-leader", true, "no leader can be reached now; try again"),
            Self::NoQuorum => (
                "no-quorum",
                true,
                "no majority confirmed the leader to the read in time; try again",
            ),
            Self::Overloaded => {
                ("overloaded", true, "too many requests are waiting here; try again later")
            }
            Self::ReadTimeout => ("timeout", true, "the read could not be served in time"),
            Self::WriteTimeout => (
                "timeout",
                false,
                "the write was not known to be committed in time; it may or may not happen",
            ),
        }
    }
}

/// What only a leader can begin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Proposal {
    /// A command of the store.
    Command(Vec<u8>),
    /// Other members.
    Members(MembersRequest),
    /// Another leader, by name.
    Leader(String),
}

impl Proposal {
    /// How many bytes it holds, more or less.
    pub fn byte_size(&self) -> usize {
        match self {
            Self::Command(command) => command.len(),
            Self::Members(request) => members_size(request),
            Self::Leader(name) => name.len(),
        }
    }
}

/// What became of a proposal, as the leader tells the replica that forwarded it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ProposalResult {
    /// It is committed.
    Done {
        /// At this entry.
        index: Index,
        /// What it found.
        outcome: Outcome,
    },
    /// It was never proposed.
    Refused,
    /// It was not begun, and this is why.
    Declined(String),
    /// It was proposed, and its fate is unknown.
    Lost,
    /// It is committed, and what it returned is too large for a frame.
    TooLarge,
    /// Another change of members is under way.
    MembersBusy,
}

impl From<ProposalResult> for Answer {
    fn from(result: ProposalResult) -> Self {
        match result {
            ProposalResult::Done { index, outcome } => from_outcome(index, outcome),
            ProposalResult::Declined(why) => Self::Declined(why),
            ProposalResult::Refused => Self::Failed(FailureReason::NoLeader),
            ProposalResult::TooLarge => Self::Failed(FailureReason::AnswerTooLarge),
            ProposalResult::MembersBusy => Self::Failed(FailureReason::MembersBusy),
            ProposalResult::Lost => Self::Failed(FailureReason::LeadershipLost),
        }
    }
}

fn from_outcome(index: Index, outcome: Outcome) -> Answer {
    match outcome {
        Outcome::Done => Answer::Written { index },
        Outcome::Results(results) => Answer::Results { results, index: Some(index) },
        Outcome::Again { index, found: Ok(results) } => {
            Answer::Results { results, index: Some(index) }
        }
        Outcome::Mismatch { current } | Outcome::Again { found: Err(current), .. } => {
            Answer::Mismatch { current }
        }
        Outcome::NoSession => Answer::Session(SessionError::Unknown),
        Outcome::OldSequence { .. } => Answer::Session(SessionError::OldSequence),
    }
}

#[cfg(test)]
mod tests {
    use super::FailureReason;

    #[test]
    fn only_what_cannot_have_happened_is_definite() {
        let indefinite = [
            FailureReason::AnswerTooLarge,
            FailureReason::ForwardLost,
            FailureReason::LeadershipLost,
            FailureReason::WriteTimeout,
        ];
        let definite = [
            FailureReason::ForwardRefused,
            FailureReason::NoLeader,
            FailureReason::NoQuorum,
            FailureReason::Overloaded,
            FailureReason::ReadTimeout,
        ];
        assert!(indefinite.iter().all(|reason| !reason.describe().1));
        assert!(definite.iter().all(|reason| reason.describe().1));
    }
}
