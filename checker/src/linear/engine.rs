//! Takes configurations over one turn of a history: the step that every search shares.
//!
//! This is Lowe's just-in-time form of Wing and Gong's search. Nothing is decided until an
//! operation completes; then every configuration must have put it somewhere. That loses no order:
//! let each operation of a legal order wait until the first completion of it or of one after it; it
//! had begun by then.
//!
//! What is pruned, and why no answer is lost, for a legal order `L` that is followed:
//!
//! 1. *Observations are made as soon as they are legal.* They change no state and only settle a
//!    debt, so one made earlier than in `L` hinders nothing.
//! 2. *An overwriting that nobody sees is not decided.* If the next change after `w` in `L` is an
//!    overwriting `x`, with no observation between, then `w` may stand just before any overwriting
//!    that happens while it is open: what is before does not matter to that one, and what `w` left
//!    behind is gone. So when an overwriting happens, every open one ceases to be owed, and may
//!    still be used to be seen. If `w` completes before any such happened, it is used itself: as
//!    in `L`, what comes before it has happened, and `x` will overwrite it as it would have. So an
//!    overwriting does two things: it sets a state and it hides what is owed. One that finds its
//!    state there already may be left out only if it hides nothing.
//! 3. *An overwriting before the one that completes must be seen.* Between two completions, one
//!    that is followed by another overwriting is unseen, and rule 2 has it already. So from a
//!    configuration that an unlooked-at overwriting led to ("hollow"), only operations that depend
//!    on the state go on. Where such a configuration stands in the way of an equal one that is not
//!    hollow, the one before the unseen overwriting leads wherever that would.
//! 4. *Of equal operations the first to complete is used first*, and one of unknown outcome last:
//!    if `L` uses `y` and, later or never, an equal `x` that completes first, exchange the two; `x`
//!    has begun, and `y` may wait longer. Those of unknown outcome are counted, see
//!    [`super::unknown_counts`].
//! 5. *What nobody can look at need not happen*: an operation of unknown outcome whose state meets
//!    no call later (see [`Plan::needs`]) is left out of `L`, and one that overwrites with such a
//!    state is unseen.
//! 6. *What only grows must grow into the next observation* (see [`crate::model::Model::is_past`]):
//!    if all that may change the state until some observation is due adds to it, the observation is
//!    still owed, and the state rules it out, no order goes on from there.
//! 7. *Dominated configurations are dropped*, see [`Frontier`].

use super::certificate;
use super::frontier::{Config, Frontier};
use super::mask::Mask;
use super::model_cache::{Oracle, Role};
use super::open_ops::{Scene, matters};
use super::plan::{Plan, Turn};
use super::unknown_counts::{self, Tallies};
use crate::history::Value;
use crate::verdict::Limits;
use rustc_hash::FxHashSet;
use std::fmt;

/// What a search may use.
#[derive(Clone, Copy)]
pub(super) struct Budget<'a> {
    pub(super) memory_bytes: usize,
    /// Configurations it may make.
    pub(super) steps: usize,
    pub(super) expired: &'a (dyn Fn() -> bool + Sync),
}

impl<'a> Budget<'a> {
    /// All that is there, for one search.
    pub(super) fn of(limits: &Limits<'a>) -> Self {
        Self { memory_bytes: limits.memory_bytes, steps: usize::MAX, expired: limits.expired }
    }
}

/// Why a search ended early.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// No order explains the completion of this operation.
    Illegal(usize),
    /// The budget does not suffice.
    Spent(Spent),
}

/// What there was too little of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spent {
    Steps,
    Memory,
    Time,
    /// Room for the operations that are open at once.
    Width(usize),
}

impl fmt::Display for Spent {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Steps => {
                write!(out, "another object is wrong, so the search was not gone on with")
            }
            Self::Memory => write!(out, "the memory budget is spent"),
            Self::Time => write!(out, "time is up"),
            Self::Width(most) => write!(out, "more than {most} operations are open at once"),
        }
    }
}

/// The orders that led to configurations, each a link to the one it extends.
#[derive(Default)]
pub(super) struct Paths {
    links: Vec<Link>,
}

/// An operation that happened, in which turn, and what was before.
struct Link {
    before: u32,
    op: u32,
    turn: u32,
}

/// The path of those that did nothing yet.
const START: u32 = u32::MAX;

impl Paths {
    /// Operations in order, each with the turn in which it happened.
    fn order(&self, mut path: u32) -> Vec<(usize, usize)> {
        let mut order = Vec::new();
        while let Some(link) = self.links.get(path as usize) {
            order.push((link.op as usize, link.turn as usize));
            path = link.before;
        }
        order.reverse();
        order
    }
}

