//! Compares typed specifications with the models of the same objects, and rejects impossible logs.

use proptest::prelude::*;

use super::{Spec, SpecError, check_spec};
use crate::history::{History, Invocation, OperationsError, TimedOperation, Value};
use crate::verdict::{Limits, Validity};
use crate::{check_linearizable, model};

/// A register with compare-and-set.
struct TypedRegister;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RegisterInput {
    Read,
    Write(i64),
    Cas(i64, i64),
}

impl Spec for TypedRegister {
    type State = Option<i64>;
    type Input = RegisterInput;
    type Output = Option<i64>;

    fn initial(&self) -> Option<i64> {
        None
    }

    fn step(
        &self,
        state: &Option<i64>,
        input: &RegisterInput,
        output: Option<&Option<i64>>,
    ) -> Option<Option<i64>> {
        match *input {
            RegisterInput::Read => output.is_none_or(|got| got == state).then_some(*state),
            RegisterInput::Write(value) => Some(Some(value)),
            RegisterInput::Cas(old, new) => (*state == Some(old)).then_some(Some(new)),
        }
    }

    fn is_read(&self, input: &RegisterInput) -> bool {
        *input == RegisterInput::Read
    }
}

type RegisterOperation = TimedOperation<RegisterInput, Option<i64>>;

/// The same operation for the model `cas-register`.
fn for_model(operation: &RegisterOperation) -> TimedOperation<Invocation, Value> {
    let int = |value: Option<i64>| value.map_or(Value::Nil, Value::Int);
    let (f, value) = match operation.input {
        RegisterInput::Read => ("read", Value::Nil),
        RegisterInput::Write(value) => ("write", value.into()),
        RegisterInput::Cas(old, new) => ("cas", Value::pair(old, new)),
    };
    let returned = operation.returned.map(|(at, output)| match operation.input {
        RegisterInput::Read => (at, int(output)),
        RegisterInput::Write(_) | RegisterInput::Cas(..) => (at, value.clone()),
    });
    TimedOperation {
        client: operation.client,
        called_at: operation.called_at,
        input: Invocation::new(f, value),
        returned,
    }
}

fn operations() -> impl Strategy<Value = Vec<RegisterOperation>> {
    let input = prop_oneof![
        2 => Just(RegisterInput::Read),
        2 => (0..3_i64).prop_map(RegisterInput::Write),
        1 => (0..3_i64, 0..3_i64).prop_map(|(old, new)| RegisterInput::Cas(old, new)),
    ];
    let one = (input, 0..20_u64, 1..10_u64, prop::option::weighted(0.8, 0..3_i64), any::<u8>());
    prop::collection::vec(one, 0..9).prop_map(|all| {
        let numbered = all.into_iter().zip(0..);
        numbered
            .map(|((input, called_at, lasts, output, fate), client)| TimedOperation {
                client,
                called_at,
                input,
                returned: (fate > 40).then_some((called_at + lasts, output)),
            })
            .collect()
    })
}

proptest! {
    #[test]
    fn a_spec_and_the_model_of_the_same_object_agree(operations in operations()) {
        let limits = Limits::default();
        let typed = check_spec(&TypedRegister, &operations, &limits).expect("times are possible");
        let history = History::from_operations(operations.iter().map(for_model))
            .expect("times are possible");
        let dynamic = check_linearizable(&history, "cas-register", &limits);
        prop_assert_eq!(typed.validity, dynamic.validity, "{}\n{}", typed.message, dynamic.message);
    }
}

#[test]
fn names_calls_and_states_by_their_debug_text() {
    let operations = [
        TimedOperation::completed(0, 0, RegisterInput::Write(1), 10, None),
        TimedOperation::completed(1, 20, RegisterInput::Read, 30, None),
        TimedOperation::open(2, 40, RegisterInput::Cas(1, 2)),
    ];
    let verdict = check_spec(&TypedRegister, &operations, &Limits::default()).expect("a log");
    let window = verdict.witness.expect("it is invalid");
    insta::assert_snapshot!(window.name(window.accused), @"Read -> None ok by process 1");
    insta::assert_snapshot!(
        window.candidates[0].reason,
        @"Read -> None is impossible in state Some(1)"
    );
}

