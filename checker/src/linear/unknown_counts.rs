//! Counts the operations of unknown outcome that have taken effect. Equal ones are interchangeable,
//! so one count per call suffices, and most counts are zero.
//!
//! Of equal operations of unknown outcome the earlier one may take effect wherever a later one may,
//! so they are used in order of invocation. Counts are interned: a configuration carries one word,
//! and equal counts are equal words.

use std::sync::Arc;

use rustc_hash::FxHashMap;

/// The number of a set of counts.
pub(super) type CountsId = u32;

/// All counts are zero.
pub(super) const NONE: CountsId = 0;

/// Counts by call, in order of call, without zeros.
type Counts = Arc<[(u32, u32)]>;

/// Every set of counts so far, by number.
pub(super) struct UnknownCounts {
    counts: Vec<Counts>,
    numbers: FxHashMap<Counts, CountsId>,
    increments: FxHashMap<(CountsId, u32), CountsId>,
    entries: usize,
    /// The counts being built.
    draft: Vec<(u32, u32)>,
}

impl UnknownCounts {
    pub(super) fn new() -> Self {
        Self {
            counts: vec![Counts::default()],
            numbers: FxHashMap::default(),
            increments: FxHashMap::default(),
            entries: 0,
            draft: Vec::new(),
        }
    }

    pub(super) fn count(&self, counts_id: CountsId, call: u32) -> u32 {
        let counts = &self.counts[counts_id as usize];
        counts.binary_search_by_key(&call, |(call, _)| *call).map_or(0, |place| counts[place].1)
    }

    pub(super) fn total(&self, counts_id: CountsId) -> u32 {
        self.counts[counts_id as usize].iter().map(|(_, count)| count).sum()
    }

    /// One more of the call.
    pub(super) fn with(&mut self, counts_id: CountsId, call: u32) -> CountsId {
        if let Some(next) = self.increments.get(&(counts_id, call)) {
            return *next;
        }
        let counts = &self.counts[counts_id as usize];
        self.draft.clear();
        self.draft.extend_from_slice(counts);
        match counts.binary_search_by_key(&call, |(call, _)| *call) {
            Ok(place) => self.draft[place].1 += 1,
            Err(place) => self.draft.insert(place, (call, 1)),
        }
        let next = self.intern();
        self.increments.insert((counts_id, call), next);
        next
    }

    /// The counts without calls that are no longer relevant.
    pub(super) fn retain(
        &mut self,
        counts_id: CountsId,
        matters: impl Fn(u32) -> bool,
    ) -> CountsId {
        let counts = &self.counts[counts_id as usize];
        if counts.iter().all(|(call, _)| matters(*call)) {
            return counts_id;
        }
        self.draft.clear();
        self.draft.extend(counts.iter().filter(|(call, _)| matters(*call)));
        self.intern()
    }

    /// The number of the draft.
    fn intern(&mut self) -> CountsId {
        if self.draft.is_empty() {
            return NONE;
        }
        if let Some(number) = self.numbers.get(self.draft.as_slice()) {
            return *number;
        }
        let counts = Counts::from(self.draft.as_slice());
        let number = self.counts.len() as CountsId;
        self.entries += counts.len();
        self.counts.push(counts.clone());
        self.numbers.insert(counts, number);
        number
    }

    /// Whether no count of `a` exceeds that of `b`.
    pub(super) fn within(&self, a: CountsId, b: CountsId) -> bool {
        a == b
            || a == NONE
            || (b != NONE && within(&self.counts[a as usize], &self.counts[b as usize]))
    }

    pub(super) fn bytes(&self) -> usize {
        self.entries * 2 * size_of::<(u32, u32)>()
            + self.counts.len() * 3 * size_of::<Counts>()
            + self.increments.capacity() * 16
    }
}

fn within(a: &[(u32, u32)], b: &[(u32, u32)]) -> bool {
    let mut rest = b.iter();
    a.len() <= b.len()
        && a.iter().all(|(call, count)| {
            rest.find(|(other, _)| other >= call)
                .is_some_and(|(other, most)| other == call && count <= most)
        })
}
