//! Renders a suite as GitHub Actions annotations, one for each of the worst cells.

use super::super::escape_controls;
use records::suite::{CellRecord, Outcome, SuiteRecord};

/// GitHub shows at most this many annotations of a kind per step.
const SHOWN: usize = 10;

/// Renders the annotations, worst first, at most [`SHOWN`] of a kind.
pub fn annotations(suite: &SuiteRecord) -> String {
    let mut out = String::new();
    for kind in ["error", "warning", "notice"] {
        let noteworthy = suite.cells_not_passed();
        let cells: Vec<_> = noteworthy
            .into_iter()
            .filter(|cell| self::annotation_kind(cell.outcome) == kind)
            .collect();
        // The last annotation gives the number of the others.
        let shown = if cells.len() > SHOWN { SHOWN - 1 } else { cells.len() };
        cells.iter().take(shown).for_each(|cell| out += &format_annotation(kind, cell));
        if cells.len() > shown {
            let more = cells.len() - shown;
            out += &format!("::{kind} title=harness::{more} more: see the step summary\n");
        }
    }
    out
}

fn annotation_kind(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Finding | Outcome::Crashed => "error",
        Outcome::Unknown | Outcome::Interrupted => "warning",
        Outcome::Infra | Outcome::NotRun | Outcome::Passed => "notice",
    }
}

fn format_annotation(kind: &str, cell: &CellRecord) -> String {
    let title = format!("{}: {}, seed {}", cell.outcome.name(), cell.cell.family, cell.cell.seed);
    let message =
        format!("{}\nrepro: {}", escape_controls(&cell.sentence), escape_controls(&cell.repro));
    format!(
        "::{kind} title={}::{}\n",
        escape_property(&escape_controls(&title)),
        escape_data(&message)
    )
}

/// Escapes the message of a workflow command.
fn escape_data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// Escapes a property of a workflow command.
fn escape_property(text: &str) -> String {
    escape_data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;
    use records::suite::sample;

    #[test]
    fn writes_each_annotation_on_one_line() {
        let told = annotations(&sample::sample_suite());
        assert_eq!(told.lines().count(), 7, "{told}");
        assert!(told.lines().all(|line| line.starts_with("::")));
        assert_eq!(
            told.lines().next(),
            Some(
                "::error title=finding%3A raft register partition%2C 5 nodes%2C seed 7\
                 ::it is finding%0Arepro: harness test --seed 7"
            )
        );
        assert!(told.contains("%25"), "{told}");
    }

    #[test]
    fn limits_the_number_of_annotations() {
        let mut suite = sample::sample_suite();
        suite.cells = (0..25).map(|_| sample::sample_cell(Outcome::Finding)).collect();
        let told = annotations(&suite);
        assert_eq!(told.lines().count(), SHOWN);
        assert!(told.contains("16 more"), "{told}");
    }
}
