//! Judges whether the side of a cut that could go on did go on. Pure.
//!
//! A cluster may need a while to find a leader, and a busy machine makes that longer; so only long cuts are judged,
//! from [`GRACE`] after they began, only where nothing else was broken meanwhile, and only a side on which not one of
//! several changes succeeded is convicted. Which hosts could go on follows from the cut alone.

use checker::history::{History, Operation, Value};
use records::record::{FaultRecord, FaultState};

/// How long a majority may take to go on without those that were cut off, in nanoseconds.
pub(super) const GRACE: u64 = 5_000_000_000;
/// A shorter time after that is not judged.
pub(super) const SHORTEST: u64 = 3_000_000_000;
/// Fewer attempts than this say nothing.
const ENOUGH_TRIED: usize = 5;

/// A sentence for each cut whose majority served no change.
pub(super) fn lapses(history: &History, faults: &[FaultRecord]) -> Vec<String> {
    let judged = faults.iter().filter_map(|fault| Some((fault, stretch(fault, faults)?)));
    judged.filter_map(|(fault, stretch)| lapse(history, fault, stretch)).collect()
}

/// From when to when the majority of a cut had to serve; nothing if that cannot be said.
fn stretch(fault: &FaultRecord, faults: &[FaultRecord]) -> Option<(u64, u64)> {
    let (from, to) = fault.started.zip(fault.ended)?;
    let cut = fault.kind == "partition" && fault.state == FaultState::Witnessed;
    // What was broken shortly before may still be recovering.
    let apart = |other: &FaultRecord| match (other.started, other.ended) {
        (None, _) => true,
        (Some(began), Some(ended)) => began >= to || ended.saturating_add(GRACE) <= from,
        (Some(_), None) => false,
    };
    let alone = faults.iter().all(|other| other.id == fault.id || apart(other));
    let due = from.saturating_add(GRACE);
    let long = to >= due.saturating_add(SHORTEST);
    (cut && long && alone && !fault.majority.is_empty()).then_some((due, to))
}

fn lapse(history: &History, fault: &FaultRecord, (from, to): (u64, u64)) -> Option<String> {
    let able = |operation: &&Operation| {
        let node = operation.node.as_deref();
        !looks(operation) && fault.majority.iter().any(|host| Some(host.as_str()) == node)
    };
    let inside = |at: u64| from <= at && at <= to;
    let changes: Vec<&Operation> = history.operations().iter().filter(able).collect();
    let tried = changes.iter().filter(|one| inside(one.invoked.time)).count();
    let served = changes.iter().any(|one| {
        let end = one.completion.as_ref().map(|completion| completion.at.time);
        (one.is_ok() || one.is_mismatch()) && end.is_some_and(inside)
    });
    (tried >= ENOUGH_TRIED && !served).then(|| {
        format!(
            "{} served none of {tried} changes for {:.1} s during fault {} ({}:{}), though they could reach each \
             other or a majority",
            fault.majority.join(", "),
            (to - from) as f64 / 1e9,
            fault.id,
            fault.kind,
            fault.variant
        )
    })
}

/// Whether the operation is a read, or a transaction of nothing else.
pub(super) fn looks(operation: &Operation) -> bool {
    let reads = |micro: &Value| matches!(micro, Value::List(parts) if parts.first() == Some(&Value::from("r")));
    match &operation.input {
        Value::List(micros) if operation.f == "txn" => micros.iter().all(reads),
        _ => operation.f == "read",
    }
}