/// The model, the layout of a history, and room to work in.
pub(super) struct Engine<'a, const N: usize> {
    pub(super) oracle: Oracle<'a>,
    pub(super) plan: Plan<'a>,
    pub(super) tallies: Tallies,
    pub(super) paths: Option<Paths>,
    /// What the walk keeps beside the engine, in bytes.
    pub(super) kept: usize,
    /// The last turn at which a configuration would have ended that was dropped before (rule 6).
    pub(super) doomed: usize,
    /// Configurations made.
    pub(super) explored: usize,
    pub(super) pool: Frontier<N>,
    next: Frontier<N>,
    budget: Budget<'a>,
    /// How many configurations to look at before asking for the time again.
    ask_at: usize,
    /// The expansion in which a call was last tried.
    tried: Vec<u32>,
    expansion: u32,
}

/// A completion being dealt with.
#[derive(Clone, Copy)]
struct Due<const N: usize> {
    turn: usize,
    slot: usize,
    bit: Mask<N>,
    /// Whether it may count as unseen and yet be used now, for somebody to see.
    overwrites: bool,
    /// Whether something of unknown outcome matters no longer after it.
    forgets: bool,
}

impl<'a, const N: usize> Engine<'a, N> {
    pub(super) fn new((oracle, plan): (Oracle<'a>, Plan<'a>), budget: Budget<'a>) -> Self {
        let tried = vec![0; oracle.kinds().len()];
        Self {
            oracle,
            plan,
            tallies: Tallies::new(),
            paths: None,
            kept: 0,
            doomed: 0,
            explored: 0,
            pool: Frontier::new(),
            next: Frontier::new(),
            budget,
            ask_at: 0,
            tried,
            expansion: 0,
        }
    }

    /// Where things may stand at first.
    pub(super) fn start(&mut self, initial: &[Value]) -> Vec<Config<N>> {
        let mut configs = Vec::with_capacity(initial.len());
        let mut seen = FxHashSet::default();
        for state in initial {
            let (owed, used, path) = (Mask::EMPTY, Mask::EMPTY, START);
            let state = self.oracle.intern(state.clone());
            if initial.len() == 1 || seen.insert(state) {
                let spent = unknown_counts::NONE;
                configs.push(Config { owed, used, state, spent, path, hollow: false });
            }
        }
        configs
    }

    /// Takes configurations over a turn; of those after a completion it keeps so many. Says whether
    /// it kept all. None are left if nothing explains the
    /// completion, or the one where those end that are doomed.
    pub(super) fn turn(
        &mut self,
        scene: &mut Scene<N>,
        turn: usize,
        configs: &mut Vec<Config<N>>,
        width: usize,
    ) -> Result<bool, Stop> {
        match self.plan.turns[turn] {
            Turn::Begin(op) => {
                scene.enter(turn, &self.plan, &self.oracle);
                if self.plan.is_owed(op) {
                    self.begin(op, turn, configs);
                }
                Ok(true)
            }
            Turn::End(op) => {
                let due = self.due(scene, op, turn);
                let whole = self.end(scene, &due, configs, width);
                scene.enter(turn, &self.plan, &self.oracle);
                whole
            }
        }
    }

    /// A new operation is owed, unless it is an observation that can be made at once.
    fn begin(&mut self, op: usize, turn: usize, configs: &mut [Config<N>]) {
        let bit = Mask::one(self.plan.slot(op));
        let kind = self.plan.kinds[op];
        let observes = self.oracle.kinds()[kind as usize].role == Role::Observes;
        for config in configs {
            if observes && self.oracle.step(config.state, kind).is_some() {
                config.path = self.extend(config.path, op, turn);
            } else {
                config.owed = config.owed.or(&bit);
            }
        }
    }

    fn due(&self, scene: &Scene<N>, op: usize, turn: usize) -> Due<N> {
        let slot = self.plan.slot(op);
        let kind = &self.oracle.kinds()[self.plan.kinds[op] as usize];
        let seen = kind.leaves.is_some_and(|state| self.plan.needs(state, turn));
        let overwrites = kind.role == Role::Overwrites && seen;
        let matter = |kind: &u32, turn| matters(&self.plan, &self.oracle, *kind, turn);
        let forgets = scene.lost.iter().any(|it| matter(it, turn) && !matter(it, turn + 1));
        Due { turn, slot, bit: Mask::one(slot), overwrites, forgets }
    }

    fn end(
        &mut self,
        scene: &Scene<N>,
        due: &Due<N>,
        configs: &mut Vec<Config<N>>,
        width: usize,
    ) -> Result<bool, Stop> {
        self.afford()?;
        let settled = |it: &Config<N>| !it.owed.meets(&due.bit) && !it.used.meets(&due.bit);
        if !due.overwrites && configs.iter().all(settled) {
            return Ok(true);
        }
        self.pool.clear();
        for config in configs.drain(..) {
            self.file(scene, config, due);
        }
        let whole = self.expand_all(scene, due, width)?;
        self.next.drain_into(configs);
        Ok(self.narrow(configs, width) && whole)
    }

