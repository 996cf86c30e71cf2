//! Writes the history, one event per line, in the order of events.
//!
//! Only the dispatcher holds a [`Journal`]. It keeps events in memory as well, so that the checks
//! need not read the file back. A crash loses at most the last 100 ms, the time between flushes.

use anyhow::{Context as _, Result};
use checker::history::jsonl::event_to_json_line;
use checker::history::{Event, Kind, Process, Value};
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

/// The history while it is recorded.
pub(crate) struct Journal {
    path: PathBuf,
    file: BufWriter<File>,
    events: Vec<Event>,
}

/// An event before it has an index.
pub(crate) struct JournalEntry {
    /// When, in nanoseconds since the run began.
    pub time: u64,
    /// The kind of event.
    pub kind: Kind,
    /// The process.
    pub process: Process,
    /// The function.
    pub f: String,
    /// The argument or the result.
    pub value: Value,
    /// The replica that was called.
    pub node: Option<String>,
    /// Why it failed, or why its outcome is unknown.
    pub error: Option<String>,
}

impl Journal {
    /// A new, empty file.
    pub(crate) fn create(path: &Path) -> Result<Self> {
        let file =
            File::create(path).with_context(|| format!("cannot create {}", path.display()))?;
        Ok(Self { path: path.to_owned(), file: BufWriter::new(file), events: Vec::new() })
    }

    /// Appends the event with the next index.
    pub(crate) fn record(&mut self, entry: JournalEntry) -> Result<()> {
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
        written.with_context(|| format!("cannot write {}", self.path.display()))
    }

    /// All events so far.
    pub(crate) fn events(&self) -> &[Event] {
        &self.events
    }

    /// Flushes the file to the operating system.
    pub(crate) fn flush(&mut self) -> Result<()> {
        self.file.flush().with_context(|| format!("cannot write {}", self.path.display()))
    }

    /// All events, after a last flush.
    pub(crate) fn close(mut self) -> Result<Vec<Event>> {
        self.flush()?;
        Ok(self.events)
    }
}
