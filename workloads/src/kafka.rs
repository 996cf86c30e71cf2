//! Sends messages to logs and polls them with consumers that resume at their offsets: Maelstrom's
//! kafka.
//!
//! Every message is unique. A few logs are active at a time, each for a bounded number of messages.
//! From time to time a consumer drops its offsets and fetches the committed ones. The final reads
//! poll each replica from offset 0, so that a lost message shows as a gap.

use crate::call::Call;
use crate::combinator::{each_until_ok, phases, until_ok};
use crate::generator::{BoxGenerator, Context, Generator, Next, repeat_with};
use crate::object::Object;
use crate::read_consistency::ReadConsistency;
use crate::reply::{Outcome, Reply};
use crate::rng::Rng;
use crate::sequence::Sequence;
use crate::workload::{Traffic, TrafficConfig, Workload};
use checker::history::Value;
use std::collections::BTreeMap;

/// The number of active logs.
const ACTIVE_LOGS: u64 = 4;
/// Messages after which a log is retired.
const MESSAGES_PER_LOG: u64 = 120;
/// The log of the recovery phase.
const RECOVERY_LOG: &str = "0";

/// Logs of messages with offsets.
pub(crate) struct Kafka;

impl Workload for Kafka {
    fn name(&self) -> &'static str {
        "kafka"
    }

    fn doc(&self) -> &'static str {
        "sends messages to logs and polls them; judged by lost, duplicated and reordered messages \
         and by offsets that change (Maelstrom's kafka)"
    }

    fn object(&self) -> Object {
        Object::Logs
    }

    fn function_names(&self) -> &'static [&'static str] {
        &["assign", "poll", "send"]
    }

    fn check_names(&self, _: ReadConsistency) -> &'static [&'static str] {
        &["kafka"]
    }

    fn make_traffic(&self, rng: Rng, _: &TrafficConfig) -> Traffic {
        let (logs, messages) = (Sequence::default(), Sequence::default());
        let (used_logs, recovery_messages) = (logs.clone(), messages.clone());
        Traffic {
            main: Box::new(Consumers::new(rng, logs, messages)),
            recovery: Box::new(move || {
                let messages = recovery_messages.clone();
                let sends = repeat_with(move |_| Call::Send {
                    key: RECOVERY_LOG.to_owned(),
                    value: messages.next_number(),
                });
                let offsets = BTreeMap::from([(RECOVERY_LOG.to_owned(), 0)]);
                let assigns = repeat_with(|_| Call::Assign { keys: vec![RECOVERY_LOG.to_owned()] });
                let polls = repeat_with(move |_| Call::Poll { offsets: offsets.clone() });
                each_until_ok([sends, assigns, polls])
            }),
            final_reads: Box::new(move || {
                let logs = (0..=used_logs.last_number()).map(|log| log.to_string());
                phases(logs.map(|log| read_whole_log(&log)))
            }),
        }
    }
}

/// A producer and a consumer on every thread.
struct Consumers {
    rng: Rng,
    /// The active logs, each with the number of messages sent to it.
    active: Vec<(i64, u64)>,
    logs: Sequence,
    messages: Sequence,
    /// The next offset of each thread in each log.
    offsets: BTreeMap<usize, BTreeMap<String, i64>>,
}

impl Consumers {
    fn new(rng: Rng, logs: Sequence, messages: Sequence) -> Self {
        let active = (0..ACTIVE_LOGS).map(|_| (logs.next_number(), 0)).collect();
        Self { rng, active, logs, messages, offsets: BTreeMap::new() }
    }

    fn make_send(&mut self) -> Call {
        let place = self.rng.below(ACTIVE_LOGS) as usize;
        let (log, sent) = &mut self.active[place];
        let key = log.to_string();
        *sent += 1;
        if *sent == MESSAGES_PER_LOG {
            self.active[place] = (self.logs.next_number(), 0);
        }
        Call::Send { key, value: self.messages.next_number() }
    }

    fn make_poll(&self, thread: usize) -> Call {
        let offsets = self.offsets.get(&thread);
        let from =
            |key: &String| offsets.and_then(|offsets| offsets.get(key)).copied().unwrap_or(0);
        Call::Poll { offsets: self.active_logs().map(|key| (key.clone(), from(&key))).collect() }
    }

    fn active_logs(&self) -> impl Iterator<Item = String> {
        self.active.iter().map(|(log, _)| log.to_string())
    }
}

impl Generator for Consumers {
    fn next_call(&mut self, context: &Context) -> Next {
        Next::Call(match self.rng.below(20) {
            0..2 => Call::Assign { keys: self.active_logs().collect() },
            2..11 => self.make_send(),
            _ => self.make_poll(context.thread),
        })
    }

    fn observe_reply(&mut self, thread: usize, call: &Call, reply: &Reply) {
        let (Outcome::Ok, Some(Value::Map(logs))) = (reply.outcome, &reply.returned) else {
            return;
        };
        let offsets = self.offsets.entry(thread).or_default();
        match call {
            Call::Assign { .. } => {
                *offsets = BTreeMap::new();
                for (key, offset) in logs {
                    if let Value::Int(offset) = offset {
                        offsets.insert(key.clone(), *offset);
                    }
                }
            }
            Call::Poll { .. } => drop(advance_offsets(offsets, logs)),
            _ => {}
        }
    }
}

/// Advances each offset past the polled messages; returns whether any moved.
fn advance_offsets<'l>(
    offsets: &mut BTreeMap<String, i64>,
    logs: impl IntoIterator<Item = &'l (String, Value)>,
) -> bool {
    let mut moved = false;
    for (key, messages) in logs {
        let Value::List(messages) = messages else { continue };
        let polled = messages.iter().filter_map(|message| match message.as_pair() {
            Some((Value::Int(offset), _)) => Some(*offset),
            _ => None,
        });
        if let Some(last) = polled.max() {
            let offset = offsets.entry(key.clone()).or_default();
            moved |= last >= *offset;
            *offset = (*offset).max(last + 1);
        }
    }
    moved
}

/// Polls a log from offset 0 until a poll returns nothing new.
fn read_whole_log(key: &str) -> BoxGenerator {
    let keys = vec![key.to_owned()];
    let reader = LogReader { offsets: BTreeMap::from([(key.to_owned(), 0)]), done: false };
    phases([
        until_ok(repeat_with(move |_| Call::Assign { keys: keys.clone() })),
        Box::new(reader) as BoxGenerator,
    ])
}

/// A consumer of one log that is done at the end of the log.
struct LogReader {
    offsets: BTreeMap<String, i64>,
    done: bool,
}

impl Generator for LogReader {
    fn next_call(&mut self, _: &Context) -> Next {
        match self.done {
            true => Next::Done,
            false => Next::Call(Call::Poll { offsets: self.offsets.clone() }),
        }
    }

    fn observe_reply(&mut self, _: usize, call: &Call, reply: &Reply) {
        let Call::Poll { .. } = call else { return };
        if let (Outcome::Ok, Some(Value::Map(logs))) = (reply.outcome, &reply.returned) {
            self.done |= !advance_offsets(&mut self.offsets, logs);
        }
    }
}
