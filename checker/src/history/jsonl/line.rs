//! Reads one event as JSON, in the forms that Jepsen and other tools write.

use std::borrow::Cow;

use serde::Deserialize;

use crate::history::event::{Event, Kind, Names, Process};
use crate::history::text::Words;
use crate::history::value::Value;

/// An event as other tools write it: numbers may be missing, and a time of -1 means that nobody
/// knows.
#[derive(Deserialize)]
pub(super) struct Line<'t> {
    index: Option<u64>,
    time: Option<i64>,
    #[serde(rename = "type")]
    kind: Kind,
    process: Option<Process>,
    #[serde(borrow, default = "transaction")]
    f: Cow<'t, str>,
    #[serde(default)]
    value: Value,
    #[serde(borrow)]
    node: Option<Word<'t>>,
    error: Option<Value>,
}

/// A name that is borrowed from the line; serde copies a `Cow` that is within an `Option`.
#[derive(Deserialize)]
struct Word<'t>(#[serde(borrow)] Cow<'t, str>);

/// What the lines before have said.
#[derive(Default)]
pub(super) struct Said {
    names: Names,
    words: Words,
}

/// What an operation is for Elle when it does not say.
fn transaction() -> Cow<'static, str> {
    Cow::Borrowed("txn")
}

impl Line<'_> {
    pub(super) fn event(self, next_index: u64, said: &mut Said) -> Result<Event, &'static str> {
        Ok(Event {
            index: self.index.unwrap_or(next_index),
            time: self.time.map_or(0, |time| time.max(0).unsigned_abs()),
            kind: self.kind,
            process: said.names.process(self.process).ok_or("missing field `process`")?,
            f: said.words.share(&self.f),
            value: self.value,
            node: self.node.map(|Word(node)| said.words.share(&node)),
            error: self.error,
        })
    }
}

/// What serde says, without the place.
pub(super) fn reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.rsplit_once(" at line ").map_or(text.as_str(), |(why, _)| why).to_owned()
}
