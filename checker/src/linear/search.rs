//! Searches for an order: a breadth-first walk and a depth-first search alternate under one budget,
//! and the first answer counts.
//!
//! [`BreadthFirst`] keeps every configuration that the history can be in. When none is left, the
//! completion at hand is the first that no order explains, and the history up to it is the shortest
//! violating prefix. Its first walk is narrow: an order is an order, however few configurations
//! were tried. Only a walk that dropped nothing can report a violation, so a walk that fails
//! because of its width is followed by a wider one. Between two walks [`DepthFirst`] follows single
//! configurations for as many steps as the last walk took. Both search the same graph, so they
//! cannot disagree. Steps are counted in configurations, never in time, so that the same history
//! gets the same answer from the same algorithm.

use super::breadth::{BreadthFirst, EngineWalk, PrefixWalk};
use super::depth::DepthFirst;
use super::engine::{Budget, BudgetExceeded, Engine, OrderLog, Stop};
use super::model_cache::ModelCache;
use super::partition::ObjectOp;
use super::plan::{Plan, PlanEvent};
use crate::history::Value;
use crate::model::Model;
use crate::verdict::Algorithm;

/// Configurations kept by the first walk, and the factor for each later walk.
const FIRST_WIDTH: usize = 4;
const WIDTH_FACTOR: usize = 8;

/// The most operations that may be open at once. Each configuration has two bits for each.
const MAX_OPEN_OPS: usize = 512 * 64;

/// The result of a search.
#[derive(Debug)]
pub(super) struct OrderOutcome {
    pub(super) answer: Result<(), Stop>,
    /// Explored configurations.
    pub(super) explored: usize,
    pub(super) algorithm: Algorithm,
    /// How many operations, in order of completion, some order explains.
    pub(super) explained: usize,
    /// The order found, if requested.
    pub(super) order: Vec<usize>,
}

/// Nothing searched yet, and no violation.
impl Default for OrderOutcome {
    fn default() -> Self {
        Self {
            answer: Ok(()),
            explored: 0,
            algorithm: Algorithm::None,
            explained: 0,
            order: Vec::new(),
        }
    }
}

/// The operations of one object, and their initial states.
#[derive(Clone, Copy)]
pub(super) struct SearchQuery<'a> {
    pub(super) model: &'a dyn Model,
    pub(super) initial: &'a [Value],
    pub(super) ops: &'a [ObjectOp<'a>],
    pub(super) budget: Budget<'a>,
    /// The width of the first walk.
    pub(super) width: usize,
    /// Whether to keep the orders that lead to configurations.
    pub(super) orders: bool,
}

