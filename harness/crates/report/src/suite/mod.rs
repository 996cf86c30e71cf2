//! Renders a finished suite: a table for people, and the formats of CI systems.
//!
//! All formats show the same cells and decide nothing. Formats of limited length show the worst
//! cells first and count the rest.

mod cells;
mod github;
mod junit;
mod markdown;

pub use github::annotations;
pub use junit::junit;
pub use markdown::{SUMMARY_BYTES, markdown};

use super::{Style, escape_controls};
use cells::{count_outcomes, families};
use records::record::Validity;
use records::suite::{CellRecord, Outcome, SuiteRecord};

/// The most cells that are listed on a terminal.
const LISTED: usize = 20;

/// Renders the suite for a terminal: the verdict, one line per family, and each cell that did not
/// pass with its repro.
pub fn table(suite: &SuiteRecord, style: Style) -> String {
    let mut lines = vec![headline_text(suite, style), String::new()];
    let families = families(suite);
    let width = families.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    for (name, cells) in &families {
        let marks: Vec<String> =
            cells.iter().map(|cell| coloured_mark(cell.outcome, style)).collect();
        lines.push(format!("  {name:width$}  {}", marks.join(" ")));
    }
    let noteworthy = suite.cells_not_passed();
    for cell in noteworthy.iter().take(LISTED) {
        lines.extend([String::new()]);
        lines.extend(cell_lines(cell, style));
    }
    if noteworthy.len() > LISTED {
        let more = noteworthy.len() - LISTED;
        lines.push(format!("\n  … and {more} more; --output markdown=PATH or json=PATH lists all"));
    }
    lines.join("\n") + "\n"
}

fn headline_text(suite: &SuiteRecord, style: Style) -> String {
    let counts = count_outcomes(suite);
    let worst = suite.cells.iter().map(|cell| cell.outcome).max().unwrap_or(Outcome::NotRun);
    let head = format!("{} {}:", plain_mark(worst, style), escape_controls(&suite.suite));
    format!(
        "{} {counts} in {}",
        style.verdict(outcome_validity(worst), &head),
        super::phrase::format_millis(suite.took_ms)
    )
}

/// The validity that an outcome implies.
fn outcome_validity(outcome: Outcome) -> Validity {
    match outcome {
        Outcome::Passed => Validity::Valid,
        Outcome::Finding | Outcome::Crashed => Validity::Invalid,
        _ => Validity::Unknown,
    }
}

fn plain_mark(outcome: Outcome, style: Style) -> &'static str {
    match outcome {
        Outcome::Passed | Outcome::Finding | Outcome::Unknown => {
            style.mark(outcome_validity(outcome))
        }
        Outcome::Crashed => "!",
        Outcome::Infra => "m",
        Outcome::NotRun | Outcome::Interrupted => "-",
    }
}

fn coloured_mark(outcome: Outcome, style: Style) -> String {
    style.verdict(outcome_validity(outcome), plain_mark(outcome, style))
}

fn cell_lines(cell: &CellRecord, style: Style) -> Vec<String> {
    let row =
        |head: &str, text: &str| format!("    {} {}", style.dim_text(head), escape_controls(text));
    let name = format!("{}, seed {}", cell.cell.family, cell.cell.seed);
    let mut lines = vec![
        format!(
            "  {} {}: {}",
            coloured_mark(cell.outcome, style),
            cell.outcome.name(),
            escape_controls(&name)
        ),
        row("reason: ", &cell.sentence),
    ];
    lines.extend(cell.report_path().map(|report| row("report: ", &report)));
    lines.push(row("repro:  ", &cell.repro));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use records::suite::sample;

    #[test]
    fn lists_families_and_cells_that_did_not_pass() {
        let mut suite = sample::sample_suite();
        suite.cells.truncate(4);
        insta::assert_snapshot!(table(&suite, Style::PLAIN), @r"
        ? nightly: 1 unknown, 1 infra, 1 not run, 1 passed in 250 s

          raft register partition, 5 nodes  + - m ?

          ? unknown: raft register partition, 5 nodes, seed 7
            reason:  it is unknown
            report:  results/raft-register-partition/20260101T000000Z-7/report.html
            repro:   harness test --seed 7

          m infra: raft register partition, 5 nodes, seed 7
            reason:  it is infra
            report:  results/raft-register-partition/20260101T000000Z-7/report.html
            repro:   harness test --seed 7

          - not run: raft register partition, 5 nodes, seed 7
            reason:  it is not run
            report:  results/raft-register-partition/20260101T000000Z-7/report.html
            repro:   harness test --seed 7
        ");
    }

    #[test]
    fn escapes_terminal_controls() {
        let shown = table(&sample::sample_suite(), Style::PLAIN);
        assert!(!shown.contains('\u{1b}'), "{shown:?}");
    }
}
