//! Decides what a Raft server does: [`Raft::step`] takes one [`Input`] and appends the [`Effect`]s it causes.
//!
//! The laws between the brain and the body that runs it:
//!
//! 1. Effects are carried out in the order in which they were emitted, with one freedom: the body may make
//!    [`Persist`]s durable in the background, several with one `fdatasync`, and reports each by
//!    [`Input::Persisted`] with the greatest sequence number that is durable (and so all before it).
//! 2. A [`Effect::Send`] leaves only when the `Persist` whose sequence number it names in `after` is durable;
//!    `after: 0` leaves at once (a leader sends entries while its own disk still works on them, but counts
//!    itself only when `Persisted` says so).
//! 3. [`Effect::Commit`] hands over entries once each, in order of index, without gaps.
//! 4. A proposal is answered exactly once: [`Effect::Acknowledge`] (committed: answer with what applying entry
//!    `index` returned), [`Effect::Refused`] (it was never appended here: definitely not done) or
//!    [`Effect::Lost`] (it was appended here, and this server can no longer tell: the client must be told *unknown*).
//! 5. A read is answered exactly once: [`Effect::ReadReady`] (serve it when everything up to `index` is applied)
//!    or [`Effect::ReadFailed`] (nothing was read: definite).

use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// A server's name inside the brain: its position in the sorted list of the cluster's members, from 1.
pub type ServerId = u64;
/// An election term; 0 before the first election.
pub type Term = u64;
/// A position in the log; the first entry has index 1, 0 means "before the log".
pub type Index = u64;
/// What the body names a request by, so that it finds the client that waits for the answer.
pub type Token = u64;

/// What a log entry carries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Payload {
    /// What a new leader appends so that entries of older terms can be committed (thesis §6.4, paper §8).
    Noop,
    /// A command of the state machine, opaque here.
    Command(Vec<u8>),
}

/// One entry of the replicated log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The term of the leader that created it.
    pub term: Term,
    /// Its position.
    pub index: Index,
    /// What it carries.
    pub payload: Payload,
}

/// What must be durable before a server answers anything that depends on it (paper, figure 2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HardState {
    /// The latest term this server has seen.
    pub term: Term,
    /// Whom it voted for in that term.
    pub voted_for: Option<ServerId>,
}

/// What a server is at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Role {
    /// Follows a leader, or waits for one.
    Follower,
    /// Asks whether an election could be won, without disturbing anybody (thesis §9.6).
    PreCandidate,
    /// Stands for election in its term.
    Candidate,
    /// Leads its term.
    Leader,
}

/// One write to stable storage. Entries replace everything in the log from the first one's index on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Persist {
    /// Grows by one with each `Persist`, from 1.
    pub sequence: u64,
    /// The new term and vote, when they changed.
    pub hard_state: Option<HardState>,
    /// Entries to append, after cutting the log back to just before the first of them.
    pub entries: Vec<Entry>,
}

/// What can happen to a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// One tick of the body's monotonic clock; [`Config`] counts its timeouts in ticks.
    Tick,
    /// A message came from a peer.
    Receive {
        /// Who sent it.
        from: ServerId,
        /// What it says.
        message: Message,
    },
    /// A client wants a command in the log.
    Propose {
        /// Names the client's request.
        token: Token,
        /// The command.
        command: Vec<u8>,
    },
    /// A client wants a linearizable read, at whatever server it asked.
    Read {
        /// Names the client's request.
        token: Token,
    },
    /// Every [`Persist`] up to this sequence number is durable.
    Persisted {
        /// The greatest durable sequence number.
        sequence: u64,
    },
}

/// What a server wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Make this durable.
    Persist(Persist),
    /// Send a message, once `Persist` number `after` is durable (0: at once).
    Send {
        /// To whom.
        to: ServerId,
        /// What.
        message: Message,
        /// The `Persist` it waits for.
        after: u64,
    },
    /// These entries are committed: apply them, in order.
    Commit {
        /// In order of index, without gaps since the last `Commit`.
        entries: Vec<Entry>,
    },
    /// The client may be told what applying entry `index` returned.
    Acknowledge {
        /// The proposal.
        token: Token,
        /// Where it stands in the log.
        index: Index,
    },
    /// The proposal was never appended here: definitely not done.
    Refused {
        /// The proposal.
        token: Token,
        /// The leader, where one is known.
        leader: Option<ServerId>,
    },
    /// The proposal was appended here and its fate is now out of this server's hands: unknown.
    Lost {
        /// The proposal.
        token: Token,
    },
    /// The read may be served when everything up to `index` is applied.
    ReadReady {
        /// The read.
        token: Token,
        /// The read index.
        index: Index,
    },
    /// The read cannot be served now.
    ReadFailed {
        /// The read.
        token: Token,
    },
    /// Role, term or known leader changed (for logs and traces; nothing depends on it).
    Changed(Status),
}

