//! Searches for an order: breadth first and depth first take turns under one budget, and the first
//! answer counts.
//!
//! [`Breadth`] keeps every configuration that the history can be in, event by event; when none is
//! left, the completion at hand is the first that cannot be explained, and the history up to it is
//! the shortest wrong prefix. It walks narrowly first: an order found is an order, however few were
//! tried. Only a walk that dropped nothing can say that there is none, so each that fails for want
//! of width is followed by a wider one. Between two walks [`Depth`] follows one configuration as far
//! as it goes, for as many steps as the last walk took. Both look at the same graph, so they cannot
//! disagree; and turns are counted in configurations, never in time, so that the same history gets
//! the same answer from the same algorithm.

use super::breadth::{Breadth, Walk, Walking};
use super::depth::Depth;
use super::engine::{Budget, Engine, Paths, Spent, Stop};
use super::model_cache::Oracle;
use super::partition::Op;
use super::plan::{Plan, Turn};
use crate::history::Value;
use crate::model::Model;
use crate::verdict::Algorithm;

/// Configurations kept by the first, narrow walk, and how much wider each later one is.
const NARROW: usize = 4;
const WIDER: usize = 8;

/// The most operations that may be open at once: some limit there must be, for each configuration
/// has two bits for each.
const WIDEST: usize = 512 * 64;

/// What came of a search.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) answer: Result<(), Stop>,
    /// Configurations made.
    pub(super) explored: usize,
    pub(super) algorithm: Algorithm,
    /// How many operations, in order of completion, some order explains.
    pub(super) explained: usize,
    /// The order found, if asked for.
    pub(super) order: Vec<usize>,
}

/// Nothing was asked yet, so nothing is wrong.
impl Default for Outcome {
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

/// What is searched: one object's operations, and where they start.
#[derive(Clone, Copy)]
pub(super) struct Question<'a> {
    pub(super) model: &'a dyn Model,
    pub(super) initial: &'a [Value],
    pub(super) ops: &'a [Op<'a>],
    pub(super) budget: Budget<'a>,
    /// The first walk's width.
    pub(super) width: usize,
    /// Whether to keep the orders that lead to configurations.
    pub(super) orders: bool,
}

impl<'a> Question<'a> {
    pub(super) fn new(
        model: &'a dyn Model,
        initial: &'a [Value],
        ops: &'a [Op<'a>],
        budget: Budget<'a>,
    ) -> Self {
        Self { model, initial, ops, budget, width: NARROW, orders: false }
    }

    /// The same without the narrowest walk.
    pub(super) fn wider(self) -> Self {
        Self { width: self.width.saturating_mul(WIDER), ..self }
    }

    /// Finds out whether some order explains the operations.
    pub(super) fn decide(self) -> Outcome {
        let parts = self.prepare();
        match parts.1.width {
            0..=64 => self.compete::<1>(parts),
            65..=128 => self.compete::<2>(parts),
            129..=512 => self.compete::<8>(parts),
            513..=4096 => self.compete::<64>(parts),
            4097..=WIDEST => self.compete::<{ WIDEST / 64 }>(parts),
            _ => Outcome {
                answer: Err(Stop::Spent(Spent::Width(WIDEST))),
                algorithm: Algorithm::Breadth,
                ..Outcome::default()
            },
        }
    }

    /// A walk that keeps all, event by event. One that keeps orders goes on to the very completion
    /// that nothing explains.
    pub(super) fn walk(self) -> Box<dyn Walk + 'a> {
        let mut parts = self.prepare();
        if self.orders {
            parts.1.forget_looks();
        }
        self.walk_over(parts)
    }

    /// A walk that keeps all that could matter to operations which are not known yet.
    pub(super) fn walk_on(self) -> Box<dyn Walk + 'a> {
        let mut parts = self.prepare();
        parts.1.never_end();
        self.walk_over(parts)
    }

    fn walk_over(self, parts: (Oracle<'a>, Plan<'a>)) -> Box<dyn Walk + 'a> {
        match parts.1.width {
            0..=64 => self.walk_in::<1>(parts),
            65..=512 => self.walk_in::<8>(parts),
            _ => self.walk_in::<{ WIDEST / 64 }>(parts),
        }
    }

    fn walk_in<const N: usize>(self, parts: (Oracle<'a>, Plan<'a>)) -> Box<dyn Walk + 'a> {
        let mut engine = self.engine::<N>(parts);
        let breadth = Breadth::new(&mut engine, self.initial, usize::MAX);
        Box::new(Walking { engine, breadth, lost: Vec::new() })
    }

    fn engine<const N: usize>(self, parts: (Oracle<'a>, Plan<'a>)) -> Engine<'a, N> {
        let mut engine = Engine::new(parts, self.budget);
        engine.paths = self.orders.then(Paths::default);
        engine
    }

    fn prepare(self) -> (Oracle<'a>, Plan<'a>) {
        let mut oracle = Oracle::new(self.model);
        let plan = Plan::new(&mut oracle, self.ops, self.shapes_hold());
        (oracle, plan)
    }

    /// The shapes of a model with keys hold where there is one key alone.
    pub(super) fn shapes_hold(self) -> bool {
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

    fn compete<const N: usize>(self, parts: (Oracle<'a>, Plan<'a>)) -> Outcome {
        let mut engine = self.engine::<N>(parts);
        let mut depth = None;
        let mut width = self.width;
        let mut reached = 0;
        loop {
            let began = engine.explored;
            let mut breadth = Breadth::new(&mut engine, self.initial, width);
            let answer = breadth.run(&mut engine);
            reached = breadth.reached().max(reached);
            let gave_up = matches!(answer, Err(Stop::Illegal(_))) && !breadth.is_whole();
            if !gave_up {
                let order = breadth.order(&engine);
                return outcome(engine, (answer, Algorithm::Breadth), reached, order);
            }
            let depth = depth.get_or_insert_with(|| Depth::new(&mut engine, self.initial));
            let steps = engine.explored - began;
            let answer = depth.run(&mut engine, steps);
            reached = depth.reached().max(reached);
            if let Some(answer) = answer {
                let order = depth.order(&engine);
                return outcome(engine, (answer, Algorithm::Depth), reached, order);
            }
            width = width.saturating_mul(WIDER);
        }
    }
}

fn outcome<const N: usize>(
    engine: Engine<'_, N>,
    (answer, algorithm): (Result<(), Stop>, Algorithm),
    reached: usize,
    order: Vec<usize>,
) -> Outcome {
    let passed = &engine.plan.turns[..reached];
    let explained = passed.iter().filter(|turn| matches!(turn, Turn::End(_))).count();
    Outcome { answer, explored: engine.explored, algorithm, explained, order }
}
