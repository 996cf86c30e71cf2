//! Masks what differs between runs of the same behaviour: numbers, addresses, names, quoted texts.
//! Pure.
//!
//! Two lines of a log that one statement of a program printed have the same template.

/// What stands for a number, an address or a hexadecimal text.
const NUMBER: char = '#';
/// A word of only hexadecimal digits is a number from this length on.
const SHORTEST_HEX: usize = 6;
/// A template is cut after so many characters.
const LONGEST_TEMPLATE: usize = 160;

/// The template of a line: quoted texts, numbers and addresses masked, repetitions collapsed.
pub(super) fn mask_text(text: &str) -> String {
    let masked = mask_words(&mask_quotes(text));
    let collapsed = collapse_repetitions(&join_numbers(&masked));
    collapsed.chars().take(LONGEST_TEMPLATE).collect()
}

/// Replaces texts in double quotes or backticks by an empty pair of quotes.
fn mask_quotes(text: &str) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(['"', '`']) {
        let quote = &rest[start..=start];
        let Some(length) = rest[start + 1..].find(quote) else { break };
        masked.push_str(&rest[..start]);
        masked.push_str("\"\"");
        rest = &rest[start + 1 + length + 1..];
    }
    masked + rest
}

/// Replaces the digits of each word, and whole words that are hexadecimal.
fn mask_words(text: &str) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut word = String::new();
    for c in text.chars().chain(['\n']) {
        if c.is_alphanumeric() || c == '_' {
            word.push(c);
            continue;
        }
        masked.push_str(&mask_word(&word));
        word.clear();
        masked.push(c);
    }
    masked.pop();
    masked
}

fn mask_word(word: &str) -> String {
    let has_digit = word.chars().any(|c| c.is_ascii_digit());
    if !has_digit {
        return word.to_owned();
    }
    let digits = word.strip_prefix("0x").unwrap_or(word);
    let is_hex = digits.chars().all(|c| c.is_ascii_hexdigit());
    if is_hex && (digits.len() >= SHORTEST_HEX || digits.len() < word.len()) {
        return NUMBER.to_string();
    }
    let mut masked = String::new();
    for c in word.chars() {
        match (c.is_ascii_digit(), masked.ends_with(NUMBER)) {
            (true, true) => (),
            (true, false) => masked.push(NUMBER),
            (false, _) => masked.push(c),
        }
    }
    masked
}

/// Makes one number of numbers joined by dots, colons and hyphens: addresses, times, decimals.
fn join_numbers(text: &str) -> String {
    let mut joined = String::with_capacity(text.len());
    for c in text.chars() {
        joined.push(c);
        for joint in ["#.#", "#:#", "#-#", "#+#"] {
            if joined.ends_with(joint) {
                joined.truncate(joined.len() - joint.len() + 1);
            }
        }
    }
    joined
}

/// Keeps one of equal words that follow each other, so that lists of any length are alike.
fn collapse_repetitions(text: &str) -> String {
    let mut words: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        let mut parts: Vec<&str> = word.split(',').filter(|part| !part.is_empty()).collect();
        parts.dedup();
        let word = parts.join(",");
        let bare = |word: &str| word.trim_end_matches([',', ';', '|', ']', ')']).to_owned();
        if !word.is_empty() && words.last().is_none_or(|last| bare(last) != bare(&word)) {
            words.push(word);
        }
    }
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn one_statement_has_one_template() {
        for (line, template) in [
            (
                "2026-12-01T14:58:28.500Z n1 starts as a member of n1,n2,n3",
                "#T#Z n# starts as a member of n#",
            ),
            ("n1 serves clients at 10.77.0.11:7001", "n# serves clients at #"),
            ("read \"k2\" returned `a`, not 0x1f", "read \"\" returned \"\" not #"),
            ("raft.node: 8e9e05c52164694d elected leader", "raft.node: # elected leader"),
            ("applied entries 4, 5, 6 of term 2", "applied entries # of term #"),
            ("an open \" stays", "an open \" stays"),
        ] {
            assert_eq!(mask_text(line), template);
        }
    }

    proptest! {
        #[test]
        fn numbers_do_not_matter(a in 0_u64..1_000_000_000, b in 0_u64..1_000_000_000) {
            let line = |number: u64| format!("n{number} lost {number} of 7 at 10.0.0.{number}:80");
            prop_assert_eq!(mask_text(&line(a)), mask_text(&line(b)));
        }

        #[test]
        fn a_template_is_its_own_template(line in "[a-f0-9 .:,\"x#-]{0,60}") {
            let once = mask_text(&line);
            prop_assert_eq!(mask_text(&once), once);
        }
    }
}
