//! Decides what a run may claim: collects every objection to *valid*. Pure.
//!
//! A check that finds nothing proves little if the run tested nothing. So a valid run needs:
//! - every fault confirmed by evidence;
//! - a completed operation during every requested kind of fault;
//! - enough successful operations of each function in the main phase;
//! - progress on the majority side of partitions;
//! - an answer from every replica after healing.

mod coverage;
mod liveness;

pub(crate) use coverage::measure_coverage;

use crate::invariants::find_exit_line;
use checker::history::{History, Kind, Operation, Value};
use liveness::is_read_only;
use records::record::{CheckRecord, FaultRecord, FaultState, Reason, ReplicaExit, Validity};
use std::collections::BTreeMap;
use workloads::is_malformed_reply;

/// Fewer successful operations of a function than this make the verdict unknown.
const ENOUGH_OK: usize = 20;
/// During a shorter fault the rest of the cluster may have had no time to elect a leader, in
/// nanoseconds.
const ELECTION_NS: u64 = 2_000_000_000;

/// The results of a run from which objections are derived.
pub(crate) struct Facts<'a> {
    /// The history.
    pub history: &'a History,
    /// The results of the checks.
    pub checks: &'a [CheckRecord],
    /// All faults of the run.
    pub faults: &'a [FaultRecord],
    /// Replicas that exited unexpectedly.
    pub(crate) deaths: &'a [ReplicaExit],
    /// Unexpected exits of replicas whose disk the nemesis had corrupted before.
    pub(crate) doubtful: &'a [ReplicaExit],
    /// The requested kinds of fault.
    pub kinds: Vec<&'static str>,
    /// The functions of the workload.
    pub functions: &'a [&'static str],
    /// When the main phase ended, in nanoseconds since the run began.
    pub(crate) main_end: u64,
    /// The error of the nemesis while it applied faults.
    pub(crate) nemesis_error: Option<String>,
    /// The error of the nemesis while it healed faults.
    pub(crate) heal_error: Option<String>,
    /// How replicas violated the protocol of messages that the harness routes for them.
    pub(crate) protocol_error: Option<String>,
    /// Per host: whether a recovery call was left unanswered; `None` without a recovery phase.
    pub(crate) recovery: Option<Vec<bool>>,
    /// Per host: whether a final read was left unanswered; `None` without final reads.
    pub(crate) final_reads: Option<Vec<bool>>,
    /// Whether the user stopped the run before its end.
    pub interrupted: bool,
    /// The objection to an early violation that no check of the whole history confirms.
    pub(crate) unconfirmed: Option<String>,
    /// Why the system may make no progress without its leader, if it declares so.
    pub(crate) no_failover_reason: Option<&'static str>,
}

/// Every objection to *valid*, the worst first.
pub(crate) fn collect_objections(facts: &Facts<'_>) -> Vec<Reason> {
    let mut reasons = Vec::new();
    if facts.interrupted {
        // An interruption causes the other unknowns, so it precedes them.
        reasons.push(unknown_reason(
            "the run was interrupted: the remaining phases were not checked".to_owned(),
        ));
    }
    reasons.extend(facts.unconfirmed.iter().map(|why| unknown_reason(why.clone())));
    reasons.extend(failed_checks(facts));
    reasons.extend(exit_objections(facts));
    reasons.extend(recovery_objection(facts));
    reasons.extend(majority_stalls(facts));
    reasons.extend(
        facts.nemesis_error.iter().chain(&facts.heal_error).map(|why| unknown_reason(why.clone())),
    );
    reasons.extend(
        facts.protocol_error.iter().map(|protocol_error| unknown_reason(protocol_error.clone())),
    );
    reasons.extend(malformed_replies(facts.history));
    reasons.extend(unconfirmed_faults(facts));
    reasons.extend(kinds_without_operations(facts));
    reasons.extend(rare_functions(facts));
    reasons.extend(idle_majority(facts));
    reasons.extend(final_reads_objection(facts));
    reasons.sort_by_key(|reason| std::cmp::Reverse(reason.validity));
    reasons
}

/// Properties that a run with faults does not check because the system does not promise them.
/// Reports list them, so that a reader does not take them for proven.
pub(crate) fn unchecked_properties(
    no_failover_reason: Option<&str>,
    faults: &[FaultRecord],
) -> Vec<String> {
    let why = no_failover_reason.filter(|_| !faults.is_empty()).into_iter();
    why.map(|why| format!("whether a majority makes progress without its leader: {why}")).collect()
}

