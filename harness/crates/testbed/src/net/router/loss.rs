//! Decides which messages between nodes are lost, when they are sent, each directed link from a
//! stream of its own. Pure.

use crate::net::plan::{HostId, pairs};
use crate::net::switch::shape::WHOLE;
use std::collections::BTreeMap;
use workloads::Rng;

/// What chance takes.
pub(super) struct Loss {
    /// How many of [`WHOLE`].
    chance: u16,
    links: BTreeMap<(HostId, HostId), Rng>,
    sent: u64,
    lost: u64,
}

impl Loss {
    /// A loss on every link between so many nodes.
    pub(super) fn new(chance: u16, count: u8, rng: &Rng) -> Self {
        let stream =
            |pair: (HostId, HostId)| (pair, rng.fork(&format!("{} to {}", pair.0, pair.1)));
        Self { chance, links: pairs(count).map(stream).collect(), sent: 0, lost: 0 }
    }

    /// Whether the next message on that link is lost. What a node says to itself takes no link.
    pub(super) fn takes(&mut self, from: HostId, to: HostId) -> bool {
        let Some(stream) = self.links.get_mut(&(from, to)).filter(|_| self.chance > 0) else {
            return false;
        };
        let lost = stream.below(u64::from(WHOLE)) < u64::from(self.chance);
        self.sent += 1;
        self.lost += u64::from(lost);
        lost
    }

    /// What it took, in a sentence.
    pub(super) fn told(&self) -> Option<String> {
        let Self { sent, lost, .. } = self;
        (self.chance > 0)
            .then(|| format!("{lost} of {sent} messages between nodes were lost (--loss)"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fates(seed: u64, chance: u16) -> Vec<bool> {
        let mut loss = Loss::new(chance, 2, &Rng::new(seed));
        (0..10_000).map(|_| loss.takes(HostId(0), HostId(1))).collect()
    }

    #[test]
    fn as_many_are_lost_as_asked_for_and_the_same_ones_for_the_same_seed() {
        let lost = |fates: &[bool]| fates.iter().filter(|lost| **lost).count();
        let tenth = fates(1, 100);
        assert!((850..1_150).contains(&lost(&tenth)), "{}", lost(&tenth));
        assert_eq!(tenth, fates(1, 100));
        assert_ne!(tenth, fates(2, 100));
        assert_eq!(lost(&fates(1, 0)), 0);
    }

    #[test]
    fn what_one_link_loses_says_nothing_of_another_and_all_is_told() {
        let mut loss = Loss::new(500, 2, &Rng::new(1));
        let mut alone = Loss::new(500, 2, &Rng::new(1));
        let (here, there) = (HostId(0), HostId(1));
        for _ in 0..100 {
            loss.takes(there, here);
            assert_eq!(loss.takes(here, there), alone.takes(here, there));
        }
        assert!(!loss.takes(here, here));
        let told = loss.told().expect("it is on");
        assert!(told.contains("of 200 messages"), "{told}");
        assert_eq!(Loss::new(0, 2, &Rng::new(1)).told(), None);
    }
}
