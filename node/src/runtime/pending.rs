//! Remembers which requests wait for what: each is answered at most once.

use super::request::{Proposal, Query};
use crate::kv::Results;
use crate::raft::{Index, ServerId, Token};
use crate::wal::GroupId;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::time::Duration;

/// The most requests that wait at once.
const MAX_PENDING_REQUESTS: usize = 8192;
/// The most bytes that they hold together.
const MAX_PENDING_BYTES: usize = 64 << 20;

/// The origin of a write.
#[derive(Debug)]
pub(super) enum Proposer<C> {
    /// A client of this replica. A seeded bug (`evaluate-early`) answers it with results found when
    /// it asked.
    Client { client: C, early: Option<Results> },
    /// A peer that forwarded it, under the peer's own number.
    Peer { peer: ServerId, request: u64 },
}

/// What a request waits for.
#[derive(Debug)]
pub(super) enum Stage<C> {
    /// The core's decision about a proposal.
    Proposed { proposal: Proposal, proposer: Proposer<C> },
    /// A peer's report of what became of a write.
    Forwarded { to: ServerId, client: C, early: Option<Results> },
    /// A read index from the core.
    Confirming { query: Query, after: Index, client: C },
    /// The log to be applied up to an index.
    Applying { query: Query, client: C },
}

impl<C> Stage<C> {
    /// How many bytes it holds, more or less.
    fn byte_size(&self) -> usize {
        match self {
            Self::Proposed { proposal, .. } => proposal.byte_size(),
            Self::Forwarded { .. } => 0,
            Self::Confirming { query, .. } | Self::Applying { query, .. } => query.byte_size(),
        }
    }
}

/// A request for another leader, which the current one decides.
#[derive(Clone, Copy, Debug)]
pub(super) struct Transfer {
    pub(super) token: Token,
    pub(super) to: ServerId,
}

/// All requests that wait in one group.
#[derive(Debug)]
pub(super) struct PendingRequests<C> {
    /// How many groups share the room.
    groups: GroupId,
    /// How many bytes they hold.
    bytes: usize,
    next: Token,
    stages: BTreeMap<Token, (Stage<C>, Duration)>,
    applying: BTreeSet<(Index, Token)>,
}

impl<C> PendingRequests<C> {
    /// Numbers requests unlike any earlier start did: a peer may still answer those.
    pub(super) fn new(start: u64, groups: GroupId) -> Self {
        let (stages, applying) = (BTreeMap::new(), BTreeSet::new());
        Self { groups, bytes: 0, next: start << 32, stages, applying }
    }

    /// Whether one more of that size may wait: the rule for clients of this replica and of others.
    pub(super) fn has_room(&self, size: usize) -> bool {
        let share = usize::try_from(self.groups.max(1)).unwrap_or(usize::MAX);
        let (most, bytes) = ((MAX_PENDING_REQUESTS / share).max(64), MAX_PENDING_BYTES / share);
        self.stages.len() < most && self.bytes.saturating_add(size) <= bytes
    }

    /// A number that no request had before.
    pub(super) fn next_token(&mut self) -> Token {
        self.next += 1;
        self.next
    }

    /// Lets a request wait until its deadline.
    pub(super) fn insert(&mut self, token: Token, stage: Stage<C>, deadline: Duration) {
        self.bytes += stage.byte_size();
        self.stages.insert(token, (stage, deadline));
    }

    /// Lets a read wait until the log is applied up to an index.
    pub(super) fn insert_applying(
        &mut self,
        token: Token,
        index: Index,
        (query, client, deadline): (Query, C, Duration),
    ) {
        self.applying.insert((index, token));
        self.insert(token, Stage::Applying { query, client }, deadline);
    }

    /// The request, if it still waits.
    pub(super) fn get(&self, token: Token) -> Option<&Stage<C>> {
        self.stages.get(&token).map(|(stage, _)| stage)
    }

    /// Takes a request out, if it still waits.
    pub(super) fn remove(&mut self, token: Token) -> Option<(Stage<C>, Duration)> {
        let removed = self.stages.remove(&token)?;
        self.bytes -= removed.0.byte_size();
        Some(removed)
    }

