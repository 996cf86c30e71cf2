//! Tests what suites' files say and where they are wrong.

use super::*;
use crate::run::options::{OptionValues, command_line, parse_value};
use records::config::{OPTIONS, OptionKind};
use records::suite::Expectation;

fn read_source(name: &str, source: &str, first_seed: u64) -> Result<Suite, String> {
    let bugs = |system: &str| {
        Ok(if system == "raft" { vec!["stale-reads".to_owned()] } else { Vec::new() })
    };
    let setting = SuiteContext { first_seed, bugs: &bugs, schedules: Path::new("schedules") };
    read_suite(&format!("{name}.toml"), name, source, &setting)
}

fn read_error(source: &str) -> String {
    read_source("s", source, 1).expect_err("it is wrong")
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
    let suite = read_source("s", source, 40).expect("it is right");
    assert_eq!((suite.name.as_str(), suite.budget_ms), ("weekly", Some(7_200_000)));
    assert_eq!(suite.cells.len(), 2 * 2 * 2 * 2 + 1);
    assert_eq!(suite.cells[1].family, "raft register partition, 3 nodes");
    assert_eq!(suite.cells[1].seed, 41);
    let last = &suite.cells[16];
    assert_eq!((last.seed, last.expect, last.limit_ms), (16, Expectation::Invalid, 10_000));
    let line = command_line("harness", &last.arguments);
    assert_eq!(
        line,
        "harness test --system raft --nodes 5 --workload register --nemesis partition,kill \
         --pace mixed --time-limit 10s --concurrency 10 --rate 200 --seed 16 --net auto \
         --unsafe stale-reads"
    );
}

/// The configuration of a file with one key, whether it could run or not.
fn read_config(source: &str) -> Result<Config> {
    let table = DeTable::parse(source)?;
    let mut axes = Axes::default();
    for (key, value) in entries_in_order(table.get_ref()) {
        let set = axes.set_key((key.get_ref(), key.span()), value);
        set.map_err(|wrong| anyhow::anyhow!(wrong.message("s.toml", source)))?;
    }
    axes.combinations().remove(0).into_config(0)
}

#[test]
fn a_key_has_the_effect_of_the_option() {
    for option in OPTIONS.iter().filter(|option| option.in_suites) {
        let text = match option.kind {
            OptionKind::Number { max, .. } => max.to_string(),
            OptionKind::Probability => "0.125".to_owned(),
            OptionKind::Flag => "true".to_owned(),
            OptionKind::Duration { .. } => "1500ms".to_owned(),
            OptionKind::Choice(words) => words[1].0.to_owned(),
            _ => "x,y".to_owned(),
        };
        let is_bare = ["true", "0.125"].contains(&text.as_str()) || text.parse::<u64>().is_ok();
        let value = if is_bare { text.clone() } else { format!("{text:?}") };
        let read = read_config(&format!("{} = {value}", option.name));
        let mut values = OptionValues::defaults();
        values.set(option, parse_value(option, &text).expect("it is in bounds"));
        let expected = values.into_config(0).expect("every option has a value");
        assert_eq!(read.expect("it is read"), expected, "{} = {value}", option.name);
    }
}

