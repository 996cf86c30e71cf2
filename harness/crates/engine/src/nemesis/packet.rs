//! Shapes links: packets come late, twice, out of order, corrupted, too slowly or not at all. Needs the switch.
//!
//! Evidence: the counters of the shaped links, which say of how many packets the switch really did so while the fault
//! lasted. A fault that was to lose packets and found none to lose has not bitten.

mod package;
#[cfg(test)]
mod tests;

use super::ground::Ground;
use super::{
    Before, Fault, Nemesis, REPLICA_VARIANTS, Scene, Seen, Target, aim_at_replicas, grudge,
    no_variant, who,
};
use anyhow::Result;
use futures_util::future::BoxFuture;
use package::{Effect, Package, VARIANTS, package};
use std::collections::BTreeMap;
use std::time::Duration;
use testbed::net::plan::{CLIENTS, HostId, LinkPlan};
use testbed::net::switch::shape::Shape;
use testbed::net::switch::{Counts, LinkCounts};
use workloads::Rng;

/// How long evidence is waited for when there is none yet.
const SECOND_LOOK: Duration = Duration::from_millis(400);
/// In bytes a second: less than the probes of an idle link need.
const NARROW: u64 = 500;
/// Some directed links at random.
const LINKS: &str = "links";
/// The links between the clients and all replicas.
const WITH_CLIENTS: &str = "clients";
/// Whom a fault hits that does not say: mostly some, so that the others can go on.
const ANYBODY: &[&str] = &["leader", LINKS, "minority", "one", "all"];

/// Links that do not carry packets as they should.
pub(crate) struct Packet;

impl Nemesis for Packet {
    fn name(&self) -> &'static str {
        "packet"
    }

    fn doc(&self) -> &'static str {
        "delays, loses, duplicates, reorders, corrupts or holds packets of links between hosts, or of clients"
    }

    fn variants(&self) -> &'static [(&'static str, &'static str)] {
        VARIANTS
    }

    fn duration_ms(&self) -> (u64, u64) {
        (1_000, 4_000)
    }

    fn shapes(&self) -> bool {
        true
    }

    fn refuses(&self, aim: &str, count: usize) -> Option<String> {
        let (package, whom) = parts(aim);
        if let Some(why) = no_variant(self.name(), VARIANTS, package) {
            return Some(format!(
                "{why}, and whom behind it (`lossy leader`, `slow n1 n3`, `hold links`)"
            ));
        }
        let known = whom.is_empty()
            || is_group(whom)
            || REPLICA_VARIANTS.iter().any(|(name, _)| *name == whom);
        if known {
            return None;
        }
        let names: Vec<_> = REPLICA_VARIANTS.iter().map(|(name, _)| *name).collect();
        who::hosts(whom, count)
            .err()
            .map(|why| format!("{why}; or say {WITH_CLIENTS}, {LINKS}, {}", names.join(", ")))
    }

    fn aim(&self, aim: &str, scene: &Scene, rng: &mut Rng) -> Option<Target> {
        let (name, whom) = parts(aim);
        let Package { shape, .. } = package(name, rng)?;
        let whom = if whom.is_empty() { rng.choose(ANYBODY).copied()? } else { whom };
        let (links, text) = match whom {
            LINKS => some_links(scene, rng)?,
            WITH_CLIENTS => (of_clients(scene), "the links of clients".to_owned()),
            whom => of_hosts(&aim_at_replicas(whom, scene, rng)?.hosts, scene),
        };
        let text = format!("{text}: {shape}");
        let shapes: BTreeMap<_, _> = links.into_iter().map(|link| (link, shape)).collect();
        let links = LinkPlan { shapes, ..LinkPlan::healed() };
        (!links.shapes.is_empty()).then_some(Target {
            hosts: Vec::new(),
            links,
            skew: None,
            dice: 0,
            text,
        })
    }

    fn begin<'a>(
        &'a self,
        target: &'a Target,
        ground: &'a mut Ground,
    ) -> BoxFuture<'a, Result<Before>> {
        Box::pin(async move {
            ground.want_shapes(target.links.shapes.clone());
            Ok(Before::new())
        })
    }

    fn linger<'a>(
        &'a self,
        fault: &'a mut Fault,
        ground: &'a mut Ground,
    ) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            if !look(fault, ground)?.bit {
                narrow(fault, ground).await?;
                tokio::time::sleep(SECOND_LOOK).await;
            }
            Ok(())
        })
    }

    fn end<'a>(&'a self, fault: &'a Fault, ground: &'a mut Ground) -> BoxFuture<'a, Result<Seen>> {
        Box::pin(async move {
            let seen = look(fault, ground);
            // Whatever was seen: from here on the links are wanted plain.
            ground.want_shapes(BTreeMap::new());
            seen
        })
    }
}

