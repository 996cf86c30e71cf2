//! Reduces a violating history to a [`Window`], by steps that each preserve the violation.
//!
//! The window ends at the first completion that no order explains. Its front is cut at an event.
//! Every state that is possible there becomes an entry state, and an operation that may or may not
//! have taken effect by then becomes optional. That only allows more orders, so a window that is
//! still illegal proves the violation. Then operations are removed: a read, if the rest is illegal
//! without it; a write, if the rest is illegal whether or not it takes effect. A write that by
//! itself could lead to the accused response stays, because a reader would look for it. The window
//! is replayed before it is returned.

use std::collections::BTreeSet;

use super::breadth::PrefixStates;
use super::case::CheckCase;
use super::engine::{Budget, BudgetExceeded, Stop};
use super::explain::Explainer;
use super::monitor;
use super::partition::{ObjectHistory, ObjectOp, partition};
use super::plan::PlanEvent;
use super::search::SearchQuery;
use super::segments::{self, MIN_SEGMENT_OPS, Segment};
use crate::history::{History, Kind, Operation, Process, Value, jsonl};
use crate::model::Model;
use crate::window::Window;

/// Cut points kept while walking: enough to reach back over the longest operation, and bounded.
const CUTS: usize = 512;

/// Cut points tried first; mostly one of the last suffices.
const FIRST_CUTS: usize = 12;

/// Configurations that a walk may always explore, besides some for each operation.
const SHORT_WALK: usize = 1 << 11;

/// Configurations that the longest order of a window may cost.
const MAX_WALK: usize = 1 << 17;

/// The evidence against an operation; `None` if the budget does not suffice to prove it.
pub(super) fn window(
    case: &CheckCase<'_>,
    object: &ObjectHistory<'_>,
    accused: usize,
) -> Option<Window> {
    let mut draft = WindowDraft::up_to_accused(case, object, accused)?;
    if let Some(shorter) = draft.cut_front() {
        draft = shorter;
    }
    while draft.drop_irrelevant() {}
    draft.make_window(case, object).filter(|window| replays_illegal(window, case))
}

/// A window under construction. Optional operations have no completion.
#[derive(Clone)]
struct WindowDraft<'a, 'h> {
    model: &'a dyn Model,
    budget: Budget<'a>,
    initial: Vec<Value>,
    ops: Vec<ObjectOp<'h>>,
    accused: usize,
}

impl<'a, 'h> WindowDraft<'a, 'h> {
    /// The operations invoked before the accused one returned; those that return later are
    /// optional. If the history can be split, it begins no earlier than the front can be cut.
    fn up_to_accused(
        case: &CheckCase<'a>,
        object: &ObjectHistory<'h>,
        accused: usize,
    ) -> Option<Self> {
        let end = object.ops[accused].completed?;
        let question = SearchQuery::new(case.model, case.initial, &object.ops, case.budget);
        let segments = segments::split_at_rest(case.model, &object.ops, MIN_SEGMENT_OPS, || {
            question.static_facts_hold()
        });
        let far_enough =
            |segment: &&Segment<'_>| segment.from == 0 || segment.from + CUTS <= accused;
        let segment = segments.iter().rfind(far_enough)?;
        let all = object.ops.iter().enumerate().skip(segment.from);
        let begun = all.take_while(|(_, op)| op.invoked < end);
        let mut draft = Self {
            model: case.model,
            budget: case.budget,
            initial: segment.initial(case.initial).to_vec(),
            ops: Vec::with_capacity(accused - segment.from + 1),
            accused: 0,
        };
        for (place, op) in begun {
            let late = op.completed.is_none_or(|at| at > end);
            draft.add_operation(op, late, place == accused);
        }
        Some(draft)
    }

    /// Adds an operation, as optional or as it is. An optional read is left out, because it
    /// constrains nothing.
    fn add_operation(&mut self, op: &ObjectOp<'h>, optional: bool, accused: bool) {
        if optional && self.is_read(op) {
            return;
        }
        if accused {
            self.accused = self.ops.len();
        }
        let completed = if optional { None } else { op.completed };
        self.ops.push(ObjectOp { completed, ..op.clone() });
    }

