//! Splits a history into objects that can be checked independently. A history is linearizable iff
//! each of its objects is (locality, Herlihy and Wing), so one key's operations never enlarge
//! another's search.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::history::{History, Operation, Value};
use crate::model::{Call, Model, Response};
use crate::verdict::Keyed;

/// The operations of one object that constrain it, in order of invocation.
pub(super) struct ObjectHistory<'h> {
    pub(super) key: Option<Value>,
    pub(super) ops: Vec<ObjectOp<'h>>,
}

/// An operation as the search sees it.
#[derive(Clone)]
pub(super) struct ObjectOp<'h> {
    /// Shared by the drafts of a proof.
    pub(super) call: Arc<Call>,
    pub(super) invoked: u64,
    /// The index by which it must have taken effect; `None` if it need not take effect.
    pub(super) completed: Option<u64>,
    pub(super) operation: &'h Operation,
}

/// The objects in order of their first operation, or why the model does not accept the history.
pub(super) fn partition<'h>(
    history: &'h History,
    model: &dyn Model,
    keyed: Keyed,
) -> Result<Vec<ObjectHistory<'h>>, String> {
    partition_on(history, model, keyed, 1)
}

/// The same on several threads. The reported operation is the first rejected one, whichever thread
/// found it.
pub(super) fn partition_on<'h>(
    history: &'h History,
    model: &dyn Model,
    keyed: Keyed,
    jobs: usize,
) -> Result<Vec<ObjectHistory<'h>>, String> {
    let looks = DetectedKeys::detect(history);
    let keys = key_placement(model, history.initial(), keyed, || looks == DetectedKeys::Keyed);
    if let (DetectedKeys::Mixed(with, without), Keyed::Auto, KeyPlacement::None) =
        (looks, keyed, keys)
    {
        return Err(format!(
            "the operation at index {with} seems to name a key, and the one at {without} does not; \
             say whether values are [key value]: --keyed yes, or --keyed no"
        ));
    }
    let chunk = |operations: &'h [Operation]| {
        // A single object takes all operations; a large one allocates as it grows.
        let room = if keys == KeyPlacement::None { operations.len().min(256) } else { 0 };
        let mut objects = ObjectsByKey { room, ..ObjectsByKey::default() };
        for operation in operations {
            let read = parse_operation(operation, model, keys)
                .map_err(|why| invalid_call(operation, &why))?;
            if let Some((key, op)) = read {
                objects.operations_of(key).push(op);
            }
        }
        Ok(objects)
    };
    let operations = history.operations();
    let jobs = jobs.min(operations.len() / CHUNK_OPS).max(1);
    let mut chunks = read_chunks(operations.chunks(operations.len().div_ceil(jobs).max(1)), chunk);
    let mut objects = chunks.next().unwrap_or_else(|| Ok(ObjectsByKey::default()))?;
    for chunk in chunks {
        for ObjectHistory { key, mut ops } in chunk?.list {
            objects.operations_of(key).append(&mut ops);
        }
    }
    Ok(objects.list)
}

/// The fewest operations that are worth a thread.
const CHUNK_OPS: usize = 4096;

/// The objects of one chunk, or why one of its operations is rejected.
type ChunkObjects<'h> = Result<ObjectsByKey<'h>, String>;

/// The results of the chunks in their order; this thread reads the first chunk.
fn read_chunks<'h>(
    mut chunks: impl Iterator<Item = &'h [Operation]>,
    read: impl Fn(&'h [Operation]) -> ChunkObjects<'h> + Sync,
) -> impl Iterator<Item = ChunkObjects<'h>> {
    let read = &read;
    let all: Vec<_> = std::thread::scope(|scope| {
        let first = chunks.next();
        let others: Vec<_> = chunks
            .map(|chunk| {
                (chunk, std::thread::Builder::new().spawn_scoped(scope, move || read(chunk)))
            })
            .collect();
        let first = first.map(read);
        // This thread reads the chunk of a thread that did not start or did not finish.
        let others = others.into_iter().map(|(chunk, thread)| {
            thread.ok().and_then(|it| it.join().ok()).unwrap_or_else(|| read(chunk))
        });
        first.into_iter().chain(others).collect()
    });
    all.into_iter()
}

/// Objects by key.
#[derive(Default)]
struct ObjectsByKey<'h> {
    list: Vec<ObjectHistory<'h>>,
    places: FxHashMap<Option<Value>, usize>,
    /// The initial capacity for an object's operations.
    room: usize,
}

impl<'h> ObjectsByKey<'h> {
    fn operations_of(&mut self, key: Option<Value>) -> &mut Vec<ObjectOp<'h>> {
        let place = match self.places.get(&key) {
            Some(place) => *place,
            None => {
                self.places.insert(key.clone(), self.list.len());
                self.list.push(ObjectHistory { key, ops: Vec::with_capacity(self.room) });
                self.list.len() - 1
            }
        };
        &mut self.list[place].ops
    }
}

