//! Decides sequential consistency: whether one order explains every response and keeps the order of
//! each process, regardless of real time (Lamport 1979).
//!
//! Unlike linearizability this is not local: each object may have an order of its own where
//! together they have none. So the state is that of every object, and a configuration records how
//! far each process has come. The search goes depth first, prefers what returned first, and
//! remembers every configuration that led nowhere. It makes a read as soon as it is legal, which
//! hinders nothing: a read changes no state, and it is the next operation of its process anyway. A
//! linearizable history is sequentially consistent, so linearizability is checked first.

use rustc_hash::{FxHashMap, FxHashSet};
use std::collections::BTreeMap;

use super::case::parse_initial_states;
use super::engine::{Budget, BudgetExceeded, Stop};
use super::make_verdict;
use super::partition::{ObjectHistory, ObjectOp, partition};
use crate::history::{History, Process, Value};
use crate::model::{Model, with_article};
use crate::verdict::{Algorithm, Limits, SEQUENTIAL, Stats, Validity, Verdict};

/// Configurations between two budget checks.
const BUDGET_CHECK_INTERVAL: usize = 1024;

/// Checks a history.
pub(crate) fn check(history: &History, model: &dyn Model, limits: &Limits<'_>) -> Verdict {
    let linearizable = super::check(history, model, limits);
    if linearizable.validity == Validity::Valid {
        let message = format!("sequentially consistent: {}", linearizable.message);
        return Verdict { check: SEQUENTIAL.to_owned(), message, ..linearizable };
    }
    let objects = partition(history, model, limits.keyed);
    let verdict =
        match objects.and_then(|it| Ok((it, parse_initial_states(history.initial(), model)?))) {
            Err(why) => {
                Verdict::unknown(format!("not a history of {}: {why}", with_article(model.name())))
            }
            Ok((objects, starts)) => {
                let mut summary = SearchSummary::default();
                let wrong = starts.iter().find_map(|start| {
                    let mut search =
                        SequentialSearch::new(model, start, &objects, Budget::from_limits(limits));
                    let answer = search.find_order();
                    summary.record(&search, &objects, &answer);
                    answer.is_ok().then_some(())
                });
                summary.verdict(wrong.is_some(), &objects)
            }
        };
    Verdict { check: SEQUENTIAL.to_owned(), ..verdict }
}

/// The results of the searches from all initial states.
#[derive(Default)]
struct SearchSummary {
    spent: Option<BudgetExceeded>,
    tried: usize,
    explained: usize,
    blocked: Vec<String>,
}

