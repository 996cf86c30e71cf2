//! Tracks what a leader knows of one peer's log: `next` is always above `matched`, and `matched`
//! only grows unless the peer lost entries.
//!
//! A peer is *probed* with one message at a time until a position is found at which the logs
//! match. Then entries are *replicated* with several messages in flight. Late and repeated
//! replies change nothing. (etcd-raft's `tracker.Progress` has the same states.)

use super::types::Index;
use alloc::collections::VecDeque;

/// The most messages with entries in flight to one peer.
const MAX_IN_FLIGHT: usize = 16;
/// After how many heartbeats entries count as lost although the peer answers heartbeats: its disk
/// may be slow.
const MAX_STALLED_HEARTBEATS: u32 = 4;

/// How entries are sent.
#[derive(Debug, PartialEq, Eq)]
enum Mode {
    /// The position at which the logs match is unknown.
    Probe {
        /// Whether a message is in flight.
        sent: bool,
    },
    /// The position is known; `next` runs ahead of what was acknowledged.
    Replicate {
        /// The last index of each message in flight.
        in_flight: VecDeque<Index>,
        /// Whether any of them was acknowledged since the last heartbeat.
        progressed: bool,
    },
    /// The peer needs entries that only the snapshot still contains.
    Snapshot {
        /// The last entry of the snapshot.
        last: Index,
        /// How many of its bytes the peer has.
        offset: u64,
        /// Whether a chunk is in flight.
        sent: bool,
    },
}

/// A leader's view of one peer.
#[derive(Debug)]
pub(super) struct Progress {
    matched: Index,
    next: Index,
    mode: Mode,
    /// The latest read round that the peer answered.
    round: u64,
    /// Ticks since the peer's last reply in this term.
    ticks_since_reply: u32,
    /// Whether the peer replied since the last heartbeat.
    replied: bool,
    /// Heartbeats since entries were last sent or acknowledged.
    stalled_heartbeats: u32,
    /// The latest round that had begun when `matched` last grew.
    matched_round: u64,
    /// Acknowledgements of earlier rounds may be from before the peer lost its disk.
    min_trusted_round: u64,
}

impl Progress {
    /// Creates the view of a new leader. It assumes that the peer's log is equal up to `last`; the
    /// first probe corrects that.
    pub(super) fn new(last: Index) -> Self {
        Self {
            matched: 0,
            next: last.saturating_add(1),
            mode: Mode::Probe { sent: false },
            round: 0,
            ticks_since_reply: 0,
            replied: false,
            stalled_heartbeats: 0,
            matched_round: 0,
            min_trusted_round: 0,
        }
    }

    /// Returns up to where the peer durably holds the leader's log.
    pub(super) fn match_index(&self) -> Index {
        self.matched
    }

    /// Returns the first entry to send next.
    pub(super) fn next_index(&self) -> Index {
        self.next
    }

    /// Returns the latest read round that the peer answered.
    pub(super) fn answered_round(&self) -> u64 {
        self.round
    }

    /// Returns the position that a heartbeat covers: what is known to match, so that the answer
    /// waits for no disk; or the open probe, if no entries carry it.
    pub(super) fn heartbeat_index(&self) -> Index {
        match self.mode {
            Mode::Probe { sent: false } => self.next.saturating_sub(1),
            Mode::Probe { sent: true } | Mode::Replicate { .. } | Mode::Snapshot { .. } => {
                self.matched
            }
        }
    }

    /// Whether entries may be sent now.
    pub(super) fn can_send(&self) -> bool {
        match &self.mode {
            // More messages behind an unmatched position would all be rejected.
            Mode::Probe { sent } => !sent,
            Mode::Replicate { in_flight, .. } => in_flight.len() < MAX_IN_FLIGHT,
            // The peer rejects entries until it has the snapshot.
            Mode::Snapshot { .. } => false,
        }
    }

    /// Returns the offset of the next chunk of the snapshot that ends at `last`, if one may be
    /// sent now; records it as in flight.
    pub(super) fn next_chunk_offset(&mut self, last: Index) -> Option<u64> {
        match &mut self.mode {
            Mode::Snapshot { last: same, offset, sent } if *same == last => {
                let free = !core::mem::replace(sent, true);
                free.then_some(*offset)
            }
            // Another snapshot starts from the beginning: chunks of two do not fit together.
            mode => {
                *mode = Mode::Snapshot { last, offset: 0, sent: true };
                self.stalled_heartbeats = 0;
                Some(0)
            }
        }
    }

