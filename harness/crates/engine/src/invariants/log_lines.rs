//! Looks for lines in the replicas' logs that no correct replica writes.
//!
//! The replica of a disk that a fault disturbed is excused: it may stop over what it finds.

use super::breaches::Breaches;
use super::sources::{ReplicaFile, Sources};
use records::record::CheckRecord;
use std::borrow::Cow;

/// The name of the check.
const NAME: &str = "logs";
/// The stand-in for the name of a seeded bug.
const REDACTED: &str = "[bug]";

/// Checks all lines of all logs.
pub(super) fn check_logs(sources: &Sources<'_>) -> Option<CheckRecord> {
    if sources.logs.is_empty() {
        return None;
    }
    let disturbed = sources.disturbed_hosts();
    let (mut breaches, mut excused, mut lines) = (Breaches::default(), Breaches::default(), 0);
    for ReplicaFile { host, name, text, .. } in sources.logs {
        for (number, line) in (1..).zip(text.lines()) {
            lines += 1;
            let line = redact_bugs(line, sources.bugs);
            let Some(pattern) = sources.log_rules.matching_pattern(&line) else { continue };
            let is_excused = disturbed.contains(host.as_str());
            let breaches = if is_excused { &mut excused } else { &mut breaches };
            let line = shorten_line(line.trim());
            let example =
                format!("{host} wrote {line:?} (logs/{name}:{number}, matches {pattern})");
            breaches.add_breach("a line that no correct replica writes", example);
        }
    }
    let holds = format!(
        "logs: none of {lines} lines is one that no correct replica writes{}",
        Sources::cut_note(sources.logs)
    );
    if breaches.is_empty() && !excused.is_empty() {
        let excuse = "a fault disturbed its disk".to_owned();
        return Some(excused.into_record(NAME, holds, Some(excuse)));
    }
    Some(breaches.into_record(NAME, holds, None))
}

/// The line without the names of seeded bugs, which would tell what is to be found.
fn redact_bugs<'a>(line: &'a str, bugs: &[String]) -> Cow<'a, str> {
    let named = bugs.iter().filter(|bug| line.contains(bug.as_str()));
    named.fold(Cow::Borrowed(line), |line, bug| Cow::Owned(line.replace(bug.as_str(), REDACTED)))
}

/// At most this many characters of a line are quoted.
const QUOTED: usize = 200;

fn shorten_line(line: &str) -> Cow<'_, str> {
    match line.char_indices().nth(QUOTED) {
        Some((end, _)) => Cow::Owned(format!("{}…", &line[..end])),
        None => Cow::Borrowed(line),
    }
}