fn invalid_reason(text: String) -> Reason {
    Reason { validity: Validity::Invalid, text }
}

fn unknown_reason(text: String) -> Reason {
    Reason { validity: Validity::Unknown, text }
}

fn failed_checks(facts: &Facts<'_>) -> Vec<Reason> {
    let bad = facts.checks.iter().filter(|check| check.validity != Validity::Valid);
    bad.map(|check| Reason { validity: check.validity, text: check.sentence.clone() }).collect()
}

fn exit_objections(facts: &Facts<'_>) -> Vec<Reason> {
    let told = |death: &ReplicaExit| {
        let line = find_exit_line(&death.log).map(|line| format!("; its log says: {line}"));
        let line = line.unwrap_or_default();
        let ReplicaExit { replica, how, .. } = death;
        (how.clone(), format!("{replica} exited unexpectedly: {how}{line}"))
    };
    let wrong = count_repeats(facts.deaths.iter().map(told), "exits");
    let excused = count_repeats(facts.doubtful.iter().map(told), "exits");
    let excused = excused.map(|text| format!("{text}; a fault had corrupted its disk"));
    wrong.map(invalid_reason).chain(excused.map(unknown_reason)).collect()
}

/// The first text of each kind, with the number of further ones. Texts come with their kind, which
/// is what they have in common.
fn count_repeats(
    texts: impl Iterator<Item = (String, String)>,
    what: &str,
) -> impl Iterator<Item = String> {
    let mut kinds: Vec<(String, String, usize)> = Vec::new();
    for (kind, text) in texts {
        match kinds.iter_mut().find(|(known, ..)| *known == kind) {
            Some((.., further)) => *further += 1,
            None => kinds.push((kind, text, 0)),
        }
    }
    let what = what.to_owned();
    kinds.into_iter().map(move |(_, text, further)| match further {
        0 => text,
        _ => format!("{text} (and {further} more such {what})"),
    })
}

/// Whether every silent host had a replica that exited over a disk the nemesis had corrupted.
fn have_corrupt_disks(left: &[bool], facts: &Facts<'_>) -> bool {
    let mut silent = left.iter().zip(1..).filter(|(left, _)| **left);
    silent.all(|(_, number): (_, u8)| {
        facts.doubtful.iter().any(|death| death.replica == format!("n{number}"))
    })
}

/// The hosts that left a call unanswered, as `n2, n4`.
fn silent_hosts(left: &[bool]) -> Option<String> {
    let hosts = left.iter().zip(1..).filter(|(left, _)| **left);
    let names: Vec<String> = hosts.map(|(_, number): (_, u8)| format!("n{number}")).collect();
    (!names.is_empty()).then(|| names.join(", "))
}

/// Every replica must answer once all faults are healed. If healing failed, the harness itself may
/// be the cause of silence, so the result is unknown.
fn recovery_objection(facts: &Facts<'_>) -> Option<Reason> {
    let left = facts.recovery.as_ref()?;
    let hosts = silent_hosts(left).filter(|_| !facts.interrupted)?;
    Some(match &facts.heal_error {
        None if have_corrupt_disks(left, facts) => unknown_reason(format!(
            "{hosts} did not answer in recovery; a fault had corrupted its disk"
        )),
        None => invalid_reason(format!(
            "after all faults were healed, {hosts} did not answer a write and a read in time"
        )),
        Some(_) => unknown_reason(format!(
            "{hosts} did not answer a write and a read in recovery, but not all faults were healed"
        )),
    })
}

fn final_reads_objection(facts: &Facts<'_>) -> Option<Reason> {
    if facts.interrupted {
        return None;
    }
    match &facts.final_reads {
        None => Some(unknown_reason("the final reads did not run".to_owned())),
        Some(left) => silent_hosts(left)
            .map(|hosts| unknown_reason(format!("{hosts} did not answer every final read"))),
    }
}

/// Replies that do not match their calls: the outcome of those calls is unknown.
fn malformed_replies(history: &History) -> Option<Reason> {
    let errors =
        history.operations().iter().filter_map(|one| one.completion.as_ref()?.error.as_ref());
    let texts = errors.filter_map(|error| match error {
        Value::Str(text) => Some(text.as_str()),
        _ => None,
    });
    let wrong: Vec<&str> = texts.filter(|error| is_malformed_reply(error)).collect();
    let first = wrong.first()?;
    Some(unknown_reason(format!(
        "{} replies do not match their calls; first: {first}",
        wrong.len()
    )))
}