    /// Records how much of the snapshot that ends at `last` the peer has; less than before if the
    /// peer restarted. A repeated reply sends no chunk twice.
    pub(super) fn record_chunk(&mut self, last: Index, size: u64) {
        if let Mode::Snapshot { last: same, offset, sent } = &mut self.mode
            && *same == last
            && *offset != size
        {
            (*offset, *sent, self.stalled_heartbeats) = (size, false, 0);
        }
    }

    /// Whether a snapshot is being sent to the peer, and the peer replied within `limit` ticks.
    pub(super) fn is_receiving_snapshot(&self, limit: u32) -> bool {
        matches!(self.mode, Mode::Snapshot { .. }) && self.ticks_since_reply < limit
    }

    /// Records that everything from `next` up to `last` is in flight.
    pub(super) fn record_sent(&mut self, last: Index) {
        match &mut self.mode {
            Mode::Probe { sent } => {
                *sent = true;
                self.stalled_heartbeats = 0;
            }
            Mode::Replicate { in_flight, progressed } => {
                *progressed |= in_flight.is_empty();
                in_flight.push_back(last);
                self.next = last.saturating_add(1);
            }
            Mode::Snapshot { .. } => {}
        }
    }

    /// Records that the peer is alive and answered a round. Rounds only grow: a delayed answer to
    /// an older round must not take back a newer one.
    pub(super) fn record_reply(&mut self, round: u64) {
        self.ticks_since_reply = 0;
        self.replied = true;
        self.round = self.round.max(round);
    }

    /// Records one tick; returns whether the peer replied within `limit` ticks.
    pub(super) fn tick(&mut self, limit: u32) -> bool {
        self.ticks_since_reply = self.ticks_since_reply.saturating_add(1);
        self.replied_within(limit)
    }

    /// Whether the peer replied within `limit` ticks.
    pub(super) fn replied_within(&self, limit: u32) -> bool {
        self.ticks_since_reply < limit
    }

    /// Records an acknowledgement of a round, while `current` is the latest; returns whether
    /// `matched` grew.
    pub(super) fn accept_in_round(&mut self, round: u64, current: u64, index: Index) -> bool {
        // A delayed acknowledgement from before the peer lost its disk would count entries that
        // it no longer holds.
        let grew = round >= self.min_trusted_round && self.record_accepted(index);
        if grew {
            self.matched_round = current;
        }
        grew
    }

    /// Whether a peer that lacks the entry `rejected` has lost what it acknowledged. The answered
    /// message must have been sent after the acknowledgement arrived; a reply to an earlier one
    /// may only be late.
    pub(super) fn has_lost_entries(&self, rejected: Index, round: u64) -> bool {
        rejected <= self.matched && round > self.matched_round
    }

    /// Starts over with a peer that lost entries.
    ///
    /// What was committed with its acknowledgement stays committed: the commit index never falls.
    /// From now on the peer counts for less, so that it can commit only less.
    pub(super) fn reset_after_loss(&mut self, hint: Index, round: u64) {
        self.matched = 0;
        self.min_trusted_round = round;
        self.probe_from(hint);
    }

    /// Records that the logs match up to `index`; returns whether `matched` grew.
    pub(super) fn record_accepted(&mut self, index: Index) -> bool {
        // `matched` is monotonic: a delayed acknowledgement must not lower it, or the commit rule
        // would count this peer for less than it holds.
        if index <= self.matched {
            return false;
        }
        self.matched = index;
        self.next = self.next.max(index.saturating_add(1));
        match &mut self.mode {
            Mode::Probe { .. } | Mode::Snapshot { .. } => {
                self.next = index.saturating_add(1);
                self.mode = Mode::Replicate { in_flight: VecDeque::new(), progressed: true };
            }
            Mode::Replicate { in_flight, progressed } => {
                *progressed = true;
                in_flight.retain(|last| *last > index);
            }
        }
        true
    }

    /// Records that the peer lacks the entry `rejected`, and that the logs may match up to `hint`.
    pub(super) fn record_rejected(&mut self, rejected: Index, hint: Index) {
        // Only the rejection of the message in flight counts. A delayed one would move `next`
        // back again and again, and replication would not get on.
        let expected = match self.mode {
            Mode::Probe { .. } => rejected.checked_add(1) == Some(self.next),
            Mode::Replicate { .. } => rejected < self.next,
            Mode::Snapshot { .. } => false,
        };
        if expected && rejected > self.matched {
            // At least one step back, whatever the hint says, so that the search ends.
            self.probe_from(hint.min(rejected.saturating_sub(1)));
        }
    }

