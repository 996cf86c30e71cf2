//! Decides registers of distinct values, with and without compare-and-set.
//!
//! A write and the reads of its value form a block: the value holds from its write to the next one
//! and never again. The initial value is a block without a write, and comes first. A
//! compare-and-set that took effect stands right after the block of its expected value. So blocks
//! form chains that each begin with a write or the initial value. A chain is one larger block: its
//! order is given, and must respect real time by itself. Chains can be ordered iff their zones can
//! ([`super::zones`]).
//!
//! A write of unknown outcome is left out if its value was neither read nor expected by a write
//! that took effect, because removing it from a legal order leaves a legal order. Otherwise it took
//! effect.

use rustc_hash::FxHashMap;

use super::view::{OpInterval, PrefixView};
use super::zones::{Zone, can_order_zones};
use crate::history::Value;
use crate::model::Response;

/// The expectation of a plain write, and that of a value that is never written.
pub(super) const ANYTHING: usize = usize::MAX;
pub(super) const NOWHERE: usize = usize::MAX - 1;

#[derive(Clone)]
pub(super) struct Block {
    zone: Zone,
    /// When its write began.
    changed: u64,
    happened: bool,
    /// The earliest end of a read.
    read: Option<u64>,
    /// The block of the value that its write expected.
    pub(super) expected: usize,
    /// The block right after it.
    next: Option<usize>,
}

/// Whether the operations are legal; undecided with failed compare-and-sets, or repeated values.
pub(super) fn is_legal(view: &PrefixView<'_>) -> Option<bool> {
    let mut blocks = Vec::new();
    let mut places: FxHashMap<&Value, usize> = FxHashMap::default();
    blocks.push(Block::initial());
    places.insert(view.start, 0);
    let mut expectations = Vec::new();
    for (op, span) in view.ops().filter(|(op, _)| op.call.f != "read") {
        let value = match (op.call.f.as_str(), &op.call.response) {
            ("write", _) => &op.call.input,
            ("cas", Response::Output(_) | Response::Unknown) => {
                let (old, new) = op.call.input.as_pair()?;
                expectations.push((blocks.len(), old));
                new
            }
            _ => return None,
        };
        if places.insert(value, blocks.len()).is_some() {
            return None;
        }
        blocks.push(Block::new(span));
    }
    for (place, old) in expectations {
        blocks[place].expected = places.get(old).copied().unwrap_or(NOWHERE);
    }
    for (op, span) in view.ops().filter(|(op, _)| op.call.f == "read") {
        let (Some(end), Response::Output(output)) = (span.end, &op.call.response) else { continue };
        let Some(place) = places.get(output) else { return Some(false) };
        blocks[*place].add_read(span.begin, end);
    }
    Some(are_legal(&mut blocks))
}

/// Whether some order of the blocks is legal.
pub(super) fn are_legal(blocks: &mut [Block]) -> bool {
    link_expected(blocks) && chain_zones(blocks).is_some_and(|zones| can_order_zones(&zones))
}

impl Block {
    /// The block of the initial value.
    pub(super) fn initial() -> Self {
        Self::new(OpInterval { begin: 0, end: Some(0) })
    }

    /// The block of a plain write.
    pub(super) fn new(span: OpInterval) -> Self {
        let (mut zone, happened) = (Zone::EMPTY, span.end.is_some());
        zone.include(span.begin, span.latest_end());
        Self { zone, changed: span.begin, happened, read: None, expected: ANYTHING, next: None }
    }

    pub(super) fn add_read(&mut self, begin: u64, end: u64) {
        self.zone.include(begin, end);
        self.read = Some(self.read.map_or(end, |read| read.min(end)));
        self.happened = true;
    }
}

/// Links each block that took effect to the block that it expected, which then took effect, too.
/// Returns false if that block does not exist, or if two blocks expected the same one.
fn link_expected(blocks: &mut [Block]) -> bool {
    let mut open: Vec<usize> = (0..blocks.len()).filter(|place| blocks[*place].happened).collect();
    while let Some(place) = open.pop() {
        let before = blocks[place].expected;
        if before == ANYTHING {
            continue;
        }
        if before == NOWHERE {
            return false;
        }
        if blocks[before].next.is_some_and(|next| next != place) {
            return false;
        }
        blocks[before].next = Some(place);
        if !std::mem::replace(&mut blocks[before].happened, true) {
            open.push(before);
        }
    }
    true
}

/// The zone of each chain; `None` if one contradicts real time by itself, or has no beginning.
fn chain_zones(blocks: &[Block]) -> Option<Vec<Zone>> {
    let mut zones = Vec::new();
    let mut left = blocks.iter().filter(|block| block.happened).count();
    for root in blocks.iter().filter(|block| block.happened && block.expected == ANYTHING) {
        let mut chain = Zone::EMPTY;
        let mut block = Some(root);
        while let Some(Block { zone, changed, read, next, .. }) = block {
            if chain.begin > zone.end || read.is_some_and(|end| end < *changed) {
                return None;
            }
            chain.include(zone.begin, zone.end);
            left -= 1;
            block = next.map(|next| &blocks[next]);
        }
        zones.push(chain);
    }
    (left == 0).then_some(zones)
}
