//! Decides which host hears which: a shape of partition and the hosts become a set of directed
//! cuts. Pure.
//!
//! *Grudge* is Jepsen's word for that. [`majority_side`] names the hosts that still reach a
//! majority: a run in which that side accepted no write proves little.

use std::collections::BTreeSet;
use testbed::net::plan::{HostId, LinkPlan};
use workloads::Rng;

/// A way to cut a cluster; [`SHAPES`] has name and sentence of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum PartitionShape {
    Bridge,
    Halves,
    Leader,
    LeaderMinority,
    Minority,
    One,
    OneWay,
    Ring,
}

/// Every shape, in order of name.
pub(crate) const SHAPES: &[(PartitionShape, &str, &str)] = &[
    (PartitionShape::Bridge, "bridge", "two halves that only one host in the middle can reach"),
    (PartitionShape::Halves, "halves", "two groups as equal as they can be"),
    (PartitionShape::Leader, "leader", "the leader alone, clients still reach it"),
    (PartitionShape::LeaderMinority, "leader-minority", "the leader with a minority"),
    (PartitionShape::Minority, "minority", "a random minority against the rest"),
    (PartitionShape::One, "one", "one random host alone"),
    (
        PartitionShape::OneWay,
        "one-way",
        "a random group hears the rest but is not heard, or the reverse",
    ),
    (PartitionShape::Ring, "ring", "each host reaches a majority, and no two the same one"),
];

/// A shape applied to hosts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Grudge {
    /// The links to cut.
    pub(crate) plan: LinkPlan,
    /// The same for a reader: `n2 | n1 n3 n4 n5`.
    pub(crate) text: String,
}

/// The cuts of `shape` among `count` hosts; `None` where it has no target (no leader now, too few
/// hosts).
pub(crate) fn cut_shape(
    shape: PartitionShape,
    count: usize,
    leader: Option<HostId>,
    rng: &mut Rng,
) -> Option<Grudge> {
    let mut hosts: Vec<HostId> = all_hosts(count);
    rng.shuffle(&mut hosts);
    let minority = |rng: &mut Rng| 1 + rng.below(((count - 1) / 2).max(1) as u64) as usize;
    match shape {
        PartitionShape::One => Some(cut_in_two(&hosts, 1)),
        PartitionShape::Halves => Some(cut_in_two(&hosts, count / 2)),
        PartitionShape::Minority => Some(cut_in_two(&hosts, minority(rng))),
        PartitionShape::Leader => Some(cut_in_two(&move_to_front(&hosts, leader?), 1)),
        // The leader alone is another shape; here a follower hears it, where a minority has room
        // for two.
        PartitionShape::LeaderMinority => Some(cut_in_two(
            &move_to_front(&hosts, leader?),
            minority(rng).max(2.min((count - 1) / 2)),
        )),
        PartitionShape::OneWay => Some(cut_one_way(&hosts, minority(rng), rng.percent_chance(50))),
        PartitionShape::Bridge => (count >= 3).then(|| cut_bridge(&hosts)),
        PartitionShape::Ring => (count >= 4).then(|| cut_ring(&hosts)),
    }
    .filter(|grudge| !grudge.plan.cuts.is_empty())
}

/// The hosts that reach a majority of `count`, themselves included, in both directions.
pub(crate) fn majority_side(plan: &LinkPlan, count: usize) -> BTreeSet<HostId> {
    let connected =
        |a: HostId, b: HostId| !plan.cuts.contains(&(a, b)) && !plan.cuts.contains(&(b, a));
    let reaches_majority = |host: &HostId| {
        all_hosts(count).into_iter().filter(|peer| connected(*host, *peer)).count() > count / 2
    };
    all_hosts(count).into_iter().filter(reaches_majority).collect()
}

/// All hosts in order.
pub(crate) fn all_hosts(count: usize) -> Vec<HostId> {
    (0..count).filter_map(|id| u8::try_from(id).ok()).map(HostId).collect()
}

/// The hosts with `front` moved to the front.
fn move_to_front(hosts: &[HostId], front: HostId) -> Vec<HostId> {
    let rest = hosts.iter().copied().filter(|host| *host != front);
    std::iter::once(front).chain(rest).collect()
}

fn cut_in_two(hosts: &[HostId], size: usize) -> Grudge {
    let (some, rest) = hosts.split_at(size);
    let mut plan = cut_direction(some, rest);
    plan.cuts.extend(cut_direction(rest, some).cuts);
    Grudge { plan, text: format!("{} | {}", host_names(some), host_names(rest)) }
}

fn cut_one_way(hosts: &[HostId], size: usize, muted: bool) -> Grudge {
    let (some, rest) = hosts.split_at(size);
    let (from, to) = if muted { (some, rest) } else { (rest, some) };
    Grudge {
        plan: cut_direction(from, to),
        text: format!("{} -/-> {}", host_names(from), host_names(to)),
    }
}

