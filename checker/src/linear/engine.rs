//! Advances configurations over one event of a history: the step that every search shares.
//!
//! This is Lowe's just-in-time form of Wing and Gong's search. Nothing is decided until an
//! operation returns; then every configuration must have linearized it. That loses no order: in a
//! legal order, delay each operation until the first return of it or of an operation after it; it
//! was invoked by then.
//!
//! What is pruned, and why no answer is lost, for any legal order `L`:
//!
//! 1. *A read is made as soon as it is legal.* It changes no state and only clears a pending
//!    operation, so making it earlier than in `L` hinders nothing.
//! 2. *An overwrite that is never observed is not placed.* If the next write after `w` in `L` is an
//!    overwrite `x` with no read between, then `w` may stand just before any overwrite that takes
//!    effect while `w` is open: that overwrite does not depend on the state before it, and the
//!    effect of `w` is lost. So when an overwrite takes effect, every open overwrite stops being
//!    pending, and may still be linearized to be observed. If `w` returns before any such overwrite
//!    took effect, it is linearized itself: as in `L`, its predecessors have taken effect, and `x`
//!    overwrites it later. So an overwrite does two things: it sets a state and it hides pending
//!    overwrites. One that does not change the state may be left out only if it hides nothing.
//! 3. *An overwrite before the one that returns must be observed.* Between two returns, an
//!    overwrite that is followed by another one is unobserved, and rule 2 covers it. So from a
//!    configuration after an unobserved overwrite, only operations that depend on the state
//!    continue. Where such a configuration equals one that is not marked so, the configuration
//!    before the unobserved overwrite leads wherever that one would.
//! 4. *Of equal operations the first to return is linearized first*, and one of unknown outcome
//!    last. If `L` uses `y` and, later or never, an equal `x` that returns first, exchange the two:
//!    `x` has been invoked, and `y` may wait longer. Those of unknown outcome are counted, see
//!    [`super::unknown_counts`].
//! 5. *An operation whose effect cannot be observed need not take effect*: one of unknown outcome
//!    whose state no later call depends on (see [`Plan::needs`]) is left out of `L`, and an
//!    overwrite with such a state is unobserved.
//! 6. *A state that is only appended to must allow the next read* (see
//!    [`crate::model::Model::can_never_hold`]). If every write until some read returns is an
//!    append, the read is pending, and the state rules it out, then no order continues from there.
//! 7. *Dominated configurations are dropped*, see [`Frontier`].

use super::certificate;
use super::frontier::{Configuration, Frontier};
use super::mask::Mask;
use super::model_cache::{CallEffect, ModelCache};
use super::open_ops::{OpenOps, is_still_relevant};
use super::plan::{Plan, PlanEvent};
use super::unknown_counts::{self, UnknownCounts};
use crate::history::Value;
use crate::verdict::Limits;
use rustc_hash::FxHashSet;
use std::fmt;

/// The budget of a search.
#[derive(Clone, Copy)]
pub(super) struct Budget<'a> {
    pub(super) memory_bytes: usize,
    /// Configurations that it may explore.
    pub(super) steps: usize,
    pub(super) expired: &'a (dyn Fn() -> bool + Sync),
}

impl<'a> Budget<'a> {
    /// The whole budget of a check, for one search.
    pub(super) fn from_limits(limits: &Limits<'a>) -> Self {
        Self { memory_bytes: limits.memory_bytes, steps: usize::MAX, expired: limits.expired }
    }
}

/// Why a search ended early.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// No order explains the completion of this operation.
    Illegal(usize),
    /// The budget does not suffice.
    OverBudget(BudgetExceeded),
}

/// Which budget was exceeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BudgetExceeded {
    Steps,
    Memory,
    Time,
    /// The most operations that may be open at once.
    Width(usize),
}

impl fmt::Display for BudgetExceeded {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Steps => {
                write!(out, "another object is illegal, so this search was not continued")
            }
            Self::Memory => write!(out, "memory limit reached"),
            Self::Time => write!(out, "time limit reached"),
            Self::Width(most) => write!(out, "more than {most} operations are open at once"),
        }
    }
}