    fn expand_all(&mut self, scene: &Scene<N>, due: &Due<N>, width: usize) -> Result<bool, Stop> {
        let mut place = 0;
        while place < self.pool.places() {
            if let Some(config) = self.pool.get(place) {
                if self.next.live() >= width {
                    return Ok(false);
                }
                self.afford()?;
                self.expand(scene, config, due);
            }
            place += 1;
        }
        Ok(true)
    }

    /// Keeps those that have used and spent least.
    fn narrow(&self, configs: &mut Vec<Config<N>>, width: usize) -> bool {
        if configs.len() <= width {
            return true;
        }
        configs.sort_by_key(|it| self.cost(it));
        configs.truncate(width);
        false
    }

    /// Puts a configuration where it belongs: past the completion, still before it, or both.
    fn file(&mut self, scene: &Scene<N>, config: Config<N>, due: &Due<N>) {
        self.explored += 1;
        let owes = config.owed.meets(&due.bit);
        if owes && self.is_stuck(scene, &config, due.turn) {
            return;
        }
        if owes || (due.overwrites && !config.used.meets(&due.bit)) {
            self.pool.add(config, &scene.strict, &self.tallies);
        }
        if !owes && !config.hollow {
            self.pass(scene, config, due);
        }
    }

    /// Rule 6: whether the observation that is due next cannot be made any more.
    /// It would get as far as that: nothing else but what grows ends before.
    fn is_stuck(&mut self, scene: &Scene<N>, config: &Config<N>, turn: usize) -> bool {
        let Some(end) = self.plan.look(turn) else { return false };
        let op = self.plan.op(end);
        let slot = self.plan.slot(op);
        let open = scene.begun.contains(slot) && scene.holders[slot] == op;
        let changing = scene.overwriters.or(&scene.strict.minus(&scene.growing));
        let grows = |kind: &u32| self.oracle.kinds()[*kind as usize].grows;
        let stuck = (!open || config.owed.contains(slot))
            && changing.within(&config.used)
            && scene.lost.iter().all(grows)
            && self.oracle.is_past(config.state, self.plan.kinds[op]);
        if stuck {
            self.doomed = self.doomed.max(end);
        }
        stuck
    }

    fn pass(&mut self, scene: &Scene<N>, config: Config<N>, due: &Due<N>) {
        if self.is_stuck(scene, &config, due.turn + 1) {
            return;
        }
        let used = config.used.minus(&due.bit);
        let mut spent = config.spent;
        if due.forgets {
            let (plan, oracle) = (&self.plan, &self.oracle);
            spent = self.tallies.retain(spent, |kind| matters(plan, oracle, kind, due.turn + 1));
        }
        self.next.add(Config { used, spent, ..config }, &scene.strict, &self.tallies);
    }

    /// Everything that could happen next.
    fn expand(&mut self, scene: &Scene<N>, config: Config<N>, due: &Due<N>) {
        self.expansion += 1;
        for slot in scene.order.iter().map(|slot| *slot as usize) {
            let kind = self.plan.kinds[scene.holders[slot]];
            if config.used.contains(slot) || self.tried[kind as usize] == self.expansion {
                continue;
            }
            self.tried[kind as usize] = self.expansion;
            let bit = Mask::one(slot);
            let after =
                Config { used: config.used.or(&bit), owed: config.owed.minus(&bit), ..config };
            let is_due = slot == due.slot;
            self.happen(scene, after, (kind, scene.holders[slot], is_due), due);
        }
        for kind in scene.lost.iter().copied() {
            let spent = self.tallies.count(config.spent, kind);
            if self.tried[kind as usize] != self.expansion && spent < scene.begun_lost(kind) {
                self.spend(scene, config, kind, due);
            }
        }
    }

    /// Lets one of unknown outcome happen. One that would change nothing is not worth spending: an
    /// overwriting that nobody needs for its state can be left out, and so can one that only
    /// confirms a state. But an overwriting that confirms the state still hides those that are owed
    /// (rule 2), as in `write 1, write 0, cas 0 2` from 0.
    fn spend(&mut self, scene: &Scene<N>, config: Config<N>, kind: u32, due: &Due<N>) {
        let overwrites = self.oracle.kinds()[kind as usize].role == Role::Overwrites;
        let hides = overwrites && config.owed.meets(&scene.overwriters);
        let next = self.oracle.step(config.state, kind);
        let Some(next) = next.filter(|next| hides || *next != config.state) else { return };
        if overwrites && scene.strict.is_empty() && scene.strict_lost == 0 {
            // Rule 3, before the trouble of counting.
            let looked = scene.observable(next, &self.plan, &mut self.oracle);
            if config.hollow || !looked.meets(&config.owed) {
                return;
            }
        }
        let spent = self.tallies.with(config.spent, kind);
        self.happen(scene, Config { spent, ..config }, (kind, usize::MAX, false), due);
    }

