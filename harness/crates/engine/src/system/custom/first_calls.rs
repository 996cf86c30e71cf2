//! The calls that show whether a replica of a described system serves.

use workloads::{Call, MicroOp, Object, Outcome, Reply};

/// Calls that each replica must answer before the run begins, so that an error in the file is
/// reported as such. Their key is used by no workload.
pub(super) fn readiness_calls(objects: &[Object]) -> Vec<Call> {
    let (key, lock) = ("ready".to_owned(), "ready".to_owned());
    let calls = objects.iter().map(|object| match object {
        Object::Registers => vec![
            Call::Write { key: key.clone(), value: 1 },
            Call::Read { key: key.clone() },
            Call::Cas { key: key.clone(), old: 1, new: 1 },
        ],
        Object::Set => vec![Call::ReadSet],
        Object::Counters => vec![Call::ReadCounter],
        Object::Ids => vec![Call::Generate],
        Object::Queue => vec![Call::Dequeue],
        Object::Locks => vec![Call::Release { lock: lock.clone(), holder: "ready".to_owned() }],
        Object::Transactions => vec![Call::Txn { function: "txn", ops: vec![MicroOp::Read(0)] }],
        Object::Bank => vec![Call::ReadAccounts { accounts: 1, opening: 0 }],
        Object::Broadcast | Object::Echo | Object::Logs => Vec::new(),
    });
    calls.flatten().collect()
}

/// Why a replica is not ready that gave this answer to one of them, if it is not.
pub(super) fn explain_unready(call: &Call, reply: &Reply) -> Option<Reply> {
    let ready = reply.outcome == Outcome::Ok || reply.is_mismatch();
    let why = reply.error.as_deref().unwrap_or_default();
    (!ready).then(|| {
        Reply::fail(format!("{} {}: {why}", call.function_name(), call.invocation_value()))
    })
}
