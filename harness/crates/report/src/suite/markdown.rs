//! Renders a suite as Markdown of limited length, the worst cells first.

use super::super::escape_controls;
use super::cells::{count_outcomes, families};
use records::suite::{CellRecord, Outcome, SuiteRecord};

/// GitHub drops a step summary above 1 MiB; this limit leaves room for other steps.
pub const SUMMARY_BYTES: usize = 900_000;

/// Renders the suite in at most `most` bytes; counts the cells that do not fit.
pub fn markdown(suite: &SuiteRecord, most: usize) -> String {
    let mut out = format!("## {}: {}\n\n", escape_markdown(&suite.suite), count_outcomes(suite));
    let noteworthy = suite.cells_not_passed();
    let stories = noteworthy.iter().map(|cell| cell_entry(cell)).collect::<Vec<_>>();
    append_fitting(&mut out, &stories, most, "cells");
    let rows: Vec<String> =
        families(suite).iter().map(|(name, cells)| family_row(name, cells)).collect();
    let head = "\n| family | passed | not passed |\n|---|--:|---|\n";
    if out.len() + head.len() < most {
        out += head;
    }
    append_fitting(&mut out, &rows, most, "families");
    out
}

/// Appends pieces while they fit, then the number of those left out.
fn append_fitting(out: &mut String, pieces: &[String], most: usize, noun: &str) {
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

fn cell_entry(record: &CellRecord) -> String {
    let mut out = format!(
        "- **{}**: {}, seed {}: {}\n",
        record.outcome.name(),
        escape_markdown(&record.cell.family),
        record.cell.seed,
        escape_markdown(&record.sentence)
    );
    out += &format!("  - repro: {}\n", inline_code(&record.repro));
    if let Some(report) = record.report_path() {
        out += &format!("  - report: {}\n", inline_code(&report));
    }
    out
}

fn family_row(name: &str, cells: &[&CellRecord]) -> String {
    let passed = cells.iter().filter(|cell| cell.outcome == Outcome::Passed).count();
    let others: Vec<String> = cells
        .iter()
        .filter(|cell| cell.outcome != Outcome::Passed)
        .map(|cell| format!("{} (seed {})", cell.outcome.name(), cell.cell.seed))
        .collect();
    format!("| {} | {passed} of {} | {} |\n", escape_markdown(name), cells.len(), others.join(", "))
}

/// Escapes text for a paragraph or a table.
fn escape_markdown(text: &str) -> String {
    let mut out = String::new();
    for c in escape_controls(text).chars() {
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

/// Formats text as inline code, with a fence longer than its backticks.
fn inline_code(text: &str) -> String {
    let text = escape_controls(text);
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
    fn lists_the_worst_first_and_counts_the_rest() {
        let mut suite = sample::sample_suite();
        let told = markdown(&suite, SUMMARY_BYTES);
        let place = |word: &str| told.find(&format!("**{word}**")).expect("it is there");
        let places =
            ["finding", "crashed", "interrupted", "unknown", "infra", "not run"].map(place);
        assert!(places.is_sorted(), "{told}");
        assert!(told.contains("| raft register partition, 5 nodes | 1 of 8 |"), "{told}");

        suite.cells = (0..20_000).map(|_| sample::sample_cell(Outcome::Finding)).collect();
        suite.cells.push(sample::sample_cell(Outcome::Unknown));
        let told = markdown(&suite, SUMMARY_BYTES);
        assert!(told.len() <= SUMMARY_BYTES && told.len() > SUMMARY_BYTES / 2);
        assert!(told.contains("more cells do not fit here."));
        assert!(markdown(&suite, 200).len() <= 200);
    }

    #[test]
    fn escapes_hostile_text() {
        let told = markdown(&sample::sample_suite(), SUMMARY_BYTES);
        assert!(told.contains(r"&lt;/failure&gt;\]\]&gt; &lt;b&gt;"), "{told}");
        assert_eq!(inline_code("a `b` c"), "``a `b` c``");
    }
}
