//! Parses every command line of the pages with the real binary, and checks the names that it uses.

use crate::markdown::{Page, inline_code, read_pages};
use serde_json::Value;
use std::collections::BTreeSet;
use std::process::{Command, Output};

/// The built binary.
pub(crate) const HARNESS: &str = env!("CARGO_BIN_EXE_harness");
const CARGO: [&str; 4] = ["build", "clippy", "run", "test"];

/// The words of a command line up to a comment, a pipe, a redirection or an ampersand.
pub(crate) fn split_words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = line.trim_start();
    while let Some(first) = rest.chars().next().filter(|first| !"#|>&;".contains(*first)) {
        let quoted = (first == '\'').then(|| rest[1..].split_once('\'')).flatten();
        let (word, behind) = quoted.unwrap_or_else(|| rest.split_once(' ').unwrap_or((rest, "")));
        words.push(word.to_owned());
        rest = behind.trim_start();
    }
    words
}

/// The command lines of a page's console blocks, without the prompt and with variables filled in.
fn console_lines(page: &Page) -> Vec<String> {
    let blocks = page.fenced_blocks().into_iter().filter(|block| block.info == "console");
    let mut variables = Vec::new();
    let mut lines = Vec::new();
    for line in blocks.flat_map(|block| block.lines) {
        let Some(line) = line.strip_prefix("$ ") else { continue };
        let fill = |line: String, (name, value): &(String, String)| line.replace(name, value);
        lines.push(variables.iter().fold(line.to_owned(), fill));
        match line.split_once('=') {
            Some((name, value)) if !line.contains(' ') => {
                variables.push((format!("${name}"), value.to_owned()));
            }
            _ => (),
        }
    }
    lines
}

/// The arguments of `harness` in a command line, if it is one of `harness` or runs it by Cargo.
fn harness_arguments(line: &str) -> Option<Vec<String>> {
    let words = split_words(line);
    match words.first().map(String::as_str) {
        Some("harness") => Some(words[1..].to_vec()),
        Some("cargo") => {
            let known = words.get(1).is_some_and(|word| CARGO.contains(&word.as_str()));
            assert!(known, "cargo has no such subcommand here: {line}");
            let run = words[1] == "run";
            let program = words.iter().position(|word| word == "--").filter(|_| run)?;
            Some(words[program + 1..].to_vec())
        }
        _ => None,
    }
}

/// Runs `harness` with these arguments in front of `--help`: the arguments are parsed and no more.
fn run_with_help(arguments: &[String]) -> Output {
    let end = arguments.iter().position(|word| word == "--").unwrap_or(arguments.len());
    let (own, passed_on) = arguments.split_at(end);
    let mut command = Command::new(HARNESS);
    command.args(own).arg("--help").args(passed_on).output().expect("harness runs")
}

/// The command lines of a page: those of its console blocks, and inline code without placeholders.
fn command_lines(page: &Page) -> Vec<String> {
    let prose = page.prose_lines();
    let inline = prose.iter().flat_map(|line| inline_code(line).0);
    let complete = |line: &&str| {
        let words = split_words(line);
        let placeholder = |word: &String| word.contains(['…', '[']) || word.to_uppercase() == *word;
        words.len() > 1 && words[0] == "harness" && !words.iter().any(placeholder)
    };
    let inline = inline.filter(complete).map(|line| line.replace("\\|", "|"));
    console_lines(page).into_iter().chain(inline).collect()
}