    fn is_legal(&self) -> Option<bool> {
        if let Some(known) = monitor::are_legal(self.model, &self.initial, &self.ops) {
            return Some(known);
        }
        match self.query().decide().answer {
            Ok(()) => Some(true),
            Err(Stop::Illegal(_)) => Some(false),
            Err(Stop::OverBudget(_)) => None,
        }
    }

    fn query(&self) -> SearchQuery<'_> {
        SearchQuery::new(self.model, &self.initial, &self.ops, self.budget)
    }

    fn without_ops(&self, goes: impl Fn(&ObjectOp<'_>) -> bool) -> Self {
        let before = self.ops[..self.accused].iter().filter(|op| goes(op)).count();
        let ops = self.ops.iter().filter(|op| !goes(op)).cloned().collect();
        let initial = self.initial.clone();
        Self { initial, ops, accused: self.accused - before, ..*self }
    }

    /// Cuts the front where the rest is still illegal: as late as possible, yet where the accused
    /// response was still possible, so that the window shows what ruled it out. If it never was
    /// possible, the cut is at the last completed write.
    fn cut_front(&self) -> Option<Self> {
        let began = self.ops[self.accused].invoked;
        let answered = |prefix_states: &PrefixStates| {
            prefix_states.states.iter().any(|it| self.allows_accused(it))
        };
        let answered_in = |cuts: &[(u64, PrefixStates)]| {
            self.latest_illegal(cuts.iter().filter(|(_, prefix_states)| answered(prefix_states)))
        };
        answered_in(&self.cut_points(began, FIRST_CUTS)).or_else(|| {
            let cuts = self.cut_points(began, CUTS);
            let latest = self.last_completed_write().unwrap_or(began);
            let known = || self.latest_illegal(cuts.iter().filter(|(at, _)| *at <= latest));
            answered_in(&cuts).or_else(known)
        })
    }

    fn allows_accused(&self, state: &Value) -> bool {
        self.model.step(state, &self.ops[self.accused].call).is_ok()
    }

    fn latest_illegal<'c>(
        &self,
        cuts: impl DoubleEndedIterator<Item = &'c (u64, PrefixStates)>,
    ) -> Option<Self> {
        let affordable = cuts.rev().take_while(|_| !(self.budget.expired)());
        let mut drafts = affordable.map(|(at, prefix_states)| self.cut_at(*at, prefix_states));
        drafts.find(|draft| draft.is_legal() == Some(false))
    }

    fn last_completed_write(&self) -> Option<u64> {
        let began = self.ops[self.accused].invoked;
        let changes = self.ops.iter().filter(|op| !self.model.is_read(&op.call));
        let before = changes.filter(|op| op.completed.is_some_and(|at| at < began));
        before.max_by_key(|op| op.completed).map(|op| op.invoked)
    }

    /// What is known before each of the last `most` invocations up to this index: from a short
    /// walk, else from a monitor, else from a long walk.
    fn cut_points(&self, latest: u64, most: usize) -> Vec<(u64, PrefixStates)> {
        let begun = self.ops.partition_point(|op| op.invoked <= latest);
        let short = SHORT_WALK.saturating_add(self.ops.len().saturating_mul(4));
        let known = || self.monitored_cut_points(&self.ops[begun.saturating_sub(most)..begun]);
        self.walked_cut_points(begun, most, short)
            .or_else(known)
            .or_else(|| self.walked_cut_points(begun, most, usize::MAX))
            .unwrap_or_default()
    }

    /// The cut points from a walk; `None` if it needs more steps.
    fn walked_cut_points(
        &self,
        begun: usize,
        most: usize,
        steps: usize,
    ) -> Option<Vec<(u64, PrefixStates)>> {
        let budget = Budget { steps, ..self.budget };
        let mut walk = SearchQuery { budget, ..self.query() }.walk_all();
        let mut cuts = Vec::new();
        while let Some(event) = walk.next_event() {
            if let PlanEvent::Invoke(op) = event {
                if op >= begun {
                    break;
                }
                if op + most >= begun {
                    cuts.push((self.ops[op].invoked, walk.prefix_states()));
                }
            }
            match walk.advance() {
                Ok(()) => {}
                Err(Stop::OverBudget(BudgetExceeded::Steps)) => return None,
                Err(_) => break,
            }
        }
        Some(cuts)
    }

    /// The cut points from a monitor, if one applies. The rest without the accused operation is
    /// legal.
    fn monitored_cut_points(&self, before: &[ObjectOp<'_>]) -> Option<Vec<(u64, PrefixStates)>> {
        let moments: Vec<u64> = before.iter().map(|op| op.invoked).collect();
        let mut others = self.ops.clone();
        others.remove(self.accused);
        let mut cuts = monitor::prefix_states_before(self.model, &self.initial, &others, &moments)?;
        for (_, prefix_states) in &mut cuts {
            for place in prefix_states.certain.iter_mut().chain(&mut prefix_states.possible) {
                *place += usize::from(*place >= self.accused);
            }
        }
        Some(cuts)
    }

    fn cut_at(&self, at: u64, prefix_states: &PrefixStates) -> Self {
        let initial = prefix_states.states.clone();
        let ops = Vec::with_capacity(self.ops.len());
        let mut draft = Self { initial, ops, accused: 0, ..*self };
        for (place, op) in self.ops.iter().enumerate() {
            let over =
                op.completed.is_some_and(|end| end < at) || prefix_states.certain.contains(&place);
            if !over {
                let optional = op.completed.is_none() || prefix_states.possible.contains(&place);
                draft.add_operation(op, optional, place == self.accused);
            }
        }
        draft
    }

    /// Removes operations, and returns whether any was removed: then fewer states are reachable,
    /// and more may be irrelevant. The last completed write goes last, because it mostly is what
    /// rules the response out.
    fn drop_irrelevant(&mut self) -> bool {
        let whole = self.clone();
        let explainer = whole.make_explainer();
        let last = whole.last_completed_write();
        let (mut others, mut known) = (Vec::new(), Vec::new());
        for (place, op) in whole.ops.iter().enumerate() {
            if place != whole.accused && (whole.is_read(op) || !explainer.could_explain(op)) {
                if Some(op.invoked) == last { &mut known } else { &mut others }.push(op.invoked);
            }
        }
        self.drop_all_or_halves(&others);
        self.drop_all_or_halves(&known);
        self.ops.len() < whole.ops.len()
    }

    /// Removes the operations invoked at these indices, or those of each half that can be removed.
    /// The older half comes first, so that the latest operations before the accused one stay.
    fn drop_all_or_halves(&mut self, some: &[u64]) {
        if some.is_empty() || (self.budget.expired)() {
            return;
        }
        if let Some(shorter) = self.without_irrelevant(some) {
            *self = shorter;
        } else if some.len() > 1 {
            let (older, younger) = some.split_at(some.len() / 2);
            self.drop_all_or_halves(older);
            self.drop_all_or_halves(younger);
        }
    }

    /// The draft without some operations, if it is illegal whether or not they take effect. Never
    /// taking effect is one of these cases.
    fn without_irrelevant(&self, some: &[u64]) -> Option<Self> {
        let changes = |op: &ObjectOp<'_>| some.contains(&op.invoked) && !self.is_read(op);
        let mut doubtful = self.without_ops(|op| some.contains(&op.invoked) && self.is_read(op));
        for op in doubtful.ops.iter_mut().filter(|op| changes(op)) {
            op.completed = None;
        }
        if doubtful.is_legal() != Some(false) {
            return None;
        }
        let rest = doubtful.without_ops(changes);
        let accused = rest.ops[rest.accused].invoked;
        let explained = || rest.without_ops(|op| op.invoked == accused).is_legal() == Some(true);
        // Removing reads preserves legality; a removed write may have been needed.
        (rest.ops.len() == doubtful.ops.len() || explained()).then_some(rest)
    }

    fn is_read(&self, op: &ObjectOp<'_>) -> bool {
        self.model.is_read(&op.call)
    }

    fn make_explainer(&self) -> Explainer<'_, 'h> {
        Explainer::new(self.model, &self.initial, &self.ops, self.accused)
    }

    fn make_window(&self, case: &CheckCase<'_>, object: &ObjectHistory<'h>) -> Option<Window> {
        let legal_prefix = self.longest_order()?;
        let explainer = self.make_explainer();
        let states_after = explainer.states_after(&legal_prefix);
        let states_along =
            (0..legal_prefix.len()).map(|n| explainer.states_after(&legal_prefix[..n])).collect();
        Some(Window {
            key: object.key.clone(),
            entry_states: self.initial.clone(),
            operations: self.window_operations(),
            accused: self.accused,
            candidates: explainer.candidates(&legal_prefix, &states_after),
            legal_prefix,
            states_along,
            states_after,
            message: explainer.describe(object, case.initial),
        })
    }

    /// The longest consistent prefix; `None` if there are too many orders to explore.
    fn longest_order(&self) -> Option<Vec<usize>> {
        let steps = MAX_WALK.min(self.budget.steps);
        let budget = Budget { steps, ..self.budget };
        let mut walk = SearchQuery { orders: true, budget, ..self.query() }.walk_all();
        while walk.next_event().is_some() {
            match walk.advance() {
                Ok(()) => {}
                Err(Stop::Illegal(_)) => return Some(walk.longest_order()),
                Err(Stop::OverBudget(_)) => return None,
            }
        }
        None
    }

    /// The operations as recorded. Optional ones lose their completion, and processes that continue
    /// after one get new numbers, as in Jepsen.
    fn window_operations(&self) -> Vec<Operation> {
        let end = self.ops[self.accused].completed;
        let mut operations: Vec<Operation> = self
            .ops
            .iter()
            .map(|op| {
                let mut operation = op.operation.clone();
                let stands = |kind, at| kind == Kind::Info && Some(at) < end;
                if op.completed.is_none()
                    && operation.completion.as_ref().is_some_and(|it| !stands(it.kind, it.at.index))
                {
                    operation.completion = None;
                }
                operation
            })
            .collect();
        renumber_events(&mut operations);
        operations
    }
}

