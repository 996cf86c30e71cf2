//! Holds answers to the manners of a client: one that does not fit its call must convict nobody and acquit nobody.
//!
//! An adapter that answers a read with *ok* and nothing, or a write with *mismatch*, has a bug; what it said would be taken
//! for what the system said. So such an answer is replaced by *unknown*, with a reason that begins with [`OUT_OF_PLACE`],
//! and a run in which there is one is not valid.

use super::{Call, Outcome, Reply};
use checker::history::Value;

/// How the error of an answer begins that did not fit its call.
pub const OUT_OF_PLACE: &str = "the client's answer is out of place: ";

/// The answer, or in the place of one that does not fit the call that nobody knows.
pub fn mannered(call: &Call, reply: Reply) -> Reply {
    match misfit(call, &reply) {
        None => reply,
        Some(why) => Reply::info(format!("{OUT_OF_PLACE}{} {why}", call.function())),
    }
}

/// In what an answer does not fit its call.
fn misfit(call: &Call, reply: &Reply) -> Option<&'static str> {
    let says_why = reply.error.as_ref().is_some_and(|error| !error.is_empty());
    match reply.outcome {
        Outcome::Ok if reply.error.is_some() => Some("succeeded and carries an error"),
        Outcome::Ok => unfit(call, reply.returned.as_ref()),
        _ if reply.returned.is_some() => Some("did not succeed and returned something"),
        _ if !says_why => Some("did not succeed and does not say why"),
        _ if reply.is_mismatch() && !expects(call) => Some("expects nothing and found a mismatch"),
        _ => None,
    }
}

/// Whether a call says what it expects of the state.
fn expects(call: &Call) -> bool {
    matches!(call, Call::Cas { .. } | Call::Acquire { .. } | Call::Release { .. } | Call::Dequeue)
}

/// In what a result is not that of the call.
fn unfit(call: &Call, returned: Option<&Value>) -> Option<&'static str> {
    let Some(returned) = returned else {
        return returns(call).then_some("succeeded and returned nothing");
    };
    if !returns(call) {
        // What was asked may be said again, as histories of others do.
        return (*returned != call.invoked()).then_some("returns nothing and returned something");
    }
    let fits = match call {
        Call::Elements | Call::Heard => matches!(returned, Value::List(_)),
        Call::Acquire { .. } => {
            matches!(field(returned, "token"), Some(Value::Int(_)))
        }
        Call::Sums { keys } => keys.iter().all(|key| field(returned, key).is_some()),
        Call::Balances { accounts, .. } => {
            matches!(returned, Value::Map(told) if told.len() as u64 == *accounts)
        }
        Call::Poll { .. } | Call::Assign { .. } => matches!(returned, Value::Map(_)),
        Call::Txn { ops, .. } => matches!(returned, Value::List(told) if told.len() == ops.len()),
        _ => true,
    };
    (!fits).then_some("returned something of another shape")
}

/// What a map has under that name.
fn field<'v>(value: &'v Value, name: &str) -> Option<&'v Value> {
    let Value::Map(told) = value else { return None };
    told.iter().find(|(known, _)| known == name).map(|(_, value)| value)
}

/// Whether a call that succeeds returns something, were it that there is nothing.
fn returns(call: &Call) -> bool {
    matches!(
        call,
        Call::Read { .. }
            | Call::Txn { .. }
            | Call::Sum
            | Call::Sums { .. }
            | Call::Elements
            | Call::Dequeue
            | Call::Acquire { .. }
            | Call::Generate
            | Call::Echo { .. }
            | Call::Assign { .. }
            | Call::Balances { .. }
            | Call::Heard
            | Call::Send { .. }
            | Call::Poll { .. }
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read() -> Call {
        Call::Read { key: "x".to_owned() }
    }

    #[test]
    fn an_answer_that_does_not_fit_says_nothing() {
        let write = Call::Write { key: "x".to_owned(), value: 1 };
        let acquire = Call::Acquire { lock: "l".to_owned(), holder: "h".to_owned() };
        let silent = Reply { error: None, ..Reply::fail("") };
        let both = Reply { error: Some("but".to_owned()), ..Reply::ok() };
        let spoken = Reply { returned: Some(Value::Int(1)), ..Reply::info("timeout") };
        for (call, reply) in [
            (&read(), Reply::ok()),
            (&read(), Reply::mismatch()),
            (&write, Reply::mismatch()),
            (&write, silent),
            (&write, both),
            (&write, spoken),
            (&Call::Elements, Reply::returned(Value::Int(3))),
            (&Call::Dequeue, Reply::ok()),
            (&write, Reply::returned(Value::Int(7))),
            (&Call::Echo { text: "hi".to_owned() }, Reply::ok()),
            (&Call::Assign { keys: Vec::new() }, Reply::ok()),
            (&Call::Sums { keys: vec!["c1".to_owned()] }, Reply::returned(Value::map([]))),
            (&Call::Balances { accounts: 2, opening: 1 }, Reply::returned(Value::map([]))),
            (&acquire, Reply::returned(Value::map([]))),
            (&acquire, Reply::returned(Value::Int(3))),
        ] {
            let told = mannered(call, reply.clone());
            assert_eq!(told.outcome, Outcome::Info, "{call:?} {reply:?}");
            assert!(told.error.is_some_and(|why| why.starts_with(OUT_OF_PLACE)));
        }
    }

    #[test]
    fn an_answer_that_fits_is_left_alone() {
        let cas = Call::Cas { key: "x".to_owned(), old: 1, new: 2 };
        let write = Call::Write { key: "x".to_owned(), value: 1 };
        for (call, reply) in [
            (&read(), Reply::read(None)),
            (&read(), Reply::returned(Value::from("junk"))),
            (&cas, Reply::mismatch()),
            (&write, Reply::ok()),
            (&write, Reply::returned(write.invoked())),
            (&write, Reply::fail("refused")),
            (&write, Reply::info("timeout")),
            (&Call::Elements, Reply::returned(Value::List([].into()))),
        ] {
            assert_eq!(mannered(call, reply.clone()), reply);
        }
    }
}
