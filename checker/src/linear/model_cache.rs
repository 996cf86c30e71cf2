//! Asks the model each question once: states and calls become numbers, and steps are remembered.
//!
//! What a call's [`crate::model::Shape`] says needs no asking at all: whether a state is the one
//! that a call meets is a comparison of two numbers.

use rustc_hash::{FxHashMap, FxHasher};
use std::hash::{Hash as _, Hasher as _};

use super::mask::mix;
use super::partition::Op;
use crate::history::Value;
use crate::model::{Call, Meets, Model};

/// A state's number.
pub(super) type State = u32;

/// What a call does to the search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// It changes no state.
    Observes,
    /// It goes in every state, and leaves the same one behind: what was before is gone.
    Overwrites,
    /// Anything else.
    Depends,
}

/// The states that let a call go, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fits {
    /// All.
    Any,
    /// One.
    One(State),
    /// Ask.
    Some,
}

/// A call that at least one operation makes.
pub(super) struct Kind<'a> {
    call: &'a Call,
    pub(super) role: Role,
    pub(super) fits: Fits,
    pub(super) leaves: Option<State>,
    /// Whether it only adds to the state.
    pub(super) grows: bool,
}

/// The model, behind a memory.
pub(super) struct Oracle<'a> {
    model: &'a dyn Model,
    states: Vec<Value>,
    numbers: FxHashMap<u64, State>,
    kinds: Vec<Kind<'a>>,
    /// Answers by the hash of their question; a new one takes an old one's place.
    steps: Vec<Step>,
}

#[derive(Clone, Copy)]
struct Step {
    state: State,
    kind: u32,
    next: State,
}

/// Where a step leads that cannot be taken, and the state of an answer not yet asked for.
const NOWHERE: State = u32::MAX;

/// So few calls are compared with each other rather than hashed: the drafts of a proof are many and small.
const FEW: usize = 16;

impl<'a> Oracle<'a> {
    pub(super) fn new(model: &'a dyn Model) -> Self {
        Self {
            model,
            states: Vec::new(),
            numbers: FxHashMap::default(),
            kinds: Vec::new(),
            steps: Vec::new(),
        }
    }

    /// Numbers the calls, equal ones alike. Shapes are asked for only if they hold: a model with
    /// keys may promise them for one key alone.
    pub(super) fn number(&mut self, ops: &'a [Op<'a>], shaped: bool) -> Vec<u32> {
        let mut numbers: FxHashMap<&Call, u32> = FxHashMap::default();
        let few = ops.len() <= FEW;
        numbers.reserve(if few { 0 } else { ops.len() / 4 });
        let mut calls = Vec::with_capacity(ops.len());
        for op in ops {
            let fresh = self.kinds.len() as u32;
            let number = if few {
                let known = self.kinds.iter().position(|kind| *kind.call == *op.call);
                known.map_or(fresh, |place| place as u32)
            } else {
                *numbers.entry(&op.call).or_insert(fresh)
            };
            if number == fresh {
                let kind = self.kind(&op.call, shaped);
                self.kinds.push(kind);
            }
            calls.push(number);
        }
        let asked = self.kinds.iter().any(|kind| !kind.is_known());
        let room = if asked { (ops.len() * 8).next_power_of_two().min(1 << 16) } else { 0 };
        self.steps = vec![Step { state: NOWHERE, kind: 0, next: NOWHERE }; room];
        calls
    }

    fn kind(&mut self, call: &'a Call, shaped: bool) -> Kind<'a> {
        let shape = if shaped { self.model.shape(call) } else { Default::default() };
        let leaves = shape.leaves.map(|state| self.intern(state));
        let fits = match shape.meets {
            Meets::Any => Fits::Any,
            Meets::One(state) => Fits::One(self.intern(state)),
            Meets::Some => Fits::Some,
        };
        let role = match fits {
            _ if self.model.observes(call) => Role::Observes,
            Fits::Any if leaves.is_some() => Role::Overwrites,
            _ => Role::Depends,
        };
        let grows = self.model.grows(call);
        Kind { call, role, fits, leaves, grows }
    }

    pub(super) fn intern(&mut self, state: Value) -> State {
        let mut hasher = FxHasher::default();
        state.hash(&mut hasher);
        let mut hash = hasher.finish();
        // Two states with one hash are rare; the second goes under the next.
        while let Some(number) = self.numbers.get(&hash) {
            if self.states[*number as usize] == state {
                return *number;
            }
            hash = hash.wrapping_add(1);
        }
        let number = self.states.len() as State;
        self.states.push(state);
        self.numbers.insert(hash, number);
        number
    }

    pub(super) fn value(&self, state: State) -> &Value {
        &self.states[state as usize]
    }

    /// How many states have a number.
    pub(super) fn states(&self) -> usize {
        self.states.len()
    }

    pub(super) fn kinds(&self) -> &[Kind<'a>] {
        &self.kinds
    }

    /// The state after the call, if it can go that way.
    pub(super) fn step(&mut self, state: State, kind: u32) -> Option<State> {
        let Kind { role, fits, leaves, .. } = self.kinds[kind as usize];
        let leaves = if role == Role::Observes { Some(state) } else { leaves };
        match (fits, leaves) {
            (Fits::Any, Some(leaves)) => Some(leaves),
            (Fits::One(one), Some(leaves)) => (one == state).then_some(leaves),
            (Fits::One(one), None) if one != state => None,
            _ => self.ask(state, kind),
        }
    }

    fn ask(&mut self, state: State, kind: u32) -> Option<State> {
        let hash = mix(mix(0, u64::from(state)), u64::from(kind));
        let place = (hash >> 32) as usize & (self.steps.len() - 1);
        let known = self.steps[place];
        if known.state == state && known.kind == kind {
            return Some(known.next).filter(|next| *next != NOWHERE);
        }
        let next = self.model.step(self.value(state), self.kinds[kind as usize].call).ok();
        let next = next.map(|next| self.intern(next));
        self.steps[place] = Step { state, kind, next: next.unwrap_or(NOWHERE) };
        next
    }

    /// Whether an observation can no longer be made if the state only grows.
    pub(super) fn is_past(&self, state: State, kind: u32) -> bool {
        self.model.is_past(self.value(state), self.kinds[kind as usize].call)
    }

    /// Roughly what the memory takes.
    pub(super) fn bytes(&self) -> usize {
        self.steps.len() * size_of::<Step>()
            + self.states.capacity() * size_of::<Value>()
            + self.numbers.capacity() * 24
            + self.kinds.capacity() * size_of::<Kind<'_>>()
    }
}

impl Kind<'_> {
    fn is_known(&self) -> bool {
        let leads = self.leaves.is_some() || self.role == Role::Observes;
        leads && self.fits != Fits::Some
    }
}
