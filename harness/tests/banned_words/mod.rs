//! Words that no page and no source uses: the field says *client*, *replica*, *host*, *process*.

const BANNED: [&str; 5] = ["everybody", "nobody", "somebody", "whoever", "whom"];

/// The lines of a text in which a banned word stands.
pub(crate) fn banned_lines(text: &str) -> impl Iterator<Item = (usize, &'static str)> {
    text.lines().enumerate().flat_map(|(number, line)| {
        let line = line.to_lowercase();
        let has = move |word: &&str| {
            line.split(|c: char| !c.is_ascii_alphanumeric()).any(|part| part == *word)
        };
        BANNED.into_iter().filter(has).map(move |word| (number + 1, word))
    })
}

#[test]
fn finds_whole_words_in_any_case() {
    let found: Vec<_> = banned_lines("no one\nNobody, whomever\n").collect();
    assert_eq!(found, [(2, "nobody")]);
}
