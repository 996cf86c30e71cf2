//! Lays out an object's history for a walk: the turns, a slot for every operation that is owed, and
//! how long each state matters.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::model_cache::{Fits, Oracle, Role, State};
use super::partition::Op;

/// An event of the walk, about an operation's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// It begins.
    Begin(usize),
    /// It must have happened.
    End(usize),
}

/// What is known before the walk begins.
pub(super) struct Plan<'a> {
    pub(super) ops: &'a [Op<'a>],
    /// The begins and ends of operations, in the order of the history.
    pub(super) turns: Vec<Turn>,
    /// The number of each operation's call.
    pub(super) kinds: Vec<u32>,
    /// Where each operation is kept while it is open; slots are used again. An operation of unknown
    /// outcome has none.
    pub(super) slots: Vec<u32>,
    /// How many slots there are.
    pub(super) width: usize,
    needs: Needs,
    /// The turn, from each turn on, in which the next observation ends, if until then nothing begins
    /// that changes a state other than by adding to it. Empty if nothing adds to states.
    looks: Vec<u32>,
}

/// The last turn at which some call that is not allowed in every state could meet a state. From then
/// on a state might as well be another: all that can be done in it is to leave it, by what leaves
/// every state. So what would lead there need not happen for anyone to see.
struct Needs {
    of: Vec<u32>,
    any: u32,
}

const NO_SLOT: u32 = u32::MAX;

impl<'a> Plan<'a> {
    pub(super) fn new(oracle: &mut Oracle<'a>, ops: &'a [Op<'a>], shaped: bool) -> Self {
        let kinds = oracle.number(ops, shaped);
        let mut plan = Self {
            ops,
            turns: Vec::with_capacity(2 * ops.len()),
            kinds,
            slots: vec![NO_SLOT; ops.len()],
            width: 0,
            needs: Needs { of: vec![0; oracle.states()], any: 0 },
            looks: Vec::new(),
        };
        plan.lay_out();
        plan.note_needs(oracle);
        if oracle.kinds().iter().any(|kind| kind.grows) {
            plan.note_looks(oracle);
        }
        plan
    }

    fn lay_out(&mut self) {
        let mut open = BinaryHeap::new();
        let mut free = Vec::new();
        for (op, it) in self.ops.iter().enumerate() {
            self.end(&mut open, &mut free, it.invoked);
            self.turns.push(Turn::Begin(op));
            if let Some(end) = it.completed {
                open.push(Reverse((end, op)));
                self.slots[op] = free.pop().unwrap_or_else(|| {
                    self.width += 1;
                    self.width as u32 - 1
                });
            }
        }
        self.end(&mut open, &mut free, u64::MAX);
    }

    fn end(&mut self, open: &mut Open, free: &mut Vec<u32>, before: u64) {
        while let Some(Reverse((end, op))) = open.peek().copied()
            && end < before
        {
            open.pop();
            self.turns.push(Turn::End(op));
            free.push(self.slots[op]);
        }
    }

    fn note_needs(&mut self, oracle: &Oracle<'_>) {
        for (turn, it) in self.turns.iter().enumerate() {
            let (Turn::Begin(op) | Turn::End(op)) = *it;
            let last = match (it, self.ops[op].completed) {
                (Turn::Begin(_), None) => u32::MAX,
                (Turn::Begin(_), Some(_)) => continue,
                (Turn::End(_), _) => turn as u32,
            };
            let kind = &oracle.kinds()[self.kinds[op] as usize];
            match (kind.role, kind.fits) {
                (Role::Overwrites, _) | (Role::Observes, Fits::Any) => {}
                (_, Fits::One(state)) => {
                    let need = &mut self.needs.of[state as usize];
                    *need = last.max(*need);
                }
                (_, Fits::Any | Fits::Some) => self.needs.any = last.max(self.needs.any),
            }
        }
    }

    fn note_looks(&mut self, oracle: &Oracle<'_>) {
        self.looks = vec![NO_SLOT; self.turns.len() + 1];
        for (turn, it) in self.turns.iter().enumerate().rev() {
            let (Turn::Begin(op) | Turn::End(op)) = *it;
            let kind = &oracle.kinds()[self.kinds[op] as usize];
            let changes = kind.role != Role::Observes;
            self.looks[turn] = match it {
                Turn::End(_) if !changes => turn as u32,
                Turn::Begin(_) if changes && !kind.grows => NO_SLOT,
                Turn::Begin(_) | Turn::End(_) => self.looks[turn + 1],
            };
        }
    }

    /// The end of an observation to come: see rule 6 of [`super::engine`].
    pub(super) fn look(&self, turn: usize) -> Option<usize> {
        self.looks.get(turn).copied().filter(|turn| *turn != NO_SLOT).map(|turn| turn as usize)
    }

    /// Lets rule 6 rest, so that every walk goes on to the completion that nothing explains.
    pub(super) fn forget_looks(&mut self) {
        self.looks = Vec::new();
    }

    /// Lets every state matter for ever, because more may come than is known: rules 5 and 6 rest.
    pub(super) fn never_end(&mut self) {
        self.needs.any = u32::MAX;
        self.forget_looks();
    }

    /// The operation that begins or ends in a turn.
    pub(super) fn op(&self, turn: usize) -> usize {
        let (Turn::Begin(op) | Turn::End(op)) = self.turns[turn];
        op
    }

    /// Whether it may matter at this turn, or later, that the object is in this state.
    pub(super) fn needs(&self, state: State, turn: usize) -> bool {
        let of = self.needs.of.get(state as usize).copied().unwrap_or(u32::MAX);
        of.max(self.needs.any) as usize >= turn
    }

    /// Whether the operation must have happened by some turn.
    pub(super) fn is_owed(&self, op: usize) -> bool {
        self.slots[op] != NO_SLOT
    }

    pub(super) fn slot(&self, op: usize) -> usize {
        self.slots[op] as usize
    }

    pub(super) fn bytes(&self) -> usize {
        self.turns.capacity() * size_of::<Turn>() + self.ops.len() * 8 + self.needs.of.len() * 4
    }
}

type Open = BinaryHeap<Reverse<(u64, usize)>>;
