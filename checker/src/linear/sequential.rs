//! Decides sequential consistency: whether one order explains every answer in which the operations of each process come
//! as it made them, whatever the clock said (Lamport 1979).
//!
//! Unlike linearizability this is a question about all objects at once: each may have an order of its own where
//! together they have none. So the state is that of every object, and a configuration says how far each process has
//! come. The search goes depth first, prefers what was answered first, remembers every configuration that led nowhere,
//! and makes an observation as soon as it is legal: that hinders nothing, for it changes no state and is the next of its
//! process anyway. What is linearizable is sequentially consistent, and that is asked first.

use rustc_hash::{FxHashMap, FxHashSet};
use std::collections::BTreeMap;

use super::case::initial;
use super::engine::{Budget, Spent, Stop};
use super::partition::{Object, Op, partition};
use super::verdict;
use crate::history::{History, Process, Value};
use crate::model::{Model, a};
use crate::verdict::{Algorithm, Limits, SEQUENTIAL, Stats, Validity, Verdict};

/// Configurations between two looks at the clock.
const ASK_EVERY: usize = 1024;

/// Judges a history.
pub(crate) fn check(history: &History, model: &dyn Model, limits: &Limits<'_>) -> Verdict {
    let linearizable = super::check(history, model, limits);
    if linearizable.validity == Validity::Valid {
        let message = format!("linearizable, so sequentially consistent: {}", linearizable.message);
        return Verdict { check: SEQUENTIAL.to_owned(), message, ..linearizable };
    }
    let objects = partition(history, model, limits.keyed);
    let verdict = match objects.and_then(|it| Ok((it, initial(history.initial(), model)?))) {
        Err(why) => Verdict::unknown(format!("this is no history of {}: {why}", a(model.name()))),
        Ok((objects, starts)) => {
            let mut told = Told::default();
            let wrong = starts.iter().find_map(|start| {
                let mut search = Search::new(model, start, &objects, Budget::of(limits));
                let answer = search.run();
                told.take(&search, &objects, &answer);
                answer.is_ok().then_some(())
            });
            told.verdict(wrong.is_some(), &objects)
        }
    };
    Verdict { check: SEQUENTIAL.to_owned(), ..verdict }
}

/// What the searches from all start states have shown.
#[derive(Default)]
struct Told {
    spent: Option<Spent>,
    tried: usize,
    explained: usize,
    stuck: Vec<String>,
}

impl Told {
    fn take(&mut self, search: &Search<'_, '_>, objects: &[Object<'_>], answer: &Result<(), Stop>) {
        if let Err(Stop::Spent(why)) = answer {
            self.spent = Some(*why);
        }
        self.tried += search.tried.len();
        if search.furthest.0 >= self.explained {
            self.explained = search.furthest.0;
            self.stuck = search.stuck(objects);
        }
    }

    fn verdict(self, is_explained: bool, objects: &[Object<'_>]) -> Verdict {
        let operations = objects.iter().map(|object| object.ops.len()).sum();
        let (validity, message) = match (is_explained, self.spent) {
            (true, _) => {
                let what = "one order of its own for each process explains all";
                (
                    Validity::Valid,
                    format!("{what} {operations} operations, though real time does not"),
                )
            }
            (false, Some(why)) => (
                Validity::Unknown,
                format!(
                    "{why}: an order was found for {} of {operations} operations",
                    self.explained
                ),
            ),
            (false, None) => {
                let what = "no order that keeps each process's own explains all";
                let stuck = self.stuck.join("; ");
                let most = self.explained;
                let message = format!(
                    "{what} {operations} operations; after the longest, of {most}: {stuck}"
                );
                (Validity::Invalid, message)
            }
        };
        let stats = Stats {
            operations,
            keys: objects.len(),
            configurations: self.tried,
            algorithm: Algorithm::Depth,
            ..Stats::default()
        };
        verdict(validity, message, None, stats)
    }
}

/// Which object, and which of its operations.
type Place = (usize, usize);

/// What every process has left to do, and what every object holds.
struct Search<'a, 'h> {
    model: &'a dyn Model,
    objects: &'a [Object<'h>],
    budget: Budget<'a>,
    processes: Vec<Vec<Place>>,
    /// How many of its operations each process has done.
    done: Vec<u32>,
    states: Vec<u32>,
    values: Vec<Value>,
    numbers: FxHashMap<Value, u32>,
    /// Operations left that must have happened.
    owed: usize,
    tried: FxHashSet<Box<[u32]>>,
    /// How many operations the longest legal order had, and the configuration after it.
    furthest: (usize, Box<[u32]>),
}

/// One step of the way: what to undo, and what else could have been done instead.
struct Frame {
    process: usize,
    object: usize,
    before: u32,
    others: Vec<usize>,
}

impl<'a, 'h> Search<'a, 'h> {
    fn new(
        model: &'a dyn Model,
        start: &Value,
        objects: &'a [Object<'h>],
        budget: Budget<'a>,
    ) -> Self {
        let mut by_process: BTreeMap<Process, Vec<Place>> = BTreeMap::new();
        for (number, object) in objects.iter().enumerate() {
            for (place, op) in object.ops.iter().enumerate() {
                by_process.entry(op.operation.process).or_default().push((number, place));
            }
        }
        let mut processes: Vec<_> = by_process.into_values().collect();
        processes
            .iter_mut()
            .for_each(|ops| ops.sort_by_key(|(object, op)| objects[*object].ops[*op].invoked));
        let ops = objects.iter().flat_map(|object| &object.ops);
        let mut search = Self {
            model,
            objects,
            budget,
            done: vec![0; processes.len()],
            processes,
            states: Vec::new(),
            values: Vec::new(),
            numbers: FxHashMap::default(),
            owed: ops.filter(|op| op.completed.is_some()).count(),
            tried: FxHashSet::default(),
            furthest: (0, Box::default()),
        };
        let start = search.number(start.clone());
        search.states = vec![start; objects.len()];
        search.furthest.1 = search.configuration();
        search
    }

