//! Remembers who waits for what: each request is answered at most once, and an answer never says
//! more than is known.
//!
//! [`Reason`] is the one table of errors: what went wrong, whether that is definite, and the HTTP
//! status.

use super::transport::Proposal;
use crate::kv::{Command, Range, Results, Txn};
use crate::raft::{Index, ServerId, Token};
use crate::wal::Group;
use crate::wire::{MemberReply, MembersRequest, Origin};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// The longest that a request may wait.
pub(super) const LONGEST_TIMEOUT: Duration = Duration::from_secs(60);
/// The most requests that wait at once.
const MOST_WAITING: usize = 8192;
/// The most bytes that they hold together.
const MOST_BYTES: usize = 64 << 20;

/// What a client wants.
#[derive(Debug)]
pub(super) enum Request {
    /// Change something.
    Write(Command),
    /// Change who takes part.
    Members(MembersRequest),
    /// Let the replica of that name lead.
    Leader(String),
    /// Read the current state, when the log is applied up to `after`; by lease, where there is one.
    Read { query: Query, after: Index, lease: bool },
    /// Read whatever is here, when the log is applied up to `after`.
    ReadStale { query: Query, after: Index },
}

/// What a client wants to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Query {
    /// The value of a key.
    Key(String),
    /// The results of a transaction that changes nothing.
    Txn(Txn),
    /// Who takes part.
    Members,
    /// The entries from a key on and below another one, at most so many.
    Range { from: String, to: Option<String>, limit: usize },
}

impl Query {
    fn size(&self) -> usize {
        match self {
            Self::Key(key) => key.len(),
            Self::Txn(txn) => txn.size(),
            Self::Members => 0,
            Self::Range { from, to, .. } => from.len() + to.as_ref().map_or(0, String::len),
        }
    }
}

impl Request {
    /// How many bytes it holds while it waits, more or less.
    pub(super) fn size(&self) -> usize {
        match self {
            Self::Write(command) => command.size(),
            Self::Members(request) => Proposal::Members(request.clone()).size(),
            Self::Leader(name) => name.len(),
            Self::Read { query, .. } | Self::ReadStale { query, .. } => query.size(),
        }
    }
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
    /// The range has these.
    Range(Range),
    /// The write took effect.
    Written { index: Index },
    /// The transaction took effect at this index, or only read.
    Results { results: Results, index: Option<Index> },
    /// A key was not as expected.
    Mismatch { current: Option<String> },
    /// A session was opened.
    Opened { session: u64 },
    /// The session has nothing to do with the request, and nothing changed.
    Session(SessionFlaw),
    /// The members are these.
    Members(Vec<MemberReply>),
    /// It was not begun, and this is why.
    Declined(String),
    /// There is no answer.
    Failed(Reason),
}

/// Why a session did not have a request carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SessionFlaw {
    /// There is no such session, or none any more.
    Unknown,
    /// It is further already.
    Old,
}

impl SessionFlaw {
    /// Its name, that this request was not carried out, and a sentence.
    pub(super) fn describe(self) -> (&'static str, bool, &'static str) {
        match self {
            Self::Unknown => (
                "unknown-session",
                true,
                "there is no such session (any more); this try was not carried out, \
                 an earlier one of the same request may have been",
            ),
            Self::Old => (
                "old-sequence",
                true,
                "the session has had a later request carried out; this try was not",
            ),
        }
    }
}

/// Why a request has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    /// The leader has carried it out, and what it returned is too large to come from there.
    AnswerTooLarge,
    /// The connection to the leader broke after the request was handed to it.
    ForwardLost,
    /// The replica that was taken for the leader refused, or could not be reached.
    ForwardRefused,
    /// The leader was replaced after it had taken the write.
    LeadershipLost,
    /// Members do not change now, and will soon.
    MembersBusy,
    /// Nobody is known to lead.
    NoLeader,
    /// Somebody leads, but no majority has confirmed it to a read in time.
    NoQuorum,
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
            Self::AnswerTooLarge => (
                "answer-too-large",
                false,
                "it was carried out, but what it returned is too large to be handed on by the leader",
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
                "the leader got no majority's word in time for the read; try again",
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
    Proposed { proposal: Proposal, writer: Writer },
    /// A peer to say what became of a write.
    Forwarded { to: ServerId, reply: Reply },
    /// The brain to give a read index.
    Confirming { query: Query, after: Index, reply: Reply },
    /// The log to be applied up to an index.
    Applying { query: Query, reply: Reply },
}

impl Stage {
    /// How many bytes it holds, more or less.
    fn size(&self) -> usize {
        match self {
            Self::Proposed { proposal, .. } => proposal.size(),
            Self::Forwarded { .. } => 0,
            Self::Confirming { query, .. } | Self::Applying { query, .. } => query.size(),
        }
    }
}

/// All requests that wait in one group.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    /// How many groups share the room.
    groups: Group,
    /// How many bytes they hold.
    bytes: usize,
    next: Token,
    stages: BTreeMap<Token, (Stage, Instant)>,
    applying: BTreeSet<(Index, Token)>,
}

impl Waiting {
    /// Names requests unlike any earlier start did: a peer may still answer those.
    pub(super) fn new(start: u64, groups: Group) -> Self {
        Self { groups, next: start << 32, ..Self::default() }
    }