/// A read that claims to change nothing, and does.
struct ChangingRead;

impl Spec for ChangingRead {
    type State = u8;
    type Input = ();
    type Output = ();
    fn initial(&self) -> u8 {
        0
    }
    fn step(&self, state: &u8, _input: &(), _output: Option<&()>) -> Option<u8> {
        Some(state + 1)
    }
    fn is_read(&self, _input: &()) -> bool {
        true
    }
}

#[test]
fn rejects_a_spec_whose_read_changes_the_state() {
    let operations = [TimedOperation::completed(0, 0, (), 1, ())];
    let error = check_spec(&ChangingRead, &operations, &Limits::default()).expect_err("a bug");
    assert_eq!(error, SpecError::ReadChangesState("() -> ()".into()));
}

/// One register for each first letter of the input.
struct KeyedRegisters;

impl Spec for KeyedRegisters {
    type State = u64;
    type Input = (&'static str, Option<u64>);
    type Output = u64;
    fn initial(&self) -> u64 {
        0
    }
    fn step(&self, state: &u64, input: &Self::Input, output: Option<&u64>) -> Option<u64> {
        let after = input.1.unwrap_or(*state);
        output.is_none_or(|got| *got == after).then_some(after)
    }
    fn partition_key(&self, input: &Self::Input) -> Option<Value> {
        (!input.0.is_empty()).then(|| input.0.into())
    }
}

#[test]
fn checks_each_key_by_itself() {
    let write = |client, at, key, value| {
        TimedOperation::completed(client, at, (key, Some(value)), at + 5, value)
    };
    let read =
        |client, at, key, value| TimedOperation::completed(client, at, (key, None), at + 5, value);
    let mut operations = vec![write(0, 0, "x", 1), write(1, 10, "y", 2), read(2, 20, "x", 1)];
    let limits = Limits::default();
    let verdict = check_spec(&KeyedRegisters, &operations, &limits).expect("a log");
    assert_eq!((verdict.validity, verdict.stats.keys), (Validity::Valid, 2));
    operations.push(read(3, 30, "y", 1));
    let verdict = check_spec(&KeyedRegisters, &operations, &limits).expect("a log");
    assert_eq!((verdict.validity, verdict.stats.invalid_keys), (Validity::Invalid, 1));
    operations.push(read(4, 40, "", 0));
    let error = check_spec(&KeyedRegisters, &operations, &limits).expect_err("one has no key");
    assert_eq!(error, SpecError::PartlyKeyed { with_key: 0, without: 4 });
}

#[test]
fn rejects_impossible_times() {
    let read = |client, called_at, returned_at| {
        TimedOperation::completed(client, called_at, RegisterInput::Read, returned_at, None)
    };
    let error = |operations: &[RegisterOperation]| {
        check_spec(&TypedRegister, operations, &Limits::default()).expect_err("impossible times")
    };
    assert_eq!(
        error(&[read(0, 0, 1), read(1, 9, 3)]),
        OperationsError::ReturnsBeforeCall { operation: 1, called_at: 9, returned_at: 3 }.into()
    );
    let overlap =
        |called_at| OperationsError::ClientOverlaps { client: 7, first: 1, second: 0, called_at };
    assert_eq!(error(&[read(7, 3, 8), read(7, 0, 5)]), overlap(3).into());
    let after_open = [read(7, 3, 8), TimedOperation::open(7, 0, RegisterInput::Read)];
    assert_eq!(error(&after_open), overlap(3).into());
}

#[test]
fn a_call_and_a_return_at_one_time_are_concurrent() {
    let write = |client, at: u64, value, until| {
        TimedOperation::completed(client, at, RegisterInput::Write(value), until, None)
    };
    let read = TimedOperation::completed(2, 10, RegisterInput::Read, 20, Some(1));
    let operations = [write(0, 0, 1, 5), write(1, 6, 2, 10), read];
    let verdict = check_spec(&TypedRegister, &operations, &Limits::default()).expect("a log");
    assert_eq!(verdict.validity, Validity::Valid, "{}", verdict.message);
}

#[test]
fn a_spec_is_never_taken_for_a_model_with_a_monitor() {
    assert!(model::find_model(std::any::type_name::<TypedRegister>()).is_none());
}
