//! Judges a history while it happens: takes events one by one, and convicts at the completion that
//! nothing explains.
//!
//! The answers are those of [`super::check`] on the events so far, so a conviction is final
//! whatever comes later, and [`Online::finish`] says of the whole what [`super::check`] says. An
//! object of which many hundred operations have gone by without a moment at which none of its
//! operations was open is looked at now and then only: a conviction may then come late by a
//! sixteenth of them. What no longer matters is forgotten; an object that holds more than the
//! budget permits is given up, and unknown.
//!
//! One difference is left: a history with an operation that means nothing to the model is unknown
//! altogether, but what was convicted before that came to light stays convicted.

mod object_prefix;

use std::collections::BTreeMap;

use self::object_prefix::{Court, Ledger, Seen};
use super::engine::{Budget, Spent};
use super::partition::{Keys, carries_key, key_of, keys, read, refusal};
use super::{plural, verdict};
use crate::history::{self, Event, Flaw, Kind, Malformed, Operation, Process, Value};
use crate::model::{Model, a};
use crate::verdict::{Algorithm, Limits, Stats, Validity, Verdict};

/// A judge of a history that is still going on.
///
/// Of [`Limits`], `jobs` means nothing here, and with [`crate::verdict::Keyed::Auto`] the first invocation
/// decides; one that contradicts it makes the whole unknown.
pub struct Online<'a> {
    model: &'a dyn Model,
    limits: Limits<'a>,
    start: Option<Vec<Value>>,
    keys: Option<Keys>,
    clients: BTreeMap<Process, Client>,
    fed: usize,
    last: Option<u64>,
    objects: BTreeMap<Option<Value>, Object>,
    held: usize,
    convicted: Option<Conviction>,
    /// Why the history means nothing to the model.
    refused: Option<String>,
    operations: usize,
}

/// A No that no later event can take back.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Conviction {
    /// The object, if the history is keyed.
    pub key: Option<Value>,
    /// The index of the event at which it became known.
    pub index: u64,
    /// What is wrong.
    pub message: String,
}

/// What a process is doing.
enum Client {
    Open(Box<Operation>),
    Retired(u64),
}

enum Object {
    Live(Ledger),
    Invalid,
    Unknown(Spent),
}

impl<'a> Online<'a> {
    /// A judge that has seen nothing yet.
    pub fn new(model: &'a dyn Model, limits: Limits<'a>) -> Self {
        Self {
            model,
            limits,
            start: None,
            keys: None,
            clients: BTreeMap::new(),
            fed: 0,
            last: None,
            objects: BTreeMap::new(),
            held: 0,
            convicted: None,
            refused: None,
            operations: 0,
        }
    }

    /// The same judge of a history that started in one of these states instead of the model's own;
    /// no states, no change of mind.
    #[must_use]
    pub fn with_initial(self, states: Vec<Value>) -> Self {
        Self { start: Some(states).filter(|states| !states.is_empty()), ..self }
    }

    /// Takes the next event, and says if it convicts an object. A refused event counts as not fed.
    pub fn feed(&mut self, event: &Event) -> Result<Option<Conviction>, Malformed> {
        let position = self.fed;
        let malformed = |flaw| Malformed { position, index: event.index, flaw };
        if let Some(last) = self.last.filter(|last| event.index <= *last) {
            return Err(malformed(Flaw::OutOfOrder(last)));
        }
        let finished = self.pair(event).map_err(malformed)?;
        self.fed += 1;
        self.last = Some(event.index);
        if event.process == Process::Nemesis || self.refused.is_some() {
            return Ok(None);
        }
        let told = match finished {
            None => self.begin(event).map(|()| None),
            Some(operation) => self.end(operation, event.index),
        };
        Ok(told.unwrap_or_else(|why| {
            self.refused = Some(why);
            self.objects.clear();
            None
        }))
    }

    /// The verdict on everything that was fed, without a witness; what is open may happen or not.
    pub fn finish(mut self) -> Verdict {
        self.read_open();
        if let (Some(why), None) = (&self.refused, &self.convicted) {
            let name = a(self.model.name());
            return Verdict::unknown(format!("this is no history of {name}: {why}"));
        }
        if let (Some(keys), Some(index)) = (self.keys, self.last) {
            let all: Vec<_> = self.objects.keys().cloned().collect();
            all.into_iter().for_each(|key| drop(self.look(key, keys, index)));
        }
        let stats = self.stats();
        let spent = self.objects.values().find_map(|object| match object {
            Object::Unknown(why) => Some(why),
            Object::Live(_) | Object::Invalid => None,
        });
        let (validity, message) = match (&self.convicted, spent) {
            (Some(conviction), _) => (Validity::Invalid, conviction.message.clone()),
            (None, Some(why)) => {
                let of = plural(stats.keys, "object");
                let what = format!("{why}: no answer for {} of {of}", stats.unknown_keys);
                (Validity::Unknown, what)
            }
            (None, None) => {
                let many = plural(stats.operations, "operation");
                let name = a(self.model.name());
                let what = format!("{name} explains all {many} as they came");
                (Validity::Valid, what)
            }
        };
        verdict(validity, message, None, stats)
    }

    /// Roughly what is held of the past, in bytes.
    pub fn held_bytes(&self) -> usize {
        self.held
    }

