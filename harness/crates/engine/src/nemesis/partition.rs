//! Cuts links between hosts, in one direction or both; clients still reach every host.
//!
//! Evidence: while the cut lasts nothing passes a link that is cut, though something was offered to it, and
//! traffic passes the others. What is offered and delivered is counted by the network itself.

use super::ground::Ground;
use super::grudge::{Grudge, SHAPES, by_groups, grudge};
use super::{Before, Fault, Nemesis, Scene, Seen, Target, no_variant, who};
use anyhow::Result;
use futures_util::future::BoxFuture;
use std::time::Duration;
use testbed::net::PairEvidence;
use testbed::net::plan::LinkPlan;
use workloads::Rng;

/// How long evidence is waited for when there is none yet.
const SECOND_LOOK: Duration = Duration::from_millis(400);

/// Links that are down.
pub(crate) struct Partition;

impl Nemesis for Partition {
    fn name(&self) -> &'static str {
        "partition"
    }

    fn doc(&self) -> &'static str {
        "cuts links between hosts, in both directions or one; clients still reach every host"
    }

    fn variants(&self) -> &'static [(&'static str, &'static str)] {
        const VARIANTS: [(&str, &str); SHAPES.len()] = {
            let mut variants = [("", ""); SHAPES.len()];
            let mut i = 0;
            while i < SHAPES.len() {
                variants[i] = (SHAPES[i].1, SHAPES[i].2);
                i += 1;
            }
            variants
        };
        &VARIANTS
    }

    fn duration_ms(&self) -> (u64, u64) {
        (1_000, 4_000)
    }

    fn chains(&self) -> bool {
        true
    }

    fn refuses(&self, aim: &str, count: usize) -> Option<String> {
        let unknown = no_variant(self.name(), self.variants(), aim)?;
        if !who::is_cut(aim) {
            return Some(format!(
                "{unknown}, or groups of hosts by name (`n1 n2|n3 n4 n5`, `leader|rest`, `n1 -/-> rest`)"
            ));
        }
        who::cut(aim, count).err()
    }

    fn aim(&self, variant: &str, scene: &Scene, rng: &mut Rng) -> Option<Target> {
        let shape = SHAPES.iter().find(|(_, name, _)| *name == variant);
        let Grudge { plan, text } = match shape {
            Some((shape, ..)) => grudge(*shape, scene.count, scene.leader, rng),
            None => named(variant, scene),
        }?;
        Some(Target { hosts: Vec::new(), links: plan, skew: None, dice: 0, text })
    }

    fn begin<'a>(
        &'a self,
        target: &'a Target,
        ground: &'a mut Ground,
    ) -> BoxFuture<'a, Result<Before>> {
        Box::pin(async move {
            ground.want_links(target.links.clone());
            Ok(Before::new())
        })
    }

    fn end<'a>(&'a self, fault: &'a Fault, ground: &'a mut Ground) -> BoxFuture<'a, Result<Seen>> {
        Box::pin(async move {
            let seen = look_twice(&fault.target.links, ground).await;
            // Whatever was seen: from here on the links are wanted whole.
            ground.want_links(LinkPlan::healed());
            seen
        })
    }
}

/// The cut whose groups are named: whoever is in none of them still reaches everybody.
fn named(aim: &str, scene: &Scene) -> Option<Grudge> {
    let cut = who::cut(aim, scene.count).ok()?;
    let groups = who::resolve_groups(&cut.groups, scene)?;
    let grudge = by_groups(&groups, cut.one_way);
    (!grudge.plan.cuts.is_empty()).then_some(grudge)
}

async fn look_twice(links: &LinkPlan, ground: &mut Ground) -> Result<Seen> {
    let first = seen(links, &ground.link_evidence().await?);
    if first.bit {
        return Ok(first);
    }
    tokio::time::sleep(SECOND_LOOK).await;
    Ok(seen(links, &ground.link_evidence().await?))
}

/// Weighs what the network's probes counted: every cut link was tried and held, and no other one is deaf.
fn seen(links: &LinkPlan, evidence: &[PairEvidence]) -> Seen {
    let is_cut = |pair: &&PairEvidence| links.cuts.contains(&(pair.from, pair.to));
    let cut: Vec<_> = evidence.iter().filter(is_cut).collect();
    let open: Vec<_> = evidence.iter().filter(|pair| !is_cut(pair)).collect();
    let offered: u64 = cut.iter().map(|pair| pair.offered).sum();
    let leaked: u64 = cut.iter().map(|pair| pair.delivered).sum();
    let dropped: u64 = cut.iter().map(|pair| pair.dropped).sum();
    let passed: u64 = open.iter().map(|pair| pair.delivered).sum();
    let deaf = open.iter().filter(|pair| pair.offered > 0 && pair.delivered == 0).count();
    let tried = cut.iter().filter(|pair| pair.offered > 0 && pair.dropped > 0).count();
    let text = format!(
        "{tried} of {} cut links tried: {offered} probes offered, {leaked} delivered, {dropped} dropped; \
         {passed} probes delivered on the {} others",
        cut.len(),
        open.len()
    );
    Seen { bit: tried > 0 && tried == cut.len() && leaked == 0 && deaf == 0, text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use testbed::net::plan::HostId;

    fn pair(from: u8, to: u8, delivered: u64, dropped: u64) -> PairEvidence {
        let (from, to, offered) = (HostId(from), HostId(to), delivered + dropped);
        PairEvidence { from, to, offered, delivered, dropped }
    }

    fn one_way() -> LinkPlan {
        LinkPlan::cut([(HostId(0), HostId(1))])
    }

    #[test]
    fn a_cut_that_drops_everything_one_way_and_nothing_the_other_bit() {
        let seen = seen(&one_way(), &[pair(0, 1, 0, 9), pair(1, 0, 9, 0)]);
        assert!(seen.bit);
        insta::assert_snapshot!(seen.text, @"1 of 1 cut links tried: 9 probes offered, 0 delivered, 9 dropped; 9 probes delivered on the 1 others");
    }

    #[test]
    fn a_leak_an_untried_cut_and_a_deaf_open_link_are_no_evidence() {
        assert!(!seen(&one_way(), &[pair(0, 1, 1, 9), pair(1, 0, 9, 0)]).bit, "a leak");
        assert!(!seen(&one_way(), &[pair(0, 1, 0, 0), pair(1, 0, 9, 0)]).bit, "nothing was tried");
        assert!(
            !seen(&one_way(), &[pair(0, 1, 0, 9), pair(1, 0, 0, 9)]).bit,
            "the way back is deaf"
        );
    }
}
