//! Caches the model: states and calls become numbers, and each step is computed once.
//!
//! Calls with [`crate::model::StaticFacts`] need no model step: whether a state enables the call is
//! a comparison of two numbers.

use rustc_hash::{FxHashMap, FxHasher};
use std::hash::{Hash as _, Hasher as _};

use super::mask::mix;
use super::partition::ObjectOp;
use crate::history::Value;
use crate::model::{Call, EnabledIn, Model};

/// The number of a state.
pub(super) type StateId = u32;

/// How a call affects the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CallEffect {
    /// It changes no state.
    Reads,
    /// It is possible in every state and always leads to the same state, so the previous state is
    /// lost.
    Overwrites,
    /// Anything else.
    DependsOnState,
}

/// The states that enable a call, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EnabledStates {
    /// Every state.
    Every,
    /// One state.
    One(StateId),
    /// Only the model can tell.
    Unknown,
}

/// A call that at least one operation makes.
pub(super) struct DistinctCall<'a> {
    call: &'a Call,
    pub(super) effect: CallEffect,
    pub(super) enabled_in: EnabledStates,
    pub(super) result: Option<StateId>,
    /// Whether it only appends to the state.
    pub(super) only_appends: bool,
}

/// The model, its states and calls by number, and a cache of its steps.
pub(super) struct ModelCache<'a> {
    model: &'a dyn Model,
    states: Vec<Value>,
    numbers: FxHashMap<u64, StateId>,
    calls: Vec<DistinctCall<'a>>,
    /// Results by the hash of state and call; a new one replaces an old one.
    steps: Vec<CachedStep>,
}

#[derive(Clone, Copy)]
struct CachedStep {
    state: StateId,
    call: u32,
    next: StateId,
}

/// The result of an impossible step, and the state of an empty cache entry.
const NOWHERE: StateId = u32::MAX;

/// Up to this many calls are compared rather than hashed, because drafts of a proof are many and
/// small.
const FEW: usize = 16;

impl<'a> ModelCache<'a> {
    pub(super) fn new(model: &'a dyn Model) -> Self {
        Self {
            model,
            states: Vec::new(),
            numbers: FxHashMap::default(),
            calls: Vec::new(),
            steps: Vec::new(),
        }
    }

    /// Numbers the calls, equal ones alike. Static facts are used only if they hold: a model with
    /// keys may state them for a single key.
    pub(super) fn number_calls(&mut self, ops: &'a [ObjectOp<'a>], shaped: bool) -> Vec<u32> {
        let mut numbers: FxHashMap<&Call, u32> = FxHashMap::default();
        let few = ops.len() <= FEW;
        numbers.reserve(if few { 0 } else { ops.len() / 4 });
        let mut calls = Vec::with_capacity(ops.len());
        for op in ops {
            let fresh = self.calls.len() as u32;
            let number = if few {
                let known = self.calls.iter().position(|call| *call.call == *op.call);
                known.map_or(fresh, |place| place as u32)
            } else {
                *numbers.entry(&op.call).or_insert(fresh)
            };
            if number == fresh {
                let call = self.describe_call(&op.call, shaped);
                self.calls.push(call);
            }
            calls.push(number);
        }
        let asked = self.calls.iter().any(|call| !call.is_table_driven());
        let room = if asked { (ops.len() * 8).next_power_of_two().min(1 << 16) } else { 0 };
        self.steps = vec![CachedStep { state: NOWHERE, call: 0, next: NOWHERE }; room];
        calls
    }

    fn describe_call(&mut self, call: &'a Call, shaped: bool) -> DistinctCall<'a> {
        let shape = if shaped { self.model.static_facts(call) } else { Default::default() };
        let result = shape.result.map(|state| self.intern(state));
        let enabled_in = match shape.enabled_in {
            EnabledIn::EveryState => EnabledStates::Every,
            EnabledIn::OneState(state) => EnabledStates::One(self.intern(state)),
            EnabledIn::Unknown => EnabledStates::Unknown,
        };
        let effect = match enabled_in {
            _ if self.model.is_read(call) => CallEffect::Reads,
            EnabledStates::Every if result.is_some() => CallEffect::Overwrites,
            _ => CallEffect::DependsOnState,
        };
        let only_appends = self.model.only_appends(call);
        DistinctCall { call, effect, enabled_in, result, only_appends }
    }

    pub(super) fn intern(&mut self, state: Value) -> StateId {
        let mut hasher = FxHasher::default();
        state.hash(&mut hasher);
        let mut hash = hasher.finish();
        // Two states with one hash are rare; the second uses the next number.
        while let Some(number) = self.numbers.get(&hash) {
            if self.states[*number as usize] == state {
                return *number;
            }
            hash = hash.wrapping_add(1);
        }
        let number = self.states.len() as StateId;
        self.states.push(state);
        self.numbers.insert(hash, number);
        number
    }

    pub(super) fn state_value(&self, state: StateId) -> &Value {
        &self.states[state as usize]
    }

    /// The number of known states.
    pub(super) fn states(&self) -> usize {
        self.states.len()
    }

    pub(super) fn calls(&self) -> &[DistinctCall<'a>] {
        &self.calls
    }

    /// The state after the call, if the call is possible.
    pub(super) fn step(&mut self, state: StateId, call: u32) -> Option<StateId> {
        let DistinctCall { effect, enabled_in, result, .. } = self.calls[call as usize];
        let result = if effect == CallEffect::Reads { Some(state) } else { result };
        match (enabled_in, result) {
            (EnabledStates::Every, Some(result)) => Some(result),
            (EnabledStates::One(one), Some(result)) => (one == state).then_some(result),
            (EnabledStates::One(one), None) if one != state => None,
            _ => self.step_uncached(state, call),
        }
    }

    fn step_uncached(&mut self, state: StateId, call: u32) -> Option<StateId> {
        let hash = mix(mix(0, u64::from(state)), u64::from(call));
        let place = (hash >> 32) as usize & (self.steps.len() - 1);
        let known = self.steps[place];
        if known.state == state && known.call == call {
            return Some(known.next).filter(|next| *next != NOWHERE);
        }
        let next = self.model.step(self.state_value(state), self.calls[call as usize].call).ok();
        let next = next.map(|next| self.intern(next));
        self.steps[place] = CachedStep { state, call, next: next.unwrap_or(NOWHERE) };
        next
    }

    /// Whether the read stays impossible while the state is only appended to.
    pub(super) fn can_never_hold(&self, state: StateId, call: u32) -> bool {
        self.model.can_never_hold(self.state_value(state), self.calls[call as usize].call)
    }

    /// The approximate size in memory.
    pub(super) fn bytes(&self) -> usize {
        self.steps.len() * size_of::<CachedStep>()
            + self.states.capacity() * size_of::<Value>()
            + self.numbers.capacity() * 24
            + self.calls.capacity() * size_of::<DistinctCall<'_>>()
    }
}

impl DistinctCall<'_> {
    fn is_table_driven(&self) -> bool {
        let leads = self.result.is_some() || self.effect == CallEffect::Reads;
        leads && self.enabled_in != EnabledStates::Unknown
    }
}
