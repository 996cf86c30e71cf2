//! Splits a history into objects that can be judged apart: a history is linearizable iff each of
//! its objects is (Herlihy and Wing's locality), so one key's operations never enlarge another's
//! search.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::history::{History, Operation, Value};
use crate::model::{Call, Model, Seen};
use crate::verdict::Keyed;

/// One object's operations that have a say, in order of invocation.
pub(super) struct Object<'h> {
    pub(super) key: Option<Value>,
    pub(super) ops: Vec<Op<'h>>,
}

/// An operation as the search sees it.
#[derive(Clone)]
pub(super) struct Op<'h> {
    /// Shared by the drafts of a proof.
    pub(super) call: Arc<Call>,
    pub(super) invoked: u64,
    /// Where it must have happened by, or `None` if it need not have happened.
    pub(super) completed: Option<u64>,
    pub(super) operation: &'h Operation,
}

/// The objects in order of their first operation, or why the history means nothing to the model.
pub(super) fn partition<'h>(
    history: &'h History,
    model: &dyn Model,
    keyed: Keyed,
) -> Result<Vec<Object<'h>>, String> {
    partition_on(history, model, keyed, 1)
}

/// The same, on several threads; the first operation that is refused is named, whoever met it.
pub(super) fn partition_on<'h>(
    history: &'h History,
    model: &dyn Model,
    keyed: Keyed,
    jobs: usize,
) -> Result<Vec<Object<'h>>, String> {
    let looks = Looks::of(history);
    let keys = keys(model, history.initial(), keyed, || looks == Looks::Keyed);
    if let (Looks::Mixed(with, without), Keyed::Auto, Keys::None) = (looks, keyed, keys) {
        return Err(format!(
            "the operation at index {with} seems to name a key, and that at {without} does not; say whether \
             values are [key value]: --keyed yes, or --keyed no"
        ));
    }
    let piece = |operations: &'h [Operation]| {
        // One object takes them all; where they are many, room is made as it fills.
        let room = if keys == Keys::None { operations.len().min(256) } else { 0 };
        let mut objects = Objects { room, ..Objects::default() };
        for operation in operations {
            let read = read(operation, model, keys).map_err(|why| refusal(operation, &why))?;
            if let Some((key, op)) = read {
                objects.of(key).push(op);
            }
        }
        Ok(objects)
    };
    let operations = history.operations();
    let jobs = jobs.min(operations.len() / PIECE).max(1);
    let mut pieces = side_by_side(operations.chunks(operations.len().div_ceil(jobs).max(1)), piece);
    let mut objects = pieces.next().unwrap_or_else(|| Ok(Objects::default()))?;
    for piece in pieces {
        for Object { key, mut ops } in piece?.list {
            objects.of(key).append(&mut ops);
        }
    }
    Ok(objects.list)
}

/// Operations that a thread is worth its while for.
const PIECE: usize = 4096;

/// The objects of one piece, or why one of its operations means nothing.
type Piece<'h> = Result<Objects<'h>, String>;

/// The pieces' results in their order, the first from this thread.
fn side_by_side<'h>(
    mut pieces: impl Iterator<Item = &'h [Operation]>,
    read: impl Fn(&'h [Operation]) -> Piece<'h> + Sync,
) -> impl Iterator<Item = Piece<'h>> {
    let read = &read;
    let all: Vec<_> = std::thread::scope(|scope| {
        let first = pieces.next();
        let others: Vec<_> = pieces
            .map(|piece| {
                (piece, std::thread::Builder::new().spawn_scoped(scope, move || read(piece)))
            })
            .collect();
        let first = first.map(read);
        // What a thread that could not be had, or did not return, should have read is read here.
        let others = others.into_iter().map(|(piece, thread)| {
            thread.ok().and_then(|it| it.join().ok()).unwrap_or_else(|| read(piece))
        });
        first.into_iter().chain(others).collect()
    });
    all.into_iter()
}

/// Objects by their keys.
#[derive(Default)]
struct Objects<'h> {
    list: Vec<Object<'h>>,
    places: FxHashMap<Option<Value>, usize>,
    /// For how many operations of an object to make room at once.
    room: usize,
}

