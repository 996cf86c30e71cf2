//! Sends the log to the other servers: as leader, appends, batches, pipelines, backs up and
//! repeats.
//!
//! A leader only ever appends to its own log (paper, *leader append-only*), sends entries before
//! its own disk has them, and counts itself only when it does (thesis §10.2.1).

use super::progress::Progress;
use super::role::{Leading, State};
use super::{Bug, Content, Effect, Index, Payload, Position, Raft, ServerId, Token, log};
use alloc::collections::BTreeSet;

/// The most bytes that may wait for a majority before a leader takes no more.
const MOST_UNCOMMITTED: usize = 16 << 20;

impl Raft {
    /// A client's command.
    pub(super) fn propose(&mut self, token: Token, command: alloc::vec::Vec<u8>) {
        if !self.has_room(log::weight(command.len())) {
            return self.effects.push(Effect::Refused { token, leader: self.leader });
        }
        let index = self.append_own(Payload::Command(command));
        if self.config.has(Bug::EarlyAck) {
            self.effects.push(Effect::Acknowledge { token, index });
        } else if let State::Leader(leading) = &mut self.state {
            leading.proposals.insert(index, token);
        }
        for peer in self.peer_list() {
            self.feed(peer);
        }
        self.advance_commit();
    }

    /// Whether this server leads and so much more may wait for a majority.
    fn has_room(&self, weight: usize) -> bool {
        let State::Leader(leading) = &self.state else { return false };
        if leading.transfer.is_some() {
            return false;
        }
        let open = leading.uncommitted;
        open == 0 || open.saturating_add(weight) <= MOST_UNCOMMITTED
    }

    /// Appends an entry of the leader's own term.
    pub(super) fn append_own(&mut self, payload: Payload) -> Index {
        let entry = self.log.push(self.term(), payload);
        let index = entry.index;
        if let State::Leader(leading) = &mut self.state {
            leading.uncommitted += self.log.weight(index, index);
        }
        self.persist(None, [entry].into());
        index
    }

    /// Heartbeats, and steps down where no majority answers for an election timeout (thesis §6.2).
    pub(super) fn tick_as_leader(&mut self) {
        let State::Leader(leading) = &mut self.state else { return };
        let limit = self.config.election_ticks;
        let silent = |(id, peer): (&ServerId, &mut Progress)| (!peer.tick(limit)).then_some(*id);
        let silent: BTreeSet<ServerId> = leading.peers.iter_mut().filter_map(silent).collect();
        let heard = self.log.membership().agree(|id| !silent.contains(&id));
        leading.since_heartbeat += 1;
        let due = leading.since_heartbeat >= self.config.heartbeat_ticks;
        let deaf = [Bug::LoneHeartbeats, Bug::NoCheckQuorum, Bug::StaleReads];
        if !heard && !deaf.into_iter().any(|bug| self.config.has(bug)) {
            self.follow(None);
        } else if due {
            self.beat();
            self.promote();
        }
        self.age_transfer();
    }

    /// Says to every peer that this server leads, and again what is taken for lost.
    ///
    /// Entries do not stand in for the heartbeat: their answer waits for the peer's disk, and a
    /// peer that is alive must not look silent because its disk is slow.
    pub(super) fn beat(&mut self) {
        let now = self.clock();
        let State::Leader(leading) = &mut self.state else { return };
        leading.since_heartbeat = 0;
        if self.config.lease && leading.rounds.ask_again(leading.rounds.current()) {
            leading.lease.begins(leading.rounds.current(), now);
        }
        leading.peers.values_mut().for_each(super::progress::Progress::beat);
        for peer in self.peer_list() {
            self.feed(peer);
            self.heartbeat(peer);
        }
    }

    /// Says to every peer that this server leads from now on.
    pub(super) fn announce(&mut self) {
        for peer in self.peer_list() {
            if !self.feed(peer) {
                self.heartbeat(peer);
            }
        }
    }

    /// Sends a peer the entries it lacks, as many messages as may be under way; false if none.
    pub(super) fn feed(&mut self, to: ServerId) -> bool {
        let mut fed = false;
        while let Some(content) = self.next_batch(to) {
            self.send(to, content, 0);
            fed = true;
        }
        fed
    }

    fn next_batch(&mut self, to: ServerId) -> Option<Content> {
        let State::Leader(Leading { peers, rounds, .. }) = &mut self.state else { return None };
        let progress = peers.get_mut(&to)?;
        let first = progress.next();
        if first <= self.log.start().index {
            return self.next_piece(to);
        }
        let entries = if progress.is_free() { self.log.batch(first) } else { return None };
        progress.sent(entries.last()?.index);
        let previous = self.log.position(first.saturating_sub(1));
        Some(Content::Append {
            previous,
            entries,
            commit: self.commit_index,
            round: rounds.current(),
        })
    }

    /// Sends a peer an append without entries.
    ///
    /// It speaks of what the peer is known to have, so the answer need not wait for the peer's
    /// disk.
    pub(super) fn heartbeat(&mut self, to: ServerId) {
        let State::Leader(leading) = &self.state else { return };
        let Some(progress) = leading.peers.get(&to) else { return };
        let previous = self.log.position(progress.anchor());
        let (commit, round) = (self.commit_index, leading.rounds.current());
        let content = Content::Append { previous, entries: [].into(), commit, round };
        self.send(to, content, 0);
    }

    /// Hears that a peer agrees up to `index`.
    pub(super) fn on_matched(&mut self, from: ServerId, index: Index, round: u64) {
        let last = self.log.last().index;
        let State::Leader(Leading { peers, rounds, .. }) = &mut self.state else { return };
        let Some(progress) = peers.get_mut(&from) else { return };
        progress.heard(round);
        if progress.agree_in(round, rounds.current(), index.min(last)) {
            self.advance_commit();
        }
        self.confirm_round();
        self.feed(from);
        self.press_transfer();
    }

    /// Hears that a peer lacks an entry: looks for a place where the logs agree, a term at a time.
    pub(super) fn on_conflict(
        &mut self,
        from: ServerId,
        rejected: Index,
        hint: Position,
        round: u64,
    ) {
        let hint = self.log.last_that_could_match(hint);
        let State::Leader(Leading { peers, rounds, .. }) = &mut self.state else { return };
        let Some(progress) = peers.get_mut(&from) else { return };
        progress.heard(round);
        let acknowledged = progress.matched();
        if progress.has_lost(rejected, round) {
            progress.begin_anew(hint.index, round);
            self.effects.push(Effect::LostEntries { peer: from, acknowledged, rejected });
        } else if rejected <= acknowledged {
            rounds.ask_again(round);
        } else {
            progress.disagree(rejected, hint.index);
        }
        self.confirm_round();
        self.feed(from);
    }
}
