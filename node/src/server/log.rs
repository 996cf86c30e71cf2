//! Writes log lines to standard error: one line per event, with the time in milliseconds and the
//! name of the replica.

use crate::wal::GroupId;
use std::fmt;
use std::io::{self, Write};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The format of a log line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum LogFormat {
    /// Time, replica and message
    #[default]
    Text,
    /// The same as a JSON object: `time`, `replica`, `message`
    Json,
}

/// A replica's log.
#[derive(Clone, Debug)]
pub(super) struct Logger {
    replica: String,
    format: LogFormat,
    /// The prefix of each line, if there are several groups.
    group: String,
}

impl Logger {
    pub(super) fn new(replica: &str, format: LogFormat) -> Self {
        Self { replica: replica.to_owned(), format, group: String::new() }
    }

    /// Returns the same log with this group in each line.
    pub(super) fn of_group(&self, group: GroupId) -> Self {
        Self { group: format!("group={group} "), ..self.clone() }
    }

    /// Writes one line. A replica goes on if its log cannot be written.
    pub(super) fn write_line(&self, text: fmt::Arguments<'_>) {
        let line = self.format.format_line(
            &current_timestamp(),
            &self.replica,
            &format!("{}{text}", self.group),
        );
        let _ = io::stderr().write_all(line.as_bytes());
    }
}

impl LogFormat {
    fn format_line(self, time: &str, replica: &str, message: &str) -> String {
        match self {
            Self::Text => format!("{time} {replica} {message}\n"),
            Self::Json => {
                let line =
                    serde_json::json!({"time": time, "replica": replica, "message": message});
                format!("{line}\n")
            }
        }
    }
}

/// Returns the current time as RFC 3339 in UTC.
pub(super) fn current_timestamp() -> String {
    format_timestamp(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
}

/// Formats a time since 1970 as RFC 3339 in UTC.
fn format_timestamp(since_epoch: Duration) -> String {
    let seconds = since_epoch.as_secs();
    let (year, month, day) = civil_date(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    let millis = since_epoch.subsec_millis();
    format!("{year}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
}

/// Returns the date this many days after 1970-01-01.
fn civil_date(mut days: u64) -> (u64, usize, u64) {
    let mut year = 1970;
    while days >= 365 + leap_days(year) {
        days -= 365 + leap_days(year);
        year += 1;
    }
    let lengths = [31, 28 + leap_days(year), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 0;
    while days >= lengths[month] {
        days -= lengths[month];
        month += 1;
    }
    (year, month + 1, days + 1)
}

fn leap_days(year: u64) -> u64 {
    u64::from(year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_text_or_json() {
        assert_eq!(LogFormat::Text.format_line("t", "n1", "stopped"), "t n1 stopped\n");
        let line = LogFormat::Json.format_line("t", "n1", "said \"no\"");
        let expected = serde_json::json!({"time": "t", "replica": "n1", "message": "said \"no\""});
        assert!(line.ends_with('\n'));
        assert_eq!(serde_json::from_str::<serde_json::Value>(&line).expect("JSON"), expected);
    }

    #[test]
    fn timestamps_follow_the_calendar() {
        let at = |seconds: u64| format_timestamp(Duration::from_millis(seconds * 1000 + 7));
        assert_eq!(at(0), "1970-01-01T00:00:00.007Z");
        assert_eq!(at(951_782_399), "2000-02-28T23:59:59.007Z");
        assert_eq!(at(951_782_400), "2000-02-29T00:00:00.007Z");
        assert_eq!(at(4_107_542_400), "2100-03-01T00:00:00.007Z");
        assert_eq!(at(1_798_761_599), "2026-12-31T23:59:59.007Z");
    }
}