    /// Whether one more of that size may wait: the rule for clients of this replica and of others.
    pub(super) fn has_room(&self, size: usize) -> bool {
        let share = usize::try_from(self.groups.max(1)).unwrap_or(usize::MAX);
        let (most, bytes) = ((MOST_WAITING / share).max(64), MOST_BYTES / share);
        self.stages.len() < most && self.bytes.saturating_add(size) <= bytes
    }

    /// A name that no request had before.
    pub(super) fn name(&mut self) -> Token {
        self.next += 1;
        self.next
    }

    /// Lets a request wait until its deadline.
    pub(super) fn enter(&mut self, token: Token, stage: Stage, deadline: Instant) {
        self.bytes += stage.size();
        self.stages.insert(token, (stage, deadline));
    }

    /// Lets a read wait until the log is applied up to an index.
    pub(super) fn enter_applying(
        &mut self,
        token: Token,
        index: Index,
        read: (Query, Reply, Instant),
    ) {
        let (query, reply, deadline) = read;
        self.applying.insert((index, token));
        self.enter(token, Stage::Applying { query, reply }, deadline);
    }

    /// Takes a request out, if it still waits.
    pub(super) fn leave(&mut self, token: Token) -> Option<(Stage, Instant)> {
        let left = self.stages.remove(&token)?;
        self.bytes -= left.0.size();
        Some(left)
    }

    /// Takes out a read that may be served now.
    pub(super) fn leave_applied(&mut self, applied: Index) -> Option<(Query, Reply)> {
        while let Some((_, token)) = self.applying.first().copied().filter(|at| at.0 <= applied) {
            self.applying.pop_first();
            if let Some((Stage::Applying { query, reply }, _)) = self.leave(token) {
                return Some((query, reply));
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
        for (_, (stage, _)) in self.stages.extract_if(.., |_, (_, deadline)| *deadline <= now) {
            self.bytes -= stage.size();
        }
        self.applying.retain(|(_, token)| self.stages.contains_key(token));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_cannot_have_happened_is_definite() {
        let indefinite = [
            Reason::AnswerTooLarge,
            Reason::ForwardLost,
            Reason::LeadershipLost,
            Reason::WriteTimeout,
        ];
        let definite = [
            Reason::ForwardRefused,
            Reason::NoLeader,
            Reason::NoQuorum,
            Reason::Overloaded,
            Reason::ReadTimeout,
        ];
        assert!(indefinite.iter().all(|reason| !reason.describe().1));
        assert!(definite.iter().all(|reason| reason.describe().1));
    }

    #[test]
    fn starts_share_no_names() {
        let (mut first, mut second) = (Waiting::new(20, 1), Waiting::new(42, 1));
        let names: BTreeSet<_> = (0..1000).flat_map(|_| [first.name(), second.name()]).collect();
        assert_eq!(names.len(), 2000);
    }

    #[test]
    fn reads_leave_when_the_log_is_applied_far_enough_or_too_late() {
        let now = Instant::now();
        let later = now + Duration::from_secs(1);
        let mut waiting = Waiting::default();
        for (key, index, deadline) in [("b", 2, later), ("a", 1, later), ("c", 3, now)] {
            let token = waiting.name();
            let read = (Query::Key(key.to_owned()), oneshot::channel().0, deadline);
            waiting.enter_applying(token, index, read);
        }
        let key = |key: &str| Some(Query::Key(key.to_owned()));
        let mut next = |applied| waiting.leave_applied(applied).map(|(query, _)| query);
        assert_eq!((next(0), next(1), next(1)), (None, key("a"), None));
        waiting.forget_late(now);
        assert_eq!(waiting.leave_applied(9).map(|(query, _)| query), key("b"));
        assert!(waiting.leave_applied(9).is_none() && waiting.stages.is_empty());
        assert_eq!(waiting.bytes, 0);
    }

    #[test]
    fn a_broken_connection_gives_back_the_writes_of_its_peer_only() {
        let mut waiting = Waiting::default();
        let deadline = Instant::now() + Duration::from_secs(1);
        for to in [1, 2, 1] {
            let token = waiting.name();
            let reply = oneshot::channel().0;
            waiting.enter(token, Stage::Forwarded { to, reply }, deadline);
        }
        assert_eq!((waiting.leave_forwarded(1).len(), waiting.stages.len()), (2, 1));
    }

    #[test]
    fn there_is_room_for_so_many_and_for_so_much() {
        let now = Instant::now();
        let mut waiting = Waiting::default();
        let writer = || Writer::Peer { peer: 2, request: 1 };
        for size in [MOST_BYTES - 1, 0] {
            let token = waiting.name();
            let proposal = Proposal::Command(vec![0; size]);
            let stage = Stage::Proposed { proposal, writer: writer() };
            waiting.enter(token, stage, now);
        }
        assert!(waiting.has_room(1) && !waiting.has_room(2));
        waiting.forget_late(now);
        assert!(waiting.has_room(MOST_BYTES));
        for _ in 0..MOST_WAITING {
            assert!(waiting.has_room(1));
            let token = waiting.name();
            let proposal = Proposal::Command(vec![]);
            waiting.enter(token, Stage::Proposed { proposal, writer: writer() }, now);
        }
        assert!(!waiting.has_room(0));
    }
}