/// The orders that led to configurations, each a link to the one that it extends.
#[derive(Default)]
pub(super) struct OrderLog {
    links: Vec<OrderLink>,
}

/// An operation that took effect, at which event, and the link before.
struct OrderLink {
    before: u32,
    op: u32,
    event: u32,
}

/// The empty order.
const START: u32 = u32::MAX;

impl OrderLog {
    /// The operations in order, each with the event at which it took effect.
    fn path_order(&self, mut path: u32) -> Vec<(usize, usize)> {
        let mut order = Vec::new();
        while let Some(link) = self.links.get(path as usize) {
            order.push((link.op as usize, link.event as usize));
            path = link.before;
        }
        order.reverse();
        order
    }
}

/// The model, the layout of a history, and buffers.
pub(super) struct Engine<'a, const N: usize> {
    pub(super) cache: ModelCache<'a>,
    pub(super) plan: Plan<'a>,
    pub(super) counts: UnknownCounts,
    pub(super) paths: Option<OrderLog>,
    /// Memory of the walk outside of the engine.
    pub(super) walk_bytes: usize,
    /// The last event that a configuration dropped by rule 6 would have reached.
    pub(super) dead_end: usize,
    /// Explored configurations.
    pub(super) explored: usize,
    pub(super) pool: Frontier<N>,
    next: Frontier<N>,
    budget: Budget<'a>,
    /// The number of explored configurations at which to check the budget again.
    next_budget_check: usize,
    /// The expansion in which a call was last tried.
    tried: Vec<u32>,
    expansion: u32,
}

/// A return that is being processed.
#[derive(Clone, Copy)]
struct Returning<const N: usize> {
    event: usize,
    slot: usize,
    bit: Mask<N>,
    /// Whether it is an overwrite that a later call may observe, so that it may be linearized now
    /// though it is not pending.
    overwrites: bool,
    /// Whether some call of unknown outcome stops being relevant after it.
    forgets: bool,
}

impl<'a, const N: usize> Engine<'a, N> {
    pub(super) fn new((cache, plan): (ModelCache<'a>, Plan<'a>), budget: Budget<'a>) -> Self {
        let tried = vec![0; cache.calls().len()];
        Self {
            cache,
            plan,
            counts: UnknownCounts::new(),
            paths: None,
            walk_bytes: 0,
            dead_end: 0,
            explored: 0,
            pool: Frontier::new(),
            next: Frontier::new(),
            budget,
            next_budget_check: 0,
            tried,
            expansion: 0,
        }
    }

    /// The configurations before the first event.
    pub(super) fn initial_configurations(&mut self, initial: &[Value]) -> Vec<Configuration<N>> {
        let mut configs = Vec::with_capacity(initial.len());
        let mut known_states = FxHashSet::default();
        for state in initial {
            let (pending, linearized, path) = (Mask::EMPTY, Mask::EMPTY, START);
            let state = self.cache.intern(state.clone());
            if initial.len() == 1 || known_states.insert(state) {
                let unknown_used = unknown_counts::NONE;
                configs.push(Configuration {
                    pending,
                    linearized,
                    state,
                    unknown_used,
                    path,
                    unobserved: false,
                });
            }
        }
        configs
    }

    /// Advances configurations over an event; after a return it keeps at most `width`. Returns
    /// whether all were kept. None are left if no order explains the return, or the later one at
    /// which those dropped by rule 6 would have ended.
    pub(super) fn apply_event(
        &mut self,
        open_ops: &mut OpenOps<N>,
        event: usize,
        configs: &mut Vec<Configuration<N>>,
        width: usize,
    ) -> Result<bool, Stop> {
        match self.plan.events[event] {
            PlanEvent::Invoke(op) => {
                open_ops.apply_event(event, &self.plan, &self.cache);
                if self.plan.has_slot(op) {
                    self.invoke(op, event, configs);
                }
                Ok(true)
            }
            PlanEvent::Return(op) => {
                let returning = self.prepare_return(open_ops, op, event);
                let whole = self.complete_return(open_ops, &returning, configs, width);
                open_ops.apply_event(event, &self.plan, &self.cache);
                whole
            }
        }
    }