#[test]
fn every_command_line_parses() {
    let mut wrong = Vec::new();
    let mut parsed = 0;
    for page in read_pages() {
        for line in command_lines(&page) {
            let Some(arguments) = harness_arguments(&line) else { continue };
            let output = run_with_help(&arguments);
            let error = String::from_utf8_lossy(&output.stderr).into_owned();
            if !output.status.success() {
                wrong.push(format!("{}: {line}\n  {error}", page.name()));
            }
            parsed += 1;
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(parsed > 80, "only {parsed} command lines were found");
}

/// What an option takes, and under which headings of `harness list` its names stand.
const NAMED: [(&str, &[&str]); 5] = [
    ("--model", &["models", "checks"]),
    ("--nemesis", &["nemeses"]),
    ("--system", &["systems"]),
    ("--unsafe", &["seeded bugs of raft"]),
    ("--workload", &["workloads"]),
];

/// The names that `harness list` has under these headings.
fn listed_names(headings: &[&str]) -> BTreeSet<String> {
    let output = Command::new(HARNESS).args(["list", "--format", "json"]).output();
    let output = output.expect("harness runs").stdout;
    let parts: Vec<Value> = serde_json::from_slice(&output).expect("it prints JSON");
    let wanted = |part: &&Value| {
        let what = part["what"].as_str().expect("a heading");
        headings.iter().any(|heading| what.starts_with(heading))
    };
    let rows = parts.iter().filter(wanted).flat_map(|part| part["rows"].as_array());
    let names = rows.flatten().filter_map(|row| row["name"].as_str());
    names.map(str::to_owned).collect()
}

/// Nemeses and workloads that seeded bugs need and that do not exist yet.
const MISSING: [&str; 2] = ["sessions", "wipe"];

#[test]
fn seeded_bugs_name_existing_nemeses_and_workloads() {
    let output = Command::new(HARNESS).args(["list", "--format", "json"]).output();
    let output = output.expect("harness runs").stdout;
    let parts: Vec<Value> = serde_json::from_slice(&output).expect("it prints JSON");
    let heading = |part: &&Value| part["what"].as_str().is_some_and(|it| it.contains("--unsafe"));
    let bugs = parts.iter().find(heading).and_then(|part| part["rows"].as_array());
    let bugs = bugs.expect("the store has seeded bugs");
    assert!(bugs.len() >= 62, "only {} seeded bugs", bugs.len());
    for (column, section) in [("faults", "nemeses"), ("workloads", "workloads")] {
        let known = listed_names(&[section]);
        let words = bugs.iter().filter_map(|bug| bug[column].as_array()).flatten();
        for word in words.filter_map(Value::as_str) {
            assert!(known.contains(word) || MISSING.contains(&word), "{column}: {word}");
        }
    }
}

/// Whether the tool knows a value of an option, or it is a file.
fn is_known(option: &str, value: &str, names: &BTreeSet<String>) -> bool {
    let special = option == "--nemesis" && ["all", "disk", "none"].contains(&value);
    let file = option == "--system" && value.ends_with(".toml");
    // Hosts may stand for a variant (`pause:n1 n3`), or behind one (`packet:lossy leader`).
    let variant = value.split(' ').next().unwrap_or(value);
    let named_hosts = value.contains(":n") || value.contains('|');
    let kind = value.split(':').next().unwrap_or(value);
    special || file || names.contains(variant) || (named_hosts && names.contains(kind))
}

#[test]
fn every_name_in_a_command_line_exists() {
    let mut checked = 0;
    for (option, headings) in NAMED {
        let names = listed_names(headings);
        assert!(!names.is_empty(), "harness list has nothing for {option}");
        for page in read_pages() {
            for line in command_lines(&page) {
                let words = harness_arguments(&line).unwrap_or_default();
                let values = words.windows(2).filter(|pair| pair[0] == option);
                for value in values.flat_map(|pair| pair[1].split(',')) {
                    let is_known = is_known(option, value, &names);
                    assert!(is_known, "{}: {option} {value}: {line}", page.name());
                    checked += 1;
                }
            }
        }
    }
    assert!(checked > 80, "only {checked} names were found");
}

#[test]
fn the_numbers_of_the_readme_are_right() {
    let readme = Page::read(crate::markdown::repository_root().join("README.md")).text;
    let workloads = listed_names(&["workloads"]).len();
    let nemeses = listed_names(&["nemeses"]);
    let kinds = nemeses.iter().filter(|name| !name.contains(':') && *name != "none").count();
    for text in [format!("{workloads} workloads"), format!("{kinds} kinds of fault")] {
        assert!(readme.contains(&text), "README.md does not say {text:?}");
    }
}

#[test]
fn splits_words_as_a_shell_does() {
    assert_eq!(
        split_words("harness test --nemesis 'pause:n1 n3' # why"),
        ["harness", "test", "--nemesis", "pause:n1 n3"]
    );
    assert_eq!(split_words("harness list | head"), ["harness", "list"]);
}
