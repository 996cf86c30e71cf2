//! Checks that the majority side of a partition made progress. Pure.
//!
//! An election takes a while, longer on a busy machine. So only long partitions count, from
//! [`GRACE`] after their start, and only without any other fault in that time. A majority fails the
//! check only if not one of several writes succeeded. The partition alone determines which hosts
//! form a majority.

use checker::history::{History, Operation, Value};
use records::record::{FaultRecord, FaultState};

/// How long a majority may take to elect a new leader, in nanoseconds.
pub(super) const GRACE: u64 = 5_000_000_000;
/// A shorter span after the grace period is not checked.
pub(super) const MIN_SPAN: u64 = 3_000_000_000;
/// Fewer attempted writes than this are not enough to decide.
const MIN_ATTEMPTS: usize = 5;

/// One message per partition whose majority completed no write.
pub(super) fn stalled_majorities(history: &History, faults: &[FaultRecord]) -> Vec<String> {
    let judged = faults.iter().filter_map(|fault| Some((fault, required_span(fault, faults)?)));
    judged
        .filter_map(|(fault, required_span)| describe_stall(history, fault, required_span))
        .collect()
}

/// When the majority of a partition had to make progress; `None` if the fault cannot be checked.
fn required_span(fault: &FaultRecord, faults: &[FaultRecord]) -> Option<(u64, u64)> {
    let (from, to) = fault.started.zip(fault.ended)?;
    let cut = fault.kind == "partition" && fault.state == FaultState::Witnessed;
    // The system may still be recovering from a fault that ended shortly before.
    let apart = |other: &FaultRecord| match (other.started, other.ended) {
        (None, _) => true,
        (Some(began), Some(ended)) => began >= to || ended.saturating_add(GRACE) <= from,
        (Some(_), None) => false,
    };
    let alone = faults.iter().all(|other| other.id == fault.id || apart(other));
    let due = from.saturating_add(GRACE);
    let long = to >= due.saturating_add(MIN_SPAN);
    (cut && long && alone && !fault.majority.is_empty()).then_some((due, to))
}

fn describe_stall(
    history: &History,
    fault: &FaultRecord,
    (from, to): (u64, u64),
) -> Option<String> {
    let able = |operation: &&Operation| {
        let node = operation.node.as_deref();
        !is_read_only(operation) && fault.majority.iter().any(|host| Some(host.as_str()) == node)
    };
    let inside = |at: u64| from <= at && at <= to;
    let changes: Vec<&Operation> = history.operations().iter().filter(able).collect();
    let tried = changes.iter().filter(|one| inside(one.invoked.time)).count();
    let served = changes.iter().any(|one| {
        let end = one.completion.as_ref().map(|completion| completion.at.time);
        (one.is_ok() || one.is_mismatch()) && end.is_some_and(inside)
    });
    (tried >= MIN_ATTEMPTS && !served).then(|| {
        format!(
            "{} completed none of {tried} writes in {:.1} s of fault {} ({}:{}), although they \
             could reach a majority",
            fault.majority.join(", "),
            (to - from) as f64 / 1e9,
            fault.id,
            fault.kind,
            fault.variant
        )
    })
}

/// Whether the operation is a read or a read-only transaction.
pub(super) fn is_read_only(operation: &Operation) -> bool {
    let read = Value::from("r");
    let reads = |micro: &Value| matches!(micro, Value::List(parts) if parts.first() == Some(&read));
    match &operation.input {
        Value::List(micros) if operation.f == "txn" => micros.iter().all(reads),
        _ => operation.f == "read",
    }
}
