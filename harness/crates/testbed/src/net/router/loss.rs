//! Decides which messages between nodes are lost, when they are sent, each directed link from a
//! stream of its own. Pure.

use crate::net::plan::{HostId, directed_pairs};
use crate::net::switch::shape::PER_MILLE;
use crate::random::Rng;
use std::collections::BTreeMap;

/// Random loss of messages.
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
        Self { chance, links: directed_pairs(count).map(stream).collect(), sent: 0, lost: 0 }
    }

    /// Whether the next message on that link is lost. A message of a node to itself takes no link.
    pub(super) fn drops_next(&mut self, from: HostId, to: HostId) -> bool {
        let Some(stream) = self.links.get_mut(&(from, to)).filter(|_| self.chance > 0) else {
            return false;
        };
        let lost = stream.below(u64::from(PER_MILLE)) < u64::from(self.chance);
        self.sent += 1;
        self.lost += u64::from(lost);
        lost
    }

    /// Describes how many messages were lost.
    pub(super) fn describe_losses(&self) -> Option<String> {
        let Self { sent, lost, .. } = self;
        (self.chance > 0)
            .then(|| format!("{lost} of {sent} messages between nodes were lost (--loss)"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draw_fates(seed: u64, chance: u16) -> Vec<bool> {
        let mut loss = Loss::new(chance, 2, &Rng::new(seed));
        (0..10_000).map(|_| loss.drops_next(HostId(0), HostId(1))).collect()
    }

    #[test]
    fn as_many_are_lost_as_asked_for_and_the_same_ones_for_the_same_seed() {
        let lost = |fates: &[bool]| fates.iter().filter(|lost| **lost).count();
        let tenth = draw_fates(1, 100);
        assert!((850..1_150).contains(&lost(&tenth)), "{}", lost(&tenth));
        assert_eq!(tenth, draw_fates(1, 100));
        assert_ne!(tenth, draw_fates(2, 100));
        assert_eq!(lost(&draw_fates(1, 0)), 0);
    }

    #[test]
    fn what_one_link_loses_says_nothing_of_another_and_all_is_told() {
        let mut loss = Loss::new(500, 2, &Rng::new(1));
        let mut alone = Loss::new(500, 2, &Rng::new(1));
        let (here, there) = (HostId(0), HostId(1));
        for _ in 0..100 {
            loss.drops_next(there, here);
            assert_eq!(loss.drops_next(here, there), alone.drops_next(here, there));
        }
        assert!(!loss.drops_next(here, here));
        let told = loss.describe_losses().expect("it is on");
        assert!(told.contains("of 200 messages"), "{told}");
        assert_eq!(Loss::new(0, 2, &Rng::new(1)).describe_losses(), None);
    }
}
