//! Shapes links: packets come late, twice, out of order, corrupted, too slowly or not at all. Needs
//! the switch.
//!
//! Evidence: the counters of the shaped links, which say what the switch did to how many packets
//! while the fault lasted. A fault that was to lose packets and found none to lose is not
//! confirmed.

mod package;
#[cfg(test)]
mod tests;

use super::aim::{REPLICA_VARIANTS, aim_at_replicas};
use super::{
    ActiveFault, BeginFuture, Cluster, ClusterView, Evidence, Nemesis, Requirement, Target, grudge,
    reject_variant, selector,
};
use anyhow::Result;
use futures_util::future::{BoxFuture, ready};
use package::{Effect, VARIANTS, choose_shape};
use std::collections::BTreeMap;
use std::time::Duration;
use testbed::net::plan::{CLIENTS, HostId, LinkPlan};
use testbed::net::switch::shape::Shape;
use testbed::net::switch::{LinkCounts, PacketCounts};
use workloads::Rng;

/// How much longer than planned the fault may last until its effect is counted.
const MAX_EXTENSION: Duration = Duration::from_millis(400);
/// The same after links have been narrowed.
const MAX_NARROWED_EXTENSION: Duration = Duration::from_millis(800);
/// The rate of a narrowed link, in bytes a second: less than the probes of an idle link need.
const NARROW_RATE: u64 = 500;
/// The links of the leader.
const LEADER: &str = "leader";
/// Some directed links at random.
const LINKS: &str = "links";
/// The links between the clients and all replicas.
const WITH_CLIENTS: &str = "clients";
/// The targets if none is named: usually a part of the cluster, so that the rest makes progress.
const DEFAULT_TARGETS: &[&str] = &[LEADER, LINKS, "minority", "one", "all"];

/// Links that do not carry packets as they should.
pub(super) struct Packet;

impl Nemesis for Packet {
    fn name(&self) -> &'static str {
        "packet"
    }

    fn doc(&self) -> &'static str {
        "delays, loses, duplicates, reorders, corrupts or holds packets of links between hosts, \
         or of clients"
    }

    fn variants(&self) -> &'static [(&'static str, &'static str)] {
        VARIANTS
    }

    fn duration_ms(&self) -> (u64, u64) {
        (1_000, 4_000)
    }

    fn requirements(&self) -> &'static [Requirement] {
        &[Requirement::Switch]
    }

    fn reject_aim(&self, aim: &str, hosts: usize) -> Option<String> {
        let (package, target) = split_aim(aim);
        if let Some(why) = reject_variant(self.name(), VARIANTS, package) {
            return Some(format!(
                "{why}, and a target behind it (`lossy leader`, `slow n1 n3`, `hold links`)"
            ));
        }
        let is_known = target.is_empty()
            || [LINKS, WITH_CLIENTS].contains(&target)
            || REPLICA_VARIANTS.iter().any(|(name, _)| *name == target);
        if is_known {
            return None;
        }
        let names: Vec<_> = REPLICA_VARIANTS.iter().map(|(name, _)| *name).collect();
        selector::parse_hosts(target, hosts)
            .err()
            .map(|why| format!("{why}; or say {WITH_CLIENTS}, {LINKS}, {}", names.join(", ")))
    }

    fn choose_target(&self, aim: &str, view: &ClusterView, rng: &mut Rng) -> Option<Target> {
        let (name, target) = split_aim(aim);
        let shape = choose_shape(name, rng)?;
        let target = if target.is_empty() { choose_default_target(view, rng)? } else { target };
        let (links, text) = match target {
            LINKS => choose_links(view, rng)?,
            WITH_CLIENTS => (client_links(view), "the links of clients".to_owned()),
            replicas => host_links(&aim_at_replicas(replicas, view, rng)?.hosts, view),
        };
        let shapes: BTreeMap<_, _> = links.into_iter().map(|link| (link, shape)).collect();
        let links = LinkPlan { shapes, ..LinkPlan::healed() };
        (!links.shapes.is_empty()).then(|| Target::of_links(aim, links, format!("{text}: {shape}")))
    }

    fn begin_fault<'a>(&'a self, target: &'a Target, cluster: &'a mut Cluster) -> BeginFuture<'a> {
        let shapes = target.links.shapes.clone();
        cluster.links.set_shapes(shapes.clone());
        let fault = ShapedLinks { shapes, is_narrowed: false, counts: LinkCounts::default() };
        Box::pin(ready(Ok(Box::new(fault) as Box<dyn ActiveFault>)))
    }
}

/// The package and its target: `slow n1 n3`.
fn split_aim(aim: &str) -> (&str, &str) {
    aim.split_once(' ').unwrap_or((aim, ""))
}

