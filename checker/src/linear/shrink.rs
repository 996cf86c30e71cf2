//! Cuts a wrong history down to a [`Window`], by steps that each keep it proof of what went wrong.
//!
//! The window ends at the first completion that nothing explains. Its front is cut at an event, and
//! every state that could hold there becomes an entry state; an operation that may or may not have
//! happened by then becomes optional. That only adds ways to be legal, so a window still illegal
//! condemns the whole history. Then operations go: an observation, if the rest is illegal without
//! it; any other, if the rest is illegal whether or not it happens, unless by itself it could have
//! led to the accused answer: a reader would miss it. What is left is replayed before it is shown.

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

/// Cuts remembered while walking: enough to reach back over the longest request, and bounded.
const CUTS: usize = 512;

/// Cuts remembered at first: most often one of the last will do.
const FIRST_CUTS: usize = 12;

/// Configurations that a walk may always make, besides some for each operation.
const SHORT_WALK: usize = 1 << 11;

/// Configurations that the longest order of a window may cost.
const MAX_WALK: usize = 1 << 17;

/// The evidence against an operation, or nothing if the budget does not suffice to prove it.
pub(super) fn window(
    case: &CheckCase<'_>,
    object: &ObjectHistory<'_>,
    accused: usize,
) -> Option<Window> {
    let mut draft = WindowDraft::prefix_states(case, object, accused)?;
    if let Some(shorter) = draft.cut_front() {
        draft = shorter;
    }
    while draft.drop_irrelevant() {}
    draft.into_window(case, object).filter(|window| replays_illegal(window, case))
}

/// A window in the making. Operations that need not have happened have no completion.
#[derive(Clone)]
struct WindowDraft<'a, 'h> {
    model: &'a dyn Model,
    budget: Budget<'a>,
    initial: Vec<Value>,
    ops: Vec<ObjectOp<'h>>,
    accused: usize,
}

impl<'a, 'h> WindowDraft<'a, 'h> {
    /// What had begun when the accused completed; nothing that completed later need have happened. Of a history that
    /// can be cut, no more of it than the front may be cut off from later.
    fn prefix_states(
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

    /// Takes an operation in, as optional or as it is. An optional observation says nothing.
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

    /// Cuts the front off where the rest is still illegal: as late as possible, yet where the
    /// accused answer was still possible, so that the window shows what ruled it out. If it never
    /// was, the last acknowledged change has to do.
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
            let latest = self.last_acknowledged().unwrap_or(began);
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

    fn last_acknowledged(&self) -> Option<u64> {
        let began = self.ops[self.accused].invoked;
        let changes = self.ops.iter().filter(|op| !self.model.is_read(&op.call));
        let before = changes.filter(|op| op.completed.is_some_and(|at| at < began));
        before.max_by_key(|op| op.completed).map(|op| op.invoked)
    }

    /// How things stood before each of so many begins up to this index: as a walk finds out, if it is a short one, or
    /// else as a monitor knows it, or a long walk.
    fn cut_points(&self, latest: u64, most: usize) -> Vec<(u64, PrefixStates)> {
        let begun = self.ops.partition_point(|op| op.invoked <= latest);
        let short = SHORT_WALK.saturating_add(self.ops.len().saturating_mul(4));
        let known = || self.monitored_cut_points(&self.ops[begun.saturating_sub(most)..begun]);
        self.walked_cut_points(begun, most, short)
            .or_else(known)
            .or_else(|| self.walked_cut_points(begun, most, usize::MAX))
            .unwrap_or_default()
    }

    /// Nothing, if more steps would have been needed to come that far.
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

    /// How things stood before each of these began, where a monitor knows it. The rest without the accused is legal.
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

    /// Whether anything went: then fewer states can be reached, and more may be irrelevant. The last
    /// acknowledged change goes last: it is most often what rules the answer out.
    fn drop_irrelevant(&mut self) -> bool {
        let whole = self.clone();
        let explainer = whole.make_explainer();
        let last = whole.last_acknowledged();
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

    /// Drops the operations invoked at these indices, or those of each half that can go; the older
    /// first, so that what stays is what the accused could have known best.
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

    /// The draft without some operations, if it is illegal whether or not they happen. That they
    /// never do is one of the ways in which they may not.
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
        // Without an observation all that was legal is; a change may have been needed.
        (rest.ops.len() == doubtful.ops.len() || explained()).then_some(rest)
    }

    fn is_read(&self, op: &ObjectOp<'_>) -> bool {
        self.model.is_read(&op.call)
    }

    fn make_explainer(&self) -> Explainer<'_, 'h> {
        Explainer::new(self.model, &self.initial, &self.ops, self.accused)
    }

    fn into_window(&self, case: &CheckCase<'_>, object: &ObjectHistory<'h>) -> Option<Window> {
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

    /// Nothing, if there are too many orders to look at.
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

    /// The operations as they were, but for those that became optional: they lose their
    /// completions, and their processes are renumbered where they go on, as Jepsen would have done
    /// had the answer been lost.
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

/// Whether a window keeps its two promises, going by its text alone.
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