    fn stats(&self) -> Stats {
        let count =
            |is: fn(&Object) -> bool| self.objects.values().filter(|object| is(object)).count();
        Stats {
            operations: self.operations,
            keys: self.objects.len(),
            invalid_keys: count(|it| matches!(it, Object::Invalid)),
            unknown_keys: count(|it| matches!(it, Object::Unknown(_))),
            configurations: 0,
            algorithm: Algorithm::Breadth,
        }
    }

    /// Finds the operation that the event completes, or notes the one that it begins.
    fn pair(&mut self, event: &Event) -> Result<Option<Operation>, Flaw> {
        let process = event.process;
        if process == Process::Nemesis {
            return Ok(None);
        }
        match (self.clients.get_mut(&process), event.kind) {
            (Some(Client::Retired(index)), _) => Err(Flaw::Retired(process, *index)),
            (None, Kind::Invoke) => {
                let operation = Box::new(history::invocation(event));
                self.clients.insert(process, Client::Open(operation));
                Ok(None)
            }
            (Some(Client::Open(open)), Kind::Invoke) => {
                Err(Flaw::Busy(process, open.invoked.index))
            }
            (None, _) => Err(Flaw::NeverInvoked(process)),
            (Some(Client::Open(open)), kind) => {
                history::complete(open, event)?;
                let operation = (**open).clone();
                match kind {
                    Kind::Info => {
                        self.clients.insert(process, Client::Retired(event.index));
                    }
                    Kind::Invoke | Kind::Ok | Kind::Fail => drop(self.clients.remove(&process)),
                }
                Ok(Some(operation))
            }
        }
    }

    fn begin(&mut self, event: &Event) -> Result<(), String> {
        let Self { model, start, limits, .. } = self;
        let keys = *self.keys.get_or_insert_with(|| {
            let looks_keyed = || carries_key(&event.f, &event.value);
            keys(*model, start.as_deref(), limits.keyed, looks_keyed)
        });
        // One that names no key may yet fail, and then it does not matter.
        let Ok(key) = key_of(&event.value, keys) else { return Ok(()) };
        let start = super::case::initial(start.as_deref(), *model)?;
        let held = &mut self.held;
        let fresh = || {
            let ledger = Ledger::new(start);
            *held += ledger.bytes;
            Object::Live(ledger)
        };
        if let Object::Live(ledger) = self.objects.entry(key.clone()).or_insert_with(fresh) {
            let before = ledger.bytes;
            ledger.begin(history::invocation(event));
            self.held += ledger.bytes - before;
        }
        self.afford(&key);
        Ok(())
    }

    fn end(&mut self, operation: Operation, index: u64) -> Result<Option<Conviction>, String> {
        let Some(keys) = self.keys else { return Ok(None) };
        let counts = self.has_say(&operation, keys)?;
        let Ok(key) = key_of(&operation.input, keys) else { return Ok(None) };
        self.operations += usize::from(counts);
        let lost = counts && operation.kind() == Kind::Info;
        let Some(Object::Live(ledger)) = self.objects.get_mut(&key) else { return Ok(None) };
        self.held -= ledger.bytes;
        ledger.end(operation, counts);
        self.held += ledger.bytes;
        // That an outcome is unknown rules nothing out.
        let due = !lost && ledger.is_due();
        self.afford(&key);
        Ok(if due { self.look(key, keys, index) } else { None })
    }

    /// Whether the operation says anything of its object, or why it cannot be understood.
    fn has_say(&self, operation: &Operation, keys: Keys) -> Result<bool, String> {
        let told = read(operation, self.model, keys).map_err(|why| refusal(operation, &why))?;
        let auto = self.limits.keyed == crate::verdict::Keyed::Auto && keys == Keys::Around;
        if auto && told.is_some() && !carries_key(&operation.f, &operation.input) {
            let why = "earlier ones named a key, and this one does not";
            return Err(refusal(operation, why));
        }
        Ok(told.is_some())
    }

    /// Takes what is open for lost.
    fn read_open(&mut self) {
        let Some(keys) = self.keys else { return };
        for client in self.clients.values() {
            let Client::Open(operation) = client else { continue };
            match self.has_say(operation, keys) {
                Ok(counts) => self.operations += usize::from(counts),
                Err(why) => self.refused = self.refused.take().or(Some(why)),
            }
        }
    }

    fn look(&mut self, key: Option<Value>, keys: Keys, index: u64) -> Option<Conviction> {
        let memory_bytes = self.limits.memory_bytes.saturating_sub(self.held);
        let budget = Budget { memory_bytes, ..Budget::of(&self.limits) };
        let court = Court { model: self.model, keys, budget };
        let object = self.objects.get_mut(&key)?;
        let Object::Live(ledger) = object else { return None };
        self.held -= ledger.bytes;
        match ledger.look(&key, court) {
            Seen::Fine => {
                self.held += ledger.bytes;
                None
            }
            Seen::Spent(why) => {
                *object = Object::Unknown(why);
                None
            }
            Seen::Illegal(message) => {
                *object = Object::Invalid;
                let conviction = Conviction { key, index, message };
                self.convicted.get_or_insert_with(|| conviction.clone());
                Some(conviction)
            }
        }
    }

    /// Gives the object up if the past takes more than there is.
    fn afford(&mut self, key: &Option<Value>) {
        if self.held <= self.limits.memory_bytes {
            return;
        }
        if let Some(object) = self.objects.get_mut(key)
            && let Object::Live(ledger) = object
        {
            self.held -= ledger.bytes;
            *object = Object::Unknown(Spent::Memory);
        }
    }
}

#[cfg(test)]
mod tests;
