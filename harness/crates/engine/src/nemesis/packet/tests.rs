//! Aims packages at small clusters, and weighs counters.

use super::*;
use testbed::net::plan::HostId;

const A: HostId = HostId(0);
const B: HostId = HostId(1);

fn sample_view() -> ClusterView {
    ClusterView {
        count: 5,
        leader: Some(HostId(2)),
        free: grudge::all_hosts(5).into_iter().collect(),
    }
}

fn packet_target(aim: &str) -> Target {
    Packet.choose_target(aim, &sample_view(), &mut Rng::new(7)).expect("it has a target")
}

fn rejection_text(aim: &str) -> String {
    Packet.reject_aim(aim, 5).expect("it is rejected")
}

fn counts_with(count: impl FnOnce(&mut PacketCounts)) -> LinkCounts {
    let mut counts = PacketCounts { offered: 10, delivered: 10, ..PacketCounts::default() };
    count(&mut counts);
    [((A, B), counts)].into()
}

fn shaped_link(shape: Shape) -> BTreeMap<Link, Shape> {
    [((A, B), shape)].into()
}

#[test]
fn the_target_is_named_behind_the_package() {
    let links = |aim: &str| packet_target(aim).links.shapes.len();
    assert_eq!(links("slow leader"), 8, "to and from the four others");
    assert_eq!(links("slow n1 n2"), 14);
    assert_eq!(links("lossy all"), 20);
    assert_eq!(links("hold clients"), 10);
    assert!((1..=10).contains(&links("reorder links")));
    let leader = packet_target("slow leader");
    assert!(leader.links.shapes.keys().all(|(from, to)| [*from, *to].contains(&HostId(2))));
    assert!(leader.links.cuts.is_empty() && leader.hosts.is_empty());
    assert!(leader.text.starts_with("links of n3: "), "{}", leader.text);
}

#[test]
fn a_seed_decides_strength_and_target() {
    for (name, _) in VARIANTS {
        assert_eq!(packet_target(name), packet_target(name));
        assert!(!packet_target(name).links.shapes.values().any(Shape::is_plain), "{name}");
    }
}

#[test]
fn without_a_leader_no_other_replica_is_hit() {
    let view = ClusterView { leader: None, ..sample_view() };
    assert_eq!(Packet.choose_target("slow leader", &view, &mut Rng::new(1)), None);
}

#[test]
fn an_unknown_package_or_target_is_rejected_with_those_there_are() {
    let targets = "; or say clients, links, all, followers, leader, majority, minority, one";
    assert_eq!(
        rejection_text("wet"),
        "nemesis \"packet\" has no variant \"wet\"; it has: corrupt, duplicate, flaky, flapping, \
         hold, lossy, reorder, slow, throttled, and a target behind it \
         (`lossy leader`, `slow n1 n3`, `hold links`)"
    );
    assert_eq!(
        rejection_text("slow n9"),
        format!("there is no host \"n9\"; there are n1 to n5 (--nodes 5){targets}")
    );
    assert_eq!(
        rejection_text("slow bob"),
        format!("\"bob\" is no host; there are n1 to n5, leader and rest{targets}")
    );
    assert_eq!(Packet.reject_aim("slow", 5), None);
    assert_eq!(Packet.reject_aim("flaky leader n2", 5), None);
}

#[test]
fn only_the_effects_of_the_shape_are_evidence() {
    let lossy = shaped_link(Shape { loss: 100, ..Shape::default() });
    assert!(!weigh_counts(&lossy, &counts_with(|_| ())).confirmed, "nothing was lost");
    assert!(
        !weigh_counts(&lossy, &counts_with(|it| it.delayed = 9)).confirmed,
        "that is something else"
    );
    assert!(!weigh_counts(&lossy, &LinkCounts::new()).confirmed, "nothing was counted");
    let lost = weigh_counts(&lossy, &counts_with(|it| it.lost = 3));
    assert!(lost.confirmed);
    assert_eq!(lost.text, "1 of 1 shaped links tried: 10 packets offered, 10 delivered, 3 lost");
    let both = shaped_link(Shape { loss: 100, duplicate: 100, ..Shape::default() });
    assert!(!weigh_counts(&both, &counts_with(|it| it.lost = 3)).confirmed, "nothing came twice");
    assert!(
        !weigh_counts(&BTreeMap::new(), &counts_with(|it| it.lost = 3)).confirmed,
        "nothing was shaped"
    );
}

#[test]
fn every_package_has_an_effect_that_is_counted() {
    for (name, _) in VARIANTS {
        let shape = choose_shape(name, &mut Rng::new(3)).expect("it exists");
        assert!(package::expected_effects(&shape).count() > 0, "{name}");
        assert!(!weigh_counts(&shaped_link(shape), &counts_with(|_| ())).confirmed, "{name}");
    }
}
