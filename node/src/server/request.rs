//! Remembers who waits for what: each request is answered at most once, and an answer never says
//! more than is known.
//!
//! [`Reason`] is the one table of errors: what went wrong, whether that is definite, and the HTTP
//! status.

use crate::kv::Command;
use crate::raft::{Index, ServerId, Token};
use crate::wire::Origin;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;
use tokio::sync::oneshot;

/// What a client wants.
#[derive(Debug)]
pub(super) enum Request {
    /// Change something.
    Write(Command),
    /// Read a key at its current value, when the log is applied up to `after`.
    Read { key: String, after: Index },
    /// Read a key at whatever value it has here, when the log is applied up to `after`.
    ReadStale { key: String, after: Index },
}

/// A client's request on its way to the driver.
#[derive(Debug)]
pub(super) struct Ask {
    pub(super) request: Request,
    pub(super) deadline: Instant,
    pub(super) reply: Reply,
}

/// Where a client waits for its answer and the state that it was found in.
pub(super) type Reply = oneshot::Sender<(Finding, Origin)>;

/// What the driver has to say about a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Finding {
    /// The read found this.
    Value(Option<String>),
    /// The write took effect.
    Written { index: Index },
    /// The compare-and-set found something else.
    Mismatch { current: Option<String> },
    /// There is no answer.
    Failed(Reason),
}

/// Why a request has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    /// The connection to the leader broke after the request was handed to it.
    ForwardLost,
    /// The replica that was taken for the leader refused, or could not be reached.
    ForwardRefused,
    /// The leader was replaced after it had taken the write.
    LeadershipLost,
    /// Nobody is known to lead.
    NoLeader,
    /// Too many requests wait already.
    Overloaded,
    /// The deadline has passed for a read.
    ReadTimeout,
    /// The deadline has passed for a write.
    WriteTimeout,
}

impl Reason {
    /// Its name, whether it is definite, and a sentence.
    pub(super) fn describe(self) -> (&'static str, bool, &'static str) {
        match self {
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
            Self::NoLeader => ("no-leader", true, "no leader can be reached now; try again"),
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

/// Who asked for a write.
#[derive(Debug)]
pub(super) enum Writer {
    /// A client of this replica.
    Client(Reply),
    /// A peer that forwarded it, under the peer's own number.
    Peer { peer: ServerId, request: u64 },
}

/// What a request waits for.
#[derive(Debug)]
pub(super) enum Stage {
    /// The brain to decide about a proposal.
    Proposed { command: Vec<u8>, writer: Writer },
    /// A peer to say what became of a write.
    Forwarded { to: ServerId, reply: Reply },
    /// The brain to give a read index.
    Confirming { key: String, after: Index, reply: Reply },
    /// The log to be applied up to an index.
    Applying { key: String, reply: Reply },
}

/// All requests that wait.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    next: Token,
    stages: BTreeMap<Token, (Stage, Instant)>,
    applying: BTreeSet<(Index, Token)>,
}

impl Waiting {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.stages.len()
    }

    /// A name that no request had before.
    pub(super) fn name(&mut self) -> Token {
        self.next += 1;
        self.next
    }

    /// Lets a request wait until its deadline.
    pub(super) fn enter(&mut self, token: Token, stage: Stage, deadline: Instant) {
        self.stages.insert(token, (stage, deadline));
    }

    /// Lets a read wait until the log is applied up to an index.
    pub(super) fn enter_applying(
        &mut self,
        token: Token,
        index: Index,
        read: (String, Reply, Instant),
    ) {
        let (key, reply, deadline) = read;
        self.applying.insert((index, token));
        self.enter(token, Stage::Applying { key, reply }, deadline);
    }

    /// Takes a request out, if it still waits.
    pub(super) fn leave(&mut self, token: Token) -> Option<(Stage, Instant)> {
        self.stages.remove(&token)
    }

    /// Takes out a read that may be served now.
    pub(super) fn leave_applied(&mut self, applied: Index) -> Option<(String, Reply)> {
        while let Some((_, token)) = self.applying.first().copied().filter(|at| at.0 <= applied) {
            self.applying.pop_first();
            if let Some((Stage::Applying { key, reply }, _)) = self.leave(token) {
                return Some((key, reply));
            }
        }
        None
    }

    /// Takes out the clients whose writes a peer had.
    pub(super) fn leave_forwarded(&mut self, peer: ServerId) -> Vec<Reply> {
        let at_peer = |stage: &Stage| matches!(stage, Stage::Forwarded { to, .. } if *to == peer);
        let lost = self.stages.extract_if(.., |_, (stage, _)| at_peer(stage));
        lost.filter_map(|(_, (stage, _))| match stage {
            Stage::Forwarded { reply, .. } => Some(reply),
            _ => None,
        })
        .collect()
    }

    /// Forgets the requests whose deadline has passed: whoever asked has been answered by then.
    pub(super) fn forget_late(&mut self, now: Instant) {
        self.stages.retain(|_, (_, deadline)| *deadline > now);
        self.applying.retain(|(_, token)| self.stages.contains_key(token));
    }
}
