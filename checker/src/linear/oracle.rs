//! Asks the model each question once: states and calls become numbers, and steps are remembered.

use rustc_hash::FxHashMap;

use crate::history::Value;
use crate::model::{Call, Model};

/// A state's number.
pub(super) type State = u32;

/// The model, behind a memory.
pub(super) struct Oracle<'a> {
    model: &'a dyn Model,
    states: Vec<Value>,
    numbers: FxHashMap<Value, State>,
    calls: Vec<&'a Call>,
    steps: FxHashMap<(State, u32), Option<State>>,
}

/// Steps remembered at most; states recur near each other, so forgetting all of them now and then
/// costs little.
const REMEMBERED: usize = 1 << 20;

impl<'a> Oracle<'a> {
    pub(super) fn new(model: &'a dyn Model) -> Self {
        Self {
            model,
            states: Vec::new(),
            numbers: FxHashMap::default(),
            calls: Vec::new(),
            steps: FxHashMap::default(),
        }
    }

    /// Numbers the calls, equal ones alike.
    pub(super) fn number(&mut self, calls: impl Iterator<Item = &'a Call>) -> Vec<u32> {
        let mut numbers = FxHashMap::default();
        calls
            .map(|call| {
                *numbers.entry(call).or_insert_with(|| {
                    self.calls.push(call);
                    self.calls.len() as u32 - 1
                })
            })
            .collect()
    }

    pub(super) fn intern(&mut self, state: Value) -> State {
        if let Some(number) = self.numbers.get(&state) {
            return *number;
        }
        let number = self.states.len() as State;
        self.states.push(state.clone());
        self.numbers.insert(state, number);
        number
    }

    pub(super) fn value(&self, state: State) -> &Value {
        &self.states[state as usize]
    }

    /// The state after the call, if it can go that way.
    pub(super) fn step(&mut self, state: State, call: u32) -> Option<State> {
        if let Some(next) = self.steps.get(&(state, call)) {
            return *next;
        }
        let next = self.model.step(self.value(state), self.calls[call as usize]).ok();
        let next = next.map(|next| self.intern(next));
        if self.steps.len() >= REMEMBERED {
            self.steps.clear();
        }
        self.steps.insert((state, call), next);
        next
    }

    /// Roughly what the memory takes.
    pub(super) fn bytes(&self) -> usize {
        self.steps.len() * 24 + self.states.len() * 2 * size_of::<Value>()
    }
}
