//! Aims packages at small clusters, and weighs counters.

use super::*;
use testbed::net::plan::HostId;

const A: HostId = HostId(0);
const B: HostId = HostId(1);

fn scene() -> Scene {
    Scene { count: 5, leader: Some(HostId(2)), free: grudge::all(5).into_iter().collect() }
}

fn aimed(aim: &str) -> Target {
    Packet.aim(aim, &scene(), &mut Rng::new(7)).expect("it has a target")
}

fn refused(aim: &str) -> String {
    Packet.refuses(aim, 5).expect("it is nonsense")
}

fn with(count: impl FnOnce(&mut Counts)) -> LinkCounts {
    let mut counts = Counts { offered: 10, delivered: 10, ..Counts::default() };
    count(&mut counts);
    [((A, B), counts)].into()
}

fn shaped(shape: Shape) -> BTreeMap<Link, Shape> {
    [((A, B), shape)].into()
}

#[test]
fn whom_it_hits_is_named_behind_the_package() {
    let links = |aim: &str| aimed(aim).links.shapes.len();
    assert_eq!(links("slow leader"), 8, "to and from the four others");
    assert_eq!(links("slow n1 n2"), 14);
    assert_eq!(links("lossy all"), 20);
    assert_eq!(links("hold clients"), 10);
    assert!((1..=10).contains(&links("reorder links")));
    let leader = aimed("slow leader");
    assert!(leader.links.shapes.keys().all(|(from, to)| [*from, *to].contains(&HostId(2))));
    assert!(leader.links.cuts.is_empty() && leader.hosts.is_empty());
    assert!(leader.text.starts_with("links of n3: "), "{}", leader.text);
}

#[test]
fn a_seed_decides_strength_and_target() {
    for (name, _) in VARIANTS {
        assert_eq!(aimed(name), aimed(name));
        assert!(!aimed(name).links.shapes.values().any(Shape::is_plain), "{name}");
    }
}

#[test]
fn without_a_leader_nobody_is_hit_in_its_place() {
    let scene = Scene { leader: None, ..scene() };
    assert_eq!(Packet.aim("slow leader", &scene, &mut Rng::new(1)), None);
}

#[test]
fn nonsense_is_refused_with_what_there_is() {
    insta::assert_snapshot!(refused("wet"), @r#"nemesis "packet" has no variant "wet"; it has: corrupt, duplicate, flaky, flapping, hold, lossy, reorder, slow, throttled, and whom behind it (`lossy leader`, `slow n1 n3`, `hold links`)"#);
    insta::assert_snapshot!(refused("slow n9"), @r#"there is no host "n9"; there are n1 to n5 (--nodes 5); or say clients, links, all, followers, leader, majority, minority, one"#);
    insta::assert_snapshot!(refused("slow nobody"), @r#""nobody" is no host; there are n1 to n5, leader and rest; or say clients, links, all, followers, leader, majority, minority, one"#);
    assert_eq!(Packet.refuses("slow", 5), None);
    assert_eq!(Packet.refuses("flaky leader n2", 5), None);
}

#[test]
fn only_what_was_really_done_to_packets_is_evidence() {
    let lossy = shaped(Shape { loss: 100, ..Shape::default() });
    assert!(!seen(&lossy, &with(|_| ())).bit, "nothing was lost");
    assert!(!seen(&lossy, &with(|it| it.delayed = 9)).bit, "that is something else");
    assert!(!seen(&lossy, &LinkCounts::new()).bit, "nothing is known");
    let seen_lossy = seen(&lossy, &with(|it| it.lost = 3));
    assert!(seen_lossy.bit);
    insta::assert_snapshot!(seen_lossy.text, @"1 of 1 shaped links tried: 10 packets offered, 10 delivered, 3 lost");
    let both = shaped(Shape { loss: 100, duplicate: 100, ..Shape::default() });
    assert!(!seen(&both, &with(|it| it.lost = 3)).bit, "nothing came twice");
    assert!(!seen(&BTreeMap::new(), &with(|it| it.lost = 3)).bit, "nothing was shaped");
}

#[test]
fn every_package_has_an_effect_that_is_counted() {
    for (name, _) in VARIANTS {
        let shape = package(name, &mut Rng::new(3)).expect("it exists").shape;
        assert!(package::effects(&shape).count() > 0, "{name}");
        assert!(!seen(&shaped(shape), &with(|_| ())).bit, "{name}");
    }
}
