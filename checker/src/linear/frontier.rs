//! Keeps the configurations that no other one dominates.

use super::mask::{Mask, mix};
use super::model_cache::StateId;
use super::unknown_counts::{CountsId, UnknownCounts};

/// One possible situation: a state, and which of the invoked operations have taken effect.
///
/// A read is *pending* until it is made. An operation that is possible in some states only is
/// pending until it is *linearized*. An overwrite starts as pending. It is linearized when it takes
/// effect and may be observed. It is neither once another overwrite has taken effect since its
/// invocation: then it may have taken effect unobserved just before that one, and may still take
/// effect to be observed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Configuration<const N: usize> {
    pub(super) pending: Mask<N>,
    pub(super) linearized: Mask<N>,
    pub(super) state: StateId,
    /// How many operations of unknown outcome have taken effect, by call.
    pub(super) unknown_used: CountsId,
    /// The order that led here, if orders are kept.
    pub(super) path: u32,
    /// Whether the last step since the last completion was an overwrite that no operation has
    /// observed.
    pub(super) unobserved: bool,
}

/// An antichain of configurations, in order of arrival.
///
/// `a` dominates `b` if they have the same state, and each of `a`'s pending operations, linearized
/// operations and counts of unknown operations is within `b`'s. Then every continuation of `b` is
/// one of `a`:
///
/// - An operation pending in `b` only has been made in `a`, or counts as made. Where `b` makes that
///   read, `a` does nothing.
/// - Where `b` linearizes an operation, `a` may too, because it has not linearized it.
/// - An operation linearized in `b` only is not pending in `a` either, so `a` may leave it out.
///
/// So dropping `b` loses no answer.
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
    /// The previous entry in the same bucket.
    before: u32,
}

const END: u32 = u32::MAX;

impl<const N: usize> Frontier<N> {
    pub(super) fn new() -> Self {
        Self { entries: Vec::new(), heads: vec![END; 16], live: 0 }
    }

    /// Removes all entries. Few entries are removed from their buckets one by one, which is cheaper
    /// than resetting all buckets.
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

    /// Adds a configuration unless another dominates it, and drops those that it dominates.
    /// Operations in `dependent` are either pending or linearized, so two configurations that
    /// differ there never dominate each other; the hash may include them.
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

    /// The number of entries, including dominated ones.
    pub(super) fn slots_used(&self) -> usize {
        self.entries.len()
    }

    /// The number of entries that are not dominated.
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

    /// Moves what is left to a list.
    pub(super) fn drain_into(&mut self, configs: &mut Vec<Configuration<N>>) {
        let left = self.entries.iter().filter(|entry| entry.alive);
        configs.extend(left.map(|entry| Configuration { unobserved: false, ..entry.config }));
        self.clear();
    }
}

fn bucket_of(heads: &[u32], hash: u32) -> usize {
    hash as usize & (heads.len() - 1)
}

/// Whether `a` dominates `b`, if they have the same state: see [`Frontier`].
pub(super) fn dominates<const N: usize>(
    a: &Configuration<N>,
    b: &Configuration<N>,
    counts: &UnknownCounts,
) -> bool {
    a.pending.is_subset(&b.pending)
        && a.linearized.is_subset(&b.linearized)
        && counts.within(a.unknown_used, b.unknown_used)
}
