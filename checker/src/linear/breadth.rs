//! Walks through a history event by event, with every configuration it can be in.

use super::engine::{Engine, Stop};
use super::frontier::Config;
use super::mask::Mask;
use super::model_cache::Role;
use super::open_ops::Scene;
use super::plan::Turn;
use crate::history::Value;

/// A walk, without the engine that it is made with.
pub(super) struct Breadth<const N: usize> {
    scene: Scene<N>,
    configs: Vec<Config<N>>,
    /// The next turn.
    at: usize,
    /// How many configurations to keep past a completion.
    width: usize,
    /// Whether all were kept.
    whole: bool,
    /// The last turn that some configuration got to, though it was dropped before.
    doomed: usize,
}

impl<const N: usize> Breadth<N> {
    pub(super) fn new(engine: &mut Engine<'_, N>, initial: &[Value], width: usize) -> Self {
        let scene = Scene::new(&engine.plan, &engine.oracle);
        let configs = engine.start(initial);
        Self { scene, configs, at: 0, width, whole: true, doomed: 0 }
    }

    pub(super) fn run(&mut self, engine: &mut Engine<'_, N>) -> Result<(), Stop> {
        while self.at < engine.plan.turns.len() {
            self.advance(engine)?;
        }
        Ok(())
    }

    fn advance(&mut self, engine: &mut Engine<'_, N>) -> Result<(), Stop> {
        let turn = self.at;
        engine.kept = self.configs.capacity() * size_of::<Config<N>>() + self.scene.bytes();
        self.whole &= engine.turn(&mut self.scene, turn, &mut self.configs, self.width)?;
        self.doomed = self.doomed.max(std::mem::take(&mut engine.doomed));
        if self.configs.is_empty() {
            return Err(Stop::Illegal(engine.plan.op(self.doomed.max(turn))));
        }
        self.at += 1;
        Ok(())
    }

    /// The first turn not taken.
    pub(super) fn reached(&self) -> usize {
        self.at
    }

    /// Whether no configuration was dropped for want of width.
    pub(super) fn is_whole(&self) -> bool {
        self.whole
    }

    /// The order of one that is left.
    pub(super) fn order(&self, engine: &Engine<'_, N>) -> Vec<usize> {
        match (&engine.paths, self.configs.first()) {
            (Some(_), Some(config)) => engine.order(config.path, self.at),
            _ => Vec::new(),
        }
    }
}

/// A walk whose standing can be asked for between two events.
pub(super) trait Walk {
    /// What comes next.
    fn next(&self) -> Option<Turn>;

    /// Takes the next turn.
    fn advance(&mut self) -> Result<(), Stop>;

    /// Where things stand between two events.
    fn standing(&self) -> Standing;

    /// After a completion that nothing explains: the longest legal order before it, if orders were
    /// kept.
    fn longest_order(&self) -> Vec<usize>;
}

/// Where a walk stands between two events, whichever configuration is the true one.
pub(super) struct Standing {
    /// Every state the object could be in, in order.
    pub(super) states: Vec<Value>,
    /// The unfinished operations that have happened for certain.
    pub(super) always: Vec<usize>,
    /// Those that may have, or of which it does not matter.
    pub(super) sometimes: Vec<usize>,
}

impl Standing {
    pub(super) fn sort_in(&mut self, op: usize, all: bool, any: bool) {
        if all {
            self.always.push(op);
        } else if any {
            self.sometimes.push(op);
        }
    }
}

/// A walk and its engine.
pub(super) struct Walking<'a, const N: usize> {
    pub(super) engine: Engine<'a, N>,
    pub(super) breadth: Breadth<N>,
    /// The operations of unknown outcome that have begun, in that order.
    pub(super) lost: Vec<usize>,
}

impl<const N: usize> Walking<'_, N> {
    /// One that may have happened unseen, and may yet be seen, is neither there nor gone.
    fn sort_slot(&self, slot: usize, standing: &mut Standing) {
        let Breadth { scene, configs, .. } = &self.breadth;
        let bit = Mask::one(slot);
        let op = scene.holders[slot];
        let kind = &self.engine.oracle.kinds()[self.engine.plan.kinds[op] as usize];
        let over = |it: &Config<N>| match kind.role {
            Role::Observes => !it.owed.meets(&bit),
            Role::Overwrites | Role::Depends => it.used.meets(&bit),
        };
        let possibly = configs.iter().any(|it| !it.owed.meets(&bit));
        standing.sort_in(op, configs.iter().all(over), possibly);
    }

    fn sort_lost(&self, standing: &mut Standing) {
        let plan = &self.engine.plan;
        let mut counts = rustc_hash::FxHashMap::default();
        for op in self.lost.iter().copied() {
            let place = counts.entry(plan.kinds[op]).or_insert(0);
            let spent =
                |it: &Config<N>| self.engine.tallies.count(it.spent, plan.kinds[op]) > *place;
            let configs = &self.breadth.configs;
            standing.sort_in(op, configs.iter().all(spent), configs.iter().any(spent));
            *place += 1;
        }
    }
}

impl<const N: usize> Walk for Walking<'_, N> {
    fn next(&self) -> Option<Turn> {
        self.engine.plan.turns.get(self.breadth.at).copied()
    }

    fn advance(&mut self) -> Result<(), Stop> {
        if let Some(Turn::Begin(op)) = self.next()
            && !self.engine.plan.is_owed(op)
        {
            self.lost.push(op);
        }
        self.breadth.advance(&mut self.engine)
    }

    fn standing(&self) -> Standing {
        let configs = self.breadth.configs.iter();
        let mut states: Vec<Value> =
            configs.map(|config| self.engine.oracle.value(config.state).clone()).collect();
        states.sort();
        states.dedup();
        let mut standing = Standing { states, always: Vec::new(), sometimes: Vec::new() };
        let begun = &self.breadth.scene.begun;
        for slot in (0..self.engine.plan.width).filter(|slot| begun.contains(*slot)) {
            self.sort_slot(slot, &mut standing);
        }
        self.sort_lost(&mut standing);
        standing
    }

    fn longest_order(&self) -> Vec<usize> {
        if self.engine.paths.is_none() {
            return Vec::new();
        }
        let tried = (0..self.engine.pool.places()).filter_map(|place| self.engine.pool.get(place));
        let orders = tried.map(|config| self.engine.order(config.path, self.breadth.at));
        orders
            .reduce(|best, order| if order.len() > best.len() { order } else { best })
            .unwrap_or_default()
    }
}
