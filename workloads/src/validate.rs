//! Validates replies: a malformed reply must not count as evidence for or against the system.
//!
//! An adapter that answers a read with *ok* and no value, or a write with *mismatch*, has a bug,
//! and the checks would attribute it to the system. Such a reply is replaced by an indeterminate
//! one, whose error [`is_malformed_reply`] recognises; a run that contains one is not valid.

use crate::call::Call;
use crate::reply::{Outcome, Reply};
use checker::history::Value;

/// The prefix of the error that replaces a malformed reply.
const MALFORMED_REPLY: &str = "malformed reply from the adapter: ";

/// The prefix that histories of earlier versions contain instead.
const EARLIER_MALFORMED_REPLY: &str = "the client's answer is out of place: ";

/// Whether the error of an operation replaces a malformed reply.
pub fn is_malformed_reply(error: &str) -> bool {
    [MALFORMED_REPLY, EARLIER_MALFORMED_REPLY].iter().any(|prefix| error.starts_with(prefix))
}

/// Returns the reply, or an indeterminate one in place of a reply that cannot answer the call.
pub fn validate_reply(call: &Call, reply: Reply) -> Reply {
    match find_defect(call, &reply) {
        None => reply,
        Some(why) => Reply::info(format!("{MALFORMED_REPLY}{} {why}", call.function_name())),
    }
}

/// Why a reply cannot answer its call.
fn find_defect(call: &Call, reply: &Reply) -> Option<&'static str> {
    let has_reason = reply.error.as_ref().is_some_and(|error| !error.is_empty());
    match reply.outcome {
        Outcome::Ok if reply.error.is_some() => Some("succeeded with an error"),
        Outcome::Ok => find_result_defect(call, reply.returned.as_ref()),
        _ if reply.returned.is_some() => Some("did not succeed but returned a value"),
        _ if !has_reason => Some("did not succeed and gives no error"),
        _ if reply.is_mismatch() && !is_conditional(call) => {
            Some("reported a mismatch but has no condition")
        }
        _ => None,
    }
}

/// Whether a call succeeds only in an expected state.
fn is_conditional(call: &Call) -> bool {
    matches!(call, Call::Cas { .. } | Call::Acquire { .. } | Call::Release { .. } | Call::Dequeue)
}

/// Why a returned value cannot be the result of the call.
fn find_result_defect(call: &Call, returned: Option<&Value>) -> Option<&'static str> {
    let Some(returned) = returned else {
        return has_result(call).then_some("succeeded but returned nothing");
    };
    if !has_result(call) {
        // Repeating the invoked value is allowed, because Jepsen's clients do so.
        return (*returned != call.invocation_value()).then_some("has no result but returned one");
    }
    let fits = match call {
        Call::ReadSet | Call::ReadMessages => matches!(returned, Value::List(_)),
        Call::Acquire { .. } => {
            matches!(map_field(returned, "token"), Some(Value::Int(_)))
        }
        Call::ReadCounters { keys } => keys.iter().all(|key| map_field(returned, key).is_some()),
        Call::ReadAccounts { accounts, .. } => {
            matches!(returned, Value::Map(entries) if entries.len() as u64 == *accounts)
        }
        Call::Poll { .. } | Call::Assign { .. } => matches!(returned, Value::Map(_)),
        Call::Txn { ops, .. } => {
            matches!(returned, Value::List(results) if results.len() == ops.len())
        }
        _ => true,
    };
    (!fits).then_some("returned a value of the wrong shape")
}

/// The value of this field of a map.
fn map_field<'v>(value: &'v Value, name: &str) -> Option<&'v Value> {
    let Value::Map(entries) = value else { return None };
    entries.iter().find(|(known, _)| known == name).map(|(_, value)| value)
}

/// Whether a successful call returns a value, possibly nil.
fn has_result(call: &Call) -> bool {
    matches!(
        call,
        Call::Read { .. }
            | Call::Txn { .. }
            | Call::ReadCounter
            | Call::ReadCounters { .. }
            | Call::ReadSet
            | Call::Dequeue
            | Call::Acquire { .. }
            | Call::Generate
            | Call::Echo { .. }
            | Call::Assign { .. }
            | Call::ReadAccounts { .. }
            | Call::ReadMessages
            | Call::Send { .. }
            | Call::Poll { .. }
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_call() -> Call {
        Call::Read { key: "x".to_owned() }
    }

    #[test]
    fn a_malformed_reply_becomes_indeterminate() {
        let write = Call::Write { key: "x".to_owned(), value: 1 };
        let acquire = Call::Acquire { lock: "l".to_owned(), holder: "h".to_owned() };
        let no_error = Reply { error: None, ..Reply::fail("") };
        let both = Reply { error: Some("but".to_owned()), ..Reply::ok() };
        let info_with_value = Reply { returned: Some(Value::Int(1)), ..Reply::info("timeout") };
        for (call, reply) in [
            (&read_call(), Reply::ok()),
            (&read_call(), Reply::mismatch()),
            (&write, Reply::mismatch()),
            (&write, no_error),
            (&write, both),
            (&write, info_with_value),
            (&Call::ReadSet, Reply::returned(Value::Int(3))),
            (&Call::Dequeue, Reply::ok()),
            (&write, Reply::returned(Value::Int(7))),
            (&Call::Echo { text: "hi".to_owned() }, Reply::ok()),
            (&Call::Assign { keys: Vec::new() }, Reply::ok()),
            (&Call::ReadCounters { keys: vec!["c1".to_owned()] }, Reply::returned(Value::map([]))),
            (&Call::ReadAccounts { accounts: 2, opening: 1 }, Reply::returned(Value::map([]))),
            (&acquire, Reply::returned(Value::map([]))),
            (&acquire, Reply::returned(Value::Int(3))),
        ] {
            let validated = validate_reply(call, reply.clone());
            assert_eq!(validated.outcome, Outcome::Info, "{call:?} {reply:?}");
            assert!(validated.error.is_some_and(|why| is_malformed_reply(&why)));
        }
    }

    #[test]
    fn errors_of_earlier_versions_are_recognised() {
        let earlier = "the client's answer is out of place: read succeeded and returned nothing";
        assert!(is_malformed_reply(earlier));
        assert!(!is_malformed_reply("timeout"));
    }

    #[test]
    fn a_valid_reply_is_unchanged() {
        let cas = Call::Cas { key: "x".to_owned(), old: 1, new: 2 };
        let write = Call::Write { key: "x".to_owned(), value: 1 };
        for (call, reply) in [
            (&read_call(), Reply::read(None)),
            (&read_call(), Reply::returned(Value::from("junk"))),
            (&cas, Reply::mismatch()),
            (&write, Reply::ok()),
            (&write, Reply::returned(write.invocation_value())),
            (&write, Reply::fail("refused")),
            (&write, Reply::info("timeout")),
            (&Call::ReadSet, Reply::returned(Value::List([].into()))),
        ] {
            assert_eq!(validate_reply(call, reply.clone()), reply);
        }
    }
}