fn unconfirmed_faults(facts: &Facts<'_>) -> Vec<Reason> {
    let bare = facts.faults.iter().filter(|fault| fault.state == FaultState::Unwitnessed);
    let told = |fault: &FaultRecord| {
        let FaultRecord { id, kind, variant, evidence, .. } = fault;
        let text = format!("fault {id} ({kind}:{variant}) was not confirmed: {evidence}");
        (format!("{kind}:{variant}"), text)
    };
    count_repeats(bare.map(told), "faults").map(unknown_reason).collect()
}

/// Whether an operation that completed `ok` or `fail` overlaps the fault. A failure counts: while
/// every replica is down there is no other answer, and later reads show what was kept.
fn overlaps_fault(fault: &FaultRecord, operation: &Operation) -> bool {
    let (Some(started), Some(ended), Some(completion)) =
        (fault.started, fault.ended, &operation.completion)
    else {
        return false;
    };
    let answered = matches!(completion.kind, Kind::Ok | Kind::Fail);
    answered && operation.invoked.time <= ended && completion.at.time >= started
}

fn kinds_without_operations(facts: &Facts<'_>) -> Vec<Reason> {
    let met = |fault: &FaultRecord| {
        fault.state == FaultState::Witnessed
            && facts.history.operations().iter().any(|one| overlaps_fault(fault, one))
    };
    let untouched = facts
        .kinds
        .iter()
        .filter(|kind| !facts.faults.iter().any(|fault| fault.kind == **kind && met(fault)));
    let told = |kind: &&str| {
        unknown_reason(format!("no operation completed during a confirmed {kind} fault"))
    };
    untouched.map(told).collect()
}

fn rare_functions(facts: &Facts<'_>) -> Vec<Reason> {
    let mut ok: BTreeMap<&str, usize> =
        facts.functions.iter().map(|function| (*function, 0)).collect();
    let meant =
        |operation: &&Operation| operation.is_ok() && operation.invoked.time < facts.main_end;
    for operation in facts.history.operations().iter().filter(meant) {
        *ok.entry(operation.f.as_str()).or_default() += 1;
    }
    let few = ok.into_iter().filter(|(_, count)| *count < ENOUGH_OK);
    few.map(|(function, count)| {
        unknown_reason(format!(
            "only {count} {function} operations succeeded; a verdict needs {ENOUGH_OK}"
        ))
    })
    .collect()
}

/// The majority side of a long partition must make progress, if the system promises that.
fn majority_stalls(facts: &Facts<'_>) -> Vec<Reason> {
    if facts.no_failover_reason.is_some() {
        return Vec::new();
    }
    let stalls = liveness::stalled_majorities(facts.history, facts.faults).into_iter();
    count_repeats(stalls.map(|text| (String::new(), text)), "partitions")
        .map(invalid_reason)
        .collect()
}

/// If a fault leaves a connected majority, that side must accept a write during one such fault, if
/// the system promises progress without its leader, and if one of them lasted long enough for an
/// election.
fn idle_majority(facts: &Facts<'_>) -> Option<Reason> {
    if facts.no_failover_reason.is_some() {
        return None;
    }
    let able =
        |fault: &&FaultRecord| fault.state == FaultState::Witnessed && !fault.majority.is_empty();
    let faults: Vec<&FaultRecord> = facts.faults.iter().filter(able).collect();
    let accepted = |fault: &&FaultRecord| {
        facts.history.operations().iter().any(|operation| {
            let there = operation
                .node
                .as_ref()
                .is_some_and(|node| fault.majority.iter().any(|it| *node == it.as_str()));
            !is_read_only(operation) && there && lies_within(fault, operation)
        })
    };
    let long = |fault: &&FaultRecord| {
        let span = fault.started.zip(fault.ended);
        span.is_some_and(|(started, ended)| ended >= started.saturating_add(ELECTION_NS))
    };
    let idle = faults.iter().any(long) && !faults.iter().any(accepted);
    idle.then(|| unknown_reason("no write succeeded on the majority side of any fault".to_owned()))
}

/// Whether the whole operation lies within the fault.
fn lies_within(fault: &FaultRecord, operation: &Operation) -> bool {
    let end = operation.completion.as_ref().map(|completion| completion.at.time);
    operation.is_ok()
        && fault.started.is_some_and(|started| operation.invoked.time >= started)
        && fault.ended.zip(end).is_some_and(|(ended, end)| end <= ended)
}

#[cfg(test)]
mod tests;
