//! Remembers what of a file is not on the disk yet, so that it can be taken away again. Pure.
//!
//! The last synced content is the first `size` bytes of the current content, with `before` laid
//! over them. Before a change, the caller asks which bytes are [`Unsynced::missing`] there, and
//! saves the current ones with [`Unsynced::keep`].

use std::collections::BTreeMap;
use std::ops::Range;

/// What a disk writes at once.
const SECTOR_BYTES: u64 = 512;

/// What of one file a power loss takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unsynced {
    /// How long the file was when it was last synced.
    size: u64,
    /// What stood then where something else stands now, by offset; nothing of it overlaps.
    originals: BTreeMap<u64, Vec<u8>>,
    /// What has been written since, in order.
    written: Vec<Range<u64>>,
    /// The file was cut or extended since.
    resized: bool,
}

impl Unsynced {
    /// Nothing, of a file of that size.
    pub(super) fn new(size: u64) -> Self {
        Self { size, originals: BTreeMap::new(), written: Vec::new(), resized: false }
    }

    /// How long the file was when it was last synced.
    pub(super) fn synced_size(&self) -> u64 {
        self.size
    }

    /// Whether the file is as it was last synced.
    pub(super) fn is_clean(&self) -> bool {
        self.written.is_empty() && !self.resized
    }

    /// What of the synced file has to be kept before this range changes.
    pub(super) fn unsaved_ranges(&self, range: Range<u64>) -> Vec<Range<u64>> {
        let (mut at, end) = (range.start, range.end.min(self.size));
        let mut missing = Vec::new();
        for (start, bytes) in &self.originals {
            let kept_end = start + bytes.len() as u64;
            if kept_end <= at || *start >= end {
                continue;
            }
            if at < *start {
                missing.push(at..*start);
            }
            at = kept_end;
        }
        if at < end {
            missing.push(at..end);
        }
        missing
    }

    /// Keeps what stood there when the file was last synced: a range that was missing.
    pub(super) fn save_original(&mut self, offset: u64, bytes: Vec<u8>) {
        self.originals.insert(offset, bytes);
    }

    /// Something was written there.
    pub(super) fn record_write(&mut self, range: Range<u64>) {
        match self.written.last_mut() {
            Some(last) if last.end == range.start => last.end = range.end,
            _ => self.written.push(range),
        }
    }

    /// The file was cut or extended.
    pub(super) fn record_resize(&mut self) {
        self.resized = true;
    }

    /// How many bytes would have to change for the file to be as it was last synced.
    pub(super) fn changed_bytes(&self, size_now: u64) -> u64 {
        let kept: u64 = self.originals.values().map(|bytes| bytes.len() as u64).sum();
        kept + size_now.saturating_sub(self.size)
    }

    /// What stood there when the file was last synced, by offset.
    pub(super) fn originals(&self) -> &BTreeMap<u64, Vec<u8>> {
        &self.originals
    }

    /// The first so many thousandths of what was written, in order: where the disk had come when
    /// the power went. Within a sector all is written or nothing: programs may rely on that, and
    /// etcd does.
    pub(super) fn persisted_ranges(&self, thousandths: u64) -> Vec<Range<u64>> {
        let all: u64 = self.written.iter().map(|range| range.end - range.start).sum();
        let mut left = (u128::from(all) * u128::from(thousandths) / 1000) as u64;
        let mut begun = Vec::new();
        for range in &self.written {
            let length = (range.end - range.start).min(left);
            let whole = range.start + length == range.end;
            let end = range.start + length;
            let end = if whole { end } else { end / SECTOR_BYTES * SECTOR_BYTES };
            if end > range.start {
                begun.push(range.start..end);
            }
            left -= length;
        }
        begun
    }
}