/// One of the default targets; where no leader is known, none that needs one.
fn choose_default_target(view: &ClusterView, rng: &mut Rng) -> Option<&'static str> {
    let mut targets = DEFAULT_TARGETS.to_vec();
    targets.retain(|target| *target != LEADER || view.leader.is_some());
    rng.choose(&targets).copied()
}

/// A directed link.
type Link = (HostId, HostId);

/// All links from and to these hosts.
fn host_links(hosts: &[HostId], view: &ClusterView) -> (Vec<Link>, String) {
    let links = all_links(view).into_iter();
    let links = links.filter(|(from, to)| hosts.contains(from) || hosts.contains(to)).collect();
    (links, format!("links of {}", grudge::host_names(hosts)))
}

fn client_links(view: &ClusterView) -> Vec<Link> {
    let hosts = grudge::all_hosts(view.count).into_iter();
    hosts.flat_map(|host| [(CLIENTS, host), (host, CLIENTS)]).collect()
}

/// Up to half of the directed links: most of those are hit in one direction only.
fn choose_links(view: &ClusterView, rng: &mut Rng) -> Option<(Vec<Link>, String)> {
    let mut links = all_links(view);
    rng.shuffle(&mut links);
    let most = u64::try_from(links.len() / 2).ok().filter(|most| *most > 0)?;
    links.truncate(1 + usize::try_from(rng.below(most)).ok()?);
    links.sort_unstable();
    let names: Vec<String> = links.iter().map(|(from, to)| format!("{from}->{to}")).collect();
    Some((links, names.join(" ")))
}

fn all_links(view: &ClusterView) -> Vec<Link> {
    let hosts = grudge::all_hosts(view.count);
    let pairs = hosts.iter().flat_map(|from| hosts.iter().map(|to| (*from, *to)));
    pairs.filter(|(from, to)| from != to).collect()
}

/// Links that are shaped.
struct ShapedLinks {
    shapes: BTreeMap<Link, Shape>,
    /// Whether the rate was lowered because there was too little traffic to throttle.
    is_narrowed: bool,
    /// What the switch did since they were shaped.
    counts: LinkCounts,
}

impl ShapedLinks {
    /// Lowers the rate of throttled links until even the probes are throttled. Returns whether any
    /// link is throttled.
    fn narrow(&mut self, cluster: &mut Cluster) -> bool {
        if self.shapes.values().all(|shape| shape.rate.is_none()) {
            return false;
        }
        self.shapes.values_mut().for_each(|shape| shape.rate = Some(NARROW_RATE));
        cluster.links.set_shapes(self.shapes.clone());
        true
    }
}

impl ActiveFault for ShapedLinks {
    fn needs_more_time(&mut self, cluster: &mut Cluster, extended: Duration) -> Result<bool> {
        if weigh_counts(&self.shapes, &cluster.links.shape_evidence()?).confirmed {
            return Ok(false);
        }
        self.is_narrowed = self.is_narrowed || self.narrow(cluster);
        Ok(extended < if self.is_narrowed { MAX_NARROWED_EXTENSION } else { MAX_EXTENSION })
    }

    fn end_fault<'a>(&'a mut self, cluster: &'a mut Cluster) -> BoxFuture<'a, Result<()>> {
        let counts = cluster.links.shape_evidence();
        cluster.links.set_shapes(BTreeMap::new());
        Box::pin(async {
            self.counts = counts?;
            Ok(())
        })
    }

    fn weigh_evidence(&self) -> Result<Evidence> {
        let Evidence { confirmed, mut text } = weigh_counts(&self.shapes, &self.counts);
        if self.is_narrowed {
            text += &format!(", at last at {NARROW_RATE} B/s");
        }
        Ok(Evidence { confirmed, text })
    }
}

/// Every effect that the shape should have was counted on the shaped links.
fn weigh_counts(shapes: &BTreeMap<Link, Shape>, counts: &LinkCounts) -> Evidence {
    let mut total = PacketCounts::default();
    let mut tried = 0;
    for link in shapes.keys() {
        let counts = counts.get(link).copied().unwrap_or_default();
        tried += usize::from(counts.offered > 0);
        total += counts;
    }
    let shape = shapes.values().next().copied().unwrap_or_default();
    let effects: Vec<(&Effect, u64)> =
        package::expected_effects(&shape).map(|effect| (effect, (effect.count)(&total))).collect();
    let texts: Vec<String> =
        effects.iter().map(|(effect, count)| format!("{count} {}", effect.name)).collect();
    let text = format!(
        "{tried} of {} shaped links tried: {} packets offered, {} delivered, {}",
        shapes.len(),
        total.offered,
        total.delivered,
        texts.join(", ")
    );
    let confirmed = !effects.is_empty() && effects.iter().all(|(_, count)| *count > 0);
    Evidence { confirmed, text }
}
