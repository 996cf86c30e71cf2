//! Tests what suites' files say and where they are wrong.

use super::*;
use records::suite::Expectation;

fn suite(name: &str, source: &str, first_seed: u64) -> Result<Suite, String> {
    let bugs = |system: &str| {
        Ok(if system == "raft" { vec!["stale-reads".to_owned()] } else { Vec::new() })
    };
    read(&format!("{name}.toml"), name, source, &Setting { first_seed, bugs: &bugs })
}

fn wrong(source: &str) -> String {
    suite("s", source, 1).expect_err("it is wrong")
}

#[test]
fn a_file_is_every_combination_of_its_lists() {
    let source = r#"
        name = "weekly"
        budget = "2h"
        time-limit = "10s"
        [[matrix]]
        workload = ["register", "append"]
        nemesis = ["partition", "kill,pause"]
        nodes = [3, 5]
        seeds = 2
        [[matrix]]
        unsafe = "stale-reads"
        expect = "invalid"
        seeds = [0x10]
    "#;
    let suite = suite("s", source, 40).expect("it is right");
    assert_eq!((suite.name.as_str(), suite.budget_ms), ("weekly", Some(7_200_000)));
    assert_eq!(suite.cells.len(), 2 * 2 * 2 * 2 + 1);
    assert_eq!(suite.cells[1].family, "raft register partition, 3 nodes");
    assert_eq!(suite.cells[1].seed, 41);
    let last = &suite.cells[16];
    assert_eq!((last.seed, last.expect, last.limit_ms), (16, Expectation::Invalid, 10_000));
    let line = pasteable("harness", &last.arguments);
    assert_eq!(
        line,
        "harness test --system raft --nodes 5 --workload register --read linearizable --nemesis partition,kill \
         --time-limit 10000ms --concurrency 10 --rate 200 --seed 16 --net auto --unsafe stale-reads"
    );
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    insta::assert_snapshot!(wrong("seeds = 1\nworklaod = \"register\"\n"), @r#"
    s.toml:2:1: no key "worklaod"; did you mean "workload"?
      | worklaod = "register"
      | ^^^^^^^^
    "#);
    insta::assert_snapshot!(wrong("[[matrix]]\nnodes = [3, \"ä\"]"), @r#"
    s.toml:2:13: this is to be a whole number above 0
      | nodes = [3, "ä"]
      |             ^^^^
    "#);
    insta::assert_snapshot!(wrong("rate = "), @r#"
    s.toml:1:8: string values must be quoted, expected literal string
      | rate = 
      |        ^
    "#);
}

#[test]
fn what_could_not_be_run_is_refused() {
    for (source, part) in [
        ("workload = \"nonsense\"", "nonsense"),
        ("nemesis = \"partition:nowhere\"", "nowhere"),
        ("unsafe = \"nonsense\"", "no seeded bug"),
        ("nodes = 200", "200"),
        ("seeds = []", "nothing would run"),
        ("seeds = 0", "above 0"),
        ("seeds = -1", "above 0"),
        ("seeds = 10_001", "at most 10000 seeds"),
        ("system = \"etcd\"\nunsafe = \"stale-reads\"", "no seeded bugs"),
        ("matrix = 1", "[[matrix]]"),
        ("matrix = [1]", "[[matrix]]"),
        ("name = \"../x\"", "letters, digits and hyphens"),
        ("time-limit = \"soon\"", "30s"),
        ("fail-fast = 1", "true or false"),
        ("expect = \"luck\"", "\"invalid\""),
        ("[[matrix]]\nbudget = \"1h\"", "no key \"budget\""),
    ] {
        let told = wrong(source);
        assert!(told.starts_with("s.toml:") && told.contains(part), "{source}: {told}");
    }
}

#[test]
fn no_seed_is_run_twice_for_want_of_others() {
    let last = suite("s", "seeds = 2", u64::MAX - 1).expect_err("there is but one left");
    assert!(last.contains("leaves no room for 2 seeds"), "{last}");
    assert!(suite("s", "seeds = 2", u64::MAX - 2).is_ok());
}

#[test]
fn suites_that_come_along_can_be_read() {
    for (name, source) in SUITES {
        let suite = suite(name, source, 1).unwrap_or_else(|wrong| panic!("{wrong}"));
        assert_eq!(suite.name, name);
        assert!(suite.cells.len() >= 3, "{name}");
    }
}

#[test]
fn shards_share_out_every_cell_once() {
    let (_, source) = SUITES[0];
    let cells = suite("nightly", source, 1).expect("it is right").cells;
    let mut shared: Vec<_> = (1..=5).flat_map(|part| shard(cells.clone(), part, 5)).collect();
    assert_eq!(shared.len(), cells.len());
    for cell in &cells {
        let at = shared.iter().position(|other| other == cell).expect("it is in a shard");
        shared.swap_remove(at);
    }
}

#[test]
fn a_command_line_asks_for_everything_that_the_configuration_has() {
    let config = Config {
        node_args: vec!["--groups".to_owned(), "3".to_owned()],
        latency_ms: 5,
        latency_dist: "uniform".to_owned(),
        loss_per_mille: 125,
        topology: "line".to_owned(),
        capture: true,
        ..records::sample::config()
    };
    let asked = pasteable("harness", &arguments(&config));
    insta::assert_snapshot!(asked, @"harness test --system raft --nodes 5 --workload register --read linearizable --nemesis 'partition,kill:leader' --time-limit 30000ms --concurrency 10 --rate 200 --seed 1 --net auto --unsafe stale-reads '--node-arg=--groups' '--node-arg=3' --latency 5 --latency-dist uniform --loss 0.125 --topology line --capture");
}
