//! Cuts the log behind what a snapshot of the store stands for, and brings a snapshot to peers that
//! lack what was cut (paper §7, thesis §5).
//!
//! A snapshot contains exactly the entries up to its last one, all committed; the log begins at that
//! entry or before it (a few entries are kept for peers that are only a little behind), and never
//! after it. So what is committed is always in the snapshot, in the log, or in both. A snapshot that
//! is no newer than what is committed here changes nothing: the store never goes back.

use super::role::{Leading, State};
use super::{Bug, Content, Effect, Index, Membership, Persist, Position, Raft, ServerId};
use alloc::{sync::Arc, vec::Vec};

/// When the log is cut, and what is kept of it; the default is never.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compaction {
    /// A snapshot is taken when so many entries were handed over since the last; 0: never.
    pub entries: Index,
    /// The same of the bytes that they stand for; 0: whatever they are.
    pub bytes: usize,
    /// How many entries before the snapshot's end stay in the log.
    pub keep: Index,
    /// The most bytes of a snapshot in one message; 0: all.
    pub piece: usize,
}

/// What the store was after an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The last entry that it contains.
    pub last: Position,
    /// Who took part at that entry.
    pub membership: Membership,
    /// The store, as bytes that only the body understands.
    pub data: Arc<[u8]>,
}

/// A piece of a snapshot, as the leader sent it.
pub(super) struct Piece {
    pub(super) last: Position,
    pub(super) membership: Membership,
    pub(super) size: u64,
    pub(super) offset: u64,
    pub(super) data: Vec<u8>,
    pub(super) round: u64,
}

/// What a server remembers of snapshots.
#[derive(Debug, Default)]
pub(super) struct Compacting {
    /// The last one.
    snapshot: Option<Snapshot>,
    /// Whether the body has been asked for the next.
    asked: bool,
    /// The bytes that were handed over since the last.
    bytes: usize,
    /// The leader's, as far as it has come.
    incoming: Option<Incoming>,
}

#[derive(Debug)]
struct Incoming {
    from: ServerId,
    last: Position,
    size: u64,
    data: Vec<u8>,
}

impl Compacting {
    /// Where the last snapshot ends.
    pub(super) fn last(&self) -> Position {
        self.snapshot.as_ref().map_or(Position::default(), |snapshot| snapshot.last)
    }

    /// Notes that entries of so many bytes were handed over.
    pub(super) fn count(&mut self, bytes: usize) {
        self.bytes = self.bytes.saturating_add(bytes);
    }

    fn replace(&mut self, snapshot: Snapshot) {
        *self = Self { snapshot: Some(snapshot), ..Self::default() };
    }
}

impl Raft {
    /// Brings the log in line with a snapshot found on the disk. A snapshot becomes durable before
    /// the log is cut: one that came from a leader may find a log that has nothing to do with it,
    /// and what is appended from now on must not be taken for a part of that.
    pub(super) fn recover(&mut self, snapshot: Option<Snapshot>) {
        let Some(snapshot) = snapshot else { return };
        let last = snapshot.last;
        self.compaction.replace(snapshot.clone());
        (self.commit_index, self.handed_over) = (last.index, last.index);
        if !self.log.has(last) {
            self.log.begin_after(last, snapshot.membership.clone());
            let sequence = self.disk.begin_after(last.index);
            self.checkpoint(sequence, Some(snapshot));
        }
    }

    /// Asks the body for a snapshot where enough has been handed over since the last, unless a peer
    /// is still being brought that one: it would have to begin again.
    pub(super) fn ask_for_snapshot(&mut self) {
        let Compaction { entries, bytes, .. } = self.config.compaction;
        let many = self.handed_over.saturating_sub(self.compaction.last().index) >= entries.max(1);
        let large = bytes > 0 && self.compaction.bytes >= bytes;
        let last = self.log.position(self.handed_over);
        let due = entries > 0 && (many || large) && last.index > self.compaction.last().index;
        if due && !self.compaction.asked && !self.is_bringing_snapshot() {
            self.compaction.asked = true;
            self.effects.push(Effect::TakeSnapshot { last });
        }
    }

    fn is_bringing_snapshot(&self) -> bool {
        let State::Leader(leading) = &self.state else { return false };
        let limit = self.config.election_ticks;
        leading.peers.values().any(|peer| peer.takes_snapshot(limit))
    }

    /// Takes over the body's snapshot, and cuts the log.
    pub(super) fn take_snapshot(&mut self, last: Position, data: Vec<u8>) {
        self.compaction.asked = false;
        if last.index <= self.compaction.last().index || last.index > self.handed_over {
            return; // The leader's was newer.
        }
        let membership = self.log.membership_at(last.index).clone();
        let snapshot = Snapshot { last, membership, data: data.into() };
        self.compaction.replace(snapshot.clone());
        let keep = last.index.saturating_sub(self.config.compaction.keep);
        let start = self.log.position(keep.max(self.log.start().index));
        self.log.cut_front(start);
        let sequence = self.disk.cut_front();
        self.checkpoint(sequence, Some(snapshot));
    }

