//! Cuts the log behind what a snapshot of the store stands for, and brings a snapshot to peers that
//! lack what was cut (paper §7, thesis §5).
//!
//! A snapshot contains exactly the entries up to its last one, all committed; the log begins at that
//! entry or before it (a few entries are kept for peers that are only a little behind), and never
//! after it. So what is committed is always in the snapshot, in the log, or in both. A snapshot that
//! is no newer than what is committed here changes nothing: the store never goes back.

use super::role::{LeaderState, RoleState};
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
    pub keep_entries: Index,
    /// The most bytes of a snapshot in one message; 0: all.
    pub chunk_bytes: usize,
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
pub(super) struct SnapshotChunk {
    pub(super) last: Position,
    pub(super) membership: Membership,
    pub(super) size: u64,
    pub(super) offset: u64,
    pub(super) data: Vec<u8>,
    pub(super) round: u64,
}

/// What a server remembers of snapshots.
#[derive(Debug, Default)]
pub(super) struct SnapshotState {
    /// The last one.
    latest: Option<Snapshot>,
    /// Whether the body has been asked for the next.
    requested: bool,
    /// The bytes that were handed over since the last.
    bytes_since: usize,
    /// The leader's, as far as it has come.
    incoming: Option<IncomingSnapshot>,
}

#[derive(Debug)]
struct IncomingSnapshot {
    from: ServerId,
    last: Position,
    size: u64,
    data: Vec<u8>,
}

impl SnapshotState {
    /// Where the last snapshot ends.
    pub(super) fn last(&self) -> Position {
        self.latest.as_ref().map_or(Position::default(), |snapshot| snapshot.last)
    }

    /// Notes that entries of so many bytes were handed over.
    pub(super) fn add_bytes(&mut self, bytes: usize) {
        self.bytes_since = self.bytes_since.saturating_add(bytes);
    }

    fn set_latest(&mut self, snapshot: Snapshot) {
        *self = Self { latest: Some(snapshot), ..Self::default() };
    }
}

impl Raft {
    /// Brings the log in line with a snapshot found on the disk. A snapshot becomes durable before
    /// the log is cut: one that came from a leader may find a log that has nothing to do with it,
    /// and what is appended from now on must not be taken for a part of that.
    pub(super) fn recover(&mut self, snapshot: Option<Snapshot>) {
        let Some(snapshot) = snapshot else { return };
        let last = snapshot.last;
        self.snapshots.set_latest(snapshot.clone());
        (self.commit_index, self.delivered) = (last.index, last.index);
        if !self.log.matches(last) {
            self.log.restore(last, snapshot.membership.clone());
            let sequence = self.writes.begin_restore(last.index);
            self.checkpoint(sequence, Some(snapshot));
        }
    }

    /// Asks the body for a snapshot where enough has been handed over since the last, unless a peer
    /// is still being brought that one: it would have to begin again.
    pub(super) fn request_snapshot(&mut self) {
        let Compaction { entries, bytes, .. } = self.config.compaction;
        let many = self.delivered.saturating_sub(self.snapshots.last().index) >= entries.max(1);
        let large = bytes > 0 && self.snapshots.bytes_since >= bytes;
        let last = self.log.position(self.delivered);
        let due = entries > 0 && (many || large) && last.index > self.snapshots.last().index;
        if due && !self.snapshots.requested && !self.is_sending_snapshot() {
            self.snapshots.requested = true;
            self.effects.push(Effect::TakeSnapshot { last });
        }
    }

    fn is_sending_snapshot(&self) -> bool {
        let RoleState::Leader(leading) = &self.state else { return false };
        let limit = self.config.election_ticks;
        leading.peers.values().any(|peer| peer.is_receiving_snapshot(limit))
    }

    /// Takes over the body's snapshot, and cuts the log.
    pub(super) fn on_snapshot_taken(&mut self, last: Position, data: Vec<u8>) {
        self.snapshots.requested = false;
        if last.index <= self.snapshots.last().index || last.index > self.delivered {
            return; // The leader's was newer.
        }
        let membership = self.log.membership_at(last.index).clone();
        let snapshot = Snapshot { last, membership, data: data.into() };
        self.snapshots.set_latest(snapshot.clone());
        let keep = last.index.saturating_sub(self.config.compaction.keep_entries);
        let start = self.log.position(keep.max(self.log.start().index));
        self.log.compact(start);
        let sequence = self.writes.begin_checkpoint();
        self.checkpoint(sequence, Some(snapshot));
    }

    /// Writes all that the log still has once more: the snapshot before it stays where it is.
    pub(super) fn rewrite_log(&mut self) {
        let sequence = self.writes.begin_checkpoint();
        self.checkpoint(sequence, None);
    }