    fn number(&mut self, value: Value) -> u32 {
        if let Some(number) = self.numbers.get(&value) {
            return *number;
        }
        let number = self.values.len() as u32;
        self.values.push(value.clone());
        self.numbers.insert(value, number);
        number
    }

    fn configuration(&self) -> Box<[u32]> {
        self.done.iter().chain(&self.states).copied().collect()
    }

    /// Whether an order was found; if not, whether there is none.
    fn run(&mut self) -> Result<(), Stop> {
        let mut way: Vec<Frame> = Vec::new();
        let mut choices = self.choices();
        while self.owed > 0 {
            self.afford()?;
            match choices.pop() {
                Some(process) => {
                    let frame = self.go(process, choices);
                    let is_new = self.tried.insert(self.configuration());
                    way.push(frame);
                    self.note();
                    choices = if is_new { self.choices() } else { Vec::new() };
                }
                None => {
                    let Some(frame) = way.pop() else { return Err(Stop::Illegal(0)) };
                    choices = self.back(frame);
                }
            }
        }
        Ok(())
    }

    fn op(&self, process: usize) -> Option<(usize, &'a Op<'h>)> {
        let (object, op) = *self.processes[process].get(self.done[process] as usize)?;
        Some((object, &self.objects[object].ops[op]))
    }

    fn after(&self, process: usize) -> Option<Result<Value, String>> {
        let (object, op) = self.op(process)?;
        Some(self.model.step(&self.values[self.states[object] as usize], &op.call))
    }

    /// The processes that can go on, the most promising last; one that only observes is the only choice.
    fn choices(&self) -> Vec<usize> {
        let mut choices = Vec::new();
        for process in 0..self.processes.len() {
            let Some(Ok(_)) = self.after(process) else { continue };
            let Some((_, op)) = self.op(process) else { continue };
            if self.model.observes(&op.call) {
                return vec![process];
            }
            choices.push(process);
        }
        let end =
            |process: &usize| self.op(*process).map(|(_, op)| op.completed.unwrap_or(u64::MAX));
        choices.sort_by_key(|process| std::cmp::Reverse(end(process)));
        choices
    }

    fn go(&mut self, process: usize, others: Vec<usize>) -> Frame {
        let (object, op) =
            self.op(process).unwrap_or_else(|| unreachable!("only who can go on is chosen"));
        let before = self.states[object];
        if let Some(Ok(after)) = self.after(process) {
            self.states[object] = self.number(after);
        }
        self.owed -= usize::from(op.completed.is_some());
        self.done[process] += 1;
        Frame { process, object, before, others }
    }

    fn back(&mut self, frame: Frame) -> Vec<usize> {
        self.done[frame.process] -= 1;
        self.states[frame.object] = frame.before;
        let owed = self.op(frame.process).is_some_and(|(_, op)| op.completed.is_some());
        self.owed += usize::from(owed);
        frame.others
    }

    fn note(&mut self) {
        let done = self.done.iter().map(|done| *done as usize).sum();
        if done > self.furthest.0 {
            self.furthest = (done, self.configuration());
        }
    }

    fn afford(&self) -> Result<(), Stop> {
        let each = (self.done.len() + self.states.len()) * 4 + 32;
        if self.tried.len().saturating_mul(each) > self.budget.memory_bytes {
            return Err(Stop::Spent(Spent::Memory));
        }
        if self.tried.len().is_multiple_of(ASK_EVERY) && (self.budget.expired)() {
            return Err(Stop::Spent(Spent::Time));
        }
        Ok(())
    }

    /// Why nobody could go on after the longest order, of the first few processes.
    fn stuck(&self, objects: &[Object<'_>]) -> Vec<String> {
        let (done, states) = self.furthest.1.split_at(self.done.len());
        let heads =
            self.processes.iter().zip(done).filter_map(|(ops, done)| ops.get(*done as usize));
        let reasons = heads.filter_map(|(object, op)| {
            let op = &objects[*object].ops[*op];
            let why = self.model.step(&self.values[states[*object] as usize], &op.call).err()?;
            let key =
                objects[*object].key.as_ref().map_or_else(String::new, |key| format!(" of {key}"));
            Some(format!(
                "{}'s {}{key} (index {}): {why}",
                op.operation.process, op.call.f, op.invoked
            ))
        });
        reasons.take(3).collect()
    }
}

#[cfg(test)]
mod tests;
