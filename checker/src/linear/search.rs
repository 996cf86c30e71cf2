//! Searches for an order, just in time: walks the history event by event and keeps every
//! configuration it can be in.
//!
//! This is Lowe's refinement of Wing and Gong's search. Nothing is decided until an operation
//! completes; then every configuration must have put it somewhere. That loses no order: let each
//! operation of a legal order wait until the first completion of it or of one after it; it had
//! begun by then. When no configuration is left, the completion at hand is the first that cannot be
//! explained, and the history up to it is the shortest wrong prefix.
//!
//! Three prunings, each exact: an observation is made as soon as it is legal (it changes no state
//! and only settles a debt); dominated configurations are dropped (see [`Frontier`]); and of equal
//! operations of unknown outcome the one that began first is spent first (it may happen wherever
//! the later one may).

use rustc_hash::FxHashMap;

use super::frontier::{Config, Frontier, Slots, Spent};
use super::oracle::{Oracle, State};
use super::partition::Op;
use crate::history::Value;
use crate::model::Model;

/// Configurations kept by the first, narrow walk, and how much wider each later one is.
const NARROW: usize = 64;
const WIDER: usize = 16;

/// Walks narrowly first: an order found is an order, however few were tried. Only a walk that
/// dropped nothing can say that there is none, so each that fails for want of width is followed by
/// a wider one. Right histories are mostly explained by the laziest orders, at a fraction of the
/// cost of keeping all.
pub(super) fn decide<'a>(
    model: &'a dyn Model,
    initial: &[Value],
    ops: &'a [Op<'a>],
    budget: Budget<'a>,
) -> (Result<(), Stop>, usize) {
    decide_from(NARROW, model, initial, ops, budget)
}

/// The same from a first width of one's choice.
pub(super) fn decide_from<'a>(
    mut width: usize,
    model: &'a dyn Model,
    initial: &[Value],
    ops: &'a [Op<'a>],
    budget: Budget<'a>,
) -> (Result<(), Stop>, usize) {
    let mut explored = 0;
    loop {
        let mut search = Search { width, ..Search::new(model, initial, ops, budget) };
        let answer = search.run();
        explored += search.explored;
        if matches!(answer, Err(Stop::Illegal(_))) && search.dropped {
            width = width.saturating_mul(WIDER);
        } else {
            return (answer, explored);
        }
    }
}

/// What a search may use.
#[derive(Clone, Copy)]
pub(super) struct Budget<'a> {
    pub(super) memory_bytes: usize,
    pub(super) expired: &'a (dyn Fn() -> bool + Sync),
}

/// Why a search ended early.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// No order explains the completion of this operation.
    Illegal(usize),
    /// The budget is spent, and on what.
    Spent(String),
}

/// An event of the walk, about an operation's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// It begins.
    Begin(usize),
    /// It must have happened.
    End(usize),
}

/// The begins and ends of operations, in the order of the history.
pub(super) fn turns(ops: &[Op<'_>]) -> Vec<Turn> {
    let begins = ops.iter().enumerate().map(|(op, it)| (it.invoked, Turn::Begin(op)));
    let ends = ops.iter().enumerate().filter_map(|(op, it)| Some((it.completed?, Turn::End(op))));
    let mut turns: Vec<(u64, Turn)> = begins.chain(ends).collect();
    turns.sort_by_key(|(index, _)| *index);
    turns.into_iter().map(|(_, turn)| turn).collect()
}

/// Equal operations of unknown outcome that have begun, in that order.
struct Equals {
    call: u32,
    numbers: Vec<usize>,
}

/// A walk through one object's history.
pub(super) struct Search<'a> {
    ops: &'a [Op<'a>],
    oracle: Oracle<'a>,
    calls: Vec<u32>,
    observes: Vec<bool>,
    budget: Budget<'a>,
    /// The operation in each slot.
    slots: Vec<usize>,
    begun: Slots,
    observers: Slots,
    /// The operations of unknown outcome that have begun, by number.
    crashed: Vec<usize>,
    equals: Vec<Equals>,
    configs: Vec<Config>,
    pool: Frontier,
    next: Frontier,
    absorbed: FxHashMap<State, Slots>,
    explored: usize,
    /// How many configurations to keep past a completion.
    width: usize,
    /// Whether some were not kept.
    dropped: bool,
    /// How many configurations to look at before asking for the time again.
    ask_at: usize,
    paths: Option<Paths>,
}

/// The orders that led to configurations, each a link to the one it extends.
#[derive(Default)]
struct Paths {
    links: Vec<(u32, usize)>,
}

impl Paths {
    fn order(&self, mut path: u32) -> Vec<usize> {
        let mut order = Vec::new();
        while let Some((before, op)) = self.links.get(path as usize) {
            order.push(*op);
            path = *before;
        }
        order.reverse();
        order
    }
}

