//! Renders a suite as workflow commands of GitHub Actions: an annotation for each of the worst cells.

use super::super::visible;
use records::suite::{CellRecord, Outcome, SuiteRecord};

/// GitHub shows this many of a kind per step.
const SHOWN: usize = 10;

/// The annotations, worst first, at most as many of a kind as are shown.
pub fn annotations(suite: &SuiteRecord) -> String {
    let mut out = String::new();
    for kind in ["error", "warning", "notice"] {
        let noteworthy = suite.noteworthy();
        let cells: Vec<_> =
            noteworthy.into_iter().filter(|cell| self::kind(cell.outcome) == kind).collect();
        // The last one is kept for saying how many there are.
        let shown = if cells.len() > SHOWN { SHOWN - 1 } else { cells.len() };
        cells.iter().take(shown).for_each(|cell| out += &annotation(kind, cell));
        if cells.len() > shown {
            let more = cells.len() - shown;
            out += &format!("::{kind} title=harness::{more} more; the step summary has them\n");
        }
    }
    out
}

fn kind(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Finding | Outcome::Crashed => "error",
        Outcome::Unknown | Outcome::Interrupted => "warning",
        Outcome::Infra | Outcome::NotRun | Outcome::Passed => "notice",
    }
}

fn annotation(kind: &str, cell: &CellRecord) -> String {
    let title = format!("{}: {}, seed {}", cell.outcome.name(), cell.cell.family, cell.cell.seed);
    let message = format!("{}\nrepro: {}", visible(&cell.sentence), visible(&cell.repro));
    format!("::{kind} title={}::{}\n", property(&visible(&title)), data(&message))
}

/// What stands after `::`.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// What stands after `title=`.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;
    use records::suite::sample;

    #[test]
    fn each_annotation_is_one_line_whatever_it_says() {
        let told = annotations(&sample::suite());
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
    fn no_more_than_github_shows() {
        let mut suite = sample::suite();
        suite.cells = (0..25).map(|_| sample::cell(Outcome::Finding)).collect();
        let told = annotations(&suite);
        assert_eq!(told.lines().count(), SHOWN);
        assert!(told.contains("16 more"), "{told}");
    }
}