    /// Writes all that the log still has once more: the snapshot before it stays where it is.
    pub(super) fn write_anew(&mut self) {
        let sequence = self.disk.cut_front();
        self.checkpoint(sequence, None);
    }

    /// Writes the snapshot, if it is another one, and all that the log still has.
    fn checkpoint(&mut self, sequence: u64, snapshot: Option<Snapshot>) {
        self.write(Persist {
            sequence,
            hard_state: Some(self.hard_state),
            entries: self.log.entries().to_vec(),
            snapshot,
            start: Some(self.log.start()),
        });
    }

    /// The next piece of the snapshot for a peer, if it may be sent now.
    pub(super) fn next_piece(&mut self, to: ServerId) -> Option<Content> {
        let State::Leader(Leading { peers, rounds, .. }) = &mut self.state else { return None };
        let Snapshot { last, membership, data } = self.compaction.snapshot.as_ref()?;
        let offset = peers.get_mut(&to)?.next_piece(last.index)?;
        let rest = data.get(usize::try_from(offset).ok()?..).unwrap_or_default();
        let most = if self.config.compaction.piece == 0 {
            rest.len()
        } else {
            self.config.compaction.piece
        };
        let (size, piece) = (data.len() as u64, rest.get(..most).unwrap_or(rest).to_vec());
        let (last, membership, round) = (*last, membership.clone(), rounds.current());
        Some(Content::Snapshot { last, membership, size, offset, data: piece, round })
    }

    /// Hears how much of the snapshot a peer has.
    pub(super) fn on_received(&mut self, from: ServerId, last: Position, upto: u64, round: u64) {
        let State::Leader(Leading { peers, .. }) = &mut self.state else { return };
        let Some(progress) = peers.get_mut(&from) else { return };
        progress.heard(round);
        progress.received(last.index, upto);
        self.confirm_round();
        self.feed(from);
    }

    /// Hears the leader of the current term, who sends a piece of its snapshot.
    pub(super) fn on_snapshot(&mut self, from: ServerId, piece: Piece) {
        if matches!(self.state, State::Leader(_)) {
            return; // Two leaders in one term: only a seeded bug gets here, and it keeps its log.
        }
        self.follow(Some(from));
        self.restart_election_timer();
        self.promise();
        let (last, round) = (piece.last, piece.round);
        let membership = piece.membership.clone();
        if last.index <= self.commit_index {
            let after = self.disk.after_entry(last.index);
            self.send(from, Content::Matched { index: last.index, round }, after);
        } else if let Some(data) = self.gather(from, piece) {
            self.install(Snapshot { last, membership, data: data.into() });
            let after = self.disk.after_entry(last.index);
            self.send(from, Content::Matched { index: last.index, round }, after);
        } else {
            let upto = self.compaction.incoming.as_ref().map_or(0, |it| it.data.len() as u64);
            self.send(from, Content::Received { last, upto, round }, 0);
        }
    }

    /// Adds a piece to what is there, if it follows that; the whole, once it is complete.
    fn gather(&mut self, from: ServerId, piece: Piece) -> Option<Vec<u8>> {
        let Piece { last, size, offset, data, .. } = piece;
        let same = |it: &Incoming| (it.from, it.last, it.size) == (from, last, size);
        if !self.compaction.incoming.as_ref().is_some_and(same) {
            self.compaction.incoming = Some(Incoming { from, last, size, data: Vec::new() });
        }
        let incoming = self.compaction.incoming.as_mut()?;
        if incoming.data.len() as u64 == offset {
            incoming.data.extend_from_slice(&data);
        }
        let whole = incoming.data.len() as u64 >= size;
        whole.then(|| self.compaction.incoming.take().map(|it| it.data)).flatten()
    }

    /// Puts the leader's snapshot in the place of what was applied here. The log goes on after it
    /// where it had its last entry; otherwise it has nothing to do with the leader's and goes.
    fn install(&mut self, snapshot: Snapshot) {
        let last = snapshot.last;
        let agrees = self.log.has(last);
        let sequence = if agrees || self.config.has(Bug::KeepTail) {
            self.log.cut_front(last);
            if agrees { self.disk.cut_front() } else { self.disk.begin_after(last.index) }
        } else {
            self.log.begin_after(last, snapshot.membership.clone());
            self.disk.begin_after(last.index)
        };
        self.compaction.replace(snapshot.clone());
        self.verified = self.verified.max(last.index);
        (self.commit_index, self.handed_over) = (last.index, last.index);
        self.effects.push(Effect::Restore { snapshot: snapshot.clone() });
        self.checkpoint(sequence, Some(snapshot));
    }
}