    /// The new operation is pending, unless it is a read that can be made at once.
    fn invoke(&mut self, op: usize, event: usize, configs: &mut [Configuration<N>]) {
        let bit = Mask::single(self.plan.slot(op));
        let call = self.plan.calls[op];
        let observes = self.cache.calls()[call as usize].effect == CallEffect::Reads;
        for config in configs {
            if observes && self.cache.step(config.state, call).is_some() {
                config.path = self.extend_path(config.path, op, event);
            } else {
                config.pending = config.pending.or(&bit);
            }
        }
    }

    fn prepare_return(&self, open_ops: &OpenOps<N>, op: usize, event: usize) -> Returning<N> {
        let slot = self.plan.slot(op);
        let call = &self.cache.calls()[self.plan.calls[op] as usize];
        let is_observable = call.result.is_some_and(|state| self.plan.needs(state, event));
        let overwrites = call.effect == CallEffect::Overwrites && is_observable;
        let matter = |call: &u32, event| is_still_relevant(&self.plan, &self.cache, *call, event);
        let forgets = open_ops.unknown.iter().any(|it| matter(it, event) && !matter(it, event + 1));
        Returning { event, slot, bit: Mask::single(slot), overwrites, forgets }
    }

    fn complete_return(
        &mut self,
        open_ops: &OpenOps<N>,
        returning: &Returning<N>,
        configs: &mut Vec<Configuration<N>>,
        width: usize,
    ) -> Result<bool, Stop> {
        self.check_budget()?;
        let settled = |it: &Configuration<N>| {
            !it.pending.intersects(&returning.bit) && !it.linearized.intersects(&returning.bit)
        };
        if !returning.overwrites && configs.iter().all(settled) {
            return Ok(true);
        }
        self.pool.clear();
        for config in configs.drain(..) {
            self.enqueue(open_ops, config, returning);
        }
        let whole = self.expand_all(open_ops, returning, width)?;
        self.next.drain_into(configs);
        Ok(self.truncate_to_width(configs, width) && whole)
    }

    fn expand_all(
        &mut self,
        open_ops: &OpenOps<N>,
        returning: &Returning<N>,
        width: usize,
    ) -> Result<bool, Stop> {
        let mut place = 0;
        while place < self.pool.slots_used() {
            if let Some(config) = self.pool.get(place) {
                if self.next.live_count() >= width {
                    return Ok(false);
                }
                self.check_budget()?;
                self.expand_configuration(open_ops, config, returning);
            }
            place += 1;
        }
        Ok(true)
    }

    /// Keeps the configurations with the fewest linearized and unknown operations.
    fn truncate_to_width(&self, configs: &mut Vec<Configuration<N>>, width: usize) -> bool {
        if configs.len() <= width {
            return true;
        }
        configs.sort_by_key(|it| self.configuration_cost(it));
        configs.truncate(width);
        false
    }

    /// Puts a configuration before the return, after it, or both.
    fn enqueue(
        &mut self,
        open_ops: &OpenOps<N>,
        config: Configuration<N>,
        returning: &Returning<N>,
    ) {
        self.explored += 1;
        let owes = config.pending.intersects(&returning.bit);
        if owes && self.is_dead_end(open_ops, &config, returning.event) {
            return;
        }
        if owes || (returning.overwrites && !config.linearized.intersects(&returning.bit)) {
            self.pool.add(config, &open_ops.dependent, &self.counts);
        }
        if !owes && !config.unobserved {
            self.move_past_return(open_ops, config, returning);
        }
    }

    /// Rule 6: whether the next read to return has become impossible. Until then only appends
    /// return, so the configuration would get that far.
    fn is_dead_end(
        &mut self,
        open_ops: &OpenOps<N>,
        config: &Configuration<N>,
        event: usize,
    ) -> bool {
        let Some(end) = self.plan.next_read_return(event) else { return false };
        let op = self.plan.op_at(end);
        let slot = self.plan.slot(op);
        let is_open = open_ops.begun.contains(slot) && open_ops.op_in_slot[slot] == op;
        let changing =
            open_ops.overwrites_open.or(&open_ops.dependent.minus(&open_ops.append_only));
        let only_appends = |call: &u32| self.cache.calls()[*call as usize].only_appends;
        let is_dead_end = (!is_open || config.pending.contains(slot))
            && changing.is_subset(&config.linearized)
            && open_ops.unknown.iter().all(only_appends)
            && self.cache.can_never_hold(config.state, self.plan.calls[op]);
        if is_dead_end {
            self.dead_end = self.dead_end.max(end);
        }
        is_dead_end
    }

