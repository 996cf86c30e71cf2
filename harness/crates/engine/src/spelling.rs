//! Suggests the known word nearest to an unknown one. Pure.

/// The known word at an edit distance of at most two, if there is one.
pub(crate) fn nearest_word<'k>(word: &str, known: &[&'k str]) -> Option<&'k str> {
    let near = known.iter().map(|known| (edit_distance(word, known), *known)).min()?;
    (near.0 <= 2).then_some(near.1)
}

/// The edit distance (Levenshtein).
fn edit_distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut corner = row[0];
        row[0] = i + 1;
        for (j, y) in b.chars().enumerate() {
            let changed = corner + usize::from(x != y);
            corner = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(corner + 1);
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suggests_only_near_words() {
        let known = ["command", "peer", "separator"];
        assert_eq!(nearest_word("comand", &known), Some("command"));
        assert_eq!(nearest_word("pere", &known), Some("peer"));
        assert_eq!(nearest_word("launch", &known), None);
        assert_eq!(nearest_word("x", &[]), None);
    }
}