    /// Writes the snapshot, if it is another one, and all that the log still has.
    fn checkpoint(&mut self, sequence: u64, snapshot: Option<Snapshot>) {
        self.emit_persist(Persist {
            sequence,
            hard_state: Some(self.hard_state),
            entries: self.log.entries().to_vec(),
            snapshot,
            start: Some(self.log.start()),
        });
    }

    /// The next piece of the snapshot for a peer, if it may be sent now.
    pub(super) fn next_snapshot_chunk(&mut self, to: ServerId) -> Option<Content> {
        let RoleState::Leader(LeaderState { peers, reads, .. }) = &mut self.state else {
            return None;
        };
        let Snapshot { last, membership, data } = self.snapshots.latest.as_ref()?;
        let offset = peers.get_mut(&to)?.next_chunk_offset(last.index)?;
        let rest = data.get(usize::try_from(offset).ok()?..).unwrap_or_default();
        let most = if self.config.compaction.chunk_bytes == 0 {
            rest.len()
        } else {
            self.config.compaction.chunk_bytes
        };
        let (size, chunk) = (data.len() as u64, rest.get(..most).unwrap_or(rest).to_vec());
        let (last, membership, round) = (*last, membership.clone(), reads.current());
        Some(Content::InstallSnapshot { last, membership, size, offset, data: chunk, round })
    }

    /// Hears how much of the snapshot a peer has.
    pub(super) fn on_snapshot_received(
        &mut self,
        from: ServerId,
        last: Position,
        received: u64,
        round: u64,
    ) {
        let RoleState::Leader(LeaderState { peers, .. }) = &mut self.state else { return };
        let Some(progress) = peers.get_mut(&from) else { return };
        progress.record_reply(round);
        progress.record_chunk(last.index, received);
        self.complete_read_round();
        self.send_append(from);
    }

    /// Hears the leader of the current term, who sends a piece of its snapshot.
    pub(super) fn on_snapshot(&mut self, from: ServerId, chunk: SnapshotChunk) {
        if matches!(self.state, RoleState::Leader(_)) {
            return; // Two leaders in one term: only a seeded bug gets here, and it keeps its log.
        }
        self.become_follower(Some(from));
        self.reset_election_timer();
        self.withhold_votes();
        let (last, round) = (chunk.last, chunk.round);
        let membership = chunk.membership.clone();
        if last.index <= self.commit_index {
            let after = self.writes.entry_barrier(last.index);
            self.send(from, Content::AppendAccepted { index: last.index, round }, after);
        } else if let Some(data) = self.add_chunk(from, chunk) {
            self.install(Snapshot { last, membership, data: data.into() });
            let after = self.writes.entry_barrier(last.index);
            self.send(from, Content::AppendAccepted { index: last.index, round }, after);
        } else {
            let received = self.snapshots.incoming.as_ref().map_or(0, |it| it.data.len() as u64);
            self.send(from, Content::SnapshotReceived { last, received, round }, 0);
        }
    }

    /// Adds a piece to what is there, if it follows that; the whole, once it is complete.
    fn add_chunk(&mut self, from: ServerId, chunk: SnapshotChunk) -> Option<Vec<u8>> {
        let SnapshotChunk { last, size, offset, data, .. } = chunk;
        let same = |it: &IncomingSnapshot| (it.from, it.last, it.size) == (from, last, size);
        if !self.snapshots.incoming.as_ref().is_some_and(same) {
            self.snapshots.incoming = Some(IncomingSnapshot { from, last, size, data: Vec::new() });
        }
        let incoming = self.snapshots.incoming.as_mut()?;
        if incoming.data.len() as u64 == offset {
            incoming.data.extend_from_slice(&data);
        }
        let whole = incoming.data.len() as u64 >= size;
        whole.then(|| self.snapshots.incoming.take().map(|it| it.data)).flatten()
    }

    /// Puts the leader's snapshot in the place of what was applied here. The log goes on after it
    /// where it had its last entry; otherwise it has nothing to do with the leader's and goes.
    fn install(&mut self, snapshot: Snapshot) {
        let last = snapshot.last;
        let agrees = self.log.matches(last);
        let sequence = if agrees || self.config.has(Bug::KeepTail) {
            self.log.compact(last);
            if agrees {
                self.writes.begin_checkpoint()
            } else {
                self.writes.begin_restore(last.index)
            }
        } else {
            self.log.restore(last, snapshot.membership.clone());
            self.writes.begin_restore(last.index)
        };
        self.snapshots.set_latest(snapshot.clone());
        self.leader_match = self.leader_match.max(last.index);
        (self.commit_index, self.delivered) = (last.index, last.index);
        self.effects.push(Effect::Restore { snapshot: snapshot.clone() });
        self.checkpoint(sequence, Some(snapshot));
    }
}