impl SearchSummary {
    fn record(
        &mut self,
        search: &SequentialSearch<'_, '_>,
        objects: &[ObjectHistory<'_>],
        answer: &Result<(), Stop>,
    ) {
        if let Err(Stop::OverBudget(why)) = answer {
            self.spent = Some(*why);
        }
        self.tried += search.tried.len();
        if search.longest.0 >= self.explained {
            self.explained = search.longest.0;
            self.blocked = search.blocked(objects);
        }
    }

    fn verdict(self, is_explained: bool, objects: &[ObjectHistory<'_>]) -> Verdict {
        let operations = objects.iter().map(|object| object.ops.len()).sum();
        let (validity, message) = match (is_explained, self.spent) {
            (true, _) => (
                Validity::Valid,
                format!("sequentially consistent, not linearizable: {operations} operations"),
            ),
            (false, Some(why)) => (
                Validity::Unknown,
                format!(
                    "{why}: an order was found for {} of {operations} operations",
                    self.explained
                ),
            ),
            (false, None) => {
                let blocked = self.blocked.join("; ");
                let most = self.explained;
                let message = format!(
                    "not sequentially consistent: no order of all {operations} operations keeps \
                     the order of each process; longest consistent prefix: {most} operations, \
                     then {blocked}"
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
        make_verdict(validity, message, None, stats)
    }
}

/// The object and the operation within it.
type OpPosition = (usize, usize);

/// The remaining operations of every process, and the state of every object.
struct SequentialSearch<'a, 'h> {
    model: &'a dyn Model,
    objects: &'a [ObjectHistory<'h>],
    budget: Budget<'a>,
    processes: Vec<Vec<OpPosition>>,
    /// The number of operations that each process has done.
    progress: Vec<u32>,
    states: Vec<u32>,
    values: Vec<Value>,
    numbers: FxHashMap<Value, u32>,
    /// The remaining operations that must take effect.
    pending: usize,
    tried: FxHashSet<Box<[u32]>>,
    /// The length of the longest legal order, and the configuration after it.
    longest: (usize, Box<[u32]>),
}

/// One step of the path: how to undo it, and the alternatives.
struct SearchFrame {
    process: usize,
    object: usize,
    before: u32,
    others: Vec<usize>,
}

impl<'a, 'h> SequentialSearch<'a, 'h> {
    fn new(
        model: &'a dyn Model,
        start: &Value,
        objects: &'a [ObjectHistory<'h>],
        budget: Budget<'a>,
    ) -> Self {
        let mut by_process: BTreeMap<Process, Vec<OpPosition>> = BTreeMap::new();
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
            progress: vec![0; processes.len()],
            processes,
            states: Vec::new(),
            values: Vec::new(),
            numbers: FxHashMap::default(),
            pending: ops.filter(|op| op.completed.is_some()).count(),
            tried: FxHashSet::default(),
            longest: (0, Box::default()),
        };
        let start = search.intern_value(start.clone());
        search.states = vec![start; objects.len()];
        search.longest.1 = search.current_configuration();
        search
    }

    fn intern_value(&mut self, value: Value) -> u32 {
        if let Some(number) = self.numbers.get(&value) {
            return *number;
        }
        let number = self.values.len() as u32;
        self.values.push(value.clone());
        self.numbers.insert(value, number);
        number
    }

    fn current_configuration(&self) -> Box<[u32]> {
        self.progress.iter().chain(&self.states).copied().collect()
    }

    /// Searches for an order; an error if there is none or the budget is exceeded.
    fn find_order(&mut self) -> Result<(), Stop> {
        let mut path: Vec<SearchFrame> = Vec::new();
        let mut choices = self.enabled_processes();
        while self.pending > 0 {
            self.check_budget()?;
            match choices.pop() {
                Some(process) => {
                    let frame = self.take_step(process, choices);
                    let is_new = self.tried.insert(self.current_configuration());
                    path.push(frame);
                    self.record_longest();
                    choices = if is_new { self.enabled_processes() } else { Vec::new() };
                }
                None => {
                    let Some(frame) = path.pop() else { return Err(Stop::Illegal(0)) };
                    choices = self.undo_step(frame);
                }
            }
        }
        Ok(())
    }

    fn next_op(&self, process: usize) -> Option<(usize, &'a ObjectOp<'h>)> {
        let (object, op) = *self.processes[process].get(self.progress[process] as usize)?;
        Some((object, &self.objects[object].ops[op]))
    }

    fn try_step(&self, process: usize) -> Option<Result<Value, String>> {
        let (object, op) = self.next_op(process)?;
        Some(self.model.step(&self.values[self.states[object] as usize], &op.call))
    }

    /// The processes that can continue, the most promising last. A process with a read is the only
    /// choice.
    fn enabled_processes(&self) -> Vec<usize> {
        let mut choices = Vec::new();
        for process in 0..self.processes.len() {
            let Some(Ok(_)) = self.try_step(process) else { continue };
            let Some((_, op)) = self.next_op(process) else { continue };
            if self.model.is_read(&op.call) {
                return vec![process];
            }
            choices.push(process);
        }
        let end = |process: &usize| {
            self.next_op(*process).map(|(_, op)| op.completed.unwrap_or(u64::MAX))
        };
        choices.sort_by_key(|process| std::cmp::Reverse(end(process)));
        choices
    }

    fn take_step(&mut self, process: usize, others: Vec<usize>) -> SearchFrame {
        let (object, op) =
            self.next_op(process).unwrap_or_else(|| unreachable!("only who can go on is chosen"));
        let before = self.states[object];
        if let Some(Ok(after)) = self.try_step(process) {
            self.states[object] = self.intern_value(after);
        }
        self.pending -= usize::from(op.completed.is_some());
        self.progress[process] += 1;
        SearchFrame { process, object, before, others }
    }

    fn undo_step(&mut self, frame: SearchFrame) -> Vec<usize> {
        self.progress[frame.process] -= 1;
        self.states[frame.object] = frame.before;
        let pending = self.next_op(frame.process).is_some_and(|(_, op)| op.completed.is_some());
        self.pending += usize::from(pending);
        frame.others
    }

    fn record_longest(&mut self) {
        let progress = self.progress.iter().map(|progress| *progress as usize).sum();
        if progress > self.longest.0 {
            self.longest = (progress, self.current_configuration());
        }
    }

    fn check_budget(&self) -> Result<(), Stop> {
        let each = (self.progress.len() + self.states.len()) * 4 + 32;
        if self.tried.len().saturating_mul(each) > self.budget.memory_bytes {
            return Err(Stop::OverBudget(BudgetExceeded::Memory));
        }
        if self.tried.len().is_multiple_of(BUDGET_CHECK_INTERVAL) && (self.budget.expired)() {
            return Err(Stop::OverBudget(BudgetExceeded::Time));
        }
        Ok(())
    }

    /// Why no process can continue after the longest order, for the first few processes.
    fn blocked(&self, objects: &[ObjectHistory<'_>]) -> Vec<String> {
        let (progress, states) = self.longest.1.split_at(self.progress.len());
        let heads = self
            .processes
            .iter()
            .zip(progress)
            .filter_map(|(ops, progress)| ops.get(*progress as usize));
        let reasons = heads.filter_map(|(object, op)| {
            let op = &objects[*object].ops[*op];
            let why = self.model.step(&self.values[states[*object] as usize], &op.call).err()?;
            let key =
                objects[*object].key.as_ref().map_or_else(String::new, |key| format!(" of {key}"));
            Some(format!(
                "{}'s {}{key} (index {}): {why}",
                op.operation.actor(),
                op.call.f,
                op.invoked
            ))
        });
        reasons.take(3).collect()
    }
}

#[cfg(test)]
mod tests;