/// Where a walk stands between two events, whichever configuration is the true one.
pub(super) struct Standing {
    /// Every state the object could be in, in order.
    pub(super) states: Vec<Value>,
    /// The unfinished operations that have happened for certain.
    pub(super) always: Vec<usize>,
    /// Those that may have.
    pub(super) sometimes: Vec<usize>,
}

impl Standing {
    fn sort_in(&mut self, op: usize, configs: &[Config], happened: impl Fn(&Config) -> bool) {
        if configs.iter().all(&happened) {
            self.always.push(op);
        } else if configs.iter().any(happened) {
            self.sometimes.push(op);
        }
    }
}

const START: u32 = u32::MAX;

impl<'a> Search<'a> {
    pub(super) fn new(
        model: &'a dyn Model,
        initial: &[Value],
        ops: &'a [Op<'a>],
        budget: Budget<'a>,
    ) -> Self {
        let mut oracle = Oracle::new(model);
        let calls = oracle.number(ops.iter().map(|op| &op.call));
        let mut configs = Frontier::default();
        for state in initial {
            let state = oracle.intern(state.clone());
            configs.add(Config { state, done: 0, spent: Spent::default(), path: START }, 0);
        }
        Self {
            ops,
            oracle,
            calls,
            observes: ops.iter().map(|op| model.observes(&op.call)).collect(),
            budget,
            slots: Vec::new(),
            begun: 0,
            observers: 0,
            crashed: Vec::new(),
            equals: Vec::new(),
            configs: configs.take(),
            pool: Frontier::default(),
            next: Frontier::default(),
            absorbed: FxHashMap::default(),
            explored: 0,
            width: usize::MAX,
            dropped: false,
            ask_at: 0,
            paths: None,
        }
    }

    /// The same search, which can tell the longest order it found.
    pub(super) fn keeping_paths(self) -> Self {
        Self { paths: Some(Paths::default()), ..self }
    }

    /// Walks to the end.
    pub(super) fn run(&mut self) -> Result<(), Stop> {
        turns(self.ops).into_iter().try_for_each(|turn| self.turn(turn))
    }

    /// Takes one event.
    pub(super) fn turn(&mut self, turn: Turn) -> Result<(), Stop> {
        match turn {
            Turn::Begin(op) if self.ops[op].completed.is_none() => {
                self.crash(op);
                Ok(())
            }
            Turn::Begin(op) => self.begin(op),
            Turn::End(op) => self.end(op),
        }
    }

    /// Where things stand between two events.
    pub(super) fn standing(&self) -> Standing {
        let mut states: Vec<Value> =
            self.configs.iter().map(|config| self.oracle.value(config.state).clone()).collect();
        states.sort();
        states.dedup();
        let mut standing = Standing { states, always: Vec::new(), sometimes: Vec::new() };
        for slot in (0..self.slots.len()).filter(|slot| self.begun >> slot & 1 == 1) {
            standing.sort_in(self.slots[slot], &self.configs, |it| it.done >> slot & 1 == 1);
        }
        for (number, crashed) in self.crashed.iter().enumerate() {
            standing.sort_in(*crashed, &self.configs, |it| it.spent.contains(number));
        }
        standing
    }

    /// After a completion that nothing explains: the longest legal order before it, if orders were
    /// kept.
    pub(super) fn longest_order(&self) -> Vec<usize> {
        let Some(paths) = &self.paths else { return Vec::new() };
        let tried = (0..self.pool.places()).filter_map(|place| self.pool.get(place));
        let orders = tried.map(|config| paths.order(config.path));
        orders
            .reduce(|best, order| if order.len() > best.len() { order } else { best })
            .unwrap_or_default()
    }

    fn crash(&mut self, op: usize) {
        let (call, number) = (self.calls[op], self.crashed.len());
        self.crashed.push(op);
        match self.equals.iter_mut().find(|equals| equals.call == call) {
            Some(equals) => equals.numbers.push(number),
            None => self.equals.push(Equals { call, numbers: vec![number] }),
        }
    }

    fn begin(&mut self, op: usize) -> Result<(), Stop> {
        let slot = (!self.begun).trailing_zeros() as usize;
        if slot >= Slots::BITS as usize {
            let wide = format!("more than {} operations on one object at once", Slots::BITS);
            return Err(Stop::Spent(wide));
        }
        self.slots.resize(self.slots.len().max(slot + 1), op);
        self.slots[slot] = op;
        self.begun |= 1 << slot;
        if self.observes[op] {
            self.observers |= 1 << slot;
            for i in 0..self.configs.len() {
                let mut config = self.configs[i].clone();
                self.absorb(&mut config, 1 << slot);
                self.configs[i] = config;
            }
        }
        Ok(())
    }

    /// Makes those of the given observations that the state allows.
    fn absorb(&mut self, config: &mut Config, slots: Slots) {
        let mut left = slots & !config.done;
        while left != 0 {
            let slot = left.trailing_zeros() as usize;
            left &= left - 1;
            let op = self.slots[slot];
            if self.oracle.step(config.state, self.calls[op]).is_some() {
                config.done |= 1 << slot;
                config.path = self.extend(config.path, op);
            }
        }
    }

    fn end(&mut self, op: usize) -> Result<(), Stop> {
        self.afford()?;
        let bit = self.slot_of(op);
        self.pool.clear();
        self.absorbed.clear();
        for config in std::mem::take(&mut self.configs) {
            self.file(config, bit);
        }
        let mut place = 0;
        while place < self.pool.places() {
            if let Some(config) = self.pool.get(place) {
                if self.next.places() >= self.width {
                    self.dropped = true;
                    break;
                }
                let config = config.clone();
                self.expand(&config, bit)?;
            }
            place += 1;
        }
        self.begun &= !bit;
        self.observers &= !bit;
        self.configs = self.next.take();
        self.narrow();
        if self.configs.is_empty() { Err(Stop::Illegal(op)) } else { Ok(()) }
    }

    /// Keeps those that have spent least.
    fn narrow(&mut self) {
        if self.configs.len() > self.width {
            self.configs.sort_by_key(|config| config.spent.count());
            self.configs.truncate(self.width);
            self.dropped = true;
        }
    }

    fn slot_of(&self, op: usize) -> Slots {
        let holds = |slot: &usize| self.begun >> slot & 1 == 1 && self.slots[*slot] == op;
        (0..self.slots.len()).find(holds).map_or(0, |slot| 1 << slot)
    }

    /// Puts a configuration where it belongs: past the completion of `bit`, or still before it.
    fn file(&mut self, mut config: Config, bit: Slots) {
        self.explored += 1;
        if config.done & bit == 0 {
            self.pool.add(config, self.observers);
        } else {
            config.done &= !bit;
            self.next.add(config, self.observers & !bit);
        }
    }

    /// Everything that could happen next.
    fn expand(&mut self, config: &Config, bit: Slots) -> Result<(), Stop> {
        self.afford()?;
        let mut open = self.begun & !self.observers & !config.done;
        while open != 0 {
            let slot = open.trailing_zeros() as usize;
            open &= open - 1;
            let op = self.slots[slot];
            if let Some(state) = self.oracle.step(config.state, self.calls[op]) {
                let done = config.done | 1 << slot;
                let path = self.extend(config.path, op);
                self.reach(Config { state, done, path, spent: config.spent.clone() }, bit);
            }
        }
        for equals in 0..self.equals.len() {
            self.spend(config, equals, bit);
        }
        Ok(())
    }

    /// Lets the first unspent of some equal operations of unknown outcome happen. One that would
    /// change nothing is not worth spending.
    fn spend(&mut self, config: &Config, equals: usize, bit: Slots) {
        let Equals { call, numbers } = &self.equals[equals];
        let next = self.oracle.step(config.state, *call).filter(|state| *state != config.state);
        let Some(state) = next else { return };
        if let Some(number) = numbers.iter().copied().find(|it| !config.spent.contains(*it)) {
            let spent = config.spent.with(number);
            let path = self.extend(config.path, self.crashed[number]);
            self.reach(Config { state, done: config.done, path, spent }, bit);
        }
    }

    fn reach(&mut self, mut config: Config, bit: Slots) {
        let slots = self.observable(config.state);
        if self.paths.is_some() {
            self.absorb(&mut config, slots);
        } else {
            config.done |= slots;
        }
        self.file(config, bit);
    }

    /// The open observations that a state allows: asked for once per state and completion.
    fn observable(&mut self, state: State) -> Slots {
        if let Some(slots) = self.absorbed.get(&state) {
            return *slots;
        }
        let mut config = Config { state, done: 0, spent: Spent::default(), path: START };
        let paths = self.paths.take();
        self.absorb(&mut config, self.observers);
        self.paths = paths;
        self.absorbed.insert(state, config.done);
        config.done
    }

    fn afford(&mut self) -> Result<(), Stop> {
        let bytes = self.pool.bytes() + self.next.bytes() + self.oracle.bytes();
        if bytes > self.budget.memory_bytes {
            return Err(Stop::Spent("the memory budget is spent".to_owned()));
        }
        if self.explored < self.ask_at {
            return Ok(());
        }
        self.ask_at = self.explored + 1024;
        if (self.budget.expired)() { Err(Stop::Spent("time is up".to_owned())) } else { Ok(()) }
    }

    fn extend(&mut self, path: u32, op: usize) -> u32 {
        match &mut self.paths {
            None => START,
            Some(paths) => {
                paths.links.push((path, op));
                paths.links.len() as u32 - 1
            }
        }
    }
}
