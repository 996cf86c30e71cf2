//! Checks operations against a specification with types of its own.
//!
//! [`Spec`] is the typed form of [`Model`], as stateright's `SequentialSpec` and Porcupine's
//! `Model` are: a state, an input and an output are any types. [`check_spec`] runs the same search
//! as [`crate::check_linearizable`]. An adapter numbers the states and shows every value by its
//! [`Debug`] text, so verdicts and witnesses read like the caller's own code.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::hash::Hash;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustc_hash::FxHashMap;

use crate::history::{History, Invocation, OperationsError, Text, TimedOperation, Value};
use crate::linear;
use crate::model::{Call, Model};
use crate::verdict::{Keyed, Limits, Verdict};

/// A sequential specification: what one correct copy of an object does.
///
/// ```
/// use checker::history::TimedOperation;
/// use checker::spec::{Spec, check_spec};
/// use checker::{Limits, Validity};
///
/// /// Hands out 1, 2, 3 and so on, each number once.
/// struct Tickets;
///
/// impl Spec for Tickets {
///     type State = u64;
///     type Input = ();
///     type Output = u64;
///     fn initial(&self) -> u64 {
///         0
///     }
///     fn step(&self, last: &u64, _input: &(), output: Option<&u64>) -> Option<u64> {
///         let next = last + 1;
///         output.is_none_or(|got| *got == next).then_some(next)
///     }
/// }
///
/// let operations = [
///     TimedOperation::completed(0, 0, (), 10, 1),
///     TimedOperation::completed(1, 5, (), 15, 1),
/// ];
/// let verdict = check_spec(&Tickets, &operations, &Limits::default())?;
/// assert_eq!(verdict.validity, Validity::Invalid, "ticket 1 was handed out twice");
/// # Ok::<(), checker::spec::SpecError>(())
/// ```
pub trait Spec: Sync {
    /// What the object holds.
    type State: Clone + Eq + Hash + Debug + Send + Sync;
    /// A function and its arguments.
    type Input: PartialEq + Debug + Sync;
    /// What a call returns.
    type Output: PartialEq + Debug + Sync;

    /// The state of a fresh copy.
    fn initial(&self) -> Self::State;

    /// The state after the call, or `None` if the object cannot return this output in this state.
    /// The output is `None` if the client never learned it; then every output is possible.
    fn step(
        &self,
        state: &Self::State,
        input: &Self::Input,
        output: Option<&Self::Output>,
    ) -> Option<Self::State>;

    /// Whether the call leaves every state as it is. The search makes reads as early as it can,
    /// which is much faster. If in doubt, `false`.
    fn is_read(&self, _input: &Self::Input) -> bool {
        false
    }

    /// The key of the independent object that the call is about, if the state is split by key.
    /// Each key is then checked by itself, from [`Spec::initial`]. Either every input has a key or
    /// none has.
    fn partition_key(&self, _input: &Self::Input) -> Option<Value> {
        None
    }
}

/// Operations that cannot be checked against a [`Spec`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SpecError {
    /// The times are impossible.
    #[error(transparent)]
    Operations(#[from] OperationsError),
    /// [`Spec::partition_key`] returns a key for some inputs only.
    #[error(
        "partition_key returns a key for operation {with_key} and none for operation {without}; \
         return a key for every input or for none"
    )]
    PartlyKeyed {
        /// The position of an operation with a key.
        with_key: usize,
        /// The position of one without.
        without: usize,
    },
    /// [`Spec::is_read`] says that a call is a read, and [`Spec::step`] changed the state.
    #[error("is_read calls {0} a read, but step changes the state")]
    ReadChangesState(String),
}

/// Checks that the operations are linearizable: that each can take effect at one instant between
/// its call and its return, so that the outputs are those of one copy of the specification.
///
/// [`Limits::keyed`] and [`Limits::consistency`] have no effect here.
pub fn check_spec<S: Spec>(
    spec: &S,
    operations: &[TimedOperation<S::Input, S::Output>],
    limits: &Limits<'_>,
) -> Result<Verdict, SpecError> {
    let is_keyed = is_keyed(spec, operations)?;
    let mut model = SpecModel::new(spec);
    let history = History::from_operations(operations.iter().map(|it| model.add_operation(it)))?;
    let keyed = if is_keyed { Keyed::Yes } else { Keyed::No };
    let verdict = linear::check(&history, &model, &Limits { keyed, ..*limits });
    match model.changing_read() {
        Some(read) => Err(SpecError::ReadChangesState(read)),
        None => Ok(verdict),
    }
}

fn is_keyed<S: Spec>(
    spec: &S,
    operations: &[TimedOperation<S::Input, S::Output>],
) -> Result<bool, SpecError> {
    let is_keyed =
        |it: &TimedOperation<S::Input, S::Output>| spec.partition_key(&it.input).is_some();
    let with_key = operations.iter().position(is_keyed);
    let without = operations.iter().position(|it| !is_keyed(it));
    match (with_key, without) {
        (Some(with_key), Some(without)) => Err(SpecError::PartlyKeyed { with_key, without }),
        (with_key, _) => Ok(with_key.is_some()),
    }
}

