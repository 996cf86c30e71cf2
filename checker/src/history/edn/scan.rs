//! Splits EDN into gaps, brackets, words and text, and skips forms that are not needed.
//!
//! Works on the bytes of valid UTF-8 and never backtracks. Skipping allocates nothing, and brackets
//! nest at most [`DEPTH`] deep, so hostile text exhausts neither stack nor memory.

use std::borrow::Cow;

use crate::history::text::{Text, TextInterner};
use crate::history::value::Value;

/// The deepest nesting of brackets, tags and discards.
pub(super) const DEPTH: usize = 128;

/// An error and its position. Boxed, so that a result is no larger than a value.
#[derive(Debug)]
pub(super) struct EdnError {
    /// The byte.
    pub(super) at: usize,
    /// The reason.
    pub(super) why: Cow<'static, str>,
    /// Whether the text ended too early.
    pub(super) cut: bool,
}

/// A position in a text.
pub(super) struct Scanner<'t> {
    text: &'t str,
    at: usize,
    depth: usize,
    /// Items of lists that are still open, so that each list is allocated once, at its size.
    items: Vec<Value>,
    words: TextInterner,
}

impl<'t> Scanner<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self { text, at: 0, depth: 0, items: Vec::new(), words: TextInterner::default() }
    }

    /// A word as shared text.
    pub(super) fn intern(&mut self, word: &str) -> Text {
        self.words.intern(word)
    }

    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// Skips exactly this text, if it comes next.
    pub(super) fn take(&mut self, text: &str) -> bool {
        let stands = self.text[self.at..].starts_with(text);
        if stands {
            self.at += text.len();
        }
        stands
    }

    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn next_byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at + 1).copied()
    }

    pub(super) fn error_at(&self, at: usize, why: impl Into<Cow<'static, str>>) -> Box<EdnError> {
        Box::new(EdnError { at, why: why.into(), cut: false })
    }

    fn truncated_at(&self, at: usize, why: impl Into<Cow<'static, str>>) -> Box<EdnError> {
        Box::new(EdnError { at, why: why.into(), cut: true })
    }

    /// Skips white space, commas, comments and discarded forms, and returns the next byte.
    pub(super) fn skip_gap(&mut self) -> Result<Option<u8>, Box<EdnError>> {
        while let Some(byte) = self.byte() {
            match byte {
                b';' => self.skip_comment(),
                b'#' if self.next_byte() == Some(b'_') => self.skip_discard()?,
                _ if is_space(byte) => self.at += 1,
                _ => return Ok(Some(byte)),
            }
        }
        Ok(None)
    }

    /// The first byte of the next form, which must exist.
    pub(super) fn expect_form(&mut self) -> Result<u8, Box<EdnError>> {
        match self.skip_gap()? {
            None => Err(self.truncated_at(self.at, "the text ends where a form should be")),
            Some(b')' | b']' | b'}') if self.depth == 0 => {
                Err(self.error_at(self.at, "this bracket closes what was never opened"))
            }
            Some(b')' | b']' | b'}') => {
                Err(self.error_at(self.at, "a form is missing before this bracket"))
            }
            Some(byte) => Ok(byte),
        }
    }

    fn skip_comment(&mut self) {
        let rest = &self.text.as_bytes()[self.at..];
        let ends = |byte: &u8| matches!(byte, b'\n' | b'\r');
        self.at += rest.iter().position(ends).unwrap_or(rest.len());
    }

    fn skip_discard(&mut self) -> Result<(), Box<EdnError>> {
        self.nest(|scanner| {
            scanner.at += 2;
            scanner.skip_form()
        })
    }

    /// Runs `inside` one level deeper.
    pub(super) fn nest<T>(
        &mut self,
        inside: impl FnOnce(&mut Self) -> Result<T, Box<EdnError>>,
    ) -> Result<T, Box<EdnError>> {
        if self.depth == DEPTH {
            return Err(self.error_at(self.at, format!("forms nest more than {DEPTH} deep")));
        }
        self.depth += 1;
        let done = inside(self);
        self.depth -= 1;
        done
    }

    /// Calls `each` for every form of the bracket that opens here.
    pub(super) fn for_each_form(
        &mut self,
        mut each: impl FnMut(&mut Self) -> Result<(), Box<EdnError>>,
    ) -> Result<(), Box<EdnError>> {
        let open = self.at;
        let close = match self.byte() {
            Some(b'(') => b')',
            Some(b'[') => b']',
            _ => b'}',
        };
        self.nest(|scanner| {
            scanner.at += 1;
            while !scanner.is_closing(open, close)? {
                each(scanner)?;
            }
            scanner.at += 1;
            Ok(())
        })
    }

    /// Reads the items of the bracket that opens here.
    pub(super) fn read_items(
        &mut self,
        each: impl Fn(&mut Self) -> Result<Value, Box<EdnError>>,
    ) -> Result<std::vec::Drain<'_, Value>, Box<EdnError>> {
        let before = self.items.len();
        self.for_each_form(|scanner| {
            let item = each(scanner)?;
            scanner.items.push(item);
            Ok(())
        })?;
        Ok(self.items.drain(before..))
    }

    fn is_closing(&mut self, open: usize, close: u8) -> Result<bool, Box<EdnError>> {
        match self.skip_gap()? {
            None => Err(self.truncated_at(open, "this bracket is never closed")),
            Some(byte) if byte == close => Ok(true),
            Some(byte @ (b')' | b']' | b'}')) => {
                let (byte, close) = (char::from(byte), char::from(close));
                Err(self.error_at(self.at, format!("{byte} stands where {close} should close")))
            }
            Some(_) => Ok(false),
        }
    }

    /// The characters up to a space, a bracket, a quote or a comment: a number, a name, a keyword.
    pub(super) fn read_word(&mut self) -> Result<&'t str, Box<EdnError>> {
        let rest = &self.text.as_bytes()[self.at..];
        let length = rest.iter().position(|byte| ends_word(*byte)).unwrap_or(rest.len());
        match rest.first() {
            Some(b'^' | b'@' | b'`' | b'~' | b'\'' | 0..=31 | 127) => {
                let first = char::from(rest[0]);
                Err(self.error_at(self.at, format!("{first:?} begins no EDN form")))
            }
            _ if length == 0 => Err(self.error_at(self.at, "a word is missing")),
            _ => {
                self.at += length;
                Ok(&self.text[self.at - length..self.at])
            }
        }
    }

    /// Quoted text without its quotes, and whether it has escapes.
    pub(super) fn read_quoted(&mut self) -> Result<(&'t str, bool), Box<EdnError>> {
        let open = self.at;
        let bytes = self.text.as_bytes();
        let (mut at, mut escapes) = (open + 1, false);
        loop {
            match bytes.get(at) {
                None => return Err(self.truncated_at(open, "this text is never closed")),
                Some(b'"') => break,
                Some(b'\\') => (at, escapes) = (at + 2, true),
                Some(_) => at += 1,
            }
        }
        self.at = at + 1;
        Ok((&self.text[open + 1..at], escapes))
    }

    /// The name of a character after its backslash, at least one character long.
    pub(super) fn read_character(&mut self) -> Result<&'t str, Box<EdnError>> {
        let begin = self.at + 1;
        let Some(first) = self.text[begin..].chars().next() else {
            return Err(self.truncated_at(self.at, "the text ends where a character should be"));
        };
        let rest = &self.text.as_bytes()[begin + first.len_utf8()..];
        let more = rest.iter().position(|byte| ends_word(*byte)).unwrap_or(rest.len());
        self.at = begin + first.len_utf8() + more;
        Ok(&self.text[begin..self.at])
    }

    /// The form that a `#` begins.
    pub(super) fn read_dispatch(&mut self) -> Result<Dispatch<'t>, Box<EdnError>> {
        let at = self.at;
        match self.next_byte() {
            Some(b'{') => {
                self.at += 1;
                Ok(Dispatch::Set)
            }
            Some(b'#') => {
                self.at += 2;
                self.read_word().map(Dispatch::Symbolic)
            }
            Some(byte) if byte == b':' || byte.is_ascii_alphabetic() || byte >= 128 => {
                self.at += 1;
                self.read_word().map(Dispatch::Tag)
            }
            None => Err(self.truncated_at(at, "the text ends after #")),
            Some(byte) => {
                Err(self
                    .error_at(at, format!("# and then {:?} begins no EDN form", char::from(byte))))
            }
        }
    }

    /// Skips one form, even one that no value can represent.
    pub(super) fn skip_form(&mut self) -> Result<(), Box<EdnError>> {
        match self.expect_form()? {
            b'(' | b'[' | b'{' => self.for_each_form(Self::skip_form),
            b'"' => self.read_quoted().map(drop),
            b'\\' => self.read_character().map(drop),
            b'#' => match self.read_dispatch()? {
                Dispatch::Set => self.for_each_form(Self::skip_form),
                Dispatch::Symbolic(_) => Ok(()),
                Dispatch::Tag(_) => self.nest(Self::skip_form),
            },
            _ => self.read_word().map(drop),
        }
    }
}

/// The form that a `#` begins.
pub(super) enum Dispatch<'t> {
    /// A set, whose bracket opens here.
    Set,
    /// A symbolic number, such as infinity.
    Symbolic(&'t str),
    /// A tag; a form follows.
    Tag(&'t str),
}

const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b',' | b'\n' | b'\r' | b'\t' | 11 | 12)
}

fn ends_word(byte: u8) -> bool {
    ENDS_WORD[usize::from(byte)]
}

/// A table, because it is read for every byte of every word.
static ENDS_WORD: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 128 {
        table[byte as usize] =
            is_space(byte) || matches!(byte, b'(' | b')' | b'[' | b']' | b'{' | b'}' | b'"' | b';');
        byte += 1;
    }
    table
};
