//! Detects the format of a history from its text.

use super::pairing::History;
use super::parse_error::{ParseError, Parsed};
use super::{edn, jsonl, porcupine_log, session_text};

/// The format of a history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// JSON: an event a line, or one array of events.
    Jsonl,
    /// EDN, as Jepsen, Knossos and Elle have it.
    Edn,
    /// The texts of Porcupine's tests: etcd logs, and key-value histories.
    Porcupine,
    /// Sessions of transactions without times, as in AWDIT's tests.
    Sessions,
}

impl Format {
    /// Detects the format of a text; `None` if it is in no known format. An empty text is a history
    /// without operations.
    pub fn detect(text: &[u8]) -> Option<Self> {
        let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text).trim_ascii_start();
        let inside = text.strip_prefix(b"[").unwrap_or(text).trim_ascii_start();
        let first = inside.strip_prefix(b"{").unwrap_or_default().trim_ascii_start().first();
        match (text.first(), first) {
            (None, _) | (Some(b'{' | b'['), Some(b'"')) => Some(Self::Jsonl),
            (Some(b'{' | b'[' | b'(' | b';' | b'#' | b','), _) => Some(Self::Edn),
            _ if porcupine_log::looks_like_log(text) => Some(Self::Porcupine),
            _ if session_text::looks_like_sessions(text) => Some(Self::Sessions),
            _ => None,
        }
    }

    /// Reads a history of this format.
    pub fn parse(self, text: &[u8]) -> Result<Parsed, ParseError> {
        match self {
            Self::Jsonl => jsonl::parse(text),
            Self::Edn => edn::parse(text),
            Self::Porcupine if text.trim_ascii_start().starts_with(b"{") => edn::parse(text),
            Self::Porcupine => parse_utf8(text, porcupine_log::parse),
            Self::Sessions => parse_utf8(text, session_text::parse),
        }
    }
}

fn parse_utf8(
    text: &[u8],
    parse: fn(&str) -> Result<History, ParseError>,
) -> Result<Parsed, ParseError> {
    let text = std::str::from_utf8(text)
        .map_err(|error| ParseError::at_byte(text, error.valid_up_to(), "this is not UTF-8"))?;
    parse(text).map(|history| Parsed { history, torn: None })
}
