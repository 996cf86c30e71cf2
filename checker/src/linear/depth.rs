//! Follows one configuration as far as possible and backtracks: Wing, Gong and Lowe's search, over
//! the graph that [`super::breadth`] walks level by level.
//!
//! Configurations are remembered by event and state, so that none is tried twice, nor one that an
//! earlier configuration dominates. When none is left, the furthest completion that no
//! configuration passed is the first that no order explains.

use rustc_hash::FxHashMap;

use super::engine::{Engine, Stop};
use super::frontier::{Configuration, dominates};
use super::model_cache::StateId;
use super::open_ops::OpenOps;
use super::plan::PlanEvent;
use crate::history::Value;

/// A search that can be interrupted and resumed.
pub(super) struct DepthFirst<const N: usize> {
    open_ops: OpenOps<N>,
    /// The event that the open operations belong to.
    at: usize,
    /// The configurations left to try, by event.
    branches: Vec<(usize, Vec<Configuration<N>>)>,
    tried: FxHashMap<(u32, StateId), Vec<Configuration<N>>>,
    remembered: usize,
    /// The furthest event that no configuration passed.
    deepest: usize,
    end: Option<Configuration<N>>,
}

impl<const N: usize> DepthFirst<N> {
    pub(super) fn new(engine: &mut Engine<'_, N>, initial: &[Value]) -> Self {
        Self {
            open_ops: OpenOps::new(&engine.plan, &engine.cache),
            at: 0,
            branches: vec![(0, engine.initial_configurations(initial))],
            tried: FxHashMap::default(),
            remembered: 0,
            deepest: 0,
            end: None,
        }
    }

    /// Runs for a number of steps; `None` if they do not suffice.
    pub(super) fn run(
        &mut self,
        engine: &mut Engine<'_, N>,
        steps: usize,
    ) -> Option<Result<(), Stop>> {
        let stop_at = engine.explored.saturating_add(steps);
        while engine.explored < stop_at {
            match self.take_branch(engine) {
                Ok(None) => {}
                Ok(Some(answer)) => return Some(answer),
                Err(stop) => return Some(Err(stop)),
            }
        }
        None
    }

    fn take_branch(
        &mut self,
        engine: &mut Engine<'_, N>,
    ) -> Result<Option<Result<(), Stop>>, Stop> {
        let Some((event, branch)) = self.branches.last_mut() else {
            return Ok(Some(Err(Stop::Illegal(engine.plan.op_at(self.deepest)))));
        };
        let (event, Some(config)) = (*event, branch.pop()) else {
            self.branches.pop();
            return Ok(None);
        };
        engine.explored += 1;
        engine.walk_bytes =
            self.remembered * size_of::<Configuration<N>>() * 2 + self.open_ops.bytes();
        self.rewind_to(event, engine);
        let left = self.follow_until_choice(config, engine)?;
        if self.at == engine.plan.events.len() && !left.is_empty() {
            self.end = left.last().copied();
            return Ok(Some(Ok(())));
        }
        self.branches.push((self.at, left));
        Ok(None)
    }

    fn rewind_to(&mut self, event: usize, engine: &Engine<'_, N>) {
        while self.at > event {
            self.at -= 1;
            self.open_ops.undo_event(self.at, &engine.plan, &engine.cache);
        }
    }

    /// Processes events until several configurations are left, or none.
    fn follow_until_choice(
        &mut self,
        config: Configuration<N>,
        engine: &mut Engine<'_, N>,
    ) -> Result<Vec<Configuration<N>>, Stop> {
        let mut configs = vec![config];
        while configs.len() == 1 && self.at < engine.plan.events.len() {
            let event = self.at;
            self.at += 1;
            engine.apply_event(&mut self.open_ops, event, &mut configs, usize::MAX)?;
            self.deepest = self.deepest.max(std::mem::take(&mut engine.dead_end));
            if configs.is_empty() {
                self.deepest = self.deepest.max(event);
            } else if matches!(engine.plan.events[event], PlanEvent::Return(_)) {
                configs.retain(|config| self.is_new(*config, engine));
            }
        }
        configs.sort_by_key(|it| std::cmp::Reverse(engine.configuration_cost(it)));
        Ok(configs)
    }

    /// Whether no configuration tried at this event dominates this one.
    fn is_new(&mut self, config: Configuration<N>, engine: &Engine<'_, N>) -> bool {
        let tried = self.tried.entry((self.at as u32, config.state)).or_default();
        if tried.iter().any(|it| dominates(it, &config, &engine.counts)) {
            return false;
        }
        tried.push(config);
        self.remembered += 1;
        true
    }

    /// The furthest event that no configuration passed.
    pub(super) fn deepest_event(&self) -> usize {
        self.deepest.max(self.branches.last().map_or(0, |(event, _)| *event))
    }

    /// The order that reached the end.
    pub(super) fn found_order(&self, engine: &Engine<'_, N>) -> Vec<usize> {
        match (&engine.paths, &self.end) {
            (Some(_), Some(config)) => engine.extract_order(config.path, engine.plan.events.len()),
            _ => Vec::new(),
        }
    }
}
