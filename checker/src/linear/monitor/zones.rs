//! Orders blocks: sets of operations that must stay together in every order.
//!
//! Whether block A must precede block B depends only on their zones: some operation of A ends
//! before some operation of B begins. That is, A's earliest end precedes B's latest begin. Any
//! order of blocks that respects this, each block legal by itself, respects real time as a whole.
//! In a cycle of such constraints take the block with the earliest end. It ends before the begin
//! that its predecessor's predecessor ends before, so it must precede its predecessor too, and two
//! blocks must precede each other. That is so iff two forward zones (earliest end first) overlap,
//! or a backward zone lies within a forward one. This is Gibbons and Korach's condition (SIAM J.
//! Comput. 26(4), 1997), n log n.

use super::view::NEVER;

/// The earliest end and the latest begin of a block.
#[derive(Clone, Copy, Debug)]
pub(super) struct Zone {
    pub(super) end: u64,
    pub(super) begin: u64,
}

impl Zone {
    pub(super) const EMPTY: Self = Self { end: NEVER, begin: 0 };

    pub(super) fn include(&mut self, begin: u64, end: u64) {
        self.end = self.end.min(end);
        self.begin = self.begin.max(begin);
    }

    fn is_forward(self) -> bool {
        self.end < self.begin
    }
}

/// Whether some order of blocks with these zones respects real time.
pub(super) fn can_order_zones(zones: &[Zone]) -> bool {
    let mut forward: Vec<Zone> = zones.iter().copied().filter(|zone| zone.is_forward()).collect();
    forward.sort_unstable_by_key(|zone| zone.end);
    forward.windows(2).all(|pair| pair[0].begin <= pair[1].end)
        && zones.iter().filter(|zone| !zone.is_forward()).all(|zone| {
            let before = forward.partition_point(|other| other.end < zone.begin);
            before == 0 || forward[before - 1].begin <= zone.end
        })
}
