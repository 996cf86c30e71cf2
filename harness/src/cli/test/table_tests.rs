//! Sends every option of the table through the command line and `repro` lines.

use super::*;
use clap::FromArgMatches as _;
use engine::run::options::{command_line, registered_names, test_arguments};
use records::config::Config;
use std::collections::BTreeSet;

/// `harness test` alone; its name is the first word.
fn test_command() -> Command {
    <TestArgs as clap::Args>::augment_args(Command::new("test"))
}

/// The configuration that the words from `test` on ask for.
fn parse_config(words: &[String]) -> Config {
    let matches = test_command().try_get_matches_from(words).unwrap_or_else(|why| panic!("{why}"));
    let args = TestArgs::from_arg_matches(&matches).expect("clap has checked it");
    args.values.into_config(0).expect("every option has a value")
}

/// A value that is not the default, as people write it.
fn sample_value(option: &TestOption) -> String {
    let other = |mut words: Vec<String>| {
        words.retain(|word| option.default != Some(word));
        words.pop().unwrap_or_else(|| "it's *".to_owned())
    };
    match option.kind {
        OptionKind::Name(source) => other(registered_names(source)),
        OptionKind::NameList(source) | OptionKind::NameSet(source) => {
            format!("{},n 1", other(registered_names(source)))
        }
        OptionKind::Choice(words) => other(words.iter().map(|it| it.0.to_owned()).collect()),
        OptionKind::Words => "--peers=a b".to_owned(),
        OptionKind::Number { max, .. } => max.to_string(),
        OptionKind::Duration { .. } => "1500ms".to_owned(),
        OptionKind::Probability => "0.125".to_owned(),
        OptionKind::File => "-my file".to_owned(),
        OptionKind::Flag => "true".to_owned(),
    }
}

/// The words of a command line, split by a real shell.
fn split_words(line: &str) -> Vec<String> {
    let script = format!("for word in {line}; do printf '%s\\n' \"$word\"; done");
    let output = std::process::Command::new("sh").args(["-c", &script]).output().expect("a shell");
    let text = String::from_utf8(output.stdout).expect("it is UTF-8");
    text.lines().map(str::to_owned).collect()
}

/// What `harness test` is asked with this option alone.
fn config_with(option: &TestOption) -> Config {
    let argument = match option.kind {
        OptionKind::Flag => format!("--{}", option.name),
        _ => format!("--{}={}", option.name, sample_value(option)),
    };
    parse_config(&["test".to_owned(), argument])
}

#[test]
fn every_entry_has_a_name_and_a_key_of_its_own_and_a_help() {
    let names: BTreeSet<&str> =
        OPTIONS.iter().flat_map(|it| std::iter::once(it.name).chain(it.alias)).collect();
    assert_eq!(names.len(), OPTIONS.len() + OPTIONS.iter().filter_map(|it| it.alias).count());
    let keys: BTreeSet<&str> = OPTIONS.iter().map(|option| option.key).collect();
    assert_eq!(keys.len(), OPTIONS.len());
    for option in OPTIONS {
        let name = option.name;
        let plain = |c: char| c.is_ascii_lowercase() || c == '-';
        assert!(name.chars().all(plain), "--{name} is not in lower case with hyphens");
        assert!(option.help.len() > 20 && !option.help.ends_with('.'), "--{name}: {}", option.help);
        assert!(!help_text(option).contains('{'), "--{name}: {}", help_text(option));
        let read = option.default.map(|text| parse_value(option, text));
        assert!(!matches!(read, Some(Err(_))), "--{name}: {read:?}");
        for other in option.replaces {
            assert!(names.contains(other), "--{name} takes the place of --{other}: no such option");
        }
    }
}

#[test]
fn every_key_of_a_run_is_in_the_table() {
    let mut config = parse_config(&["test".to_owned()]);
    // What is left out of run.json when it is empty.
    (config.capture, config.node_args) = (true, vec!["x".to_owned()]);
    let record = serde_json::to_value(config).expect("it is JSON");
    let written: BTreeSet<&str> =
        record.as_object().expect("an object").keys().map(|key| &**key).collect();
    assert_eq!(written, OPTIONS.iter().map(|option| option.key).collect());
}

#[test]
fn every_option_is_asked_for_again_by_the_line_that_a_run_prints() {
    for option in OPTIONS {
        let config = config_with(option);
        assert_ne!(config, parse_config(&["test".to_owned()]), "--{} changes nothing", option.name);
        let line = command_line("harness", &test_arguments(&config));
        let mut again = parse_config(&split_words(&line)[1..]);
        if !option.replaces.is_empty() {
            again.nemesis.clone_from(&config.nemesis);
        }
        assert_eq!(again, config, "--{}: {line}", option.name);
    }
}

#[test]
fn options_after_two_hyphens_go_to_the_replicas() {
    let words = ["test", "--node-arg=-a", "--unsafe=x", "--unsafe", "y,z", "--", "--b", "c"];
    let config = parse_config(&words.map(str::to_owned));
    assert_eq!(config.node_args, ["-a", "--b", "c"]);
    assert_eq!(config.bugs, ["x", "y", "z"]);
}

#[test]
fn only_what_the_command_line_has_counts_as_given() {
    let words = ["test", "--nodes", "5", "--rate=200", "--swarm"];
    let matches = test_command().try_get_matches_from(words).expect("they are options");
    let args = TestArgs::from_arg_matches(&matches).expect("clap has checked it");
    assert_eq!(args.given, ["nodes", "rate", "swarm"].into());
}

#[test]
fn a_value_out_of_bounds_is_refused_with_the_bounds() {
    let refused = |line: &str| {
        let words = line.split(' ');
        test_command().try_get_matches_from(words).expect_err("it is out of bounds").to_string()
    };
    let told = refused("test --nodes 10");
    assert!(told.contains("for '--nodes <NODES>': expected a whole number from 1 to 9"), "{told}");
    let told = refused("test --loss 1");
    assert!(told.contains("expected a probability from 0 to below 1"), "{told}");
    for other in ["--nemesis kill", "--pace calm", "--interval 1s", "--duration 1s"] {
        let told = refused(&format!("test --schedule x {other}"));
        assert!(told.contains("cannot be used with"), "{told}");
    }
}
