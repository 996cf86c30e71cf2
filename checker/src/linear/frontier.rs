//! Keeps the configurations that matter: of two, one of which can do all that the other can, only
//! that one.

use rustc_hash::FxHashMap;

use super::oracle::State;

/// A set of slots: operations that have begun and must have happened by their completion.
pub(super) type Slots = u128;

/// One way that things may stand: a state, and which of the begun operations led to it.
#[derive(Clone)]
pub(super) struct Config {
    pub(super) state: State,
    /// Begun operations that have happened, by slot.
    pub(super) done: Slots,
    /// Operations of unknown outcome that have happened, by their number.
    pub(super) spent: Spent,
    /// The order that led here, if orders are kept.
    pub(super) path: u32,
}

/// A set of operations of unknown outcome; most configurations have spent none, and then it takes
/// no memory.
#[derive(Clone, Default)]
pub(super) struct Spent(Vec<u64>);

impl Spent {
    pub(super) fn contains(&self, number: usize) -> bool {
        self.0.get(number / 64).is_some_and(|word| word >> (number % 64) & 1 == 1)
    }

    pub(super) fn with(&self, number: usize) -> Self {
        let mut words = self.0.clone();
        words.resize(words.len().max(number / 64 + 1), 0);
        words[number / 64] |= 1 << (number % 64);
        Self(words)
    }

    pub(super) fn count(&self) -> u32 {
        self.0.iter().map(|word| word.count_ones()).sum()
    }

    fn within(&self, other: &Self) -> bool {
        let beyond = |(i, word): (usize, &u64)| word & !other.0.get(i).copied().unwrap_or(0) != 0;
        !self.0.iter().enumerate().any(beyond)
    }

    fn bytes(&self) -> usize {
        self.0.len() * 8
    }
}

/// An antichain of configurations, in order of arrival.
///
/// `a` dominates `b` if they agree on the state and on which begun *mutators* have happened, `a`
/// has made at least the observations of `b`, and `a` has spent at most what `b` has. Every way to
/// go on from `b` is then a way to go on from `a`: an observation `b` makes and `a` has made is
/// skipped, which changes no state, and whatever `b` may still spend `a` may too, for an operation
/// of unknown outcome is never owed. So dropping `b` loses no answer.
#[derive(Default)]
pub(super) struct Frontier {
    entries: Vec<Entry>,
    last: FxHashMap<(State, Slots), u32>,
    bytes: usize,
}

struct Entry {
    config: Option<Config>,
    /// The entry before this one with the same state and mutators.
    before: u32,
}

const NONE: u32 = u32::MAX;

impl Frontier {
    pub(super) fn clear(&mut self) {
        self.entries.clear();
        self.last.clear();
        self.bytes = 0;
    }

    /// Adds a configuration unless one there dominates it, and drops those that it dominates.
    pub(super) fn add(&mut self, config: Config, observers: Slots) {
        let last = self.last.entry((config.state, config.done & !observers)).or_insert(NONE);
        let mut place = *last;
        while place != NONE {
            let entry = &mut self.entries[place as usize];
            if let Some(other) = &entry.config {
                if dominates(other, &config, observers) {
                    return;
                }
                if dominates(&config, other, observers) {
                    entry.config = None;
                }
            }
            place = entry.before;
        }
        self.bytes += size_of::<Entry>() + 48 + config.spent.bytes();
        let before = std::mem::replace(last, self.entries.len() as u32);
        self.entries.push(Entry { config: Some(config), before });
    }

    /// The places given out so far, dropped or not.
    pub(super) fn places(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn get(&self, place: usize) -> Option<&Config> {
        self.entries[place].config.as_ref()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes what is left.
    pub(super) fn take(&mut self) -> Vec<Config> {
        self.last.clear();
        self.bytes = 0;
        self.entries.drain(..).filter_map(|entry| entry.config).collect()
    }
}

fn dominates(a: &Config, b: &Config, observers: Slots) -> bool {
    b.done & observers & !a.done == 0 && a.spent.within(&b.spent)
}
