//! Decides registers of distinct values.
//!
//! A write and the reads of its value form a block ([`super::zones`]): the value is there from the
//! write to the next write and never again. The start value is a block without a write that comes
//! first. A write of unknown outcome that nobody read is left out, for removing it from a legal
//! order leaves one; one that was read happened.

use rustc_hash::FxHashMap;

use super::View;
use super::zones::{Zone, can_be_ordered};
use crate::history::Value;
use crate::model::Seen;

#[derive(Clone, Copy)]
struct Block {
    zone: Zone,
    written: u64,
    owed: bool,
    /// The earliest end of a read.
    read: Option<u64>,
}

/// Whether the operations are legal; unknown with compare-and-sets, or equal values.
pub(super) fn legal(view: &View<'_>) -> Option<bool> {
    let mut blocks: FxHashMap<&Value, Block> = FxHashMap::default();
    let mut zone = Zone::EMPTY;
    zone.take_in(0, 0);
    blocks.insert(view.start, Block { zone, written: 0, owed: true, read: None });
    for (op, span) in view.ops().filter(|(op, _)| op.call.f != "read") {
        if op.call.f != "write" {
            return None;
        }
        let mut zone = Zone::EMPTY;
        zone.take_in(span.begin, span.last());
        let owed = span.end.is_some();
        let block = Block { zone, written: span.begin, owed, read: None };
        if blocks.insert(&op.call.input, block).is_some() {
            return None;
        }
    }
    for (op, span) in view.ops().filter(|(op, _)| op.call.f == "read") {
        let (Some(end), Seen::Output(output)) = (span.end, &op.call.seen) else { continue };
        let Some(block) = blocks.get_mut(output) else { return Some(false) };
        block.zone.take_in(span.begin, end);
        block.read = Some(block.read.map_or(end, |read| read.min(end)));
    }
    let happened = blocks.values().filter(|block| block.owed || block.read.is_some());
    if happened.clone().any(|block| block.read.is_some_and(|end| end < block.written)) {
        return Some(false);
    }
    let zones: Vec<Zone> = happened.map(|block| block.zone).collect();
    Some(can_be_ordered(&zones))
}
