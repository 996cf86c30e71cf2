//! Compacts the log behind a snapshot of the state machine, and sends the snapshot to peers that
//! need compacted entries (paper §7, thesis §5).
//!
//! A snapshot contains exactly the entries up to its last one, all committed. The log begins at
//! that entry or before it, never after it: a committed entry is always in the snapshot, in the
//! log, or in both. A snapshot that is not newer than the commit index changes nothing, as the
//! state machine must not go back.

use super::config::Compaction;
use super::effect::{Effect, Persist};
use super::message::{Content, InstallSnapshot};
use super::role::{LeaderState, RoleState};
use super::server::Raft;
use super::stored::Snapshot;
use super::types::{Position, ServerId};
use crate::bug::{Bug, Variation};
use alloc::vec::Vec;

impl Raft {
    /// Brings the log in line with the snapshot found on disk. A snapshot becomes durable before
    /// the log is replaced. After a crash in between, a leader's snapshot stands beside a log that
    /// does not lead up to it; new entries must not be appended to that log.
    pub(super) fn recover_snapshot(&mut self, snapshot: Option<Snapshot>) {
        let Some(snapshot) = snapshot else { return };
        let last = snapshot.last;
        self.snapshots.set_latest(snapshot.clone());
        // Everything in a snapshot was committed.
        (self.commit_index, self.delivered) = (last.index, last.index);
        if !self.log.matches(last) {
            self.log.restore(last, snapshot.membership.clone());
            let sequence = self.writes.begin_restore(last.index);
            self.write_checkpoint(sequence, Some(snapshot));
        }
    }

    /// Asks the runtime for a snapshot once enough entries were delivered since the last one.
    pub(super) fn request_snapshot(&mut self) {
        let Compaction { mut entries, bytes, .. } = self.config.compaction;
        if self.config.varies(Variation::SnapshotOften) {
            entries = 10;
        }
        let many =
            self.delivered.saturating_sub(self.snapshots.last_position().index) >= entries.max(1);
        let large = bytes > 0 && self.snapshots.bytes_since >= bytes;
        // Seeded bug: the snapshot says that it ends one entry earlier than it does.
        let behind = u64::from(self.config.has_bug(Bug::SnapshotLabelBehind));
        let last = self.log.position_at(self.delivered.saturating_sub(behind));
        let due =
            entries > 0 && (many || large) && last.index > self.snapshots.last_position().index;
        // Not while a peer receives the last one: it would have to start over, and with frequent
        // snapshots it would never finish.
        if due && !self.snapshots.requested && !self.is_sending_snapshot() {
            self.snapshots.requested = true;
            self.effects.push(Effect::TakeSnapshot { last });
        }
    }

    fn is_sending_snapshot(&self) -> bool {
        let RoleState::Leader(leading) = &self.state else { return false };
        // A peer that stopped replying must not block compaction.
        let limit = self.config.election_ticks;
        leading.peers.values().any(|peer| peer.is_receiving_snapshot(limit))
    }

    /// Takes over the runtime's snapshot and compacts the log.
    pub(super) fn on_snapshot_taken(&mut self, last: Position, data: Vec<u8>) {
        self.snapshots.requested = false;
        // A leader's newer snapshot may have arrived meanwhile; an older one must not replace it.
        // A snapshot beyond `delivered` cannot be of this state machine.
        if last.index <= self.snapshots.last_position().index || last.index > self.delivered {
            return;
        }
        // The configuration at `last`, not the latest: that one may be uncommitted, and a server
        // that restores the snapshot would keep it.
        let latest = self.config.has_bug(Bug::SnapshotLatestConfig);
        let membership = match latest {
            true => self.log.membership(),
            false => self.log.membership_at(last.index),
        };
        let membership = membership.clone();
        let snapshot = Snapshot { last, membership, data: data.into() };
        self.snapshots.set_latest(snapshot.clone());
        let keep = last.index.saturating_sub(self.config.compaction.keep_entries);
        let start = self.log.position_at(keep.max(self.log.start_position().index));
        self.log.compact(start);
        let sequence = self.writes.begin_checkpoint();
        self.write_checkpoint(sequence, Some(snapshot));
    }

    /// Writes the whole log again; the last snapshot stays where it is.
    pub(super) fn rewrite_log(&mut self) {
        let sequence = self.writes.begin_checkpoint();
        self.write_checkpoint(sequence, None);
    }

