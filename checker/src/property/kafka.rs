//! Judges a log of numbered messages per key, as Kafka keeps it: nothing lost, repeated, reordered or renumbered.
//!
//! Offsets that acknowledged sends and polls tell give each key one log. A consumer's position on a key goes from
//! one polled offset to the next; `assign` and `subscribe` end that, and a process that ever subscribed may be
//! moved at any time, so only what one poll of it returned is compared. A message is *lost* if it was acknowledged,
//! nobody polled it, and a consumer went from before it to behind it; an unpolled message that no consumer passed
//! is *unseen*, which is measured and not wrong.

mod log;
mod polls;
mod read;

use self::log::Logs;
use super::objects::whole;
use super::tally::{Tally, meaningless};
use crate::history::History;
use crate::verdict::{Check, Limits, Verdict};

const NAME: &str = "kafka";

/// Jepsen's kafka.
pub(crate) struct Kafka;

impl Check for Kafka {
    fn name(&self) -> &'static str {
        NAME
    }

    fn doc(&self) -> &'static str {
        "a log per key: `send` numbers messages, `poll` returns them in order; none is lost, skipped, \
         repeated, reordered or numbered twice (Jepsen's kafka)"
    }

    fn check(&self, history: &History, _limits: &Limits<'_>) -> Verdict {
        judge(history).unwrap_or_else(|why| meaningless(NAME, why))
    }
}

const KINDS: &[&str] = &[
    "lost-write",
    "inconsistent-offsets",
    "duplicate",
    "aborted-read",
    "unexpected",
    "nonmonotonic-send",
    "nonmonotonic-poll",
    "poll-skip",
];

fn judge(history: &History) -> Result<Verdict, String> {
    let object = whole(history);
    let mut tally = Tally::new(NAME, KINDS);
    let mut logs = Logs::default();
    for op in &object.ops {
        logs.add(op, read::read(op)?);
    }
    logs.judge(&mut tally);
    polls::judge(&logs, &object.ops, &mut tally)?;
    tally.stats.operations = object.ops.len();
    tally.stats.keys = logs.keys();
    if logs.keys() == 0 {
        tally.doubt(|| "nothing was sent or polled".to_owned());
    }
    Ok(tally.verdict(&format!("{} logs are whole", logs.keys())))
}
