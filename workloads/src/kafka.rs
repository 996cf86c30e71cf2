//! Sends messages to logs and polls them, as consumers that go on from where they are: Kafka, as Maelstrom asks for it.
//!
//! Every message is unique. A few logs are in use at a time, each for a bounded number of messages. Now and then a
//! consumer gives up its places and asks where others have got to; at the end each replica is polled for everything
//! from the beginning, so that what was lost is passed by.

use crate::generator::{Any, Generator, Next, Turn, calls, phases, until_ok};
use crate::keys::Fresh;
use crate::{
    Call, Freshness, Object, Outcome, Reply, Rng, Scene, Traffic, Workload, each_until_ok,
};
use checker::history::Value;
use std::collections::BTreeMap;

/// Logs in use at a time.
const ACTIVE: u64 = 4;
/// Messages after which a log is retired.
const MESSAGES_PER_LOG: u64 = 120;
/// The log of the recovery phase.
const RECOVERY: &str = "0";

/// Logs of numbered messages.
pub(crate) struct Kafka;

impl Workload for Kafka {
    fn name(&self) -> &'static str {
        "kafka"
    }

    fn doc(&self) -> &'static str {
        "sends messages to logs and polls them; judged by what is lost, repeated, reordered or renumbered (Maelstrom's kafka)"
    }

    fn object(&self) -> Object {
        Object::Logs
    }

    fn functions(&self) -> &'static [&'static str] {
        &["assign", "poll", "send"]
    }

    fn checks(&self, _: Freshness) -> &'static [&'static str] {
        &["kafka"]
    }

    fn traffic(&self, rng: Rng, _: &Scene) -> Traffic {
        let (opened, fresh) = (Fresh::default(), Fresh::default());
        let (last, sent) = (opened.clone(), fresh.clone());
        Traffic {
            main: Box::new(Consumers::new(rng, opened, fresh)),
            recovery: Box::new(move || {
                let fresh = sent.clone();
                let sends =
                    calls(move |_| Call::Send { key: RECOVERY.to_owned(), value: fresh.next() });
                let offsets = BTreeMap::from([(RECOVERY.to_owned(), 0)]);
                let assigns = calls(|_| Call::Assign { keys: vec![RECOVERY.to_owned()] });
                let polls = calls(move |_| Call::Poll { offsets: offsets.clone() });
                each_until_ok([sends, assigns, polls])
            }),
            finale: Box::new(move || {
                let logs = (0..=last.last()).map(|log| log.to_string());
                phases(logs.map(|log| from_the_beginning(&log)))
            }),
        }
    }
}

/// Senders and consumers, one of each on every thread.
struct Consumers {
    rng: Rng,
    /// Logs in use, with how many messages each was sent.
    active: Vec<(i64, u64)>,
    opened: Fresh,
    fresh: Fresh,
    /// Where each thread has got to.
    places: BTreeMap<usize, BTreeMap<String, i64>>,
}

impl Consumers {
    fn new(rng: Rng, opened: Fresh, fresh: Fresh) -> Self {
        let active = (0..ACTIVE).map(|_| (opened.next(), 0)).collect();
        Self { rng, active, opened, fresh, places: BTreeMap::new() }
    }

    fn send(&mut self) -> Call {
        let place = self.rng.below(ACTIVE) as usize;
        let (log, sent) = &mut self.active[place];
        let key = log.to_string();
        *sent += 1;
        if *sent == MESSAGES_PER_LOG {
            self.active[place] = (self.opened.next(), 0);
        }
        Call::Send { key, value: self.fresh.next() }
    }

    fn poll(&self, thread: usize) -> Call {
        let places = self.places.get(&thread);
        let from = |key: &String| places.and_then(|places| places.get(key)).copied().unwrap_or(0);
        Call::Poll { offsets: self.keys().map(|key| (key.clone(), from(&key))).collect() }
    }

    fn keys(&self) -> impl Iterator<Item = String> {
        self.active.iter().map(|(log, _)| log.to_string())
    }
}

impl Generator for Consumers {
    fn next(&mut self, turn: &Turn) -> Next {
        Next::Call(match self.rng.below(20) {
            0..2 => Call::Assign { keys: self.keys().collect() },
            2..11 => self.send(),
            _ => self.poll(turn.thread),
        })
    }

    fn observe(&mut self, thread: usize, call: &Call, reply: &Reply) {
        let (Outcome::Ok, Some(Value::Map(logs))) = (reply.outcome, &reply.returned) else {
            return;
        };
        let places = self.places.entry(thread).or_default();
        match call {
            Call::Assign { .. } => {
                *places = BTreeMap::new();
                for (key, place) in logs {
                    if let Value::Int(place) = place {
                        places.insert(key.clone(), *place);
                    }
                }
            }
            Call::Poll { .. } => drop(advance(places, logs)),
            _ => {}
        }
    }
}

/// Puts each place behind what was polled there.
fn advance<'l>(
    places: &mut BTreeMap<String, i64>,
    logs: impl IntoIterator<Item = &'l (String, Value)>,
) -> bool {
    let mut moved = false;
    for (key, messages) in logs {
        let Value::List(messages) = messages else { continue };
        let numbers = messages.iter().filter_map(|message| match message.as_pair() {
            Some((Value::Int(number), _)) => Some(*number),
            _ => None,
        });
        if let Some(last) = numbers.max() {
            let place = places.entry(key.clone()).or_default();
            moved |= last >= *place;
            *place = (*place).max(last + 1);
        }
    }
    moved
}

/// All of a log, however many polls that takes.
fn from_the_beginning(key: &str) -> Any {
    let keys = vec![key.to_owned()];
    let whole = Whole { places: BTreeMap::from([(key.to_owned(), 0)]), done: false };
    phases([until_ok(calls(move |_| Call::Assign { keys: keys.clone() })), Box::new(whole) as Any])
}

/// A consumer of one log that ends where the log does.
struct Whole {
    places: BTreeMap<String, i64>,
    done: bool,
}

impl Generator for Whole {
    fn next(&mut self, _: &Turn) -> Next {
        match self.done {
            true => Next::Done,
            false => Next::Call(Call::Poll { offsets: self.places.clone() }),
        }
    }

    fn observe(&mut self, _: usize, call: &Call, reply: &Reply) {
        let Call::Poll { .. } = call else { return };
        if let (Outcome::Ok, Some(Value::Map(logs))) = (reply.outcome, &reply.returned) {
            self.done |= !advance(&mut self.places, logs);
        }
    }
}