    /// Writes a snapshot, if there is a new one, and the whole log after its start. The hard state
    /// is written too, as everything before may be deleted.
    fn write_checkpoint(&mut self, sequence: u64, snapshot: Option<Snapshot>) {
        self.emit_persist(Persist {
            sequence,
            hard_state: (!self.config.has_bug(Bug::CheckpointWithoutVote))
                .then_some(self.hard_state),
            entries: self.log.entries().to_vec(),
            snapshot,
            start: Some(self.log.start_position()),
        });
    }

    /// Returns the next chunk of the snapshot for a peer, if it may be sent now.
    pub(super) fn next_snapshot_chunk(&mut self, to: ServerId) -> Option<Content> {
        let RoleState::Leader(LeaderState { peers, reads, .. }) = &mut self.state else {
            return None;
        };
        let Snapshot { last, membership, data } = self.snapshots.latest.as_ref()?;
        let mut offset = peers.get_mut(&to)?.next_chunk_offset(last.index)?;
        if self.config.has_bug(Bug::RestartSnapshot) {
            offset = 0;
        }
        let rest = data.get(usize::try_from(offset).ok()?..).unwrap_or_default();
        let limit = self.config.compaction.chunk_bytes;
        let most = if limit == 0 { rest.len() } else { limit };
        let chunk = rest.get(..most).unwrap_or(rest).to_vec();
        Some(Content::InstallSnapshot(InstallSnapshot {
            last: *last,
            membership: membership.clone(),
            size: data.len() as u64,
            offset,
            data: chunk,
            round: reads.latest_round(),
        }))
    }

    /// Handles a peer's progress in receiving the snapshot.
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

    /// Handles a chunk of the snapshot of the current term's leader.
    pub(super) fn on_snapshot(&mut self, from: ServerId, chunk: InstallSnapshot) {
        // A term has one leader (paper §5.2), so only a seeded bug reaches this line. A leader
        // never overwrites its own log, even then.
        if matches!(self.state, RoleState::Leader(_)) {
            return;
        }
        self.become_follower(Some(from));
        self.reset_election_timer();
        self.withhold_votes();
        let (last, round) = (chunk.last, chunk.round);
        let membership = chunk.membership.clone();
        // An older snapshot would take the state machine back behind entries that it has applied
        // and that clients have read. This log matches up to the commit index, so it says so.
        let is_old = last.index <= self.commit_index;
        if is_old && !self.config.has_bug(Bug::InstallOlderSnapshot) {
            let after = self.writes.entry_barrier(last.index);
            self.send_message(from, Content::AppendAccepted { index: last.index, round }, after);
        } else if let Some(data) = self.snapshots.add_chunk(from, chunk, self.config.bugs) {
            self.install_snapshot(Snapshot { last, membership, data: data.into() });
            // Acknowledged once durable, like entries: the leader counts it towards a majority.
            let after = self.writes.entry_barrier(last.index);
            self.send_message(from, Content::AppendAccepted { index: last.index, round }, after);
        } else {
            let received = self.snapshots.received_bytes();
            self.send_message(from, Content::SnapshotReceived { last, received, round }, 0);
        }
    }

    /// Replaces the state machine by the leader's snapshot.
    fn install_snapshot(&mut self, snapshot: Snapshot) {
        let last = snapshot.last;
        // Entries after the snapshot stay only if the log holds its last entry (paper §7).
        // Otherwise they are another leader's, and would look committed behind the snapshot
        // (removed by --unsafe keep-tail).
        let agrees = self.log.matches(last);
        let sequence = if agrees || self.config.has_bug(Bug::KeepTail) {
            self.log.compact(last);
            if agrees {
                self.writes.begin_checkpoint()
            } else {
                self.writes.begin_restore(last.index)
            }
        } else {
            let keeps_config = self.config.has_bug(Bug::RestoreKeepsConfig);
            let own = || self.log.membership().clone();
            let membership = if keeps_config { own() } else { snapshot.membership.clone() };
            self.log.restore(last, membership);
            self.writes.begin_restore(last.index)
        };
        if self.config.has_bug(Bug::TermFromSnapshot) {
            self.hard_state.term = last.term;
        }
        self.snapshots.set_latest(snapshot.clone());
        self.leader_match = self.leader_match.max(last.index);
        (self.commit_index, self.delivered) = (last.index, last.index);
        self.effects.push(Effect::Restore { snapshot: snapshot.clone() });
        self.write_checkpoint(sequence, Some(snapshot));
    }
}
