//! Checks a log per key, as in Kafka: no message is lost, duplicated, reordered or renumbered.
//!
//! The offsets in acknowledged sends and polls define one log per key. A consumer's position
//! advances from one polled offset to the next; `assign` and `subscribe` reset it. A process that
//! ever subscribed may be rebalanced at any time, so only the messages of a single poll are
//! compared. A message is *lost* if it was acknowledged, no client polled it, and a consumer
//! skipped its offset. An unpolled message that no consumer has passed is *unseen*, which is
//! measured but not an anomaly.

mod log;
mod polls;
mod read;

use self::log::KeyLogs;
use super::op::single_object;
use super::verdict_builder::{VerdictBuilder, unsupported_history};
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
        "a log per key: `send` assigns offsets, `poll` returns messages in order; none is lost, \
         skipped, duplicated, reordered or at two offsets (Jepsen's kafka)"
    }

    fn check(&self, history: &History, _limits: &Limits<'_>) -> Verdict {
        check_history(history).unwrap_or_else(|why| unsupported_history(NAME, why))
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

fn check_history(history: &History) -> Result<Verdict, String> {
    let object = single_object(history);
    let mut builder = VerdictBuilder::new(NAME, KINDS);
    let mut logs = KeyLogs::default();
    for op in &object.ops {
        logs.add_op(op, read::parse_log_ops(op)?);
    }
    logs.check(&mut builder);
    polls::check_polls(&logs, &object.ops, &mut builder)?;
    builder.stats.operations = object.ops.len();
    builder.stats.keys = logs.keys();
    if logs.keys() == 0 {
        builder.add_unknown(|| "no send or poll completed".to_owned());
    }
    Ok(builder.build(&format!("all {} logs are consistent and complete", logs.keys())))
}