fn cut_bridge(hosts: &[HostId]) -> Grudge {
    let (middle, sides) = hosts.split_at(1);
    let (left, right) = sides.split_at(sides.len() / 2);
    let mut grudge = cut_in_two(&[left, right].concat(), left.len());
    grudge.text = format!("{} | {} | {}", host_names(left), host_names(middle), host_names(right));
    grudge
}

/// No group hears another one; or with `one_way`, the second does not hear the first.
pub(crate) fn cut_groups(groups: &[Vec<HostId>], one_way: bool) -> Grudge {
    let mut plan = LinkPlan::healed();
    for (place, from) in groups.iter().enumerate() {
        for (other, to) in groups.iter().enumerate() {
            if place < other || (place > other && !one_way) {
                plan.cuts.extend(cut_direction(from, to).cuts);
            }
        }
    }
    let names: Vec<String> = groups.iter().map(|group| host_names(group)).collect();
    Grudge { plan, text: names.join(if one_way { " -/-> " } else { " | " }) }
}

/// Each host hears its nearest neighbours on a circle, just enough for a majority.
fn cut_ring(hosts: &[HostId]) -> Grudge {
    let count = hosts.len();
    let reach = (count / 2).div_ceil(2);
    let mut plan = LinkPlan::healed();
    for (i, from) in hosts.iter().enumerate() {
        for (j, to) in hosts.iter().enumerate() {
            let distance = i.abs_diff(j).min(count - i.abs_diff(j));
            if distance > reach {
                plan.cuts.insert((*from, *to));
            }
        }
    }
    Grudge { plan, text: format!("ring {}", host_names(hosts)) }
}

fn cut_direction(from: &[HostId], to: &[HostId]) -> LinkPlan {
    let cuts = from.iter().flat_map(|from| to.iter().map(move |to| (*from, *to)));
    LinkPlan::with_cuts(cuts)
}

/// `n1 n3 n4`, sorted.
pub(crate) fn host_names(hosts: &[HostId]) -> String {
    let mut sorted = hosts.to_vec();
    sorted.sort_unstable();
    sorted.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample_cut(shape: PartitionShape, count: usize, seed: u64) -> Option<Grudge> {
        cut_shape(shape, count, Some(HostId(1)), &mut Rng::new(seed))
    }

    #[test]
    fn shapes_are_sorted_named_and_explained() {
        assert!(SHAPES.windows(2).all(|pair| pair[0].1 < pair[1].1));
        assert!(SHAPES.iter().all(|(_, _, doc)| doc.len() > 15));
    }

    #[test]
    fn no_shape_cuts_a_host_from_itself_and_each_cuts_something() {
        for (shape, name, _) in SHAPES {
            for (count, seed) in (2..=7).flat_map(|count| (0..20).map(move |seed| (count, seed))) {
                let Some(grudge) = sample_cut(*shape, count, seed) else { continue };
                assert!(!grudge.plan.cuts.is_empty(), "{name} of {count}");
                assert!(grudge.plan.cuts.iter().all(|(from, to)| from != to), "{name} of {count}");
            }
        }
    }

    #[test]
    fn the_leader_alone_reaches_no_host_and_the_rest_are_the_majority() {
        let plan = sample_cut(PartitionShape::Leader, 5, 3).expect("there is a leader").plan;
        assert_eq!(plan.cuts.len(), 8);
        let side = majority_side(&plan, 5);
        assert_eq!(side.len(), 4);
        assert!(!side.contains(&HostId(1)));
    }

    #[test]
    fn a_leader_with_a_minority_is_not_alone_where_two_are_one() {
        for seed in 0..20 {
            let plan = sample_cut(PartitionShape::LeaderMinority, 5, seed)
                .expect("there is a leader")
                .plan;
            let side = majority_side(&plan, 5);
            assert!(side.len() == 3 && !side.contains(&HostId(1)), "seed {seed}");
        }
        assert_eq!(
            majority_side(
                &sample_cut(PartitionShape::LeaderMinority, 3, 0).expect("a cut").plan,
                3
            )
            .len(),
            2
        );
    }

    #[test]
    fn a_ring_of_five_leaves_every_host_a_different_majority() {
        let plan = sample_cut(PartitionShape::Ring, 5, 0).expect("five hosts make a ring").plan;
        assert_eq!(plan.cuts.len(), 10);
        assert_eq!(majority_side(&plan, 5).len(), 5);
    }

    #[test]
    fn a_bridge_leaves_the_middle_whole() {
        let plan = sample_cut(PartitionShape::Bridge, 5, 0).expect("five hosts make a bridge").plan;
        assert_eq!(plan.cuts.len(), 8);
        assert_eq!(majority_side(&plan, 5).len(), 5);
    }

    #[test]
    fn a_one_way_cut_leaves_the_other_direction_open() {
        let plan = sample_cut(PartitionShape::OneWay, 5, 4).expect("five hosts can be cut").plan;
        assert!(plan.cuts.iter().all(|(from, to)| !plan.cuts.contains(&(*to, *from))));
    }

    #[test]
    fn without_a_leader_there_is_no_leader_to_cut() {
        assert_eq!(cut_shape(PartitionShape::Leader, 5, None, &mut Rng::new(1)), None);
    }
}