    fn move_past_return(
        &mut self,
        open_ops: &OpenOps<N>,
        config: Configuration<N>,
        returning: &Returning<N>,
    ) {
        if self.is_dead_end(open_ops, &config, returning.event + 1) {
            return;
        }
        let linearized = config.linearized.minus(&returning.bit);
        let mut unknown_used = config.unknown_used;
        if returning.forgets {
            let (plan, cache) = (&self.plan, &self.cache);
            unknown_used = self.counts.retain(unknown_used, |call| {
                is_still_relevant(plan, cache, call, returning.event + 1)
            });
        }
        self.next.add(
            Configuration { linearized, unknown_used, ..config },
            &open_ops.dependent,
            &self.counts,
        );
    }

    /// Linearizes every operation that could come next.
    fn expand_configuration(
        &mut self,
        open_ops: &OpenOps<N>,
        config: Configuration<N>,
        returning: &Returning<N>,
    ) {
        self.expansion += 1;
        for slot in open_ops.order.iter().map(|slot| *slot as usize) {
            let call = self.plan.calls[open_ops.op_in_slot[slot]];
            if config.linearized.contains(slot) || self.tried[call as usize] == self.expansion {
                continue;
            }
            self.tried[call as usize] = self.expansion;
            let bit = Mask::single(slot);
            let after = Configuration {
                linearized: config.linearized.or(&bit),
                pending: config.pending.minus(&bit),
                ..config
            };
            let is_returning = slot == returning.slot;
            self.linearize_call(
                open_ops,
                after,
                (call, open_ops.op_in_slot[slot], is_returning),
                returning,
            );
        }
        for call in open_ops.unknown.iter().copied() {
            let unknown_used = self.counts.count(config.unknown_used, call);
            if self.tried[call as usize] != self.expansion
                && unknown_used < open_ops.unknown_begun(call)
            {
                self.linearize_unknown(open_ops, config, call, returning);
            }
        }
    }

    /// Linearizes an operation of unknown outcome. One that changes nothing is not worth it: an
    /// overwrite whose state is not needed can be left out, and so can one that leads to the same
    /// state. But an overwrite to the same state still hides pending ones (rule 2), as in `write 1,
    /// write 0, cas 0 2` from 0.
    fn linearize_unknown(
        &mut self,
        open_ops: &OpenOps<N>,
        config: Configuration<N>,
        call: u32,
        returning: &Returning<N>,
    ) {
        let overwrites = self.cache.calls()[call as usize].effect == CallEffect::Overwrites;
        let hides = overwrites && config.pending.intersects(&open_ops.overwrites_open);
        let next = self.cache.step(config.state, call);
        let Some(next) = next.filter(|next| hides || *next != config.state) else { return };
        if overwrites && open_ops.dependent.is_empty() && open_ops.dependent_unknown == 0 {
            // Rule 3, before the cost of counting.
            let looked = open_ops.enabled_reads(next, &self.plan, &mut self.cache);
            if config.unobserved || !looked.intersects(&config.pending) {
                return;
            }
        }
        let unknown_used = self.counts.with(config.unknown_used, call);
        self.linearize_call(
            open_ops,
            Configuration { unknown_used, ..config },
            (call, usize::MAX, false),
            returning,
        );
    }

