//! Keeps the configurations that matter: of two, one of which can do all that the other can, only
//! that one.

use super::mask::{Mask, mix};
use super::model_cache::StateId;
use super::unknown_counts::{CountsId, UnknownCounts};

/// One way that things may stand: a state, and what became of each operation that has begun.
///
/// An observation is *owed* until it is made. An operation that can go in no more than some states
/// is owed until it is *used*. One that overwrites every state starts owed; it is used when it
/// happens for others to see; and it is neither once another has overwritten since it began: then
/// it may have happened just before that one, unseen, and may yet happen for all to see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Configuration<const N: usize> {
    pub(super) pending: Mask<N>,
    pub(super) linearized: Mask<N>,
    pub(super) state: StateId,
    /// What was spent of the operations of unknown outcome.
    pub(super) unknown_used: CountsId,
    /// The order that led here, if orders are kept.
    pub(super) path: u32,
    /// Whether an overwriting led here that nobody has looked at, since the last completion.
    pub(super) unobserved: bool,
}

/// An antichain of configurations, in order of arrival.
///
/// `a` dominates `b` if they agree on the state and `a` owes at most what `b` owes, has used at
/// most what `b` has used, and has spent at most what `b` has spent. Every way to go on from `b` is
/// then a way to go on from `a`. An operation that `b` owes and `a` does not was made or may count
/// as made; where `b` makes an observation that `a` has made, `a` does nothing; where `b` uses an
/// operation `a` may too, for it has not used it; and one that `b` has used and `a` has not is one
/// that `a` does not owe either, or `b` would dominate nothing by this rule: it stays unused. So
/// dropping `b` loses no answer.
pub(super) struct Frontier<const N: usize> {
    entries: Vec<FrontierEntry<N>>,
    /// The last entry of each bucket.
    heads: Vec<u32>,
    live: usize,
}

struct FrontierEntry<const N: usize> {
    config: Configuration<N>,
    alive: bool,
    hash: u32,
    /// The entry before this one in its bucket.
    before: u32,
}

const END: u32 = u32::MAX;

impl<const N: usize> Frontier<N> {
    pub(super) fn new() -> Self {
        Self { entries: Vec::new(), heads: vec![END; 16], live: 0 }
    }

    /// Forgets all; the buckets that were filled are emptied one by one where they are few.
    pub(super) fn clear(&mut self) {
        if self.entries.len() * 4 < self.heads.len() {
            for entry in &self.entries {
                let bucket = bucket_of(&self.heads, entry.hash);
                self.heads[bucket] = END;
            }
        } else {
            self.heads.fill(END);
        }
        self.entries.clear();
        self.live = 0;
    }

    /// Adds a configuration unless one there dominates it, and drops those that it dominates.
    /// `strict` are the operations that are either owed or used, so that two configurations which
    /// differ there never dominate each other.
    pub(super) fn add(
        &mut self,
        config: Configuration<N>,
        dependent: &Mask<N>,
        counts: &UnknownCounts,
    ) {
        if self.entries.len() >= self.heads.len() {
            self.grow_buckets();
        }
        let hash = config.linearized.and(dependent).hash_into(mix(0, u64::from(config.state)));
        let hash = (hash >> 32) as u32;
        let bucket = bucket_of(&self.heads, hash);
        let mut place = self.heads[bucket];
        while place != END {
            let entry = &mut self.entries[place as usize];
            if entry.alive && entry.hash == hash && entry.config.state == config.state {
                if dominates(&entry.config, &config, counts) {
                    return;
                }
                if dominates(&config, &entry.config, counts) {
                    entry.alive = false;
                    self.live -= 1;
                }
            }
            place = entry.before;
        }
        let before = std::mem::replace(&mut self.heads[bucket], self.entries.len() as u32);
        self.entries.push(FrontierEntry { config, alive: true, hash, before });
        self.live += 1;
    }

    fn grow_buckets(&mut self) {
        self.heads = vec![END; self.heads.len() * 4];
        for (place, entry) in self.entries.iter_mut().enumerate() {
            let bucket = bucket_of(&self.heads, entry.hash);
            entry.before = std::mem::replace(&mut self.heads[bucket], place as u32);
        }
    }

    /// The places given out so far, dropped or not.
    pub(super) fn slots_used(&self) -> usize {
        self.entries.len()
    }

    /// How many are not dominated.
    pub(super) fn live_count(&self) -> usize {
        self.live
    }

    pub(super) fn get(&self, place: usize) -> Option<Configuration<N>> {
        let entry = &self.entries[place];
        entry.alive.then_some(entry.config)
    }

    pub(super) fn bytes(&self) -> usize {
        self.entries.capacity() * size_of::<FrontierEntry<N>>() + self.heads.capacity() * 4
    }

    /// Adds what is left to a list.
    pub(super) fn drain_into(&mut self, configs: &mut Vec<Configuration<N>>) {
        let left = self.entries.iter().filter(|entry| entry.alive);
        configs.extend(left.map(|entry| Configuration { unobserved: false, ..entry.config }));
        self.clear();
    }
}

fn bucket_of(heads: &[u32], hash: u32) -> usize {
    hash as usize & (heads.len() - 1)
}

/// Whether `a` can do all that `b` can, if they agree on the state: see [`Frontier`].
pub(super) fn dominates<const N: usize>(
    a: &Configuration<N>,
    b: &Configuration<N>,
    counts: &UnknownCounts,
) -> bool {
    a.pending.is_subset(&b.pending)
        && a.linearized.is_subset(&b.linearized)
        && counts.within(a.unknown_used, b.unknown_used)
}
