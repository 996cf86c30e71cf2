//! Decides of each message whether it arrives, when, and how often.

use super::plan::Conditions;
use super::setting::Micros;
use node::raft::{Message, ServerId};
use node::runtime::{Proposal, ProposalResult};
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;
use workloads::Rng;

/// What one replica sends to another.
#[derive(Clone, Debug)]
pub(super) enum PeerMessage {
    /// A message of the core.
    Raft(Message),
    /// A client's proposal, for the leader.
    Forward { request: u64, timeout: Duration, proposal: Proposal },
    /// What became of it.
    ForwardResult { request: u64, result: ProposalResult },
}

impl PeerMessage {
    /// Numbers that tell it from others, for the digest.
    pub(super) fn digest_key(&self) -> u64 {
        match self {
            Self::Raft(message) => message.term,
            Self::Forward { request, .. } => *request,
            Self::ForwardResult { request, .. } => !*request,
        }
    }
}

impl fmt::Display for PeerMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Raft(message) => write!(f, "{message:?}"),
            other => write!(f, "{other:?}"),
        }
    }
}

/// Every directed link at once.
pub(super) struct Network {
    conditions: Conditions,
    rng: Rng,
    /// How many faults cut a directed link at the moment.
    cuts: BTreeMap<(ServerId, ServerId), u32>,
    /// Added to the habits while faults last.
    loss: u64,
    delay: Micros,
}

impl Network {
    pub(super) fn new(habits: Conditions, rng: Rng) -> Self {
        Self { conditions: habits, rng, cuts: BTreeMap::new(), loss: 0, delay: 0 }
    }

    /// After how long each copy of a message arrives; none, if it is lost.
    pub(super) fn draw_delays(&mut self, from: ServerId, to: ServerId) -> Vec<Micros> {
        // The same number of draws whatever comes of it: a cut must not shift other choices.
        let lost = self.rng.below(1000) < self.conditions.loss + self.loss;
        let copies = if self.rng.below(1000) < self.conditions.duplicates { 2 } else { 1 };
        let (least, most) = self.conditions.delay;
        let delays = [(), ()].map(|()| self.rng.between(least, most + self.delay + 1));
        let is_cut = self.cuts.get(&(from, to)).is_some_and(|cuts| *cuts > 0);
        if lost || is_cut { Vec::new() } else { delays[..copies].to_vec() }
    }

    /// Cuts directed links, once more where they are cut already.
    pub(super) fn cut_links(&mut self, links: &[(ServerId, ServerId)]) {
        links.iter().for_each(|link| *self.cuts.entry(*link).or_default() += 1);
    }

    /// Takes one such cut back.
    pub(super) fn heal_links(&mut self, links: &[(ServerId, ServerId)]) {
        for link in links {
            let cuts = self.cuts.entry(*link).or_default();
            *cuts = cuts.saturating_sub(1);
        }
    }

    /// Loses and delays more, everywhere.
    pub(super) fn add_degradation(&mut self, loss: u64, delay: Micros) {
        self.loss += loss;
        self.delay += delay;
    }

    /// Takes it back.
    pub(super) fn remove_degradation(&mut self, loss: u64, delay: Micros) {
        self.loss = self.loss.saturating_sub(loss);
        self.delay = self.delay.saturating_sub(delay);
    }
}