/// Where the key of an operation is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum KeyPlacement {
    /// Nowhere: the history is one object.
    None,
    /// Values are `[key, value]`, and the model gets the value only.
    Wrapped,
    /// Values are `[key, value]`, and the model gets both.
    InModel,
}

/// Decides where keys are; `looks_keyed` is evaluated only if it matters.
pub(super) fn key_placement(
    model: &dyn Model,
    initial: Option<&[Value]>,
    keyed: Keyed,
    looks_keyed: impl FnOnce() -> bool,
) -> KeyPlacement {
    // Several initial states of a model with keys tie the keys together: checked independently,
    // each key could start in another state.
    let tied = model.has_keys() && initial.is_some_and(|states| states.len() > 1);
    match (keyed, model.has_keys()) {
        (Keyed::No, _) => KeyPlacement::None,
        (Keyed::Auto, true) if tied => KeyPlacement::None,
        (Keyed::Auto | Keyed::Yes, true) => KeyPlacement::InModel,
        (Keyed::Yes, false) => KeyPlacement::Wrapped,
        (Keyed::Auto, false) if looks_keyed() => KeyPlacement::Wrapped,
        (Keyed::Auto, false) => KeyPlacement::None,
    }
}

/// Whether the arguments of a history's operations look like `[key, argument]`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum DetectedKeys {
    Keyed,
    Plain,
    /// Some do: the index of the first such operation, and of the first other one.
    Mixed(u64, u64),
}

impl DetectedKeys {
    fn detect(history: &History) -> Self {
        let mut first = [None; 2];
        for operation in history.operations().iter().filter(|op| Call::is_made_by(op)) {
            let carries = carries_key(&operation.f, &operation.input);
            first[usize::from(carries)].get_or_insert(operation.invoked.index);
        }
        match first {
            [None, Some(_)] => Self::Keyed,
            [Some(without), Some(with)] => Self::Mixed(with, without),
            [_, None] => Self::Plain,
        }
    }
}

/// Whether an argument looks like `[key, argument]`.
pub(super) fn carries_key(f: &str, input: &Value) -> bool {
    match input.as_pair() {
        Some((Value::List(_) | Value::Nil, _)) | None => false,
        Some((_, argument)) => f != "cas" || argument.as_pair().is_some(),
    }
}

/// The key of an argument.
pub(super) fn key_of(input: &Value, keys: KeyPlacement) -> Result<Option<Value>, String> {
    match keys {
        KeyPlacement::None => Ok(None),
        KeyPlacement::Wrapped | KeyPlacement::InModel => split_key(input).map(|(key, _)| Some(key)),
    }
}

type KeyedOp<'h> = Option<(Option<Value>, ObjectOp<'h>)>;

/// The key and the operation; `None` if it constrains nothing: it did not take effect, or is a read
/// of unknown outcome.
pub(super) fn parse_operation<'h>(
    operation: &'h Operation,
    model: &dyn Model,
    keys: KeyPlacement,
) -> Result<KeyedOp<'h>, String> {
    let Some(mut call) = Call::of(operation) else { return Ok(None) };
    let key = match keys {
        KeyPlacement::None => None,
        KeyPlacement::Wrapped => Some(take_key(&mut call)?),
        KeyPlacement::InModel => Some(split_key(&call.input)?.0.clone()),
    };
    if is_plain_failure(&call, model) {
        return Ok(None);
    }
    model.validate(&call)?;
    if call.response == Response::Unknown && model.is_read(&call) {
        return Ok(None);
    }
    let completed = match &call.response {
        Response::Unknown => None,
        Response::Output(_) | Response::Mismatch => {
            operation.completion.as_ref().map(|completion| completion.at.index)
        }
    };
    Ok(Some((
        key,
        ObjectOp { call: Arc::new(call), invoked: operation.invoked.index, completed, operation },
    )))
}

/// Whether "mismatch" is only the text of a failure, because this call compares nothing.
fn is_plain_failure(call: &Call, model: &dyn Model) -> bool {
    let unanswered = || Call { response: Response::Unknown, ..call.clone() };
    call.response == Response::Mismatch
        && model.validate(call).is_err()
        && model.validate(&unanswered()).is_ok()
}

/// Removes the key from a call.
fn take_key(call: &mut Call) -> Result<Value, String> {
    let (key, input) = split_key(&call.input)?;
    if let Response::Output(output) = &call.response {
        let (answered, output) = split_key(output)?;
        if answered != key {
            return Err(format!("it asked for key {key} and was answered about {answered}"));
        }
        call.response = Response::Output(output);
    }
    call.input = input;
    Ok(key)
}

fn split_key(value: &Value) -> Result<(Value, Value), String> {
    let halves = value.as_pair().map(|(key, value)| (key.clone(), value.clone()));
    halves.ok_or_else(|| format!("its value {value} is not [key value]"))
}

pub(super) fn invalid_call(operation: &Operation, why: &str) -> String {
    let Operation { f, invoked, .. } = operation;
    let (actor, index) = (operation.actor(), invoked.index);
    format!("the {f} that {actor} invoked at index {index} is not valid: {why}")
}
