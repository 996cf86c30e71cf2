//! Checks a history while it is recorded: takes events one by one, and reports a violation at the
//! completion that no order explains.
//!
//! The answers are those of [`super::check`] on the events so far. So a violation is final, and
//! [`OnlineChecker::finish`] returns the verdict of [`super::check`] on the whole history. An
//! object with many hundred operations and no moment at which none of them was open is checked now
//! and then only; a violation may then be reported late by a sixteenth of its operations. What can
//! no longer matter is forgotten. An object that holds more than the budget permits is given up as
//! unknown.
//!
//! One difference remains. A history with an operation that the model rejects is unknown as a
//! whole, but a violation reported before that operation stands.

mod object_prefix;

use std::collections::BTreeMap;

use self::object_prefix::{ObjectPrefix, PrefixChecker, PrefixOutcome};
use super::engine::{Budget, BudgetExceeded};
use super::partition::{
    KeyPlacement, carries_key, invalid_call, key_of, key_placement, parse_operation,
};
use super::{make_verdict, plural};
use crate::history::{self, Event, Kind, Malformed, Operation, Process, Value, Violation};
use crate::model::{Model, with_article};
pub use crate::online::Anomaly;
use crate::online::OnlineCheck;
use crate::verdict::{Algorithm, Limits, Stats, Validity, Verdict};

/// Checks a history that is still being recorded.
///
/// The field `jobs` of [`Limits`] has no effect. With [`crate::verdict::Keyed::Auto`] the first
/// invocation decides; one that contradicts it makes the result unknown.
pub struct OnlineChecker<'a> {
    model: &'a dyn Model,
    limits: Limits<'a>,
    concurrency: Option<u64>,
    start: Option<Vec<Value>>,
    keys: Option<KeyPlacement>,
    clients: BTreeMap<Process, OnlineClient>,
    fed: usize,
    last: Option<u64>,
    objects: BTreeMap<Option<Value>, TrackedObject>,
    held: usize,
    first_anomaly: Option<Anomaly>,
    /// Why the model rejects the history.
    refused: Option<String>,
    operations: usize,
}

/// What a process is doing.
enum OnlineClient {
    Open(Box<Operation>),
    Retired(u64),
}

enum TrackedObject {
    Live(ObjectPrefix),
    Invalid,
    Unknown(BudgetExceeded),
}

impl<'a> OnlineChecker<'a> {
    /// A checker before the first event.
    pub fn new(model: &'a dyn Model, limits: Limits<'a>) -> Self {
        Self {
            model,
            limits,
            concurrency: None,
            start: None,
            keys: None,
            clients: BTreeMap::new(),
            fed: 0,
            last: None,
            objects: BTreeMap::new(),
            held: 0,
            first_anomaly: None,
            refused: None,
            operations: 0,
        }
    }

    /// The same checker for a run with this many clients, so that messages name clients instead of
    /// processes.
    #[must_use]
    pub fn with_concurrency(self, concurrency: u64) -> Self {
        Self { concurrency: Some(concurrency), ..self }
    }

    /// The same checker for a history that started in one of these states instead of the model's
    /// initial state. An empty list changes nothing.
    #[must_use]
    pub fn with_initial(self, states: Vec<Value>) -> Self {
        Self { start: Some(states).filter(|states| !states.is_empty()), ..self }
    }

    /// Takes the next event, and returns a violation if this event proves one. A rejected event
    /// counts as not fed.
    pub fn feed(&mut self, event: &Event) -> Result<Option<Anomaly>, Malformed> {
        let position = self.fed;
        let malformed = |violation| Malformed { position, index: event.index, violation };
        if let Some(last) = self.last.filter(|last| event.index <= *last) {
            return Err(malformed(Violation::OutOfOrder(last)));
        }
        let finished = self.pair_with_open(event).map_err(malformed)?;
        self.fed += 1;
        self.last = Some(event.index);
        if event.process == Process::Nemesis || self.refused.is_some() {
            return Ok(None);
        }
        let parsed = match finished {
            None => self.begin(event).map(|()| None),
            Some(operation) => self.end(operation, event.index),
        };
        Ok(parsed.unwrap_or_else(|why| {
            self.refused = Some(why);
            self.objects.clear();
            None
        }))
    }

