//! Replicates the log, as leader: appends, batches, pipelines, backtracks and retransmits.
//!
//! A leader only ever appends to its own log (Leader Append-Only, paper §5.3). It sends entries
//! before its own disk has them, and counts itself only afterwards (thesis §10.2.1).

use super::effect::Effect;
use super::entry::Payload;
use super::log::entry_size;
use super::message::{AppendEntries, Content};
use super::progress::Progress;
use super::role::{LeaderState, RoleState};
use super::server::Raft;
use super::types::{Index, Position, ServerId, Token};
use crate::bug::{Bug, Variation};
use alloc::collections::BTreeSet;
use alloc::vec::Vec;

/// The most bytes of uncommitted entries before a leader refuses commands.
const MAX_UNCOMMITTED_BYTES: usize = 16 << 20;
/// How far the variation `linear-backtracking` goes back by single steps: from further away they
/// would take longer than a recovery may.
const MAX_LINEAR_STEPS: Index = 16;
/// How long a leader leads on average with the variation `step-down-often`.
const STEP_DOWN_TICKS: u64 = 300;

impl Raft {
    /// Handles a client's command.
    pub(super) fn propose_command(&mut self, token: Token, command: Vec<u8>) {
        if !self.can_propose(entry_size(command.len())) {
            return self.effects.push(Effect::Refused { token, leader: self.leader });
        }
        let index = self.append_entry(Payload::Command(command));
        if self.config.has_bug(Bug::EarlyAck) {
            // Seeded bug: acknowledged before a majority holds it, so a new leader can lack it.
            self.effects.push(Effect::Acknowledge { token, index });
        } else if let RoleState::Leader(leading) = &mut self.state {
            leading.proposals.insert(index, token);
        }
        for peer in self.peer_ids() {
            self.send_append(peer);
        }
        self.advance_commit();
    }

    /// Whether this server leads and may append a command of this size.
    fn can_propose(&self, bytes: usize) -> bool {
        // Only a leader may append (paper §5.3).
        let RoleState::Leader(leading) = &self.state else { return false };
        // The transfer target must reach the end of the log, so the end must not move
        // (thesis §3.10).
        if leading.transfer.is_some() {
            return false;
        }
        // Without a limit a leader cut off from its majority fills its memory. One entry always
        // fits, however large.
        let open = leading.uncommitted_bytes;
        open == 0 || open.saturating_add(bytes) <= MAX_UNCOMMITTED_BYTES
    }

    /// Appends an entry of the current term to the leader's own log.
    pub(super) fn append_entry(&mut self, payload: Payload) -> Index {
        let entry = self.log.append(self.term(), payload);
        let index = entry.index;
        if let RoleState::Leader(leading) = &mut self.state {
            leading.uncommitted_bytes += self.log.byte_size(index, index);
        }
        self.persist_changes(None, [entry].into());
        index
    }

    /// Handles a leader's tick: heartbeats, and the check for a quorum (thesis §6.2).
    pub(super) fn tick_leader(&mut self) {
        if self.config.varies(Variation::StepDownOften)
            && self.random.next_u64().is_multiple_of(STEP_DOWN_TICKS)
        {
            return self.become_follower(None);
        }
        let RoleState::Leader(leading) = &mut self.state else { return };
        let limit = self.config.election_ticks;
        let silent = |(id, peer): (&ServerId, &mut Progress)| (!peer.tick(limit)).then_some(*id);
        let silent: BTreeSet<ServerId> = leading.peers.iter_mut().filter_map(silent).collect();
        let bugs = self.config.bugs;
        let has_quorum = self.log.membership().has_quorum(bugs, |id| !silent.contains(&id));
        leading.heartbeat_elapsed += 1;
        let due = leading.heartbeat_elapsed >= self.config.heartbeat_ticks;
        // A leader that no majority answers steps down: its clients would wait forever, and the
        // followers that still hear it would elect no other leader (thesis §6.2; removed by the
        // three bugs named here).
        let unchecked = [Bug::LoneHeartbeats, Bug::NoCheckQuorum, Bug::StaleReads];
        if !has_quorum && !unchecked.into_iter().any(|bug| self.config.has_bug(bug)) {
            self.become_follower(None);
        } else if due {
            if self.config.varies(Variation::ExtraNoops) && !self.is_transferring() {
                self.append_entry(Payload::Noop);
            }
            self.broadcast_heartbeat();
            self.promote_joining();
        }
        self.expire_transfer();
    }

