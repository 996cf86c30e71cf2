//! Defines the trait that every sequential specification implements.

use super::call::Call;
use crate::history::Value;

/// A sequential specification.
pub trait Model: Sync {
    /// Its name on the command line.
    fn name(&self) -> &'static str;

    /// What it specifies, in one sentence.
    fn doc(&self) -> &'static str;

    /// The state of a fresh copy.
    fn initial(&self) -> Value;

    /// Converts an initial state from a history to the form of the model, or says why it is
    /// invalid.
    fn parse_initial(&self, given: &Value) -> Result<Value, String> {
        Ok(given.clone())
    }

    /// Whether its calls always carry `[key, value]` and its state holds every key. Otherwise the
    /// model is one object, and a keyed history is one copy of it per key.
    fn has_keys(&self) -> bool {
        false
    }

    /// Rejects a call that the model does not define. [`Model::step`] gets accepted calls only.
    fn validate(&self, call: &Call) -> Result<(), String>;

    /// Whether the call leaves every state as it is. The search relies on this for pruning.
    fn is_read(&self, call: &Call) -> bool;

    /// State-independent facts about the call, used for pruning; the default if unsure. For a model
    /// with keys they need be true only of states that hold no other key.
    fn static_facts(&self, _call: &Call) -> StaticFacts {
        StaticFacts::default()
    }

    /// The only state that can follow the call, whatever state preceded it; `None` if there may be
    /// several. A long history is split where such a call ran alone. For a model with keys it holds
    /// where the static facts do.
    fn determines_state(&self, call: &Call) -> Option<Value> {
        let StaticFacts { enabled_in, result } = self.static_facts(call);
        match enabled_in {
            EnabledIn::OneState(state) if self.is_read(call) => Some(state),
            _ if self.is_read(call) => None,
            _ => result,
        }
    }

    /// Whether the call only appends to the state, so that [`Model::can_never_hold`] stays true
    /// after it.
    fn only_appends(&self, _call: &Call) -> bool {
        false
    }

    /// Whether this read is impossible now and after any number of appends. Appends must also be
    /// possible from such a state.
    fn can_never_hold(&self, _state: &Value, _call: &Call) -> bool {
        false
    }

    /// The state after the call, or why the call is impossible in this state.
    fn step(&self, state: &Value, call: &Call) -> Result<Value, String>;
}

/// State-independent facts about a call, used for pruning.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StaticFacts {
    /// The states in which the call is possible.
    pub enabled_in: EnabledIn,
    /// The state after the call wherever it is possible, if there is one such state. Ignored for a
    /// read.
    pub result: Option<Value>,
}

/// The states in which a call is possible.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum EnabledIn {
    /// Every state.
    EveryState,
    /// Exactly this one.
    OneState(Value),
    /// Not known without asking [`Model::step`].
    #[default]
    Unknown,
}
