//! Serves linearizable reads by lease, without asking a majority each time (thesis §6.4.1).
//!
//! A server that acknowledges a leader gives no vote for an election timeout. Neither does a
//! server that has just started, as it may have acknowledged a leader before. So no other server
//! can win an election before a majority's timeouts end, counted from when the acknowledged
//! message was *sent*. The lease is a fifth shorter, which bounds the difference in clock rates.
//! It is measured in real time, which includes missed ticks.

use super::effect::Effect;
use super::role::RoleState;
use super::server::Raft;
use super::types::Token;
use crate::bug::Bug;

impl Raft {
    /// Records time that passed without ticks. It ends leases but not election timeouts: a server
    /// that was paused has not waited for its leader.
    pub(super) fn add_missed_ticks(&mut self, ticks: u64) {
        self.missed_ticks = self.missed_ticks.saturating_add(ticks);
    }

    /// Returns the real time since this server started, in ticks.
    pub(super) fn elapsed_ticks(&self) -> u64 {
        let counts_missed = !self.config.has_bug(Bug::LeaseCountsTicks);
        self.ticks.saturating_add(if counts_missed { self.missed_ticks } else { 0 })
    }

    /// Returns the length of a lease: the minimum election timeout less a fifth for clocks of
    /// different rates, and less two ticks of rounding. A lease as long as the timeout could
    /// outlive the followers' promise.
    fn lease_duration(&self) -> u64 {
        (u64::from(self.config.election_ticks) * 4 / 5).saturating_sub(2)
    }

    /// Extends the lease after a majority has answered a round.
    pub(super) fn extend_lease(&mut self, round: u64) {
        let length = self.lease_duration();
        let now = self.elapsed_ticks();
        let since = self.config.has_bug(Bug::LeaseFromReply).then_some(now);
        if let RoleState::Leader(leading) = &mut self.state {
            leading.lease.confirm_round(round, since, length);
        }
    }

    /// Handles a client's read that a lease may serve; without a lease it is read like any other.
    pub(super) fn read_with_lease(&mut self, token: Token) {
        if self.holds_lease() {
            self.effects.push(Effect::ReadReady { token, index: self.commit_index });
        } else {
            self.handle_read(token);
        }
    }

    /// Whether no other server can be leader at this moment.
    pub(super) fn holds_lease(&self) -> bool {
        let RoleState::Leader(leading) = &self.state else { return false };
        self.config.lease_reads
            // Real time, not counted ticks: after a pause the ticks lag, and another leader may
            // have committed writes that this server has not seen.
            && leading.lease.is_valid_at(self.elapsed_ticks())
            // Without a committed entry of its term, a leader's commit index can be behind what
            // earlier leaders acknowledged (thesis §6.4, step 1).
            && self.has_committed_in_term()
    }

    /// Whether a leader may hold a lease that depends on this server. Measured in ticks, which
    /// never run ahead of real time, so the promise is never cut short.
    pub(super) fn withholds_votes(&self) -> bool {
        self.config.lease_reads && self.ticks < self.withhold_votes_until
    }

    /// Withholds votes for an election timeout, after hearing the leader. Unlike `leader`, this
    /// survives a change of term: a StaleTerm message must not end the promise early.
    pub(super) fn withhold_votes(&mut self) {
        self.withhold_votes_until =
            self.ticks.saturating_add(u64::from(self.config.election_ticks));
    }
}
