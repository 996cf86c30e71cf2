//! Runs the examples of `harness check`: histories that a page holds must get the verdict it
//! states.

use crate::commands::{HARNESS, split_words};
use crate::markdown::{Block, Page, read_pages};
use std::fs;
use std::path::Path;
use std::process::Command;

/// A command line of a console block, and the lines that the page shows below it.
struct Example {
    line: String,
    shown: Vec<String>,
}

fn parse_examples(blocks: &[Block]) -> Vec<Example> {
    let mut examples: Vec<Example> = Vec::new();
    for block in blocks.iter().filter(|block| block.info == "console") {
        let mut inside = false;
        for line in &block.lines {
            if let Some(line) = line.strip_prefix("$ ") {
                examples.push(Example { line: line.to_owned(), shown: Vec::new() });
                inside = true;
            } else if let Some(last) = examples.last_mut().filter(|_| inside) {
                last.shown.push(line.clone());
            }
        }
    }
    examples
}

/// Writes the blocks that name a file into a directory, and returns their names.
fn write_files(blocks: &[Block], directory: &Path) -> Vec<String> {
    let named = blocks.iter().filter_map(|block| Some((block.info.split_once("file=")?.1, block)));
    let write = |(name, block): (&str, &Block)| {
        fs::write(directory.join(name), block.lines.join("\n")).expect("there is room");
        name.to_owned()
    };
    named.map(write).collect()
}

/// Whether a line is as the page shows it; `…` stands for anything.
fn line_matches(shown: &str, line: &str) -> bool {
    let mut rest = line;
    for (place, piece) in shown.split('…').map(str::trim).enumerate() {
        let Some(at) = rest.find(piece) else { return false };
        if place == 0 && at > 0 && !rest[..at].trim().is_empty() {
            return false;
        }
        rest = &rest[at + piece.len()..];
    }
    shown.contains('…') || rest.trim().is_empty()
}

/// The exit code of the verdict that a line begins with.
fn exit_code(shown: &str) -> Option<i32> {
    let verdicts = [("VALID", 0), ("INVALID", 1), ("UNKNOWN", 2)];
    let verdict = shown.split(':').next()?;
    verdicts.iter().find(|(name, _)| *name == verdict).map(|(_, code)| *code)
}

/// Runs an example in a directory and compares what it prints with what the page shows.
fn run_example(page: &Page, example: &Example, directory: &Path) {
    let place = format!("{}: {}", page.name(), example.line);
    let arguments = split_words(&example.line);
    let mut command = Command::new(HARNESS);
    let output = command.args(&arguments[1..]).current_dir(directory).output();
    let output = output.expect("harness runs");
    let printed = String::from_utf8(output.stdout).expect("it prints UTF-8");
    let code = output.status.code();
    match example.shown.first() {
        Some(first) => assert_eq!(code, exit_code(first), "{place}\n{printed}"),
        None => assert_eq!(code, Some(0), "{place}\n{printed}"),
    }
    let mut lines = printed.lines();
    for shown in &example.shown {
        let found = lines.any(|line| line_matches(shown, line));
        assert!(found, "{place}\nshows {shown:?}, but it printed\n{printed}");
    }
}

#[test]
fn histories_in_pages_get_the_verdict_that_is_stated() {
    let mut count = 0;
    for page in read_pages() {
        let directory = tempfile::tempdir().expect("a directory");
        let blocks = page.fenced_blocks();
        let files = write_files(&blocks, directory.path());
        let names_a_file = |example: &&Example| {
            let words = split_words(&example.line);
            let checks = words.starts_with(&["harness".to_owned(), "check".to_owned()]);
            checks && words.iter().any(|word| files.contains(word))
        };
        for example in parse_examples(&blocks).iter().filter(names_a_file) {
            run_example(&page, example, directory.path());
            count += 1;
        }
    }
    assert!(count >= 12, "only {count} examples were found");
}

#[test]
fn an_ellipsis_stands_for_anything() {
    assert!(line_matches("VALID: a.edn: …", "VALID: a.edn: linearizable: 1"));
    assert!(!line_matches("VALID: a.edn: …", "INVALID: a.edn: no"));
    assert!(line_matches("state 1 … 2", "  state 1 → 2"));
    assert!(!line_matches("exactly", "exactly this"));
}
