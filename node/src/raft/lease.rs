//! Serves reads for a while after a majority was heard, without asking it again (thesis §6.4.1).
//!
//! Whoever answers a leader gives no vote for an election timeout from then on, and neither does whoever has just
//! started, as it may have answered before: so nobody else can lead until a majority's timeouts are over, counted
//! from when the answered message was *sent*. The lease is shorter than that by a fifth, which is how much clocks may
//! differ in rate. It is counted in time that has really passed ([`Raft::sleep`]), never in ticks that were counted;
//! and whoever has told another to stand holds no lease any more in its term, as the vote for that is not withheld.

use super::role::RoleState;
use super::{Effect, Raft, Token};
use alloc::collections::VecDeque;

/// What a leader remembers of its lease.
#[derive(Debug, Default)]
pub(super) struct Lease {
    /// The rounds that began, and when, oldest first.
    rounds: VecDeque<(u64, u64)>,
    /// Until when it holds.
    valid_until: u64,
    /// Whether another has been told to stand in this term.
    revoked: bool,
}

impl Lease {
    /// Notes that a round begins: what carries its number leaves now or later.
    pub(super) fn start_round(&mut self, round: u64, now: u64) {
        self.rounds.push_back((round, now));
    }

    /// Notes that a majority has answered a round.
    fn confirm_round(&mut self, round: u64, length: u64) {
        while let Some((_, began)) = self.rounds.pop_front_if(|(begun, _)| *begun <= round) {
            self.valid_until = self.valid_until.max(began.saturating_add(length));
        }
    }

    /// Gives it up for good.
    pub(super) fn revoke(&mut self) {
        self.revoked = true;
    }
}

impl Raft {
    /// Time has passed in which this server was not awake: it counts for promises, not for patience.
    pub(super) fn add_missed_ticks(&mut self, ticks: u64) {
        self.missed_ticks = self.missed_ticks.saturating_add(ticks);
    }

    /// The time that has passed since this server started, in ticks.
    pub(super) fn elapsed_ticks(&self) -> u64 {
        self.ticks.saturating_add(self.missed_ticks)
    }

    /// How long a majority's answer holds: the shortest election timeout less a fifth, and less the two ticks by
    /// which times may be rounded.
    fn lease_duration(&self) -> u64 {
        (u64::from(self.config.election_ticks) * 4 / 5).saturating_sub(2)
    }

    /// Hears that a majority has answered a round.
    pub(super) fn extend_lease(&mut self, round: u64) {
        let length = self.lease_duration();
        if let RoleState::Leader(leading) = &mut self.state {
            leading.lease.confirm_round(round, length);
        }
    }

    /// A client's read that may be served by lease; it is served like any other where none holds.
    pub(super) fn read_with_lease(&mut self, token: Token) {
        if self.holds_lease() {
            self.effects.push(Effect::ReadReady { token, index: self.commit_index });
        } else {
            self.read(token);
        }
    }

    /// Whether nobody else can lead at this moment.
    pub(super) fn holds_lease(&self) -> bool {
        let RoleState::Leader(leading) = &self.state else { return false };
        self.config.lease_reads
            && !leading.lease.revoked
            && self.elapsed_ticks() < leading.lease.valid_until
            && self.has_committed_in_term()
    }

    /// Whether this server may have let a leader count on it not long ago: counted in its own ticks, which are never
    /// ahead of the time.
    pub(super) fn withholds_votes(&self) -> bool {
        self.config.lease_reads && self.ticks < self.withhold_votes_until
    }

    /// Lets the leader that was just heard count on this server.
    pub(super) fn withhold_votes(&mut self) {
        self.withhold_votes_until =
            self.ticks.saturating_add(u64::from(self.config.election_ticks));
    }
}