/// A [`Spec`] as a [`Model`]. A call's function is the [`Debug`] text of the input and output, and
/// a state's value is the [`Debug`] text of the state.
struct SpecModel<'a, S: Spec> {
    spec: &'a S,
    calls: FxHashMap<Text, &'a TimedOperation<S::Input, S::Output>>,
    states: Mutex<StateTable<S::State>>,
    has_changing_read: AtomicBool,
    changing_read: Mutex<Option<String>>,
}

/// States by their text, and texts by their state. Equal states have one text, whatever their
/// [`Debug`] prints, and unequal states have different texts.
struct StateTable<T> {
    texts: FxHashMap<Arc<T>, Value>,
    states: BTreeMap<Value, Arc<T>>,
}

impl<T: Eq + Hash + Debug> StateTable<T> {
    fn intern(&mut self, state: T) -> Value {
        if let Some(text) = self.texts.get(&state) {
            return text.clone();
        }
        let text =
            Value::from(unused_text(&state, |text| !self.states.contains_key(&Value::from(text))));
        let state = Arc::new(state);
        self.texts.insert(state.clone(), text.clone());
        self.states.insert(text.clone(), state);
        text
    }
}

/// The [`Debug`] text, numbered where that text stands for another value already.
fn unused_text(value: &impl Debug, is_free: impl Fn(&str) -> bool) -> String {
    let text = format!("{value:?}");
    if is_free(&text) {
        return text;
    }
    let mut numbered = (2_u64..).map(|number| format!("{text} #{number}"));
    numbered.find(|text| is_free(text)).unwrap_or(text)
}

impl<'a, S: Spec> SpecModel<'a, S> {
    fn new(spec: &'a S) -> Self {
        Self {
            spec,
            calls: FxHashMap::default(),
            states: Mutex::new(StateTable { texts: FxHashMap::default(), states: BTreeMap::new() }),
            has_changing_read: AtomicBool::new(false),
            changing_read: Mutex::new(None),
        }
    }

    /// Names the operation's call, and returns the operation under that name.
    fn add_operation(
        &mut self,
        operation: &'a TimedOperation<S::Input, S::Output>,
    ) -> TimedOperation<Invocation, Value> {
        let f = Text::from(unused_text(&Shown(operation), |text| {
            self.calls.get(text).is_none_or(|known| is_same_call(known, operation))
        }));
        self.calls.entry(f.clone()).or_insert(operation);
        let value = match self.spec.partition_key(&operation.input) {
            Some(key) => Value::pair(key, Value::Nil),
            None => Value::Nil,
        };
        TimedOperation {
            client: operation.client,
            called_at: operation.called_at,
            returned: operation.returned.as_ref().map(|(at, _)| (*at, value.clone())),
            input: Invocation { f, value },
        }
    }

    fn lock_states(&self) -> MutexGuard<'_, StateTable<S::State>> {
        self.states.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn changing_read(&self) -> Option<String> {
        self.changing_read.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn note_changing_read(&self, call: &Text) {
        if !self.has_changing_read.swap(true, Ordering::Relaxed) {
            let mut read = self.changing_read.lock().unwrap_or_else(PoisonError::into_inner);
            *read = Some(call.to_string());
        }
    }
}

/// Shows an operation as `input -> output`, as Porcupine's drawings do.
struct Shown<'a, I, O>(&'a TimedOperation<I, O>);

impl<I: Debug, O: Debug> Debug for Shown<'_, I, O> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.0.returned {
            Some((_, output)) => write!(f, "{:?} -> {output:?}", self.0.input),
            None => write!(f, "{:?}", self.0.input),
        }
    }
}

fn is_same_call<I: PartialEq, O: PartialEq>(
    one: &TimedOperation<I, O>,
    other: &TimedOperation<I, O>,
) -> bool {
    one.input == other.input
        && one.returned.as_ref().map(|(_, output)| output)
            == other.returned.as_ref().map(|(_, output)| output)
}

impl<S: Spec> Model for SpecModel<'_, S> {
    /// A path, so that it is never the name of a model that has a monitor.
    fn name(&self) -> &'static str {
        std::any::type_name::<S>()
    }

    fn doc(&self) -> &'static str {
        "a specification with types of its own"
    }

    fn initial(&self) -> Value {
        self.lock_states().intern(self.spec.initial())
    }

    fn validate(&self, call: &Call) -> Result<(), String> {
        match self.calls.contains_key(&call.f) {
            true => Ok(()),
            false => Err(format!("{} is not one of the operations", call.f)),
        }
    }

    fn is_read(&self, call: &Call) -> bool {
        self.calls.get(&call.f).is_some_and(|it| self.spec.is_read(&it.input))
    }

    fn step(&self, state: &Value, call: &Call) -> Result<Value, String> {
        let operation = self.calls.get(&call.f).ok_or("it is not one of the operations")?;
        let known = self.lock_states().states.get(state).cloned();
        let before = known.ok_or_else(|| format!("{state} is not a state"))?;
        let output = operation.returned.as_ref().map(|(_, output)| output);
        let after = self.spec.step(&before, &operation.input, output);
        let after = after.ok_or_else(|| format!("{} is impossible in state {before:?}", call.f))?;
        let after = self.lock_states().intern(after);
        if after != *state && self.spec.is_read(&operation.input) {
            self.note_changing_read(&call.f);
        }
        Ok(after)
    }
}

#[cfg(test)]
mod tests;
