//! Keeps what is open at a moment of the walk, the same for every configuration; it can also go
//! back.

use rustc_hash::FxHashMap;

use super::mask::Mask;
use super::model_cache::{Fits, Oracle, Role, State};
use super::plan::{Plan, Turn};

/// What has begun and not ended.
pub(super) struct Scene<const N: usize> {
    /// The operation in each slot.
    pub(super) holders: Vec<usize>,
    pub(super) begun: Mask<N>,
    pub(super) overwriters: Mask<N>,
    /// Those that depend on the state and may change it.
    pub(super) strict: Mask<N>,
    /// Those that add to the state, and no more.
    pub(super) growing: Mask<N>,
    /// The slots of all that change a state, the first to end first.
    pub(super) order: Vec<u32>,
    /// The calls of unknown outcome that have begun and may matter.
    pub(super) lost: Vec<u32>,
    /// How many operations of unknown outcome have begun, by call.
    begun_lost: Vec<u32>,
    /// Calls taken off the list, and when.
    retired: Vec<(usize, u32)>,
    retire_at: usize,
    /// How many calls of unknown outcome on the list depend on the state.
    pub(super) strict_lost: usize,
    fitting: FxHashMap<State, Mask<N>>,
    loose: Vec<u32>,
}

impl<const N: usize> Scene<N> {
    pub(super) fn new(plan: &Plan<'_>, oracle: &Oracle<'_>) -> Self {
        Self {
            holders: vec![0; plan.width],
            begun: Mask::EMPTY,
            overwriters: Mask::EMPTY,
            strict: Mask::EMPTY,
            growing: Mask::EMPTY,
            order: Vec::new(),
            lost: Vec::new(),
            begun_lost: vec![0; oracle.kinds().len()],
            retired: Vec::new(),
            retire_at: 16,
            strict_lost: 0,
            fitting: FxHashMap::default(),
            loose: Vec::new(),
        }
    }

    /// Takes a turn.
    pub(super) fn enter(&mut self, turn: usize, plan: &Plan<'_>, oracle: &Oracle<'_>) {
        match plan.turns[turn] {
            Turn::Begin(op) if plan.is_owed(op) => self.open(op, plan, oracle),
            Turn::Begin(op) => self.lose(op, turn, plan, oracle),
            Turn::End(op) => self.close(op, plan, oracle),
        }
    }

    /// Takes a turn back.
    pub(super) fn leave(&mut self, turn: usize, plan: &Plan<'_>, oracle: &Oracle<'_>) {
        while let Some((at, kind)) = self.retired.last().copied()
            && at >= turn
        {
            self.retired.pop();
            self.lost.push(kind);
        }
        match plan.turns[turn] {
            Turn::Begin(op) if plan.is_owed(op) => self.close(op, plan, oracle),
            Turn::Begin(op) => {
                let kind = plan.kinds[op];
                let begun = &mut self.begun_lost[kind as usize];
                *begun -= 1;
                if *begun == 0 {
                    self.lost.retain(|lost| *lost != kind);
                    self.strict_lost -= usize::from(is_strict(oracle, kind));
                }
            }
            Turn::End(op) => self.open(op, plan, oracle),
        }
    }

    fn open(&mut self, op: usize, plan: &Plan<'_>, oracle: &Oracle<'_>) {
        let slot = plan.slot(op);
        let bit = Mask::one(slot);
        self.holders[slot] = op;
        self.begun = self.begun.or(&bit);
        let kind = &oracle.kinds()[plan.kinds[op] as usize];
        match kind.role {
            Role::Observes => match kind.fits {
                Fits::One(state) => {
                    let fitting = self.fitting.entry(state).or_insert(Mask::EMPTY);
                    *fitting = fitting.or(&bit);
                }
                Fits::Any | Fits::Some => self.loose.push(slot as u32),
            },
            Role::Overwrites => self.overwriters = self.overwriters.or(&bit),
            Role::Depends => self.strict = self.strict.or(&bit),
        }
        if kind.grows {
            self.growing = self.growing.or(&bit);
        }
        if kind.role != Role::Observes {
            let end = plan.ops[op].completed;
            let place = self
                .order
                .partition_point(|slot| plan.ops[self.holders[*slot as usize]].completed <= end);
            self.order.insert(place, slot as u32);
        }
    }

    fn close(&mut self, op: usize, plan: &Plan<'_>, oracle: &Oracle<'_>) {
        let slot = plan.slot(op);
        let bit = Mask::one(slot);
        self.begun = self.begun.minus(&bit);
        let kind = &oracle.kinds()[plan.kinds[op] as usize];
        match (kind.role, kind.fits) {
            (Role::Observes, Fits::One(state)) => {
                if let Some(fitting) = self.fitting.get_mut(&state) {
                    *fitting = fitting.minus(&bit);
                    if fitting.is_empty() {
                        self.fitting.remove(&state);
                    }
                }
            }
            (Role::Observes, _) => self.loose.retain(|loose| *loose != slot as u32),
            _ => self.order.retain(|it| *it != slot as u32),
        }
        self.overwriters = self.overwriters.minus(&bit);
        self.strict = self.strict.minus(&bit);
        self.growing = self.growing.minus(&bit);
    }

    fn lose(&mut self, op: usize, turn: usize, plan: &Plan<'_>, oracle: &Oracle<'_>) {
        let kind = plan.kinds[op];
        let begun = &mut self.begun_lost[kind as usize];
        *begun += 1;
        if *begun == 1 {
            self.lost.push(kind);
            self.strict_lost += usize::from(is_strict(oracle, kind));
        }
        if self.lost.len() >= self.retire_at {
            let retired = &mut self.retired;
            self.lost.retain(|kind| {
                let stays = matters(plan, oracle, *kind, turn);
                if !stays {
                    retired.push((turn, *kind));
                }
                stays
            });
            self.retire_at = 16.max(2 * self.lost.len());
        }
    }

    /// How many of a call of unknown outcome have begun.
    pub(super) fn begun_lost(&self, kind: u32) -> u32 {
        self.begun_lost[kind as usize]
    }

    /// The open observations that a state allows.
    pub(super) fn observable(
        &self,
        state: State,
        plan: &Plan<'_>,
        oracle: &mut Oracle<'_>,
    ) -> Mask<N> {
        let mut slots = self.fitting.get(&state).copied().unwrap_or(Mask::EMPTY);
        for slot in &self.loose {
            let kind = plan.kinds[self.holders[*slot as usize]];
            if oracle.step(state, kind).is_some() {
                slots = slots.or(&Mask::one(*slot as usize));
            }
        }
        slots
    }

    pub(super) fn bytes(&self) -> usize {
        self.begun_lost.len() * 4 + self.retired.capacity() * 16
    }
}

fn is_strict(oracle: &Oracle<'_>, kind: u32) -> bool {
    oracle.kinds()[kind as usize].role == Role::Depends
}

/// Whether a call of unknown outcome may still be worth spending: somebody may yet look at the state
/// that it leads to. If nobody does, the next to change the state overwrites it, and the order
/// without it is as good.
pub(super) fn matters(plan: &Plan<'_>, oracle: &Oracle<'_>, kind: u32, turn: usize) -> bool {
    oracle.kinds()[kind as usize].leaves.is_none_or(|state| plan.needs(state, turn))
}
