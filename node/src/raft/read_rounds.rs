//! Defines the bookkeeping of linearizable reads: rounds at the leader, requests at a follower.

use super::types::{Index, ServerId, Token};
use crate::bug::{Bug, BugSet};
use alloc::{collections::BTreeMap, vec::Vec};

/// Where a read came from.
#[derive(Clone, Copy, Debug)]
pub(super) enum ReadOrigin {
    /// A client of this server.
    Client(Token),
    /// A follower, on behalf of its own client.
    Peer { id: ServerId, request: u64 },
}

impl ReadOrigin {
    pub(super) fn client_token(self) -> Option<Token> {
        match self {
            Self::Client(token) => Some(token),
            Self::Peer { .. } => None,
        }
    }
}

/// A read and when it arrived.
#[derive(Clone, Copy, Debug)]
pub(super) struct PendingRead {
    pub(super) origin: ReadOrigin,
    pub(super) since: u64,
}

/// A leader's reads. Rounds number the messages of a term; one round serves every read that
/// arrived before it began.
#[derive(Debug, Default)]
pub(super) struct ReadRounds {
    /// The number of the latest round.
    current: u64,
    /// The read index of the latest round and its reads, until a majority has answered it.
    open: Option<(Index, Vec<PendingRead>)>,
    /// The reads that wait for the next round.
    next: Vec<PendingRead>,
}

impl ReadRounds {
    /// Returns the number of the latest round, which every append carries.
    pub(super) fn latest_round(&self) -> u64 {
        self.current
    }

    /// Adds a read to the next round. The open round's messages may have left before the read
    /// began, so answers to them prove nothing about it (thesis §6.4).
    pub(super) fn queue_read(&mut self, read: PendingRead, bugs: BugSet) {
        match &mut self.open {
            Some((_, open)) if bugs.contains(Bug::JoinOpenRound) => open.push(read),
            _ => self.next.push(read),
        }
    }

    /// Starts the next round if a read waits for one and none is open.
    pub(super) fn start_next(&mut self, index: Index) -> bool {
        let starts = self.open.is_none() && !self.next.is_empty();
        if starts {
            self.current += 1;
            self.open = Some((index, core::mem::take(&mut self.next)));
        }
        starts
    }

    /// Starts a round without reads, unless one is open or `round` is no longer the latest.
    /// Answers to its messages are then known to be answers to later messages.
    pub(super) fn start_empty_round(&mut self, round: u64) -> bool {
        let starts = self.open.is_none() && round == self.current;
        self.current += u64::from(starts);
        starts
    }

    /// Ends the open round; returns its read index and reads.
    pub(super) fn take_open(&mut self) -> Option<(Index, Vec<PendingRead>)> {
        self.open.take()
    }

    /// Removes the reads that arrived before `start`.
    pub(super) fn take_expired(&mut self, start: u64) -> Vec<PendingRead> {
        let open = self.open.as_mut().map(|(_, reads)| reads);
        let queues = open.into_iter().chain([&mut self.next]);
        queues.flat_map(|queue| queue.extract_if(.., |read| read.since < start)).collect()
    }

    /// Returns the tokens of this server's own clients.
    pub(super) fn into_client_tokens(self) -> impl Iterator<Item = Token> {
        let open = self.open.map(|(_, reads)| reads).unwrap_or_default();
        open.into_iter().chain(self.next).filter_map(|read| read.origin.client_token())
    }
}

/// A follower's reads that wait for the leader.
#[derive(Debug)]
pub(super) struct ForwardedReads {
    /// The number of the next request.
    next: u64,
    /// The open requests, and when each was sent.
    open: BTreeMap<u64, (Token, u64)>,
}

impl ForwardedReads {
    /// Begins with request number `first`, a random number. A restarted server must not reuse
    /// numbers: a late reply to an earlier start would serve a read that began after it.
    pub(super) fn new(first: u64) -> Self {
        Self { next: first, open: BTreeMap::new() }
    }

    /// Opens a request; returns its number.
    pub(super) fn open_request(&mut self, token: Token, now: u64) -> u64 {
        let request = self.next;
        self.next = request.wrapping_add(1);
        self.open.insert(request, (token, now));
        request
    }

    /// Closes a request; `None` if it is not open, as for a repeated reply.
    pub(super) fn close_request(&mut self, request: u64) -> Option<Token> {
        self.open.remove(&request).map(|(token, _)| token)
    }

    /// Removes the requests that were sent before `start`.
    pub(super) fn take_expired(&mut self, start: u64) -> Vec<Token> {
        let late = self.open.extract_if(.., |_, (_, since)| *since < start);
        late.map(|(_, (token, _))| token).collect()
    }

    /// Removes all requests.
    pub(super) fn take_all(&mut self) -> Vec<Token> {
        core::mem::take(&mut self.open).into_values().map(|(token, _)| token).collect()
    }
}