    /// Handles a heartbeat interval: what was not answered in it counts as lost. A peer that
    /// answers heartbeats gets longer: it may hold all entries and wait for its disk.
    pub(super) fn on_heartbeat(&mut self) {
        self.stalled_heartbeats = self.stalled_heartbeats.saturating_add(1);
        let lost = !core::mem::take(&mut self.replied)
            || self.stalled_heartbeats >= MAX_STALLED_HEARTBEATS;
        match &mut self.mode {
            Mode::Probe { sent } | Mode::Snapshot { sent, .. } => *sent &= !lost,
            Mode::Replicate { in_flight, progressed } if *progressed || in_flight.is_empty() => {
                *progressed = false;
                self.stalled_heartbeats = 0;
            }
            Mode::Replicate { .. } if lost => self.probe_from(self.matched),
            Mode::Replicate { .. } => {}
        }
    }

    fn probe_from(&mut self, position: Index) {
        // Never behind `matched`: those entries are acknowledged.
        self.next = position.max(self.matched).saturating_add(1);
        self.mode = Mode::Probe { sent: false };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replicating_progress(matched: Index) -> Progress {
        let mut progress = Progress::new(matched);
        assert!(progress.record_accepted(matched));
        progress
    }

    #[test]
    fn a_probe_is_sent_once_until_a_reply_or_a_heartbeat() {
        let mut progress = Progress::new(5);
        progress.record_sent(6);
        assert_eq!(
            (progress.can_send(), progress.next_index(), progress.heartbeat_index()),
            (false, 6, 0)
        );
        progress.on_heartbeat();
        assert!(progress.can_send());
    }

    #[test]
    fn the_window_fills_and_empties() {
        let mut progress = replicating_progress(5);
        for last in 6..6 + MAX_IN_FLIGHT as Index {
            assert!(progress.can_send());
            progress.record_sent(last);
        }
        assert!(!progress.can_send());
        assert!(progress.record_accepted(7) && progress.can_send());
        assert_eq!(
            (progress.match_index(), progress.heartbeat_index(), progress.next_index()),
            (7, 7, 22)
        );
    }

    #[test]
    fn late_and_repeated_replies_change_nothing() {
        let mut progress = replicating_progress(5);
        progress.record_sent(8);
        progress.record_rejected(5, 2);
        progress.record_rejected(20, 2);
        assert!(!progress.record_accepted(5) && !progress.record_accepted(3));
        assert_eq!((progress.match_index(), progress.next_index()), (5, 9));
        progress.record_rejected(8, 4);
        assert_eq!(
            (progress.match_index(), progress.next_index(), progress.can_send()),
            (5, 6, true)
        );
        progress.record_sent(8);
        progress.record_rejected(8, 4);
        assert!(!progress.can_send());
    }

    #[test]
    fn a_hint_beyond_the_rejected_index_still_steps_back() {
        let mut progress = Progress::new(9);
        progress.record_rejected(9, 30);
        assert_eq!(progress.next_index(), 9);
        progress.record_rejected(8, 3);
        assert_eq!(progress.next_index(), 4);
    }

    #[test]
    fn two_heartbeats_without_a_reply_mean_loss() {
        let mut progress = replicating_progress(5);
        progress.record_sent(7);
        progress.on_heartbeat();
        assert_eq!(progress.next_index(), 8);
        progress.on_heartbeat();
        assert_eq!((progress.next_index(), progress.can_send()), (6, true));
    }

    #[test]
    fn only_a_reply_to_a_later_message_shows_a_loss() {
        let mut progress = Progress::new(5);
        assert!(progress.accept_in_round(0, 3, 5));
        assert!(
            !progress.has_lost_entries(5, 3)
                && !progress.has_lost_entries(6, 4)
                && progress.has_lost_entries(5, 4)
        );
        progress.reset_after_loss(2, 4);
        assert_eq!(
            (progress.match_index(), progress.next_index(), progress.can_send()),
            (0, 3, true)
        );
        assert!(!progress.accept_in_round(3, 4, 5) && progress.accept_in_round(4, 4, 5));
    }

    #[test]
    fn a_peer_that_answers_heartbeats_gets_longer() {
        let mut progress = replicating_progress(5);
        progress.record_sent(7);
        let mut heartbeats_until_free = || {
            (1..).find(|_| {
                progress.record_reply(0);
                progress.on_heartbeat();
                progress.next_index() == 6 && progress.can_send()
            })
        };
        assert_eq!(heartbeats_until_free(), Some(MAX_STALLED_HEARTBEATS + 1));
        progress.record_sent(7);
        for _ in 1..MAX_STALLED_HEARTBEATS {
            progress.record_reply(0);
            progress.on_heartbeat();
            assert!(!progress.can_send());
        }
        progress.on_heartbeat();
        assert!(progress.can_send());
    }
}