    /// Lets a call happen that `config` has used or spent already. An operation of unknown outcome
    /// is not named: which of the equal ones it was can be told from their number.
    fn happen(
        &mut self,
        scene: &Scene<N>,
        mut config: Config<N>,
        (kind, op, is_due): (u32, usize, bool),
        due: &Due<N>,
    ) {
        let overwrites = self.oracle.kinds()[kind as usize].role == Role::Overwrites;
        if overwrites && config.hollow {
            return;
        }
        let Some(state) = self.oracle.step(config.state, kind) else { return };
        let optional = overwrites || op == usize::MAX;
        if optional && !is_due && !self.plan.needs(state, due.turn) {
            return;
        }
        config.state = state;
        if overwrites {
            config.owed = config.owed.minus(&scene.overwriters);
        }
        let seen = self.look(scene, &mut config, (kind, op), due.turn);
        config.hollow = overwrites && !seen && !is_due;
        if is_due {
            self.explored += 1;
            self.pass(scene, config, due);
        } else if !config.hollow || !scene.strict.is_empty() || scene.strict_lost > 0 {
            self.file(scene, config, due);
        }
    }

    /// Makes every observation that the new state allows; says whether there was one.
    fn look(
        &mut self,
        scene: &Scene<N>,
        config: &mut Config<N>,
        (kind, op): (u32, usize),
        turn: usize,
    ) -> bool {
        let made = scene.observable(config.state, &self.plan, &mut self.oracle).and(&config.owed);
        config.owed = config.owed.minus(&made);
        if self.paths.is_some() {
            let op = if op == usize::MAX { self.lost_op(config.spent, kind, turn) } else { op };
            config.path = self.extend(config.path, op, turn);
            for slot in (0..self.plan.width).filter(|slot| made.contains(*slot)) {
                config.path = self.extend(config.path, scene.holders[slot], turn);
            }
        }
        !made.is_empty()
    }

    /// The operation of unknown outcome that was spent last of its kind.
    fn lost_op(&self, spent: u32, kind: u32, turn: usize) -> usize {
        let place = self.tallies.count(spent, kind) as usize;
        let begun = self.plan.turns[..turn].iter().filter_map(|turn| match turn {
            Turn::Begin(op) if !self.plan.is_owed(*op) && self.plan.kinds[*op] == kind => Some(*op),
            Turn::Begin(_) | Turn::End(_) => None,
        });
        begun.take(place).last().expect("no more are spent than have begun")
    }

    /// The order of a path, with what was left out of it, over the first turns.
    pub(super) fn order(&self, path: u32, turns: usize) -> Vec<usize> {
        let order = self.paths.as_ref().map(|paths| paths.order(path)).unwrap_or_default();
        certificate::complete((&self.plan, &self.oracle), &self.plan.turns[..turns], &order)
    }

    /// What is dear about a configuration: what it has used up, and what it still owes.
    pub(super) fn cost(&self, config: &Config<N>) -> u32 {
        config.used.count() + config.owed.count() + 2 * self.tallies.total(config.spent)
    }

    fn extend(&mut self, path: u32, op: usize, turn: usize) -> u32 {
        let Some(paths) = &mut self.paths else { return START };
        paths.links.push(Link { before: path, op: op as u32, turn: turn as u32 });
        paths.links.len() as u32 - 1
    }

    /// Asks now and then whether the budget suffices.
    fn afford(&mut self) -> Result<(), Stop> {
        if self.explored < self.ask_at {
            return Ok(());
        }
        self.ask_at = self.explored + 1024;
        if self.bytes() > self.budget.memory_bytes {
            return Err(Stop::Spent(Spent::Memory));
        }
        if self.explored > self.budget.steps {
            return Err(Stop::Spent(Spent::Steps));
        }
        if (self.budget.expired)() { Err(Stop::Spent(Spent::Time)) } else { Ok(()) }
    }

    fn bytes(&self) -> usize {
        let paths = self.paths.as_ref().map_or(0, |it| it.links.capacity() * size_of::<Link>());
        self.pool.bytes()
            + self.next.bytes()
            + self.oracle.bytes()
            + self.tallies.bytes()
            + self.plan.bytes()
            + self.kept
            + paths
    }
}
