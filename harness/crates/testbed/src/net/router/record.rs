//! Records every message and its fate, one JSON object per line: the data of a message diagram.
//!
//! Times are microseconds since the Unix epoch; `clock_unix_ms` in `run.json` converts them to
//! the times of the history. A message is written when its fate is known, so lines are in that
//! order.

use super::message::{Body, Message};
use anyhow::{Context as _, Result};
use serde::Serialize;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// The maximum number of recorded messages.
const MAX_MESSAGES: u64 = 1_000_000;

/// The name of the file in the directory of a run.
pub const MESSAGES_FILE: &str = "messages.jsonl";

/// The file.
pub(super) struct MessageLog {
    out: BufWriter<File>,
    written: u64,
    /// How many are missing.
    missed: u64,
}

/// A line of it.
#[derive(Serialize)]
struct MessageLine<'m> {
    id: u64,
    sent_us: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    received_us: Option<u64>,
    /// The sender, if it is not the one that the message names.
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<&'m str>,
    src: &'m str,
    dest: &'m str,
    #[serde(rename = "type")]
    kind: &'m str,
    fate: &'m str,
    body: &'m Body,
}

/// Microseconds since the Unix epoch.
pub(super) fn now_us() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

impl MessageLog {
    /// An empty record.
    pub(super) fn create(path: &Path) -> Result<Self> {
        let file = File::create(path);
        let file = file.with_context(|| format!("cannot create {}", path.display()))?;
        Ok(Self { out: BufWriter::new(file), written: 0, missed: 0 })
    }

    /// Records a message whose fate is known.
    pub(super) fn append_message(
        &mut self,
        message: &Message,
        from: &str,
        sent_us: u64,
        fate: &str,
    ) {
        let line = MessageLine {
            id: message.id,
            sent_us,
            received_us: (fate == DELIVERED).then(now_us),
            from: (from != message.src).then_some(from),
            src: &message.src,
            dest: &message.dest,
            kind: message.kind(),
            fate,
            body: &message.body,
        };
        let written = self.written < MAX_MESSAGES && self.write_line(&line).is_ok();
        *(if written { &mut self.written } else { &mut self.missed }) += 1;
    }

    fn write_line(&mut self, line: &MessageLine<'_>) -> std::io::Result<()> {
        serde_json::to_writer(&mut self.out, line)?;
        self.out.write_all(b"\n")
    }

    /// How many messages are missing in it.
    pub(super) fn missed(&self) -> u64 {
        self.missed
    }
}

/// The fate of a message that arrived.
pub(super) const DELIVERED: &str = "delivered";

#[cfg(test)]
mod tests {
    use super::super::message::to_body;
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn every_message_is_a_line_and_only_one_that_arrived_has_a_time_of_that() {
        let folder = tempfile::tempdir().expect("a directory");
        let path = folder.path().join(MESSAGES_FILE);
        let mut record = MessageLog::create(&path).expect("a file");
        let message =
            Message { id: 3, ..Message::new("c1", "n2", to_body(json!({ "type": "read" }))) };
        record.append_message(&message, "n1", 5, DELIVERED);
        record.append_message(&message, "c1", 6, "cut");
        drop(record);
        let text = std::fs::read_to_string(path).expect("it is there");
        let lines: Vec<Value> =
            text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        assert_eq!((&lines[0]["from"], &lines[0]["type"]), (&json!("n1"), &json!("read")));
        assert!(lines[0]["received_us"].as_u64() > Some(5));
        assert_eq!((lines[1].get("received_us"), lines[1].get("from")), (None, None));
        assert_eq!(lines[1]["fate"], "cut");
    }
}
