//! Chooses the replicas that a fault acts on. Pure.

use super::fault::{Nemesis, reject_variant};
use super::selector;
use super::target::{ClusterView, Target};
use testbed::net::plan::HostId;
use workloads::Rng;

/// The ways in which a fault of single replicas aims.
pub(super) const REPLICA_VARIANTS: &[(&str, &str)] = &[
    ("all", "every replica"),
    ("followers", "every replica but the leader"),
    ("leader", "the leader"),
    ("majority", "a random majority"),
    ("minority", "a random minority"),
    ("one", "one random replica"),
];

/// Rejects an aim that is neither a variant nor a list of hosts.
pub(super) fn reject_replicas(nemesis: &dyn Nemesis, aim: &str, count: usize) -> Option<String> {
    let unknown = reject_variant(nemesis.name(), nemesis.variants(), aim)?;
    if !selector::is_list(aim) {
        return Some(format!("{unknown}, or hosts by name (`n1 n3`)"));
    }
    selector::parse_hosts(aim, count).err()
}

/// Rejects an aim that is neither one of these variants nor a single host by name.
pub(super) fn reject_single_host(
    name: &str,
    variants: &[(&str, &str)],
    aim: &str,
    count: usize,
) -> Option<String> {
    let unknown = reject_variant(name, variants, aim)?;
    if !selector::is_list(aim) {
        return Some(format!("{unknown}, or a host by name (`n3`)"));
    }
    match selector::parse_hosts(aim, count) {
        Ok(hosts) => {
            (hosts.len() != 1).then(|| format!("nemesis {name:?} hits one host: name one"))
        }
        Err(why) => Some(why),
    }
}

/// Chooses replicas on which no other fault is acting.
pub(super) fn aim_at_replicas(variant: &str, view: &ClusterView, rng: &mut Rng) -> Option<Target> {
    let hosts = if selector::is_list(variant) {
        let named = selector::parse_hosts(variant, view.count).ok()?;
        selector::resolve_hosts(&named, view).filter(|hosts| view.are_free(hosts))?
    } else {
        choose_hosts(variant, view, rng)?
    };
    Some(Target::of_replicas(variant, hosts))
}

fn choose_hosts(variant: &str, view: &ClusterView, rng: &mut Rng) -> Option<Vec<HostId>> {
    let mut hosts = view.shuffle_free_hosts(rng);
    let majority = view.count / 2 + 1;
    let wanted = match variant {
        "leader" => {
            hosts.retain(|host| view.leader == Some(*host));
            1
        }
        "followers" => {
            let leader = view.leader?;
            hosts.retain(|host| *host != leader);
            view.count.checked_sub(1).filter(|followers| *followers > 0)?
        }
        "one" => 1,
        "minority" if majority > 1 => 1 + rng.below(majority as u64 - 1) as usize,
        "minority" => return None,
        "majority" => majority,
        _ => view.count,
    };
    hosts.truncate(wanted);
    hosts.sort_unstable();
    (hosts.len() == wanted).then_some(hosts)
}
