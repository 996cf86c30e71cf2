//! Builds a history from operations with call and return times, as Porcupine is fed.
//!
//! Porcupine's `Operation` has a client, an input, an output, and the times of call and return.
//! [`TimedOperation`] is the same, except that the return may be missing: the client never learned
//! the outcome, so the operation may take effect at any time after its call, or never.

use super::event::{Event, Kind, Process};
use super::pairing::{History, Malformed};
use super::text::Text;
use super::value::Value;

/// One operation of a log: the client, the call, and the response, with their times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimedOperation<I, O> {
    /// The client. Its operations must not overlap.
    pub client: u64,
    /// When the call was sent, on a clock that all clients share.
    pub called_at: u64,
    /// The function and its arguments.
    pub input: I,
    /// When the response arrived and what it was; `None` if the outcome is unknown.
    pub returned: Option<(u64, O)>,
}

impl<I, O> TimedOperation<I, O> {
    /// An operation that returned.
    pub fn completed(client: u64, called_at: u64, input: I, returned_at: u64, output: O) -> Self {
        Self { client, called_at, input, returned: Some((returned_at, output)) }
    }

    /// An operation whose outcome is unknown: a timeout, a lost connection, a crashed client.
    pub fn open(client: u64, called_at: u64, input: I) -> Self {
        Self { client, called_at, input, returned: None }
    }
}

/// A function and its argument, for the built-in models: `("write", 3)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invocation {
    /// The function.
    pub f: Text,
    /// Its argument.
    pub value: Value,
}

impl Invocation {
    /// A call of a function with an argument.
    pub fn new(f: impl Into<Text>, value: impl Into<Value>) -> Self {
        Self { f: f.into(), value: value.into() }
    }
}

/// Operations that no set of sequential clients can produce. Operations count from 0.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OperationsError {
    /// An operation returns before its call.
    #[error("operation {operation} returns at time {returned_at}, before its call at {called_at}")]
    ReturnsBeforeCall {
        /// Its position.
        operation: usize,
        /// When it was called.
        called_at: u64,
        /// When it returned.
        returned_at: u64,
    },
    /// Two operations of one client overlap or touch. Linearizability does not depend on which
    /// client calls, so concurrent calls of one client may be given client numbers of their own.
    #[error(
        "operation {second} of client {client} is called at time {called_at}, but operation \
         {first} of that client has not returned before then; give concurrent calls, and calls \
         after an unknown outcome, a client number of their own"
    )]
    ClientOverlaps {
        /// The client.
        client: u64,
        /// The position of the earlier operation.
        first: usize,
        /// The position of the later one.
        second: usize,
        /// When the later one was called.
        called_at: u64,
    },
    /// The events contradict each other in another way.
    #[error(transparent)]
    Malformed(#[from] Malformed),
}

impl History {
    /// Builds a history from operations in any order. A call and a return at the same time count
    /// as concurrent, because their real order is unknown.
    ///
    /// ```
    /// use checker::history::{Invocation, TimedOperation, Value};
    /// use checker::{History, Limits, Validity, check_linearizable};
    ///
    /// let history = History::from_operations([
    ///     TimedOperation::completed(0, 0, Invocation::new("write", 1), 10, Value::from(1)),
    ///     TimedOperation::completed(1, 20, Invocation::new("read", Value::Nil), 30, Value::Nil),
    ///     TimedOperation::open(2, 15, Invocation::new("write", 2)),
    /// ])?;
    /// let verdict = check_linearizable(&history, "register", &Limits::default());
    /// assert_eq!(verdict.validity, Validity::Invalid, "the read must return 1 or 2");
    /// # Ok::<(), checker::history::OperationsError>(())
    /// ```
    pub fn from_operations(
        operations: impl IntoIterator<Item = TimedOperation<Invocation, Value>>,
    ) -> Result<Self, OperationsError> {
        let operations: Vec<_> = operations.into_iter().collect();
        validate_clients(&operations)?;
        let mut events: Vec<Event> = operations.iter().flat_map(events_of).collect();
        events.sort_by_key(|event| (event.time, event.kind != Kind::Invoke));
        for (index, event) in (0..).zip(&mut events) {
            event.index = index;
        }
        Ok(Self::new(events)?)
    }
}

/// Rejects operations that return before their call, and clients with two operations at once.
pub(crate) fn validate_clients<I, O>(
    operations: &[TimedOperation<I, O>],
) -> Result<(), OperationsError> {
    for (operation, it) in operations.iter().enumerate() {
        if let Some((returned_at, _)) =
            it.returned.as_ref().filter(|it| it.0 < operations[operation].called_at)
        {
            let (called_at, returned_at) = (it.called_at, *returned_at);
            return Err(OperationsError::ReturnsBeforeCall { operation, called_at, returned_at });
        }
    }
    let mut order: Vec<usize> = (0..operations.len()).collect();
    order.sort_by_key(|place| (operations[*place].client, operations[*place].called_at));
    for pair in order.windows(2) {
        let (first, second) = (&operations[pair[0]], &operations[pair[1]]);
        let is_over = first.returned.as_ref().is_some_and(|(at, _)| *at < second.called_at);
        if first.client == second.client && !is_over {
            return Err(OperationsError::ClientOverlaps {
                client: second.client,
                first: pair[0],
                second: pair[1],
                called_at: second.called_at,
            });
        }
    }
    Ok(())
}

/// The call and the return as events without their index.
fn events_of(operation: &TimedOperation<Invocation, Value>) -> Vec<Event> {
    let Invocation { f, value } = &operation.input;
    let call = Event {
        index: 0,
        time: operation.called_at,
        kind: Kind::Invoke,
        process: Process::Client(operation.client),
        f: f.clone(),
        value: value.clone(),
        node: None,
        error: None,
    };
    let returned = operation.returned.as_ref().map(|(time, output)| Event {
        time: *time,
        kind: Kind::Ok,
        value: output.clone(),
        ..call.clone()
    });
    std::iter::once(call).chain(returned).collect()
}
