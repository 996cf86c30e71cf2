//! Walks a history event by event, and keeps every configuration that it can be in.

use super::engine::{Engine, Stop};
use super::frontier::Configuration;
use super::mask::Mask;
use super::model_cache::CallEffect;
use super::open_ops::OpenOps;
use super::plan::PlanEvent;
use crate::history::Value;

/// The state of a walk, apart from the engine.
pub(super) struct BreadthFirst<const N: usize> {
    open_ops: OpenOps<N>,
    configs: Vec<Configuration<N>>,
    /// The next event.
    at: usize,
    /// The number of configurations to keep after a completion.
    width: usize,
    /// Whether no configuration was dropped.
    whole: bool,
    /// The last event that some configuration would reach, though it was dropped earlier (rule 6).
    dead_end: usize,
}

impl<const N: usize> BreadthFirst<N> {
    pub(super) fn new(engine: &mut Engine<'_, N>, initial: &[Value], width: usize) -> Self {
        let open_ops = OpenOps::new(&engine.plan, &engine.cache);
        let configs = engine.initial_configurations(initial);
        Self { open_ops, configs, at: 0, width, whole: true, dead_end: 0 }
    }

    pub(super) fn run(&mut self, engine: &mut Engine<'_, N>) -> Result<(), Stop> {
        while self.at < engine.plan.events.len() {
            self.advance(engine)?;
        }
        Ok(())
    }

    fn advance(&mut self, engine: &mut Engine<'_, N>) -> Result<(), Stop> {
        let event = self.at;
        engine.walk_bytes =
            self.configs.capacity() * size_of::<Configuration<N>>() + self.open_ops.bytes();
        self.whole &=
            engine.apply_event(&mut self.open_ops, event, &mut self.configs, self.width)?;
        self.dead_end = self.dead_end.max(std::mem::take(&mut engine.dead_end));
        if self.configs.is_empty() {
            return Err(Stop::Illegal(engine.plan.op_at(self.dead_end.max(event))));
        }
        self.at += 1;
        Ok(())
    }

    /// The first event that was not processed.
    pub(super) fn first_event_not_taken(&self) -> usize {
        self.at
    }

    /// Whether no configuration was dropped because of the width.
    pub(super) fn is_whole(&self) -> bool {
        self.whole
    }

    /// The order of a configuration that is left.
    pub(super) fn surviving_order(&self, engine: &Engine<'_, N>) -> Vec<usize> {
        match (&engine.paths, self.configs.first()) {
            (Some(_), Some(config)) => engine.extract_order(config.path, self.at),
            _ => Vec::new(),
        }
    }
}

/// A walk that can be asked for the possible states between two events.
pub(super) trait PrefixWalk {
    /// The next event.
    fn next_event(&self) -> Option<PlanEvent>;

    /// Processes the next event.
    fn advance(&mut self) -> Result<(), Stop>;

    /// The possible states between two events.
    fn prefix_states(&self) -> PrefixStates;

    /// After a completion that no order explains: the longest legal order before it, if orders were
    /// kept.
    fn longest_order(&self) -> Vec<usize>;
}

/// What is known between two events, whichever configuration is the true one.
pub(super) struct PrefixStates {
    /// Every possible state of the object, in order.
    pub(super) states: Vec<Value>,
    /// The open operations that have taken effect in every configuration.
    pub(super) certain: Vec<usize>,
    /// The open operations that have taken effect in some, or of which it does not matter.
    pub(super) possible: Vec<usize>,
}

impl PrefixStates {
    pub(super) fn classify(&mut self, op: usize, all: bool, any: bool) {
        if all {
            self.certain.push(op);
        } else if any {
            self.possible.push(op);
        }
    }
}

/// A walk and its engine.
pub(super) struct EngineWalk<'a, const N: usize> {
    pub(super) engine: Engine<'a, N>,
    pub(super) breadth: BreadthFirst<N>,
    /// The operations of unknown outcome that have been invoked, in that order.
    pub(super) unknown: Vec<usize>,
}

impl<const N: usize> EngineWalk<'_, N> {
    /// An overwrite that may have taken effect unobserved, and may still be observed, counts as
    /// neither.
    fn classify_slot(&self, slot: usize, prefix: &mut PrefixStates) {
        let BreadthFirst { open_ops, configs, .. } = &self.breadth;
        let bit = Mask::single(slot);
        let op = open_ops.op_in_slot[slot];
        let call = &self.engine.cache.calls()[self.engine.plan.calls[op] as usize];
        let over = |it: &Configuration<N>| match call.effect {
            CallEffect::Reads => !it.pending.intersects(&bit),
            CallEffect::Overwrites | CallEffect::DependsOnState => it.linearized.intersects(&bit),
        };
        let possibly = configs.iter().any(|it| !it.pending.intersects(&bit));
        prefix.classify(op, configs.iter().all(over), possibly);
    }

    fn classify_unknown(&self, prefix: &mut PrefixStates) {
        let plan = &self.engine.plan;
        let mut counts = rustc_hash::FxHashMap::default();
        for op in self.unknown.iter().copied() {
            let place = counts.entry(plan.calls[op]).or_insert(0);
            let unknown_used = |it: &Configuration<N>| {
                self.engine.counts.count(it.unknown_used, plan.calls[op]) > *place
            };
            let configs = &self.breadth.configs;
            prefix.classify(op, configs.iter().all(unknown_used), configs.iter().any(unknown_used));
            *place += 1;
        }
    }
}

impl<const N: usize> PrefixWalk for EngineWalk<'_, N> {
    fn next_event(&self) -> Option<PlanEvent> {
        self.engine.plan.events.get(self.breadth.at).copied()
    }

    fn advance(&mut self) -> Result<(), Stop> {
        if let Some(PlanEvent::Invoke(op)) = self.next_event()
            && !self.engine.plan.has_slot(op)
        {
            self.unknown.push(op);
        }
        self.breadth.advance(&mut self.engine)
    }

    fn prefix_states(&self) -> PrefixStates {
        let configs = self.breadth.configs.iter();
        let mut states: Vec<Value> =
            configs.map(|config| self.engine.cache.state_value(config.state).clone()).collect();
        states.sort();
        states.dedup();
        let mut prefix = PrefixStates { states, certain: Vec::new(), possible: Vec::new() };
        let begun = &self.breadth.open_ops.begun;
        for slot in (0..self.engine.plan.width).filter(|slot| begun.contains(*slot)) {
            self.classify_slot(slot, &mut prefix);
        }
        self.classify_unknown(&mut prefix);
        prefix
    }

    fn longest_order(&self) -> Vec<usize> {
        if self.engine.paths.is_none() {
            return Vec::new();
        }
        let tried =
            (0..self.engine.pool.slots_used()).filter_map(|place| self.engine.pool.get(place));
        let orders = tried.map(|config| self.engine.extract_order(config.path, self.breadth.at));
        orders
            .reduce(|best, order| if order.len() > best.len() { order } else { best })
            .unwrap_or_default()
    }
}