    /// Takes out a read that may be served now.
    pub(super) fn remove_applied(&mut self, applied: Index) -> Option<(Query, C)> {
        while let Some((_, token)) = self.applying.first().copied().filter(|at| at.0 <= applied) {
            self.applying.pop_first();
            if let Some((Stage::Applying { query, client }, _)) = self.remove(token) {
                return Some((query, client));
            }
        }
        None
    }

    /// Takes out the clients whose writes were forwarded to a peer.
    pub(super) fn remove_forwarded(&mut self, peer: ServerId) -> Vec<C> {
        let at_peer =
            |stage: &Stage<C>| matches!(stage, Stage::Forwarded { to, .. } if *to == peer);
        let lost = self.stages.extract_if(.., |_, (stage, _)| at_peer(stage));
        lost.filter_map(|(_, (stage, _))| match stage {
            Stage::Forwarded { client, .. } => Some(client),
            _ => None,
        })
        .collect()
    }

    /// Drops the requests whose deadline has passed: their clients were answered by then.
    pub(super) fn drop_expired(&mut self, now: Duration) {
        for (_, (stage, _)) in self.stages.extract_if(.., |_, (_, deadline)| *deadline <= now) {
            self.bytes -= stage.byte_size();
        }
        self.applying.retain(|(_, token)| self.stages.contains_key(token));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::borrow::ToOwned;

    const LATER: Duration = Duration::from_secs(1);

    fn new_pending() -> PendingRequests<()> {
        PendingRequests::new(0, 1)
    }

    #[test]
    fn starts_share_no_tokens() {
        let (mut first, mut second) =
            (PendingRequests::<()>::new(20, 1), PendingRequests::<()>::new(42, 1));
        let tokens: BTreeSet<_> =
            (0..1000).flat_map(|_| [first.next_token(), second.next_token()]).collect();
        assert_eq!(tokens.len(), 2000);
    }

    #[test]
    fn reads_leave_when_the_log_is_applied_far_enough_or_too_late() {
        let mut pending = new_pending();
        for (key, index, deadline) in [("b", 2, LATER), ("a", 1, LATER), ("c", 3, Duration::ZERO)] {
            let token = pending.next_token();
            let read = (Query::Key(key.to_owned()), (), deadline);
            pending.insert_applying(token, index, read);
        }
        let key = |key: &str| Some(Query::Key(key.to_owned()));
        let mut next = |applied| pending.remove_applied(applied).map(|(query, ())| query);
        assert_eq!((next(0), next(1), next(1)), (None, key("a"), None));
        pending.drop_expired(Duration::ZERO);
        assert_eq!(pending.remove_applied(9).map(|(query, ())| query), key("b"));
        assert!(pending.remove_applied(9).is_none() && pending.stages.is_empty());
        assert_eq!(pending.bytes, 0);
    }

    #[test]
    fn a_broken_connection_gives_back_the_writes_of_its_peer_only() {
        let mut pending = new_pending();
        for to in [1, 2, 1] {
            let token = pending.next_token();
            pending.insert(token, Stage::Forwarded { to, client: (), early: None }, LATER);
        }
        assert_eq!((pending.remove_forwarded(1).len(), pending.stages.len()), (2, 1));
    }

    #[test]
    fn room_is_bounded_by_number_and_by_bytes() {
        let mut pending = new_pending();
        let stage = |size| Stage::Proposed {
            proposal: Proposal::Command(alloc::vec![0; size]),
            proposer: Proposer::Peer { peer: 2, request: 1 },
        };
        for size in [MAX_PENDING_BYTES - 1, 0] {
            let token = pending.next_token();
            pending.insert(token, stage(size), Duration::ZERO);
        }
        assert!(pending.has_room(1) && !pending.has_room(2));
        pending.drop_expired(Duration::ZERO);
        assert!(pending.has_room(MAX_PENDING_BYTES));
        for _ in 0..MAX_PENDING_REQUESTS {
            assert!(pending.has_room(1));
            let token = pending.next_token();
            pending.insert(token, stage(0), Duration::ZERO);
        }
        assert!(!pending.has_room(0));
    }
}
