//! Defines the trait that every sequential specification implements.

use super::call::Call;
use crate::history::Value;

/// A sequential specification.
pub trait Model: Sync {
    /// Its name on the command line.
    fn name(&self) -> &'static str;

    /// What it is, in a sentence.
    fn doc(&self) -> &'static str;

    /// The state of a fresh copy.
    fn initial(&self) -> Value;

    /// A state that a history says it began in, as the model holds it, or why it is none.
    fn begins(&self, given: &Value) -> Result<Value, String> {
        Ok(given.clone())
    }

    /// Whether its calls carry `[key, value]` by their nature and its state holds every key.
    /// Otherwise the model is one plain object, and a keyed history is one copy of it per key.
    fn has_keys(&self) -> bool {
        false
    }

    /// Refuses a call that the model has no meaning for. [`Model::step`] is asked of no other.
    fn understands(&self, call: &Call) -> Result<(), String>;

    /// Whether the call leaves every state as it is. The search relies on it.
    fn observes(&self, call: &Call) -> bool;

    /// What is true of the call whatever state it meets; nothing, if in doubt. The search relies on
    /// it, and of a model with keys it need be true only of states that hold no other key.
    fn shape(&self, _call: &Call) -> Shape {
        Shape::default()
    }

    /// The one state that there can be after the call, whatever was before it; nothing, if there may be several. A
    /// long history is cut where such a call was alone. Of a model with keys it holds where its shapes do.
    fn settles(&self, call: &Call) -> Option<Value> {
        let Shape { meets, leaves } = self.shape(call);
        match meets {
            Meets::One(state) if self.observes(call) => Some(state),
            _ if self.observes(call) => None,
            _ => leaves,
        }
    }

    /// Whether the call only adds to the state, so that [`Model::is_past`] stays true over it.
    fn grows(&self, _call: &Call) -> bool {
        false
    }

    /// Whether the state rules out this observation for good, as long as it only grows; and
    /// whatever grows can go on growing from such a state.
    fn is_past(&self, _state: &Value, _call: &Call) -> bool {
        false
    }

    /// The state after the call, or why it cannot have gone that way in this state.
    fn step(&self, state: &Value, call: &Call) -> Result<Value, String>;
}

/// What is true of a call whatever state it meets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shape {
    /// The states that let it go as it went.
    pub meets: Meets,
    /// The state it leaves behind wherever it can go, if there is one such; of a call that observes
    /// it says nothing.
    pub leaves: Option<Value>,
}

/// The states that let a call go as it went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Meets {
    /// Every state.
    Any,
    /// This one and no other.
    One(Value),
    /// Nobody knows which.
    #[default]
    Some,
}
