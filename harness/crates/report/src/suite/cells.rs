//! Groups and counts the cells of a suite.

use records::suite::{CellRecord, OUTCOMES, SuiteRecord};

/// Counts the outcomes: `3 findings, 1 unknown, 20 passed`.
pub(super) fn count_outcomes(suite: &SuiteRecord) -> String {
    let counts = OUTCOMES.iter().map(|outcome| (suite.count_outcome(*outcome), outcome.name()));
    let words: Vec<String> = counts
        .filter(|(count, _)| *count > 0)
        .map(|(count, name)| format!("{count} {name}"))
        .collect();
    if words.is_empty() { "no cells".to_owned() } else { words.join(", ") }
}

/// Groups cells that differ only by seed, in the order of the matrix.
pub(super) fn families(suite: &SuiteRecord) -> Vec<(&str, Vec<&CellRecord>)> {
    let mut families: Vec<(&str, Vec<&CellRecord>)> = Vec::new();
    for cell in &suite.cells {
        match families.iter_mut().find(|(name, _)| *name == cell.cell.family) {
            Some((_, cells)) => cells.push(cell),
            None => families.push((&cell.cell.family, vec![cell])),
        }
    }
    families
}