    /// Sends a heartbeat to every peer, and retransmits what seems lost.
    ///
    /// Entries do not replace the heartbeat: their acknowledgement waits for the peer's disk, and
    /// a peer with a slow disk must not look dead.
    pub(super) fn broadcast_heartbeat(&mut self) {
        let now = self.elapsed_ticks();
        let RoleState::Leader(leading) = &mut self.state else { return };
        leading.heartbeat_elapsed = 0;
        // With leases every heartbeat begins a round, so that its answers extend the lease.
        if self.config.lease_reads && leading.reads.start_empty_round(leading.reads.latest_round())
        {
            leading.lease.start_round(leading.reads.latest_round(), now);
        }
        if !self.config.has_bug(Bug::NoRetransmit) {
            leading.peers.values_mut().for_each(Progress::on_heartbeat);
        }
        for peer in self.peer_ids() {
            self.send_append(peer);
            self.send_heartbeat(peer);
            if self.config.varies(Variation::RepeatHeartbeats) {
                self.send_heartbeat(peer);
            }
        }
    }

    /// Announces a new leader at once: waiting for the first heartbeat would let others time out
    /// and campaign (paper §5.2).
    pub(super) fn announce_leadership(&mut self) {
        for peer in self.peer_ids() {
            if !self.send_append(peer) {
                self.send_heartbeat(peer);
            }
        }
    }

    /// Sends a peer the entries it lacks, as many messages as may be in flight; returns whether it
    /// sent any.
    pub(super) fn send_append(&mut self, to: ServerId) -> bool {
        let mut sent = false;
        while let Some(content) = self.next_append(to) {
            self.send_message(to, content, 0);
            sent = true;
        }
        sent
    }

    fn next_append(&mut self, to: ServerId) -> Option<Content> {
        let RoleState::Leader(LeaderState { peers, reads, .. }) = &mut self.state else {
            return None;
        };
        let progress = peers.get_mut(&to)?;
        let first = progress.next_index();
        // Seeded bug: without an entry of its own the leader sees nothing to send.
        if self.log.entries().is_empty() && self.config.has_bug(Bug::PurgedLeaderSilent) {
            return None;
        }
        // `<=`, as the entry at `start` is compacted too: sending from behind it would skip
        // entries that the peer lacks (paper §7).
        if first <= self.log.start_position().index {
            return self.next_snapshot_chunk(to);
        }
        let entries = if progress.can_send() { self.log.batch_from(first) } else { return None };
        progress.record_sent(entries.last()?.index);
        let previous = self.log.position_at(first.saturating_sub(1));
        Some(Content::AppendEntries(AppendEntries {
            previous,
            entries,
            commit: self.commit_index,
            round: reads.latest_round(),
        }))
    }

    /// Sends a heartbeat: an append without entries. It covers only what the peer is known to
    /// hold, so that the peer's answer does not wait for its disk.
    pub(super) fn send_heartbeat(&mut self, to: ServerId) {
        let RoleState::Leader(leading) = &self.state else { return };
        let Some(progress) = leading.peers.get(&to) else { return };
        let previous = self.log.position_at(progress.heartbeat_index());
        let (commit, round) = (self.commit_index, leading.reads.latest_round());
        let append = AppendEntries { previous, entries: [].into(), commit, round };
        self.send_message(to, Content::AppendEntries(append), 0);
    }

    /// Handles an acknowledgement: the peer's log matches up to `index`.
    pub(super) fn on_append_accepted(&mut self, from: ServerId, index: Index, round: u64) {
        let last = self.log.last_position().index;
        let RoleState::Leader(LeaderState { peers, reads, .. }) = &mut self.state else { return };
        // A server that is no member any more: its acknowledgements count for nothing.
        let Some(progress) = peers.get_mut(&from) else { return };
        let late = self.config.has_bug(Bug::LateReplyConfirms);
        progress.record_reply(if late { reads.latest_round() } else { round });
        if progress.accept_in_round(round, reads.latest_round(), index.min(last)) {
            self.advance_commit();
        }
        self.complete_read_round();
        self.send_append(from);
        self.continue_transfer();
    }

    /// Handles a rejection: searches, a term at a time, for a position at which the logs match.
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
        let acknowledged = progress.match_index();
        if progress.has_lost_entries(rejected, round) {
            // The peer lacks what it acknowledged: its disk lost entries. Its acknowledgements so
            // far must not commit anything more.
            progress.reset_after_loss(hint.index, round);
            self.effects.push(Effect::PeerLostEntries { peer: from, acknowledged, rejected });
        } else if rejected <= acknowledged {
            // Either a late reply or the first sign of a loss. A new round tells: an answer to it
            // was sent after the acknowledgement.
            reads.start_empty_round(round);
        } else if self.config.has_bug(Bug::MatchFromHint) {
            progress.record_accepted(hint.index);
        } else if hint.index + 1 < rejected && self.config.has_bug(Bug::BacktrackOnce) {
            // Seeded bug: only the entry just before is tried.
        } else {
            let near = rejected.saturating_sub(hint.index) <= MAX_LINEAR_STEPS;
            let singly = near && self.config.varies(Variation::LinearBacktracking);
            let hint = if singly { rejected.saturating_sub(1) } else { hint.index };
            progress.record_rejected(rejected, hint);
        }
        self.complete_read_round();
        self.send_append(from);
    }
}
