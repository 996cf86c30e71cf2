//! Renders a suite as Markdown, the worst first, no longer than the reader takes.

use super::super::visible;
use super::cells::{counts, families};
use records::suite::{CellRecord, Outcome, SuiteRecord};

/// A step summary of GitHub's is dropped whole above 1 MiB; this leaves room for others' words.
pub const SUMMARY_BYTES: usize = 900_000;

/// The suite as Markdown of at most `most` bytes. What does not fit is counted.
pub fn markdown(suite: &SuiteRecord, most: usize) -> String {
    let mut out = format!("## {}: {}\n\n", cell(&suite.suite), counts(suite));
    let noteworthy = suite.noteworthy();
    let stories = noteworthy.iter().map(|cell| story(cell)).collect::<Vec<_>>();
    fitting(&mut out, &stories, most, "cells");
    let rows: Vec<String> = families(suite).iter().map(|(name, cells)| row(name, cells)).collect();
    let head = "\n| family | passed | not passed |\n|---|--:|---|\n";
    if out.len() + head.len() < most {
        out += head;
    }
    fitting(&mut out, &rows, most, "families");
    out
}

/// Appends pieces as long as there is room for them and for saying how many are left out.
fn fitting(out: &mut String, pieces: &[String], most: usize, noun: &str) {
    let room = most.saturating_sub(100);
    for (place, piece) in pieces.iter().enumerate() {
        if out.len() + piece.len() > room {
            let left = format!("\n… {} more {noun} do not fit here.\n", pieces.len() - place);
            if out.len() + left.len() <= most {
                *out += &left;
            }
            return;
        }
        *out += piece;
    }
}

fn story(record: &CellRecord) -> String {
    let mut out = format!(
        "- **{}**: {}, seed {}: {}\n",
        record.outcome.name(),
        cell(&record.cell.family),
        record.cell.seed,
        cell(&record.sentence)
    );
    out += &format!("  - repro: {}\n", code(&record.repro));
    if let Some(report) = record.report() {
        out += &format!("  - report: {}\n", code(&report));
    }
    out
}

fn row(name: &str, cells: &[&CellRecord]) -> String {
    let passed = cells.iter().filter(|cell| cell.outcome == Outcome::Passed).count();
    let others: Vec<String> = cells
        .iter()
        .filter(|cell| cell.outcome != Outcome::Passed)
        .map(|cell| format!("{} (seed {})", cell.outcome.name(), cell.cell.seed))
        .collect();
    format!("| {} | {passed} of {} | {} |\n", cell(name), cells.len(), others.join(", "))
}

/// Text as text, in a paragraph or a table.
fn cell(text: &str) -> String {
    let mut out = String::new();
    for c in visible(text).chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '#' | '~' | '@' => out.extend(['\\', c]),
            c => out.push(c),
        }
    }
    out
}

/// Text as code, whatever backticks are in it.
fn code(text: &str) -> String {
    let text = visible(text);
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest + 1);
    let pad = if text.starts_with('`') || text.ends_with('`') { " " } else { "" };
    format!("{fence}{pad}{text}{pad}{fence}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use records::suite::sample;

    #[test]
    fn the_worst_comes_first_and_the_rest_is_counted() {
        let mut suite = sample::suite();
        let told = markdown(&suite, SUMMARY_BYTES);
        let place = |word: &str| told.find(&format!("**{word}**")).expect("it is there");
        let places =
            ["finding", "crashed", "interrupted", "unknown", "infra", "not run"].map(place);
        assert!(places.is_sorted(), "{told}");
        assert!(told.contains("| raft register partition, 5 nodes | 1 of 8 |"), "{told}");

        suite.cells = (0..20_000).map(|_| sample::cell(Outcome::Finding)).collect();
        suite.cells.push(sample::cell(Outcome::Unknown));
        let told = markdown(&suite, SUMMARY_BYTES);
        assert!(told.len() <= SUMMARY_BYTES && told.len() > SUMMARY_BYTES / 2);
        assert!(told.contains("more cells do not fit here."));
        assert!(markdown(&suite, 200).len() <= 200);
    }

    #[test]
    fn hostile_words_stay_words() {
        let told = markdown(&sample::suite(), SUMMARY_BYTES);
        assert!(told.contains(r"&lt;/failure&gt;\]\]&gt; &lt;b&gt;"), "{told}");
        assert_eq!(code("a `b` c"), "``a `b` c``");
    }
}