/// What a server says of itself; never evidence of anything about consistency.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Its role.
    pub role: Role,
    /// Its term.
    pub term: Term,
    /// The leader of that term, where known.
    pub leader: Option<ServerId>,
    /// The last entry of its log.
    pub last_index: Index,
    /// The last entry it knows to be committed.
    pub commit_index: Index,
}

/// How a server behaves; fixed for its life.
#[derive(Clone, Debug)]
pub struct Config {
    /// Who it is.
    pub id: ServerId,
    /// All voters, itself included.
    pub voters: Vec<ServerId>,
    /// Ticks between heartbeats of a leader.
    pub heartbeat_ticks: u32,
    /// An election timeout is drawn uniformly from `election_ticks .. 2 * election_ticks`.
    pub election_ticks: u32,
    /// Decides every random choice of this server.
    pub seed: u64,
    /// The bugs that are switched on; empty outside tests of the harness.
    pub unsafe_bugs: Vec<Bug>,
}

/// What a server finds on its disk when it starts.
#[derive(Clone, Debug, Default)]
pub struct Stored {
    /// The last durable term and vote.
    pub hard_state: HardState,
    /// The durable log, from index 1, without gaps.
    pub entries: Vec<Entry>,
}

/// A bug that can be switched on, so that whoever judges this store can be judged too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Bug {
    /// A leader serves reads from what it has, without asking a quorum, and never steps down.
    StaleReads,
    /// A follower serves its own state as if it were linearizable.
    FollowerReads,
    /// A leader acknowledges a write when it is in its own log.
    EarlyAck,
    /// Votes (and pre-votes) are given without comparing logs.
    VoteWithoutLogCheck,
    /// A restart forgets the vote of the current term.
    ForgetVote,
    /// Entries of older terms are committed by counting replicas, and a new leader appends no no-op (paper, figure 8).
    CommitOldTerm,
    /// What must be durable is answered before it is.
    NoFsync,
}

impl Bug {
    /// Its name on the command line: kebab-case.
    pub fn name(self) -> &'static str {
        BUGS.iter().find(|(bug, ..)| *bug == self).map_or("", |(_, name, _)| name)
    }

    /// The bug of that name.
    pub fn named(name: &str) -> Option<Self> {
        BUGS.iter().find(|(_, known, _)| *known == name).map(|(bug, ..)| *bug)
    }
}

/// Every bug, its name and one sentence.
pub const BUGS: &[(Bug, &str, &str)] = &[
    (Bug::CommitOldTerm, "commit-old-term", "entries of older terms are committed by counting replicas, and a new leader appends no no-op"),
    (Bug::EarlyAck, "early-ack", "a leader acknowledges a write when it is in its own log, before it is committed"),
    (Bug::FollowerReads, "follower-reads", "a follower serves its own state as if it were linearizable"),
    (Bug::ForgetVote, "forget-vote", "a restart forgets the vote of the current term"),
    (Bug::NoFsync, "no-fsync", "what must be durable is answered before it is"),
    (Bug::StaleReads, "stale-reads", "a leader serves reads without asking a quorum, and never steps down"),
    (Bug::VoteWithoutLogCheck, "vote-without-log-check", "votes and pre-votes are given without comparing logs"),
];

/// What servers say to each other. (Design it; the body only serialises it.)
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Message {}

/// One server.
#[derive(Debug)]
pub struct Raft {
    config: Config,
}

impl Raft {
    /// A server that starts, or starts again, from what its disk holds.
    pub fn new(config: Config, _stored: Stored) -> Self {
        Self { config }
    }

    /// Takes one input and appends what it causes.
    pub fn step(&mut self, _input: Input, _effects: &mut Vec<Effect>) {}

    /// What this server is now.
    pub fn status(&self) -> Status {
        Status { role: Role::Follower, term: 0, leader: None, last_index: 0, commit_index: self.config.id }
    }
}
