//! Follows one configuration as far as it goes, and goes back where it ends: Wing, Gong and Lowe's
//! search over the graph that [`super::breadth`] walks in parallel.
//!
//! What was tried is remembered by turn and state, so nothing is tried twice, nor anything that a
//! configuration tried before could do as well. When nothing is left to try, the deepest completion
//! that none got past is the first that cannot be explained.

use rustc_hash::FxHashMap;

use super::engine::{Engine, Stop};
use super::frontier::{Config, dominates};
use super::model_cache::State;
use super::open_ops::Scene;
use super::plan::Turn;
use crate::history::Value;

/// A search that can be interrupted and resumed.
pub(super) struct Depth<const N: usize> {
    scene: Scene<N>,
    /// The turn that the scene is at.
    at: usize,
    /// What is left to try at each turn on the way.
    branches: Vec<(usize, Vec<Config<N>>)>,
    tried: FxHashMap<(u32, State), Vec<Config<N>>>,
    remembered: usize,
    /// The first turn that none got past.
    deepest: usize,
    end: Option<Config<N>>,
}

impl<const N: usize> Depth<N> {
    pub(super) fn new(engine: &mut Engine<'_, N>, initial: &[Value]) -> Self {
        Self {
            scene: Scene::new(&engine.plan, &engine.oracle),
            at: 0,
            branches: vec![(0, engine.start(initial))],
            tried: FxHashMap::default(),
            remembered: 0,
            deepest: 0,
            end: None,
        }
    }

    /// Goes on for so many steps; nothing, if that is not enough.
    pub(super) fn run(
        &mut self,
        engine: &mut Engine<'_, N>,
        steps: usize,
    ) -> Option<Result<(), Stop>> {
        let stop_at = engine.explored.saturating_add(steps);
        while engine.explored < stop_at {
            match self.step(engine) {
                Ok(None) => {}
                Ok(Some(answer)) => return Some(answer),
                Err(stop) => return Some(Err(stop)),
            }
        }
        None
    }

    fn step(&mut self, engine: &mut Engine<'_, N>) -> Result<Option<Result<(), Stop>>, Stop> {
        let Some((turn, branch)) = self.branches.last_mut() else {
            return Ok(Some(Err(Stop::Illegal(engine.plan.op(self.deepest)))));
        };
        let (turn, Some(config)) = (*turn, branch.pop()) else {
            self.branches.pop();
            return Ok(None);
        };
        engine.explored += 1;
        engine.kept = self.remembered * size_of::<Config<N>>() * 2 + self.scene.bytes();
        self.go_to(turn, engine);
        let left = self.follow(config, engine)?;
        if self.at == engine.plan.turns.len() && !left.is_empty() {
            self.end = left.last().copied();
            return Ok(Some(Ok(())));
        }
        self.branches.push((self.at, left));
        Ok(None)
    }

    fn go_to(&mut self, turn: usize, engine: &Engine<'_, N>) {
        while self.at > turn {
            self.at -= 1;
            self.scene.leave(self.at, &engine.plan, &engine.oracle);
        }
    }

    /// Takes turns until there is a choice, or none.
    fn follow(
        &mut self,
        config: Config<N>,
        engine: &mut Engine<'_, N>,
    ) -> Result<Vec<Config<N>>, Stop> {
        let mut configs = vec![config];
        while configs.len() == 1 && self.at < engine.plan.turns.len() {
            let turn = self.at;
            self.at += 1;
            engine.turn(&mut self.scene, turn, &mut configs, usize::MAX)?;
            self.deepest = self.deepest.max(std::mem::take(&mut engine.doomed));
            if configs.is_empty() {
                self.deepest = self.deepest.max(turn);
            } else if matches!(engine.plan.turns[turn], Turn::End(_)) {
                configs.retain(|config| self.is_new(*config, engine));
            }
        }
        configs.sort_by_key(|it| std::cmp::Reverse(engine.cost(it)));
        Ok(configs)
    }

    /// Whether nothing tried at this turn could do all that it can.
    fn is_new(&mut self, config: Config<N>, engine: &Engine<'_, N>) -> bool {
        let tried = self.tried.entry((self.at as u32, config.state)).or_default();
        if tried.iter().any(|it| dominates(it, &config, &engine.tallies)) {
            return false;
        }
        tried.push(config);
        self.remembered += 1;
        true
    }

    /// The first turn that none got past.
    pub(super) fn reached(&self) -> usize {
        self.deepest.max(self.branches.last().map_or(0, |(turn, _)| *turn))
    }

    /// The order that reached the end.
    pub(super) fn order(&self, engine: &Engine<'_, N>) -> Vec<usize> {
        match (&engine.paths, &self.end) {
            (Some(_), Some(config)) => engine.order(config.path, engine.plan.turns.len()),
            _ => Vec::new(),
        }
    }
}
