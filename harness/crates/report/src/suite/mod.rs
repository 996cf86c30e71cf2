//! Renders a suite that is over: a table for people, and what CI systems expect. Pure: values in, text out.
//!
//! All show the same cells and decide nothing. What must be short shows the worst first and says what it leaves out.

mod cells;
mod github;
mod junit;
mod markdown;

pub use github::annotations;
pub use junit::junit;
pub use markdown::{SUMMARY_BYTES, markdown};

use super::{Style, visible};
use cells::{counts, families};
use records::record::Validity;
use records::suite::{CellRecord, Outcome, SuiteRecord};

/// As many cells as are told one by one on a terminal.
const TOLD: usize = 20;

/// The suite for a terminal: the verdict, a line per family, and what to do about each cell that is not green.
pub fn table(suite: &SuiteRecord, style: Style) -> String {
    let mut lines = vec![headline(suite, style), String::new()];
    let families = families(suite);
    let width = families.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    for (name, cells) in &families {
        let marks: Vec<String> = cells.iter().map(|cell| mark(cell.outcome, style)).collect();
        lines.push(format!("  {name:width$}  {}", marks.join(" ")));
    }
    let noteworthy = suite.noteworthy();
    for cell in noteworthy.iter().take(TOLD) {
        lines.extend([String::new()]);
        lines.extend(story(cell, style));
    }
    if noteworthy.len() > TOLD {
        let more = noteworthy.len() - TOLD;
        lines.push(format!("\n  … and {more} more; --output markdown=PATH or json=PATH tells all"));
    }
    lines.join("\n") + "\n"
}

fn headline(suite: &SuiteRecord, style: Style) -> String {
    let counts = counts(suite);
    let worst = suite.cells.iter().map(|cell| cell.outcome).max().unwrap_or(Outcome::NotRun);
    let head = format!("{} {}:", mark_plain(worst, style), visible(&suite.suite));
    format!(
        "{} {counts} in {}",
        style.verdict(validity(worst), &head),
        super::phrase::millis(suite.took_ms)
    )
}

/// What is known of the system after such an outcome.
fn validity(outcome: Outcome) -> Validity {
    match outcome {
        Outcome::Passed => Validity::Valid,
        Outcome::Finding | Outcome::Crashed => Validity::Invalid,
        _ => Validity::Unknown,
    }
}

fn mark_plain(outcome: Outcome, style: Style) -> &'static str {
    match outcome {
        Outcome::Passed | Outcome::Finding | Outcome::Unknown => style.mark(validity(outcome)),
        Outcome::Crashed => "!",
        Outcome::Infra => "m",
        Outcome::NotRun | Outcome::Interrupted => "-",
    }
}

fn mark(outcome: Outcome, style: Style) -> String {
    style.verdict(validity(outcome), mark_plain(outcome, style))
}

fn story(cell: &CellRecord, style: Style) -> Vec<String> {
    let row = |head: &str, text: &str| format!("    {} {}", style.faint(head), visible(text));
    let name = format!("{}, seed {}", cell.cell.family, cell.cell.seed);
    let mut lines = vec![
        format!("  {} {}: {}", mark(cell.outcome, style), cell.outcome.name(), visible(&name)),
        row("because:", &cell.sentence),
    ];
    lines.extend(cell.report().map(|report| row("report: ", &report)));
    lines.push(row("repro:  ", &cell.repro));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use records::suite::sample;

    #[test]
    fn the_table_is_short_and_says_what_to_do() {
        let mut suite = sample::suite();
        suite.cells.truncate(4);
        insta::assert_snapshot!(table(&suite, Style::PLAIN), @r"
        ? nightly: 1 unknown, 1 infra, 1 not run, 1 passed in 250 s

          raft register partition, 5 nodes  + - m ?

          ? unknown: raft register partition, 5 nodes, seed 7
            because: it is unknown
            report:  results/raft-register-partition/20260101T000000Z-7/report.html
            repro:   harness test --seed 7

          m infra: raft register partition, 5 nodes, seed 7
            because: it is infra
            report:  results/raft-register-partition/20260101T000000Z-7/report.html
            repro:   harness test --seed 7

          - not run: raft register partition, 5 nodes, seed 7
            because: it is not run
            report:  results/raft-register-partition/20260101T000000Z-7/report.html
            repro:   harness test --seed 7
        ");
    }

    #[test]
    fn no_sentence_steers_the_terminal() {
        let shown = table(&sample::suite(), Style::PLAIN);
        assert!(!shown.contains('\u{1b}'), "{shown:?}");
    }
}
