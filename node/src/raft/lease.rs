//! Defines a leader's lease: until when a majority gives no vote to another server.

use alloc::collections::VecDeque;

/// A leader's lease in its term.
#[derive(Debug, Default)]
pub(super) struct Lease {
    /// The rounds that no majority has answered yet, and when each began, oldest first.
    rounds: VecDeque<(u64, u64)>,
    /// The time at which the lease ends.
    valid_until: u64,
    /// Whether this leader sent TimeoutNow in this term.
    revoked: bool,
}

impl Lease {
    /// Records that a round begins: messages with its number leave now or later.
    pub(super) fn start_round(&mut self, round: u64, now: u64) {
        self.rounds.push_back((round, now));
    }

    /// Extends the lease after a majority has answered a round. With `since`, a seeded bug counts
    /// it from then.
    pub(super) fn confirm_round(&mut self, round: u64, since: Option<u64>, length: u64) {
        while let Some((_, began)) = self.rounds.pop_front_if(|(begun, _)| *begun <= round) {
            // Counted from when the round began, not from when its answers arrived: followers
            // began to withhold votes before they answered (thesis §6.4.1).
            let since = since.unwrap_or(began);
            self.valid_until = self.valid_until.max(since.saturating_add(length));
        }
    }

    /// Ends the lease for the rest of the term.
    pub(super) fn revoke(&mut self) {
        self.revoked = true;
    }

    /// Whether the lease holds at this time.
    pub(super) fn is_valid_at(&self, now: u64) -> bool {
        !self.revoked && now < self.valid_until
    }
}