    /// Lets a call take effect that `config` already counts as linearized. An operation of unknown
    /// outcome has no position here; its count says which of the equal ones it was.
    fn linearize_call(
        &mut self,
        open_ops: &OpenOps<N>,
        mut config: Configuration<N>,
        (call, op, is_returning): (u32, usize, bool),
        returning: &Returning<N>,
    ) {
        let overwrites = self.cache.calls()[call as usize].effect == CallEffect::Overwrites;
        if overwrites && config.unobserved {
            return;
        }
        let Some(state) = self.cache.step(config.state, call) else { return };
        let optional = overwrites || op == usize::MAX;
        if optional && !is_returning && !self.plan.needs(state, returning.event) {
            return;
        }
        config.state = state;
        if overwrites {
            config.pending = config.pending.minus(&open_ops.overwrites_open);
        }
        let is_observed = self.make_reads(open_ops, &mut config, (call, op), returning.event);
        config.unobserved = overwrites && !is_observed && !is_returning;
        if is_returning {
            self.explored += 1;
            self.move_past_return(open_ops, config, returning);
        } else if !config.unobserved
            || !open_ops.dependent.is_empty()
            || open_ops.dependent_unknown > 0
        {
            self.enqueue(open_ops, config, returning);
        }
    }

    /// Makes every read that the new state enables, and returns whether there was one.
    fn make_reads(
        &mut self,
        open_ops: &OpenOps<N>,
        config: &mut Configuration<N>,
        (call, op): (u32, usize),
        event: usize,
    ) -> bool {
        let made =
            open_ops.enabled_reads(config.state, &self.plan, &mut self.cache).and(&config.pending);
        config.pending = config.pending.minus(&made);
        if self.paths.is_some() {
            let op = if op == usize::MAX {
                self.last_unknown_op(config.unknown_used, call, event)
            } else {
                op
            };
            config.path = self.extend_path(config.path, op, event);
            for slot in (0..self.plan.width).filter(|slot| made.contains(*slot)) {
                config.path = self.extend_path(config.path, open_ops.op_in_slot[slot], event);
            }
        }
        !made.is_empty()
    }

    /// The operation of unknown outcome that was linearized last with this call.
    fn last_unknown_op(&self, unknown_used: u32, call: u32, event: usize) -> usize {
        let place = self.counts.count(unknown_used, call) as usize;
        let begun = self.plan.events[..event].iter().filter_map(|event| match event {
            PlanEvent::Invoke(op) if !self.plan.has_slot(*op) && self.plan.calls[*op] == call => {
                Some(*op)
            }
            PlanEvent::Invoke(_) | PlanEvent::Return(_) => None,
        });
        begun.take(place).last().expect("no more are spent than have begun")
    }

    /// The order of a path up to an event, with the operations that the search left out.
    pub(super) fn extract_order(&self, path: u32, events: usize) -> Vec<usize> {
        let order = self.paths.as_ref().map(|paths| paths.path_order(path)).unwrap_or_default();
        certificate::complete((&self.plan, &self.cache), &self.plan.events[..events], &order)
    }

    /// The cost of a configuration: what it has linearized, and what is pending.
    pub(super) fn configuration_cost(&self, config: &Configuration<N>) -> u32 {
        config.linearized.len() + config.pending.len() + 2 * self.counts.total(config.unknown_used)
    }

    fn extend_path(&mut self, path: u32, op: usize, event: usize) -> u32 {
        let Some(paths) = &mut self.paths else { return START };
        paths.links.push(OrderLink { before: path, op: op as u32, event: event as u32 });
        paths.links.len() as u32 - 1
    }

    /// Checks the budget now and then.
    fn check_budget(&mut self) -> Result<(), Stop> {
        if self.explored < self.next_budget_check {
            return Ok(());
        }
        self.next_budget_check = self.explored + 1024;
        if self.bytes() > self.budget.memory_bytes {
            return Err(Stop::OverBudget(BudgetExceeded::Memory));
        }
        if self.explored > self.budget.steps {
            return Err(Stop::OverBudget(BudgetExceeded::Steps));
        }
        if (self.budget.expired)() { Err(Stop::OverBudget(BudgetExceeded::Time)) } else { Ok(()) }
    }

    fn bytes(&self) -> usize {
        let paths =
            self.paths.as_ref().map_or(0, |it| it.links.capacity() * size_of::<OrderLink>());
        self.pool.bytes()
            + self.next.bytes()
            + self.cache.bytes()
            + self.counts.bytes()
            + self.plan.bytes()
            + self.walk_bytes
            + paths
    }
}
