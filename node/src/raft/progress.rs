//! Follows what the leader knows of one peer: `next` is never behind `matched`, and `matched` only
//! grows while the peer keeps what it acknowledged.
//!
//! A peer is *probed*, one message at a time, until a place is found at which the logs agree, and
//! then *replicated* to with several messages under way. What a message says late or twice falls
//! through.

use super::Index;
use alloc::collections::VecDeque;

/// The most messages with entries that may be under way to one peer.
const MAX_IN_FLIGHT: usize = 16;
/// After how many heartbeats entries are taken for lost though the peer answers those: its disk may
/// be slow.
const MAX_STALLED_HEARTBEATS: u32 = 4;

/// How entries are sent.
#[derive(Debug, PartialEq, Eq)]
enum Mode {
    /// The place where the logs agree is not known.
    Probe {
        /// Whether a message is under way.
        sent: bool,
    },
    /// The place is known; `next` runs ahead of what was answered.
    Replicate {
        /// The last index of each message under way.
        in_flight: VecDeque<Index>,
        /// Whether any of them was answered since the last heartbeat.
        progressed: bool,
    },
    /// The peer lacks what only a snapshot still holds, and gets that piece by piece.
    Snapshot {
        /// The last entry that the snapshot stands for.
        last: Index,
        /// How much of it the peer has.
        offset: u64,
        /// Whether a piece is under way.
        sent: bool,
    },
}

/// What the leader knows of one peer.
#[derive(Debug)]
pub(super) struct Progress {
    matched: Index,
    next: Index,
    mode: Mode,
    /// The latest read round that the peer answered.
    round: u64,
    /// Ticks since the peer answered anything in this term.
    ticks_since_reply: u32,
    /// Whether the peer answered anything since the last heartbeat.
    replied: bool,
    /// Heartbeats since entries were last sent or answered.
    stalled_heartbeats: u32,
    /// The latest round that had begun when `matched` last grew.
    matched_round: u64,
    /// Answers to earlier rounds than this may be those of a disk that is gone.
    min_trusted_round: u64,
}

impl Progress {
    /// A peer of which a new leader knows nothing; it supposes that the logs are equal up to
    /// `last`.
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

    /// Up to where the peer durably has the leader's log.
    pub(super) fn matched(&self) -> Index {
        self.matched
    }

    /// The first entry to send next.
    pub(super) fn next(&self) -> Index {
        self.next
    }

    /// The latest read round that the peer answered.
    pub(super) fn round(&self) -> u64 {
        self.round
    }

