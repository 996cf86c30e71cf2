//! Writes the history, one event per line, in the order in which things happened.
//!
//! Only the dispatcher holds a [`Journal`]. Events are kept in memory as well, so that the judge
//! need not read the file back, and reach the file at least every 100 ms, so that a crash loses at
//! most that.

use anyhow::{Context as _, Result};
use checker::history::jsonl::event_to_json_line;
use checker::history::{Event, Kind, Process, Value};
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

/// The history of a run while it is made.
pub(crate) struct Journal {
    path: PathBuf,
    file: BufWriter<File>,
    events: Vec<Event>,
}

/// An event that has no place in the order yet.
pub(crate) struct Entry {
    /// When, in nanoseconds since the run began.
    pub time: u64,
    /// What it says.
    pub kind: Kind,
    /// Who says it.
    pub process: Process,
    /// The function.
    pub f: String,
    /// The argument or the result.
    pub value: Value,
    /// The replica that was asked.
    pub node: Option<String>,
    /// Why it failed, or why its outcome is unknown.
    pub error: Option<String>,
}

impl Journal {
    /// A new, empty file.
    pub(crate) fn create(path: &Path) -> Result<Self> {
        let file =
            File::create(path).with_context(|| format!("{} cannot be created", path.display()))?;
        Ok(Self { path: path.to_owned(), file: BufWriter::new(file), events: Vec::new() })
    }

    /// Gives the event the next place.
    pub(crate) fn record(&mut self, entry: Entry) -> Result<()> {
        let event = Event {
            index: self.events.len() as u64,
            time: entry.time,
            kind: entry.kind,
            process: entry.process,
            f: entry.f.into(),
            value: entry.value,
            node: entry.node.map(Into::into),
            error: entry.error.map(|error| Value::from(error.as_str())),
        };
        let written = writeln!(self.file, "{}", event_to_json_line(&event).trim_end());
        self.events.push(event);
        written.with_context(|| format!("{} cannot be written", self.path.display()))
    }

    /// All events so far.
    pub(crate) fn events(&self) -> &[Event] {
        &self.events
    }

    /// Hands everything to the operating system.
    pub(crate) fn flush(&mut self) -> Result<()> {
        self.file.flush().with_context(|| format!("{} cannot be written", self.path.display()))
    }

    /// All events, after a last flush.
    pub(crate) fn close(mut self) -> Result<Vec<Event>> {
        self.flush()?;
        Ok(self.events)
    }
}
