//! Sends the log to the other servers: as leader, appends, batches, pipelines, backs up and
//! repeats.
//!
//! A leader only ever appends to its own log (paper, *leader append-only*), sends entries before
//! its own disk has them, and counts itself only when it does (thesis §10.2.1).

use super::progress::Progress;
use super::role::{LeaderState, RoleState};
use super::{Bug, Content, Effect, Index, Payload, Position, Raft, ServerId, Token, log};
use alloc::collections::BTreeSet;

/// The most bytes that may wait for a majority before a leader takes no more.
const MAX_UNCOMMITTED_BYTES: usize = 16 << 20;

impl Raft {
    /// A client's command.
    pub(super) fn propose(&mut self, token: Token, command: alloc::vec::Vec<u8>) {
        if !self.can_propose(log::entry_size(command.len())) {
            return self.effects.push(Effect::Refused { token, leader: self.leader });
        }
        let index = self.append_entry(Payload::Command(command));
        if self.config.has(Bug::EarlyAck) {
            self.effects.push(Effect::Acknowledge { token, index });
        } else if let RoleState::Leader(leading) = &mut self.state {
            leading.proposals.insert(index, token);
        }
        for peer in self.peer_ids() {
            self.send_append(peer);
        }
        self.advance_commit();
    }

    /// Whether this server leads and so much more may wait for a majority.
    fn can_propose(&self, weight: usize) -> bool {
        let RoleState::Leader(leading) = &self.state else { return false };
        if leading.transfer.is_some() {
            return false;
        }
        let open = leading.uncommitted_bytes;
        open == 0 || open.saturating_add(weight) <= MAX_UNCOMMITTED_BYTES
    }

    /// Appends an entry of the leader's own term.
    pub(super) fn append_entry(&mut self, payload: Payload) -> Index {
        let entry = self.log.append(self.term(), payload);
        let index = entry.index;
        if let RoleState::Leader(leading) = &mut self.state {
            leading.uncommitted_bytes += self.log.byte_size(index, index);
        }
        self.persist(None, [entry].into());
        index
    }

    /// Heartbeats, and steps down where no majority answers for an election timeout (thesis §6.2).
    pub(super) fn tick_leader(&mut self) {
        let RoleState::Leader(leading) = &mut self.state else { return };
        let limit = self.config.election_ticks;
        let silent = |(id, peer): (&ServerId, &mut Progress)| (!peer.tick(limit)).then_some(*id);
        let silent: BTreeSet<ServerId> = leading.peers.iter_mut().filter_map(silent).collect();
        let has_quorum = self.log.membership().has_quorum(|id| !silent.contains(&id));
        leading.heartbeat_elapsed += 1;
        let due = leading.heartbeat_elapsed >= self.config.heartbeat_ticks;
        let ignores_silence = [Bug::LoneHeartbeats, Bug::NoCheckQuorum, Bug::StaleReads];
        if !has_quorum && !ignores_silence.into_iter().any(|bug| self.config.has(bug)) {
            self.become_follower(None);
        } else if due {
            self.broadcast_heartbeat();
            self.promote_joining();
        }
        self.expire_transfer();
    }

    /// Says to every peer that this server leads, and again what is taken for lost.
    ///
    /// Entries do not stand in for the heartbeat: their answer waits for the peer's disk, and a
    /// peer that is alive must not look silent because its disk is slow.
    pub(super) fn broadcast_heartbeat(&mut self) {
        let now = self.elapsed_ticks();
        let RoleState::Leader(leading) = &mut self.state else { return };
        leading.heartbeat_elapsed = 0;
        if self.config.lease_reads && leading.reads.start_empty_round(leading.reads.current()) {
            leading.lease.start_round(leading.reads.current(), now);
        }
        leading.peers.values_mut().for_each(super::progress::Progress::on_heartbeat);
        for peer in self.peer_ids() {
            self.send_append(peer);
            self.send_heartbeat(peer);
        }
    }

    /// Says to every peer that this server leads from now on.
    pub(super) fn announce_leadership(&mut self) {
        for peer in self.peer_ids() {
            if !self.send_append(peer) {
                self.send_heartbeat(peer);
            }
        }
    }

    /// Sends a peer the entries it lacks, as many messages as may be under way; false if none.
    pub(super) fn send_append(&mut self, to: ServerId) -> bool {
        let mut sent = false;
        while let Some(content) = self.next_append(to) {
            self.send(to, content, 0);
            sent = true;
        }
        sent
    }

    fn next_append(&mut self, to: ServerId) -> Option<Content> {
        let RoleState::Leader(LeaderState { peers, reads, .. }) = &mut self.state else {
            return None;
        };
        let progress = peers.get_mut(&to)?;
        let first = progress.next();
        if first <= self.log.start().index {
            return self.next_snapshot_chunk(to);
        }
        let entries = if progress.can_send() { self.log.batch(first) } else { return None };
        progress.record_sent(entries.last()?.index);
        let previous = self.log.position(first.saturating_sub(1));
        Some(Content::AppendEntries {
            previous,
            entries,
            commit: self.commit_index,
            round: reads.current(),
        })
    }

    /// Sends a peer an append without entries.
    ///
    /// It speaks of what the peer is known to have, so the answer need not wait for the peer's
    /// disk.
    pub(super) fn send_heartbeat(&mut self, to: ServerId) {
        let RoleState::Leader(leading) = &self.state else { return };
        let Some(progress) = leading.peers.get(&to) else { return };
        let previous = self.log.position(progress.heartbeat_index());
        let (commit, round) = (self.commit_index, leading.reads.current());
        let content = Content::AppendEntries { previous, entries: [].into(), commit, round };
        self.send(to, content, 0);
    }

    /// Hears that a peer agrees up to `index`.
    pub(super) fn on_append_accepted(&mut self, from: ServerId, index: Index, round: u64) {
        let last = self.log.last().index;
        let RoleState::Leader(LeaderState { peers, reads, .. }) = &mut self.state else { return };
        let Some(progress) = peers.get_mut(&from) else { return };
        progress.record_reply(round);
        if progress.accept_in_round(round, reads.current(), index.min(last)) {
            self.advance_commit();
        }
        self.complete_read_round();
        self.send_append(from);
        self.continue_transfer();
    }

    /// Hears that a peer lacks an entry: looks for a place where the logs agree, a term at a time.
    pub(super) fn on_append_rejected(
        &mut self,
        from: ServerId,
        rejected: Index,
        hint: Position,
        round: u64,
    ) {
        let hint = self.log.find_conflict_by_term(hint);
        let RoleState::Leader(LeaderState { peers, reads, .. }) = &mut self.state else { return };
        let Some(progress) = peers.get_mut(&from) else { return };
        progress.record_reply(round);
        let acknowledged = progress.matched();
        if progress.has_lost_entries(rejected, round) {
            progress.reset_after_loss(hint.index, round);
            self.effects.push(Effect::PeerLostEntries { peer: from, acknowledged, rejected });
        } else if rejected <= acknowledged {
            reads.start_empty_round(round);
        } else {
            progress.reject(rejected, hint.index);
        }
        self.complete_read_round();
        self.send_append(from);
    }
}