fn renumber_events(operations: &mut [Operation]) {
    let highest = operations.iter().filter_map(|it| match it.process {
        Process::Client(number) => Some(number),
        Process::Nemesis => None,
    });
    let mut fresh = highest.max().map_or(0, |number| number.saturating_add(1));
    let mut later = BTreeSet::new();
    for operation in operations.iter_mut().rev() {
        if operation.completion.is_none() && later.contains(&operation.process) {
            operation.process = Process::Client(fresh);
            fresh = fresh.saturating_add(1);
        } else {
            later.insert(operation.process);
        }
    }
}

/// Whether a window, replayed from its text alone, is illegal, and legal without the accused
/// operation.
fn replays_illegal(window: &Window, case: &CheckCase<'_>) -> bool {
    let Ok(parsed) = jsonl::parse(window.to_jsonl()) else { return false };
    let accused = window.operations[window.accused].invoked.index;
    let others = parsed.history.operations().iter().filter(|it| it.invoked.index != accused);
    let mut events: Vec<_> = others.flat_map(Operation::events).collect();
    events.sort_by_key(|event| event.index);
    let Ok(rest) = History::new(events) else { return false };
    let rest = rest.with_initial(window.entry_states.clone());
    is_legal(&parsed.history, case) == Some(false) && is_legal(&rest, case) == Some(true)
}

fn is_legal(history: &History, case: &CheckCase<'_>) -> Option<bool> {
    let objects = partition(history, case.model, case.limits.keyed).ok()?;
    let initial = super::case::parse_initial_states(history.initial(), case.model).ok()?;
    let budget = case.budget;
    let mut legal = true;
    for object in &objects {
        if let Some(known) = monitor::are_legal(case.model, &initial, &object.ops) {
            legal &= known;
            continue;
        }
        match SearchQuery::new(case.model, &initial, &object.ops, budget).decide().answer {
            Ok(()) => {}
            Err(Stop::Illegal(_)) => legal = false,
            Err(Stop::OverBudget(_)) => return None,
        }
    }
    Some(legal)
}