    /// What a heartbeat speaks of: what is known to agree, so that the answer waits for no disk; or
    /// the question that is open, where no entries ask it.
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
            Mode::Probe { sent } => !sent,
            Mode::Replicate { in_flight, .. } => in_flight.len() < MAX_IN_FLIGHT,
            Mode::Snapshot { .. } => false,
        }
    }

    /// From where to send the snapshot that ends at `last`, if a piece may be sent now; notes that
    /// it is under way.
    pub(super) fn next_chunk_offset(&mut self, last: Index) -> Option<u64> {
        match &mut self.mode {
            Mode::Snapshot { last: same, offset, sent } if *same == last => {
                let free = !core::mem::replace(sent, true);
                free.then_some(*offset)
            }
            mode => {
                *mode = Mode::Snapshot { last, offset: 0, sent: true };
                self.stalled_heartbeats = 0;
                Some(0)
            }
        }
    }

    /// Notes how much of the snapshot that ends at `last` the peer has: less than before, if it has
    /// started anew.
    pub(super) fn record_chunk(&mut self, last: Index, size: u64) {
        if let Mode::Snapshot { last: same, offset, sent } = &mut self.mode
            && *same == last
            && *offset != size
        {
            (*offset, *sent, self.stalled_heartbeats) = (size, false, 0);
        }
    }

    /// Whether a snapshot is on its way to the peer, who has answered not long ago.
    pub(super) fn is_receiving_snapshot(&self, limit: u32) -> bool {
        matches!(self.mode, Mode::Snapshot { .. }) && self.ticks_since_reply < limit
    }

    /// Notes that everything from `next` up to `last` is under way.
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

    /// Notes that the peer is there and answered a round.
    pub(super) fn record_reply(&mut self, round: u64) {
        self.ticks_since_reply = 0;
        self.replied = true;
        self.round = self.round.max(round);
    }

    /// Notes that a tick has passed, and says whether the peer has been silent for less than
    /// `limit`.
    pub(super) fn tick(&mut self, limit: u32) -> bool {
        self.ticks_since_reply = self.ticks_since_reply.saturating_add(1);
        self.replied_within(limit)
    }

    /// Whether the peer has been silent for less than so many ticks.
    pub(super) fn replied_within(&self, limit: u32) -> bool {
        self.ticks_since_reply < limit
    }

    /// Notes the same of an answer that was asked in a round, while `current` is the latest.
    pub(super) fn accept_in_round(&mut self, round: u64, current: u64, index: Index) -> bool {
        let news = round >= self.min_trusted_round && self.accept(index);
        if news {
            self.matched_round = current;
        }
        news
    }

    /// Whether a peer that lacks the entry `rejected` of a question in this round has lost what it
    /// had acknowledged: the question was asked when it already had, in this term, in which its log
    /// only follows the leader's. (An earlier question may have been answered late.)
    pub(super) fn has_lost_entries(&self, rejected: Index, round: u64) -> bool {
        rejected <= self.matched && round > self.matched_round
    }

    /// Begins anew with a peer that has lost entries.
    ///
    /// What it once had may have been counted, and what was committed by that stays committed: the
    /// commit index never falls. From here on it counts for less, and so can commit only less.
    pub(super) fn reset_after_loss(&mut self, hint: Index, round: u64) {
        self.matched = 0;
        self.min_trusted_round = round;
        self.probe_from(hint);
    }

    /// Notes that the logs agree up to `index`; false if that is no news.
    pub(super) fn accept(&mut self, index: Index) -> bool {
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

    /// Notes that the peer lacks the entry `rejected`, and that the logs may agree up to `hint`;
    /// does nothing if that was answered before or since.
    pub(super) fn reject(&mut self, rejected: Index, hint: Index) {
        let asked = match self.mode {
            Mode::Probe { .. } => rejected.checked_add(1) == Some(self.next),
            Mode::Replicate { .. } => rejected < self.next,
            Mode::Snapshot { .. } => false,
        };
        if asked && rejected > self.matched {
            self.probe_from(hint.min(rejected.saturating_sub(1)));
        }
    }

    /// At a heartbeat: takes what was not answered since the last one for lost. A peer that answers
    /// heartbeats is given longer: it may have everything, and wait for its disk.
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

    fn probe_from(&mut self, place: Index) {
        self.next = place.max(self.matched).saturating_add(1);
        self.mode = Mode::Probe { sent: false };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replicating(matched: Index) -> Progress {
        let mut progress = Progress::new(matched);
        assert!(progress.accept(matched));
        progress
    }

    #[test]
    fn a_probe_is_sent_once_until_it_is_answered_or_a_heartbeat_passes() {
        let mut progress = Progress::new(5);
        progress.record_sent(6);
        assert_eq!(
            (progress.can_send(), progress.next(), progress.heartbeat_index()),
            (false, 6, 0)
        );
        progress.on_heartbeat();
        assert!(progress.can_send());
    }

    #[test]
    fn the_window_fills_and_empties() {
        let mut progress = replicating(5);
        for last in 6..6 + MAX_IN_FLIGHT as Index {
            assert!(progress.can_send());
            progress.record_sent(last);
        }
        assert!(!progress.can_send());
        assert!(progress.accept(7) && progress.can_send());
        assert_eq!((progress.matched(), progress.heartbeat_index(), progress.next()), (7, 7, 22));
    }

    #[test]
    fn what_comes_late_or_twice_changes_nothing() {
        let mut progress = replicating(5);
        progress.record_sent(8);
        progress.reject(5, 2);
        progress.reject(20, 2);
        assert!(!progress.accept(5) && !progress.accept(3));
        assert_eq!((progress.matched(), progress.next()), (5, 9));
        progress.reject(8, 4);
        assert_eq!((progress.matched(), progress.next(), progress.can_send()), (5, 6, true));
        progress.record_sent(8);
        progress.reject(8, 4);
        assert!(!progress.can_send());
    }

    #[test]
    fn a_hint_beyond_the_question_still_steps_back() {
        let mut progress = Progress::new(9);
        progress.reject(9, 30);
        assert_eq!(progress.next(), 9);
        progress.reject(8, 3);
        assert_eq!(progress.next(), 4);
    }

    #[test]
    fn silence_over_two_heartbeats_means_loss() {
        let mut progress = replicating(5);
        progress.record_sent(7);
        progress.on_heartbeat();
        assert_eq!(progress.next(), 8);
        progress.on_heartbeat();
        assert_eq!((progress.next(), progress.can_send()), (6, true));
    }

    #[test]
    fn only_a_later_question_can_show_that_entries_are_lost() {
        let mut progress = Progress::new(5);
        assert!(progress.accept_in_round(0, 3, 5));
        assert!(
            !progress.has_lost_entries(5, 3)
                && !progress.has_lost_entries(6, 4)
                && progress.has_lost_entries(5, 4)
        );
        progress.reset_after_loss(2, 4);
        assert_eq!((progress.matched(), progress.next(), progress.can_send()), (0, 3, true));
        assert!(!progress.accept_in_round(3, 4, 5) && progress.accept_in_round(4, 4, 5));
    }

    #[test]
    fn a_peer_that_answers_heartbeats_is_given_longer() {
        let mut progress = replicating(5);
        progress.record_sent(7);
        let mut beats_until_free = || {
            (1..).find(|_| {
                progress.record_reply(0);
                progress.on_heartbeat();
                progress.next() == 6 && progress.can_send()
            })
        };
        assert_eq!(beats_until_free(), Some(MAX_STALLED_HEARTBEATS + 1));
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