#[test]
fn every_option_can_vary_and_is_part_of_the_name_where_it_does() {
    let source = "rate = [100, 200]\nfail-fast = [false, true]\nunsafe = \"stale-reads\"";
    let cells = read_source("s", source, 1).expect("it is right").cells;
    let families: Vec<&str> = cells.iter().map(|cell| cell.family.as_str()).collect();
    insta::assert_snapshot!(families.join("\n"), @r"
    raft register partition,kill, 5 nodes, unsafe stale-reads, rate 100, fail-fast false
    raft register partition,kill, 5 nodes, unsafe stale-reads, rate 200, fail-fast false
    raft register partition,kill, 5 nodes, unsafe stale-reads, rate 100, fail-fast true
    raft register partition,kill, 5 nodes, unsafe stale-reads, rate 200, fail-fast true
    ");
}

#[test]
fn a_swarm_draws_what_the_file_leaves_open_for_each_seed() {
    let source = "swarm = true\nrate = 150\nseeds = 20";
    let cells = read_source("s", source, 1).expect("it is right").cells;
    let lines: std::collections::BTreeSet<String> =
        cells.iter().map(|cell| command_line("harness", &cell.arguments)).collect();
    assert!(lines.iter().all(|line| line.contains("--rate 150") && !line.contains("--swarm")));
    let with = |part: &str| lines.iter().filter(|line| line.contains(part)).count();
    assert!(with("--nodes 3") > 0 && with("--nodes 4") > 0 && with("--skew zipf") > 0);
    assert!(cells.iter().all(|cell| cell.family == "raft register partition,kill, swarm"));
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    insta::assert_snapshot!(read_error("seeds = 1\nworklaod = \"register\"\n"), @r#"
    s.toml:2:1: no key "worklaod"; did you mean "workload"?
      | worklaod = "register"
      | ^^^^^^^^
    "#);
    insta::assert_snapshot!(read_error("[[matrix]]\nnodes = [3, \"ä\"]"), @r#"
    s.toml:2:13: expected a whole number from 1 to 9
      | nodes = [3, "ä"]
      |             ^^^^
    "#);
    insta::assert_snapshot!(read_error("rate = "), @r#"
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
        ("nodes = \"3\"", "expected a whole number from 1 to 9"),
        ("rate = 0", "expected a whole number from 1 to 1000000"),
        ("net = \"carrier-pigeon\"", "one of auto, namespaces, proxy, switch"),
        ("time-limit = \"10ms\"", "a duration from 1s to 24h"),
        ("latency = 5", "--latency"),
        ("seed = 5", "did you mean \"seeds\"?"),
        ("schedule = \"x.txt\"", "a line begins with `at`"),
        ("nodes = 3\nschedule = \"at 1s kill n7\"", "there is no host"),
        ("schedule = 1", "a string"),
        ("finding = 1", "a table"),
        ("seeds = []", "an empty one makes no run"),
        ("seeds = 0", "from 1 to 10000"),
        ("seeds = -1", "from 1 to 10000"),
        ("seeds = 10_001", "from 1 to 10000"),
        ("system = \"etcd\"\nunsafe = \"stale-reads\"", "no seeded bugs"),
        ("matrix = 1", "[[matrix]]"),
        ("matrix = [1]", "[[matrix]]"),
        ("name = \"../x\"", "letters, digits and hyphens"),
        ("time-limit = \"soon\"", "30s"),
        ("fail-fast = 1", "true or false"),
        ("expect = \"luck\"", "\"invalid\""),
        ("[[matrix]]\nbudget = \"1h\"", "no key \"budget\""),
    ] {
        let told = read_error(source);
        assert!(told.starts_with("s.toml:") && told.contains(part), "{source}: {told}");
    }
}

#[test]
fn a_schedule_takes_the_place_of_nemeses() {
    let source = "nodes = 3\nseeds = 2\nschedule = \"at 1s kill n1 for 1s\"\n[finding]\nx = 1";
    let suite = read_source("s", source, 7).expect("it is right");
    let (file, text) = suite.schedules.first_key_value().expect("a schedule");
    assert_eq!((suite.schedules.len(), text.as_str()), (1, "at 1s kill n1 for 1s"));
    assert_eq!((suite.cells.len(), suite.configs.len()), (2, 2));
    let line = command_line("harness", &suite.cells[1].arguments);
    assert!(line.contains(&format!("--schedule {}", file.display())), "{line}");
    assert!(!line.contains("--nemesis") && line.contains("--seed 8"), "{line}");
    assert_eq!(suite.cells[1].family, "raft register schedule of s, 3 nodes");
    assert_eq!(suite.configs[1].schedule, Some(file.display().to_string()));
}

#[test]
fn no_seed_is_run_twice_for_want_of_others() {
    let last = read_source("s", "seeds = 2", u64::MAX - 1).expect_err("there is but one left");
    assert!(last.contains("leaves no room for 2 seeds"), "{last}");
    assert!(read_source("s", "seeds = 2", u64::MAX - 2).is_ok());
}

#[test]
fn suites_that_come_along_can_be_read() {
    for (name, source) in SUITES {
        let suite = read_source(name, source, 1).unwrap_or_else(|wrong| panic!("{wrong}"));
        assert_eq!(suite.name, name);
        assert!(suite.cells.len() >= 3, "{name}");
    }
}

#[test]
fn shards_share_out_every_cell_once() {
    let (_, source) = SUITES[0];
    let cells = read_source("nightly", source, 1).expect("it is right").cells;
    let mut shared: Vec<_> = (1..=5).flat_map(|part| shard(cells.clone(), part, 5)).collect();
    assert_eq!(shared.len(), cells.len());
    for cell in &cells {
        let at = shared.iter().position(|other| other == cell).expect("it is in a shard");
        shared.swap_remove(at);
    }
}