impl<'h> Objects<'h> {
    fn of(&mut self, key: Option<Value>) -> &mut Vec<Op<'h>> {
        let place = match self.places.get(&key) {
            Some(place) => *place,
            None => {
                self.places.insert(key.clone(), self.list.len());
                self.list.push(Object { key, ops: Vec::with_capacity(self.room) });
                self.list.len() - 1
            }
        };
        &mut self.list[place].ops
    }
}

/// How keys are told.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Keys {
    /// There are none: one object.
    None,
    /// Values are `[key, value]`, and the model knows of the value only.
    Around,
    /// Values are `[key, value]`, and the model knows of both.
    Within,
}

/// How keys are told; asks how the history looks only where that decides.
pub(super) fn keys(
    model: &dyn Model,
    initial: Option<&[Value]>,
    keyed: Keyed,
    looks_keyed: impl FnOnce() -> bool,
) -> Keys {
    // Start states that name several keys tie the keys together: judged apart, each key could pick
    // another one.
    let tied = model.has_keys() && initial.is_some_and(|states| states.len() > 1);
    match (keyed, model.has_keys()) {
        (Keyed::No, _) => Keys::None,
        (Keyed::Auto, true) if tied => Keys::None,
        (Keyed::Auto | Keyed::Yes, true) => Keys::Within,
        (Keyed::Yes, false) => Keys::Around,
        (Keyed::Auto, false) if looks_keyed() => Keys::Around,
        (Keyed::Auto, false) => Keys::None,
    }
}

/// Whether the arguments of a history's operations look like `[key, argument]`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Looks {
    Keyed,
    Plain,
    /// Some do: the index of the first such operation, and of the first other one.
    Mixed(u64, u64),
}

impl Looks {
    fn of(history: &History) -> Self {
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

/// The key that an argument names.
pub(super) fn key_of(input: &Value, keys: Keys) -> Result<Option<Value>, String> {
    match keys {
        Keys::None => Ok(None),
        Keys::Around | Keys::Within => halves(input).map(|(key, _)| Some(key)),
    }
}

type Read<'h> = Option<(Option<Value>, Op<'h>)>;

/// The operation and its key, or nothing if it has no say: it did not happen, or nobody knows what
/// it saw.
pub(super) fn read<'h>(
    operation: &'h Operation,
    model: &dyn Model,
    keys: Keys,
) -> Result<Read<'h>, String> {
    let Some(mut call) = Call::of(operation) else { return Ok(None) };
    let key = match keys {
        Keys::None => None,
        Keys::Around => Some(strip(&mut call)?),
        Keys::Within => Some(halves(&call.input)?.0.clone()),
    };
    if is_plain_failure(&call, model) {
        return Ok(None);
    }
    model.understands(&call)?;
    if call.seen == Seen::Nothing && model.observes(&call) {
        return Ok(None);
    }
    let completed = match &call.seen {
        Seen::Nothing => None,
        Seen::Output(_) | Seen::Mismatch => {
            operation.completion.as_ref().map(|completion| completion.at.index)
        }
    };
    Ok(Some((
        key,
        Op { call: Arc::new(call), invoked: operation.invoked.index, completed, operation },
    )))
}

/// Whether "mismatch" is but the text of a failure: nobody compares anything in such a call.
fn is_plain_failure(call: &Call, model: &dyn Model) -> bool {
    let unanswered = || Call { seen: Seen::Nothing, ..call.clone() };
    call.seen == Seen::Mismatch
        && model.understands(call).is_err()
        && model.understands(&unanswered()).is_ok()
}

/// Takes the key off a call.
fn strip(call: &mut Call) -> Result<Value, String> {
    let (key, input) = halves(&call.input)?;
    if let Seen::Output(output) = &call.seen {
        let (answered, output) = halves(output)?;
        if answered != key {
            return Err(format!("it asked for key {key} and was answered about {answered}"));
        }
        call.seen = Seen::Output(output);
    }
    call.input = input;
    Ok(key)
}

fn halves(value: &Value) -> Result<(Value, Value), String> {
    let halves = value.as_pair().map(|(key, value)| (key.clone(), value.clone()));
    halves.ok_or_else(|| format!("its value {value} is not [key value]"))
}

pub(super) fn refusal(operation: &Operation, why: &str) -> String {
    let Operation { process, f, invoked, .. } = operation;
    format!("the {f} that {process} invoked at index {} means nothing: {why}", invoked.index)
}
