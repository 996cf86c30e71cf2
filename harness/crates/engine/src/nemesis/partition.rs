//! Cuts links between hosts, in one direction or both; clients still reach every host.
//!
//! Evidence: while the partition lasts nothing passes a link that is cut, though probes were sent
//! over it, and probes pass the others. The network itself counts what was sent and what arrived.

use super::grudge::{Grudge, SHAPES, cut_groups, cut_shape};
use super::{
    ActiveFault, BeginFuture, Cluster, ClusterView, Evidence, Nemesis, Target, reject_variant,
    selector,
};
use anyhow::Result;
use futures_util::future::BoxFuture;
use std::time::Duration;
use testbed::net::PairEvidence;
use testbed::net::plan::LinkPlan;
use workloads::Rng;

/// How much later the probes are counted again if they have not proved the cut.
const SECOND_COUNT: Duration = Duration::from_millis(400);

/// Links that are cut.
pub(super) struct Partition;

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

    fn can_chain(&self) -> bool {
        true
    }

    fn reject_aim(&self, aim: &str, hosts: usize) -> Option<String> {
        let unknown = reject_variant(self.name(), self.variants(), aim)?;
        if !selector::is_cut(aim) {
            return Some(format!(
                "{unknown}, or groups of hosts by name \
                 (`n1 n2|n3 n4 n5`, `leader|rest`, `n1 -/-> rest`)"
            ));
        }
        selector::parse_cut(aim, hosts).err()
    }

    fn choose_target(&self, variant: &str, view: &ClusterView, rng: &mut Rng) -> Option<Target> {
        let shape = SHAPES.iter().find(|(_, name, _)| *name == variant);
        let Grudge { plan, text } = match shape {
            Some((shape, ..)) => cut_shape(*shape, view.count, view.leader, rng),
            None => cut_named(variant, view),
        }?;
        Some(Target::of_links(variant, plan, text))
    }

    fn begin_fault<'a>(&'a self, target: &'a Target, cluster: &'a mut Cluster) -> BeginFuture<'a> {
        Box::pin(async move {
            cluster.links.set_cuts(&target.links);
            let links = target.links.clone();
            Ok(Box::new(ActivePartition { links, probes: Vec::new() }) as Box<dyn ActiveFault>)
        })
    }
}

/// The cut whose groups are named. A host that is in no group still reaches all others.
fn cut_named(aim: &str, view: &ClusterView) -> Option<Grudge> {
    let cut = selector::parse_cut(aim, view.count).ok()?;
    let groups = selector::resolve_groups(&cut.groups, view)?;
    let grudge = cut_groups(&groups, cut.one_way);
    (!grudge.plan.cuts.is_empty()).then_some(grudge)
}

/// A partition that is on.
struct ActivePartition {
    links: LinkPlan,
    /// What probes met.
    probes: Vec<PairEvidence>,
}

impl ActiveFault for ActivePartition {
    fn end_fault<'a>(&'a mut self, cluster: &'a mut Cluster) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let probes = count_probes_twice(&self.links, cluster).await;
            cluster.links.set_cuts(&LinkPlan::healed());
            self.probes = probes?;
            Ok(())
        })
    }

    fn weigh_evidence(&self) -> Result<Evidence> {
        Ok(weigh_probes(&self.links, &self.probes))
    }
}

async fn count_probes_twice(links: &LinkPlan, cluster: &mut Cluster) -> Result<Vec<PairEvidence>> {
    let first = cluster.links.cut_evidence().await?;
    if weigh_probes(links, &first).confirmed {
        return Ok(first);
    }
    tokio::time::sleep(SECOND_COUNT).await;
    cluster.links.cut_evidence().await
}

/// Every cut link was tried and let nothing through, and every other one that was tried let
/// something through.
fn weigh_probes(links: &LinkPlan, probes: &[PairEvidence]) -> Evidence {
    let is_cut = |pair: &&PairEvidence| links.cuts.contains(&(pair.from, pair.to));
    let (cut, open): (Vec<&PairEvidence>, Vec<&PairEvidence>) = probes.iter().partition(is_cut);
    let sent: u64 = cut.iter().map(|pair| pair.offered).sum();
    let leaked: u64 = cut.iter().map(|pair| pair.delivered).sum();
    let passed: u64 = open.iter().map(|pair| pair.delivered).sum();
    let silent = open.iter().filter(|pair| pair.offered > 0 && pair.delivered == 0).count();
    let blocked =
        cut.iter().filter(|pair| pair.delivered == 0 && pair.offered > 0 && pair.dropped > 0);
    let blocked = blocked.count();
    let text = format!(
        "{blocked} of {} cut links blocked ({leaked} of {sent} probes arrived); \
         {passed} probes arrived on the {} others",
        cut.len(),
        open.len()
    );
    let confirmed = blocked > 0 && blocked == cut.len() && silent == 0;
    Evidence { confirmed, text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use testbed::net::plan::HostId;

    fn pair_evidence(from: u8, to: u8, delivered: u64, dropped: u64) -> PairEvidence {
        let (from, to, offered) = (HostId(from), HostId(to), delivered + dropped);
        PairEvidence { from, to, offered, delivered, dropped }
    }

    fn one_way() -> LinkPlan {
        LinkPlan::with_cuts([(HostId(0), HostId(1))])
    }

    #[test]
    fn a_cut_that_drops_everything_one_way_and_nothing_the_other_is_confirmed() {
        let evidence =
            weigh_probes(&one_way(), &[pair_evidence(0, 1, 0, 9), pair_evidence(1, 0, 9, 0)]);
        assert!(evidence.confirmed);
        assert_eq!(
            evidence.text,
            "1 of 1 cut links blocked (0 of 9 probes arrived); 9 probes arrived on the 1 others"
        );
    }

    #[test]
    fn a_leak_an_untried_cut_and_a_silent_open_link_are_no_evidence() {
        let confirmed = |pairs: &[PairEvidence]| weigh_probes(&one_way(), pairs).confirmed;
        assert!(!confirmed(&[pair_evidence(0, 1, 1, 9), pair_evidence(1, 0, 9, 0)]), "a leak");
        assert!(
            !confirmed(&[pair_evidence(0, 1, 0, 0), pair_evidence(1, 0, 9, 0)]),
            "nothing was tried"
        );
        assert!(
            !confirmed(&[pair_evidence(0, 1, 0, 9), pair_evidence(1, 0, 0, 9)]),
            "the way back is silent"
        );
    }
}
