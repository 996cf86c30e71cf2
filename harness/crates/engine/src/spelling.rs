//! Guesses which word was meant by one that nobody knows. Pure.

/// The known word that is at most two letters away, if there is one.
pub(crate) fn nearest<'k>(word: &str, known: &[&'k str]) -> Option<&'k str> {
    let near = known.iter().map(|known| (distance(word, known), *known)).min()?;
    (near.0 <= 2).then_some(near.1)
}

/// How many letters must be put in, taken away or changed.
fn distance(a: &str, b: &str) -> usize {
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
    fn only_what_is_near_is_guessed() {
        let known = ["command", "peer", "separator"];
        assert_eq!(nearest("comand", &known), Some("command"));
        assert_eq!(nearest("pere", &known), Some("peer"));
        assert_eq!(nearest("launch", &known), None);
        assert_eq!(nearest("x", &[]), None);
    }
}