    /// The verdict on all events, without a witness. Open operations may or may not take effect.
    pub fn finish(mut self) -> Verdict {
        self.count_open();
        if let (Some(why), None) = (&self.refused, &self.first_anomaly) {
            let name = with_article(self.model.name());
            return Verdict::unknown(format!("not a history of {name}: {why}"));
        }
        if let (Some(keys), Some(index)) = (self.keys, self.last) {
            let all: Vec<_> = self.objects.keys().cloned().collect();
            all.into_iter().for_each(|key| drop(self.check_prefix(key, keys, index)));
        }
        let stats = self.stats();
        let spent = self.objects.values().find_map(|object| match object {
            TrackedObject::Unknown(why) => Some(why),
            TrackedObject::Live(_) | TrackedObject::Invalid => None,
        });
        let (validity, message) = match (&self.first_anomaly, spent) {
            (Some(anomaly), _) => (Validity::Invalid, anomaly.message.clone()),
            (None, Some(why)) => {
                let of = plural(stats.keys, "object");
                let what = format!("{why}: undecided: {} of {of}", stats.unknown_keys);
                (Validity::Unknown, what)
            }
            (None, None) => {
                let many = plural(stats.operations, "operation");
                let what = format!("linearizable: {many}, checked online");
                (Validity::Valid, what)
            }
        };
        make_verdict(validity, message, None, stats)
    }

    /// The approximate memory held, in bytes.
    pub fn held_bytes(&self) -> usize {
        self.held
    }

    fn stats(&self) -> Stats {
        let count = |is: fn(&TrackedObject) -> bool| {
            self.objects.values().filter(|object| is(object)).count()
        };
        Stats {
            operations: self.operations,
            keys: self.objects.len(),
            invalid_keys: count(|it| matches!(it, TrackedObject::Invalid)),
            unknown_keys: count(|it| matches!(it, TrackedObject::Unknown(_))),
            configurations: 0,
            algorithm: Algorithm::Breadth,
        }
    }

    /// Finds the operation that the event completes, or records the one that it invokes.
    fn pair_with_open(&mut self, event: &Event) -> Result<Option<Operation>, Violation> {
        let process = event.process;
        if process == Process::Nemesis {
            return Ok(None);
        }
        match (self.clients.get_mut(&process), event.kind) {
            (Some(OnlineClient::Retired(index)), _) => Err(Violation::Retired(process, *index)),
            (None, Kind::Invoke) => {
                let operation = self.invocation(event);
                self.clients.insert(process, OnlineClient::Open(Box::new(operation)));
                Ok(None)
            }
            (Some(OnlineClient::Open(open)), Kind::Invoke) => {
                Err(Violation::Busy(process, open.invoked.index))
            }
            (None, _) => Err(Violation::NeverInvoked(process)),
            (Some(OnlineClient::Open(open)), kind) => {
                history::complete(open, event)?;
                let operation = (**open).clone();
                match kind {
                    Kind::Info => {
                        self.clients.insert(process, OnlineClient::Retired(event.index));
                    }
                    Kind::Invoke | Kind::Ok | Kind::Fail => drop(self.clients.remove(&process)),
                }
                Ok(Some(operation))
            }
        }
    }

    fn invocation(&self, event: &Event) -> Operation {
        let client = self.concurrency.and_then(|concurrency| event.process.client(concurrency));
        Operation { client, ..history::invocation(event) }
    }

    fn begin(&mut self, event: &Event) -> Result<(), String> {
        let operation = self.invocation(event);
        let Self { model, start, limits, .. } = self;
        let keys = *self.keys.get_or_insert_with(|| {
            let looks_keyed = || carries_key(&event.f, &event.value);
            key_placement(*model, start.as_deref(), limits.keyed, looks_keyed)
        });
        // An operation without a key may still fail, and then it does not matter.
        let Ok(key) = key_of(&event.value, keys) else { return Ok(()) };
        let start = super::case::parse_initial_states(start.as_deref(), *model)?;
        let held = &mut self.held;
        let fresh = || {
            let prefix = ObjectPrefix::new(start);
            *held += prefix.bytes;
            TrackedObject::Live(prefix)
        };
        if let TrackedObject::Live(prefix) = self.objects.entry(key.clone()).or_insert_with(fresh) {
            let before = prefix.bytes;
            prefix.begin(operation);
            self.held += prefix.bytes - before;
        }
        self.enforce_memory_limit(&key);
        Ok(())
    }

