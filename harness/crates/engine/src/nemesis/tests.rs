//! Polices the registry, and parses requests.

use super::aim::aim_at_replicas;
use super::*;
use anyhow::{Context as _, Result};
use testbed::net::plan::HostId;
use workloads::Rng;

fn is_kebab_case(name: &str) -> bool {
    name.chars().all(|c| c.is_ascii_lowercase() || c == '-')
}

fn sample_view() -> ClusterView {
    let free = grudge::all_hosts(5).into_iter().collect();
    ClusterView { count: 5, leader: Some(HostId(2)), free }
}

#[test]
fn names_are_sorted_kebab_case_and_explained() {
    assert!(NEMESES.windows(2).all(|pair| pair[0].name() < pair[1].name()));
    for nemesis in NEMESES {
        assert!(is_kebab_case(nemesis.name()) && nemesis.doc().len() > 20, "{}", nemesis.name());
        assert!(nemesis.variants().windows(2).all(|pair| pair[0].0 < pair[1].0));
        assert!(nemesis.variants().iter().all(|(name, doc)| is_kebab_case(name) && doc.len() > 8));
    }
}

#[test]
fn every_variant_finds_a_target_in_a_cluster_of_five_without_faults() {
    for nemesis in NEMESES {
        for (variant, _) in nemesis.variants() {
            let target = nemesis.choose_target(variant, &sample_view(), &mut Rng::new(1));
            let target = target.with_context(|| format!("{}:{variant}", nemesis.name()));
            assert_eq!(target.expect("a target").variant, *variant, "{}", nemesis.name());
        }
    }
}

#[test]
fn a_replica_that_another_fault_holds_is_no_target() {
    let mut view = sample_view();
    view.free.remove(&HostId(2));
    assert_eq!(aim_at_replicas("leader", &view, &mut Rng::new(1)), None);
    for seed in 0..20 {
        let target = aim_at_replicas("one", &view, &mut Rng::new(seed)).expect("four are free");
        assert_ne!(target.hosts, [HostId(2)]);
    }
}

#[test]
fn all_is_every_nemesis_but_none_and_stands_alone() {
    let all = parse_request("all").expect("it is a word");
    assert_eq!(all.len(), NEMESES.len() - 1);
    assert!(all.iter().all(|it| it.variant.is_none() && it.nemesis.name() != "none"));
    let error = parse_request("kill,all").err().expect("it is combined");
    assert!(error.to_string().contains("stands alone"), "{error}");
}

#[test]
fn disk_is_every_disk_fault() {
    let all = parse_request("kill,disk").expect("both are words");
    let disks = all.iter().filter(|it| it.nemesis.requirements().contains(&Requirement::Disks));
    assert_eq!(disks.count() + 1, all.len());
    assert!(parse_request("disk,power-loss").is_err(), "disk includes it");
}

#[test]
fn a_request_is_parsed_and_an_unknown_name_is_rejected_with_those_there_are() {
    let names = |text| parse_request(text).map(|all| all.iter().map(ToString::to_string).collect());
    let names = |text| -> Result<Vec<String>> { names(text) };
    assert_eq!(names("partition:leader, kill").expect("both exist"), ["partition:leader", "kill"]);
    assert_eq!(names("none").expect("it exists"), [""; 0]);
    let refusal = |text| names(text).expect_err("it is rejected").to_string();
    let known = "bit-rot, clock, crash-loop, disk-error, disk-full, kill, lost-write, membership, \
                 misdirected-write, none, packet, partition, pause, power-loss, replace, \
                 slow-disk, starve, transfer, truncate";
    assert_eq!(refusal("fire"), format!("there is no nemesis \"fire\"; there are: {known}"));
    assert_eq!(
        refusal("kill:two"),
        "nemesis \"kill\" has no variant \"two\"; it has: all, followers, leader, majority, \
         minority, one, staggered, or hosts by name (`n1 n3`)"
    );
    insta::assert_snapshot!(
        refusal("kill,none"),
        @r#"nemesis "none" stands alone: it means a run without faults"#
    );
    insta::assert_snapshot!(refusal("kill,kill:all"), @r#"nemesis "kill" is named twice"#);
}
