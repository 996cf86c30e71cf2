//! Reads one event as JSON, in the forms that Jepsen and other tools write.

use std::borrow::Cow;

use serde::Deserialize;

use crate::history::event::{Event, Kind, Process, ProcessNames};
use crate::history::text::TextInterner;
use crate::history::value::Value;

/// An event as other tools write it: the index may be missing, and a time of -1 means unknown.
#[derive(Deserialize)]
pub(super) struct JsonEvent<'t> {
    index: Option<u64>,
    time: Option<i64>,
    #[serde(rename = "type")]
    kind: Kind,
    process: Option<Process>,
    #[serde(borrow, default = "default_function")]
    f: Cow<'t, str>,
    #[serde(default)]
    value: Value,
    #[serde(borrow)]
    node: Option<JsonName<'t>>,
    error: Option<Value>,
}

/// A name borrowed from the line; serde copies a `Cow` within an `Option`.
#[derive(Deserialize)]
struct JsonName<'t>(#[serde(borrow)] Cow<'t, str>);

/// What is shared by all lines.
#[derive(Default)]
pub(super) struct ParseState {
    names: ProcessNames,
    words: TextInterner,
}

/// The function of an operation that names none, as in Elle.
fn default_function() -> Cow<'static, str> {
    Cow::Borrowed("txn")
}

impl JsonEvent<'_> {
    pub(super) fn into_event(
        self,
        next_index: u64,
        said: &mut ParseState,
    ) -> Result<Event, &'static str> {
        Ok(Event {
            index: self.index.unwrap_or(next_index),
            time: self.time.map_or(0, |time| time.max(0).unsigned_abs()),
            kind: self.kind,
            process: said.names.resolve(self.process).ok_or("missing field `process`")?,
            f: said.words.intern(&self.f),
            value: self.value,
            node: self.node.map(|JsonName(node)| said.words.intern(&node)),
            error: self.error,
        })
    }
}

/// The message without its position.
pub(super) fn strip_place(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.rsplit_once(" at line ").map_or(text.as_str(), |(why, _)| why).to_owned()
}