    fn end(&mut self, operation: Operation, index: u64) -> Result<Option<Anomaly>, String> {
        let Some(keys) = self.keys else { return Ok(None) };
        let counts = self.is_relevant(&operation, keys)?;
        let Ok(key) = key_of(&operation.input, keys) else { return Ok(None) };
        self.operations += usize::from(counts);
        let lost = counts && operation.kind() == Kind::Info;
        let Some(TrackedObject::Live(prefix)) = self.objects.get_mut(&key) else { return Ok(None) };
        self.held -= prefix.bytes;
        prefix.end(operation, counts);
        self.held += prefix.bytes;
        // An unknown outcome rules nothing out.
        let due = !lost && prefix.is_check_due();
        self.enforce_memory_limit(&key);
        Ok(if due { self.check_prefix(key, keys, index) } else { None })
    }

    /// Whether the operation constrains its object, or why the model rejects it.
    fn is_relevant(&self, operation: &Operation, keys: KeyPlacement) -> Result<bool, String> {
        let parsed = parse_operation(operation, self.model, keys)
            .map_err(|why| invalid_call(operation, &why))?;
        let auto =
            self.limits.keyed == crate::verdict::Keyed::Auto && keys == KeyPlacement::Wrapped;
        if auto && parsed.is_some() && !carries_key(&operation.f, &operation.input) {
            let why = "earlier ones named a key, and this one does not";
            return Err(invalid_call(operation, why));
        }
        Ok(parsed.is_some())
    }

    /// Counts open operations as operations of unknown outcome.
    fn count_open(&mut self) {
        let Some(keys) = self.keys else { return };
        for client in self.clients.values() {
            let OnlineClient::Open(operation) = client else { continue };
            match self.is_relevant(operation, keys) {
                Ok(counts) => self.operations += usize::from(counts),
                Err(why) => self.refused = self.refused.take().or(Some(why)),
            }
        }
    }

    fn check_prefix(
        &mut self,
        key: Option<Value>,
        keys: KeyPlacement,
        index: u64,
    ) -> Option<Anomaly> {
        let memory_bytes = self.limits.memory_bytes.saturating_sub(self.held);
        let budget = Budget { memory_bytes, ..Budget::from_limits(&self.limits) };
        let checker = PrefixChecker { model: self.model, keys, budget };
        let object = self.objects.get_mut(&key)?;
        let TrackedObject::Live(prefix) = object else { return None };
        self.held -= prefix.bytes;
        match prefix.check_prefix(&key, checker) {
            PrefixOutcome::Explained => {
                self.held += prefix.bytes;
                None
            }
            PrefixOutcome::OverBudget(why) => {
                *object = TrackedObject::Unknown(why);
                None
            }
            PrefixOutcome::Illegal(message) => {
                *object = TrackedObject::Invalid;
                let anomaly = Anomaly::new(key, index, message);
                self.first_anomaly.get_or_insert_with(|| anomaly.clone());
                Some(anomaly)
            }
        }
    }

    /// Gives up the object if more is held than the memory limit allows.
    fn enforce_memory_limit(&mut self, key: &Option<Value>) {
        if self.held <= self.limits.memory_bytes {
            return;
        }
        if let Some(object) = self.objects.get_mut(key)
            && let TrackedObject::Live(prefix) = object
        {
            self.held -= prefix.bytes;
            *object = TrackedObject::Unknown(BudgetExceeded::Memory);
        }
    }
}

impl OnlineCheck for OnlineChecker<'_> {
    fn add_event(&mut self, event: &Event) -> Option<Anomaly> {
        self.feed(event).unwrap_or_else(|malformed| {
            self.refused = Some(malformed.to_string());
            self.objects.clear();
            None
        })
    }

    fn set_concurrency(&mut self, concurrency: u64) {
        self.concurrency = Some(concurrency);
    }

    fn held_bytes(&self) -> usize {
        self.held
    }
}

#[cfg(test)]
mod tests;
