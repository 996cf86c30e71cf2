//! Suggests the known word nearest to an unknown one, and names texts by their hash. Pure.

/// 64-bit FNV-1a of a text: the same on every machine and in every version.
pub(crate) fn hash_text(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// The known word at an edit distance of at most two, if there is one.
pub fn nearest_word<'k>(word: &str, known: &[&'k str]) -> Option<&'k str> {
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
    fn hashes_are_those_of_the_literature() {
        assert_eq!(hash_text(""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(hash_text("foobar"), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn suggests_only_near_words() {
        let known = ["command", "peer", "separator"];
        assert_eq!(nearest_word("comand", &known), Some("command"));
        assert_eq!(nearest_word("pere", &known), Some("peer"));
        assert_eq!(nearest_word("launch", &known), None);
        assert_eq!(nearest_word("x", &[]), None);
    }
}