impl<'a> SearchQuery<'a> {
    pub(super) fn new(
        model: &'a dyn Model,
        initial: &'a [Value],
        ops: &'a [ObjectOp<'a>],
        budget: Budget<'a>,
    ) -> Self {
        Self { model, initial, ops, budget, width: FIRST_WIDTH, orders: false }
    }

    /// The same without the narrowest walk.
    pub(super) fn without_narrowest(self) -> Self {
        Self { width: self.width.saturating_mul(WIDTH_FACTOR), ..self }
    }

    /// Decides whether some order explains the operations.
    pub(super) fn decide(self) -> OrderOutcome {
        let parts = self.lay_out();
        match parts.1.width {
            0..=64 => self.alternate::<1>(parts),
            65..=128 => self.alternate::<2>(parts),
            129..=512 => self.alternate::<8>(parts),
            513..=4096 => self.alternate::<64>(parts),
            4097..=MAX_OPEN_OPS => self.alternate::<{ MAX_OPEN_OPS / 64 }>(parts),
            _ => OrderOutcome {
                answer: Err(Stop::OverBudget(BudgetExceeded::Width(MAX_OPEN_OPS))),
                algorithm: Algorithm::Breadth,
                ..OrderOutcome::default()
            },
        }
    }

    /// A walk that keeps every configuration, event by event. One that keeps orders continues up to
    /// the completion that no order explains.
    pub(super) fn walk_all(self) -> Box<dyn PrefixWalk + 'a> {
        let mut parts = self.lay_out();
        if self.orders {
            parts.1.disable_rule_six();
        }
        self.walk_plan(parts)
    }

    /// A walk that keeps everything that may matter to later, unknown operations.
    pub(super) fn walk_open_ended(self) -> Box<dyn PrefixWalk + 'a> {
        let mut parts = self.lay_out();
        parts.1.keep_open_ended();
        self.walk_plan(parts)
    }

    fn walk_plan(self, parts: (ModelCache<'a>, Plan<'a>)) -> Box<dyn PrefixWalk + 'a> {
        match parts.1.width {
            0..=64 => self.walk_with::<1>(parts),
            65..=512 => self.walk_with::<8>(parts),
            _ => self.walk_with::<{ MAX_OPEN_OPS / 64 }>(parts),
        }
    }

    fn walk_with<const N: usize>(
        self,
        parts: (ModelCache<'a>, Plan<'a>),
    ) -> Box<dyn PrefixWalk + 'a> {
        let mut engine = self.make_engine::<N>(parts);
        let breadth = BreadthFirst::new(&mut engine, self.initial, usize::MAX);
        Box::new(EngineWalk { engine, breadth, unknown: Vec::new() })
    }

    fn make_engine<const N: usize>(self, parts: (ModelCache<'a>, Plan<'a>)) -> Engine<'a, N> {
        let mut engine = Engine::new(parts, self.budget);
        engine.paths = self.orders.then(OrderLog::default);
        engine
    }

    fn lay_out(self) -> (ModelCache<'a>, Plan<'a>) {
        let mut cache = ModelCache::new(self.model);
        let plan = Plan::new(&mut cache, self.ops, self.static_facts_hold());
        (cache, plan)
    }

    /// Whether static facts hold: those of a model with keys hold for a single key.
    pub(super) fn static_facts_hold(self) -> bool {
        let mut keys = self.ops.iter().map(|op| op.call.input.as_pair().map(|(key, _)| key));
        let Some(key) = keys.next() else { return true };
        let alone = |state: &Value| match state {
            Value::List(entries) => {
                entries.iter().all(|it| it.as_pair().map(|(held, _)| held) == key)
            }
            _ => false,
        };
        !self.model.has_keys()
            || (key.is_some() && keys.all(|other| other == key) && self.initial.iter().all(alone))
    }

    fn alternate<const N: usize>(self, parts: (ModelCache<'a>, Plan<'a>)) -> OrderOutcome {
        let mut engine = self.make_engine::<N>(parts);
        let mut depth = None;
        let mut width = self.width;
        let mut reached = 0;
        loop {
            let began = engine.explored;
            let mut breadth = BreadthFirst::new(&mut engine, self.initial, width);
            let answer = breadth.run(&mut engine);
            reached = breadth.first_event_not_taken().max(reached);
            let gave_up = matches!(answer, Err(Stop::Illegal(_))) && !breadth.is_whole();
            if !gave_up {
                let order = breadth.surviving_order(&engine);
                return make_outcome(engine, (answer, Algorithm::Breadth), reached, order);
            }
            let depth = depth.get_or_insert_with(|| DepthFirst::new(&mut engine, self.initial));
            let steps = engine.explored - began;
            let answer = depth.run(&mut engine, steps);
            reached = depth.deepest_event().max(reached);
            if let Some(answer) = answer {
                let order = depth.found_order(&engine);
                return make_outcome(engine, (answer, Algorithm::Depth), reached, order);
            }
            width = width.saturating_mul(WIDTH_FACTOR);
        }
    }
}

fn make_outcome<const N: usize>(
    engine: Engine<'_, N>,
    (answer, algorithm): (Result<(), Stop>, Algorithm),
    reached: usize,
    order: Vec<usize>,
) -> OrderOutcome {
    let passed = &engine.plan.events[..reached];
    let explained = passed.iter().filter(|event| matches!(event, PlanEvent::Return(_))).count();
    OrderOutcome { answer, explored: engine.explored, algorithm, explained, order }
}
