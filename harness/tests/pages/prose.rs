//! Keeps the pages short and plain: length of sentences, banned words, limits of README and
//! glossary.

use crate::banned_words::banned_lines;
use crate::markdown::{Page, inline_code, read_pages, repository_root};

/// A longer sentence has to be read twice.
const LONGEST_SENTENCE: usize = 40;
/// A README is read in a minute.
const LONGEST_README: usize = 90;
const LONGEST_GLOSSARY: usize = 30;

/// The pieces of a page in which sentences end: paragraphs, list items and cells of tables.
fn prose_pieces(page: &Page) -> Vec<String> {
    let mut pieces = vec![String::new()];
    for line in page.prose_lines() {
        let line = inline_code(line).1;
        let start = line.trim_start();
        let digits = start.trim_start_matches(|c: char| c.is_ascii_digit());
        let numbered = digits.len() < start.len() && digits.starts_with(". ");
        if start.starts_with('|') {
            pieces.extend(start.split('|').map(str::to_owned));
            pieces.push(String::new());
        } else if start.is_empty() || start.starts_with(['-', '#', '>', '*']) || numbered {
            pieces.push(start.to_owned());
        } else {
            let last = pieces.last_mut().expect("there is one");
            *last = format!("{last} {start}");
        }
    }
    pieces
}

fn split_sentences(piece: &str) -> Vec<String> {
    let mut sentences = vec![String::new()];
    for word in piece.split_whitespace().filter(|word| word.chars().any(char::is_alphanumeric)) {
        let last = sentences.last_mut().expect("there is one");
        *last = format!("{last} {word}");
        if word.trim_end_matches(['*', ')', '"']).ends_with(['.', '?', '!']) {
            sentences.push(String::new());
        }
    }
    sentences
}

#[test]
fn no_sentence_is_too_long() {
    for page in read_pages() {
        for sentence in prose_pieces(&page).iter().flat_map(|piece| split_sentences(piece)) {
            let words = sentence.split_whitespace().count();
            assert!(words <= LONGEST_SENTENCE, "{}: {words} words:{sentence}", page.name());
        }
    }
}

#[test]
fn no_page_has_a_banned_word() {
    for page in read_pages() {
        assert_eq!(banned_lines(&page.text).next(), None, "{}", page.name());
    }
}

#[test]
fn readme_and_glossary_stay_short() {
    let readme = Page::read(repository_root().join("README.md")).text.lines().count();
    assert!(readme <= LONGEST_README, "README.md has {readme} lines");
    let page = Page::read(repository_root().join("ARCHITECTURE.md"));
    let lines = page.prose_lines();
    let glossary = lines.iter().skip_while(|line| **line != "## Glossary").skip(1);
    let entries = glossary.take_while(|line| !line.starts_with("## "));
    let count = entries.filter(|line| line.starts_with('|')).count();
    assert!((10..=LONGEST_GLOSSARY).contains(&count), "the glossary has {count} lines");
}

#[test]
fn counts_the_words_of_sentences() {
    let path = repository_root().join("a.md");
    let text = "# Two words\nOne `a b` three.\nFour, five: six?\n\n- seven\n| eight | nine |\n";
    let page = Page { path, text: text.to_owned() };
    let counts =
        prose_pieces(&page).iter().flat_map(|piece| split_sentences(piece)).collect::<Vec<_>>();
    let words: Vec<usize> = counts.iter().map(|one| one.split_whitespace().count()).collect();
    let words: Vec<usize> = words.into_iter().filter(|count| *count > 0).collect();
    assert_eq!(words, [2 + 3, 3, 1, 1, 1]);
}