/// How and whom: `slow n1 n3`.
fn parts(aim: &str) -> (&str, &str) {
    aim.split_once(' ').unwrap_or((aim, ""))
}

fn is_group(whom: &str) -> bool {
    whom == LINKS || whom == WITH_CLIENTS
}

/// A directed link.
type Link = (HostId, HostId);

/// All links from and to these hosts.
fn of_hosts(hosts: &[HostId], scene: &Scene) -> (Vec<Link>, String) {
    let links = all_links(scene).into_iter();
    let links = links.filter(|(from, to)| hosts.contains(from) || hosts.contains(to)).collect();
    (links, format!("links of {}", grudge::names(hosts)))
}

fn of_clients(scene: &Scene) -> Vec<Link> {
    let hosts = grudge::all(scene.count).into_iter();
    hosts.flat_map(|host| [(CLIENTS, host), (host, CLIENTS)]).collect()
}

/// Up to half of the directed links: most of those hit are hit one way only.
fn some_links(scene: &Scene, rng: &mut Rng) -> Option<(Vec<Link>, String)> {
    let mut links = all_links(scene);
    rng.shuffle(&mut links);
    let most = u64::try_from(links.len() / 2).ok().filter(|most| *most > 0)?;
    links.truncate(1 + usize::try_from(rng.below(most)).ok()?);
    links.sort_unstable();
    let names: Vec<String> = links.iter().map(|(from, to)| format!("{from}->{to}")).collect();
    Some((links, names.join(" ")))
}

fn all_links(scene: &Scene) -> Vec<Link> {
    let hosts = grudge::all(scene.count);
    let pairs = hosts.iter().flat_map(|from| hosts.iter().map(|to| (*from, *to)));
    pairs.filter(|(from, to)| from != to).collect()
}

fn look(fault: &Fault, ground: &Ground) -> Result<Seen> {
    Ok(seen(&fault.target.links.shapes, &ground.shape_evidence()?))
}

/// Makes links that have too little on them to be throttled so narrow that it is enough.
async fn narrow(fault: &mut Fault, ground: &mut Ground) -> Result<()> {
    let shapes = &mut fault.target.links.shapes;
    if shapes.values().all(|shape| shape.rate.is_none()) {
        return Ok(());
    }
    shapes.values_mut().for_each(|shape| shape.rate = Some(NARROW));
    ground.want_shapes(shapes.clone());
    ground.settle().await?;
    fault.target.text += &format!(", at last {NARROW} B/s");
    tokio::time::sleep(SECOND_LOOK).await;
    Ok(())
}

/// Weighs what the switch counted on the links that were to be shaped.
fn seen(shapes: &BTreeMap<Link, Shape>, counts: &LinkCounts) -> Seen {
    let mut total = Counts::default();
    let mut tried = 0;
    for link in shapes.keys() {
        let counts = counts.get(link).copied().unwrap_or_default();
        tried += usize::from(counts.offered > 0);
        total += counts;
    }
    let shape = shapes.values().next().copied().unwrap_or_default();
    let effects: Vec<(&Effect, u64)> =
        package::effects(&shape).map(|effect| (effect, (effect.count)(&total))).collect();
    let told: Vec<String> =
        effects.iter().map(|(effect, count)| format!("{count} {}", effect.name)).collect();
    let text = format!(
        "{tried} of {} shaped links tried: {} packets offered, {} delivered, {}",
        shapes.len(),
        total.offered,
        total.delivered,
        told.join(", ")
    );
    Seen { bit: !effects.is_empty() && effects.iter().all(|(_, count)| *count > 0), text }
}
