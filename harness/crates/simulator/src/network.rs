//! Decides of each message whether it arrives, when, and how often.

use super::Micros;
use super::plan::Habits;
use node::raft::ServerId;
use std::collections::BTreeMap;
use workloads::Rng;

/// Every directed link at once.
pub(super) struct Network {
    habits: Habits,
    rng: Rng,
    /// How many faults cut a directed link at the moment.
    cuts: BTreeMap<(ServerId, ServerId), u32>,
    /// Added to the habits while faults last.
    loss: u64,
    delay: Micros,
}

impl Network {
    pub(super) fn new(habits: Habits, rng: Rng) -> Self {
        Self { habits, rng, cuts: BTreeMap::new(), loss: 0, delay: 0 }
    }

    /// After how long each copy of a message arrives; none, if it is lost.
    pub(super) fn route(&mut self, from: ServerId, to: ServerId) -> Vec<Micros> {
        // The same number of draws whatever comes of it: a cut must not shift other choices.
        let lost = self.rng.below(1000) < self.habits.loss + self.loss;
        let copies = if self.rng.below(1000) < self.habits.twice { 2 } else { 1 };
        let (least, most) = self.habits.delay;
        let delays = [(), ()].map(|()| self.rng.between(least, most + self.delay + 1));
        let is_cut = self.cuts.get(&(from, to)).is_some_and(|cuts| *cuts > 0);
        if lost || is_cut { Vec::new() } else { delays[..copies].to_vec() }
    }

    /// Cuts directed links, once more where they are cut already.
    pub(super) fn cut(&mut self, links: &[(ServerId, ServerId)]) {
        links.iter().for_each(|link| *self.cuts.entry(*link).or_default() += 1);
    }

    /// Takes one such cut back.
    pub(super) fn mend(&mut self, links: &[(ServerId, ServerId)]) {
        for link in links {
            let cuts = self.cuts.entry(*link).or_default();
            *cuts = cuts.saturating_sub(1);
        }
    }

    /// Loses and delays more, everywhere.
    pub(super) fn worsen(&mut self, loss: u64, delay: Micros) {
        self.loss += loss;
        self.delay += delay;
    }

    /// Takes it back.
    pub(super) fn better(&mut self, loss: u64, delay: Micros) {
        self.loss = self.loss.saturating_sub(loss);
        self.delay = self.delay.saturating_sub(delay);
    }
}
