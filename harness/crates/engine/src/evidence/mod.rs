//! Decides what a run may claim: collects everything that stands against *valid*. Pure.
//!
//! A check that found nothing proves little if nothing was tried. So every fault must have been seen to bite,
//! every kind of fault that was asked for must have met operations, enough operations of each kind must have
//! happened in the main phase, the side that could go on must have gone on, and every replica must have answered at the end.

mod coverage;
mod liveness;

pub(crate) use coverage::coverage;

use checker::history::{History, Kind, Operation, Value};
use liveness::looks;
use records::record::{CheckRecord, Death, FaultRecord, FaultState, Reason, Validity};
use std::collections::BTreeMap;
use workloads::MALFORMED_REPLY;

/// Fewer operations of a function than this mean nothing.
const ENOUGH_OK: usize = 20;

/// What a run came to, as far as its coverage depends on it.
pub(crate) struct Facts<'a> {
    /// The history.
    pub history: &'a History,
    /// What the checks found.
    pub checks: &'a [CheckRecord],
    /// All faults.
    pub faults: &'a [FaultRecord],
    /// Replicas that exited unasked.
    pub(crate) deaths: &'a [Death],
    /// Those that did so after they had gone on with a damaged disk.
    pub(crate) doubtful: &'a [Death],
    /// The kinds of fault that were asked for.
    pub kinds: Vec<&'static str>,
    /// The functions of the workload.
    pub functions: &'a [&'static str],
    /// When the main phase was over, in nanoseconds since the run began.
    pub(crate) main_end: u64,
    /// What the nemesis could not do.
    pub(crate) trouble: Option<String>,
    /// What it could not undo.
    pub(crate) unhealed: Option<String>,
    /// How replicas broke the protocol in which the harness carries what they say.
    pub(crate) breach: Option<String>,
    /// Whether a host left a call of the recovery phase unanswered; `None` if it never came to that.
    pub(crate) recovery: Option<Vec<bool>>,
    /// The same of the final reads.
    pub(crate) final_reads: Option<Vec<bool>>,
    /// Whether the run was told to stop before it was over.
    pub interrupted: bool,
    /// What lets the system stand still although a majority could reach each other, as it declares itself.
    pub(crate) no_failover_reason: Option<&'static str>,
}

/// Everything that stands against *valid*, the worst first.
pub(crate) fn reasons(facts: &Facts<'_>) -> Vec<Reason> {
    let mut reasons = Vec::new();
    if facts.interrupted {
        // Of all that is unknown it comes first, because it is why the rest is.
        reasons.push(unknown(
            "the run was interrupted: what did not happen was not checked".to_owned(),
        ));
    }
    reasons.extend(checks(facts));
    reasons.extend(deaths(facts));
    reasons.extend(recovery(facts));
    reasons.extend(lapses(facts));
    reasons.extend(facts.trouble.iter().chain(&facts.unhealed).map(|why| unknown(why.clone())));
    reasons.extend(facts.breach.iter().map(|breach| unknown(breach.clone())));
    reasons.extend(malformed_replies(facts.history));
    reasons.extend(unwitnessed(facts));
    reasons.extend(untouched_kinds(facts));
    reasons.extend(too_few(facts));
    reasons.extend(idle_majority(facts));
    reasons.extend(final_reads(facts));
    reasons.sort_by_key(|reason| std::cmp::Reverse(reason.validity));
    reasons
}

/// What the declaration of a system takes out of a run with faults: it is said, so that nobody takes it for proven.
pub(crate) fn not_asked(no_failover_reason: Option<&str>, faults: &[FaultRecord]) -> Vec<String> {
    let why = no_failover_reason.filter(|_| !faults.is_empty()).into_iter();
    why.map(|why| format!("whether a majority goes on without its leader: {why}")).collect()
}

fn invalid(text: String) -> Reason {
    Reason { validity: Validity::Invalid, text }
}

fn unknown(text: String) -> Reason {
    Reason { validity: Validity::Unknown, text }
}

fn checks(facts: &Facts<'_>) -> Vec<Reason> {
    let bad = facts.checks.iter().filter(|check| check.validity != Validity::Valid);
    bad.map(|check| Reason { validity: check.validity, text: check.sentence.clone() }).collect()
}

fn deaths(facts: &Facts<'_>) -> Vec<Reason> {
    let told = |death: &Death| format!("{} exited unasked: {}", death.replica, death.how);
    let right = |death: &Death| {
        unknown(format!("{}; its disk had been damaged before, so it may have had to", told(death)))
    };
    let wrong = facts.deaths.iter().map(|death| invalid(told(death)));
    wrong.chain(facts.doubtful.iter().map(right)).collect()
}

/// Whether each host that was silent had a replica that may have been right to stop.
fn are_doubtful(left: &[bool], facts: &Facts<'_>) -> bool {
    let mut silent = left.iter().zip(1..).filter(|(left, _)| **left);
    silent.all(|(_, number): (_, u8)| {
        facts.doubtful.iter().any(|death| death.replica == format!("n{number}"))
    })
}

/// Numbers hosts that left something unanswered, as `n2, n4`.
fn silent(left: &[bool]) -> Option<String> {
    let hosts = left.iter().zip(1..).filter(|(left, _)| **left);
    let names: Vec<String> = hosts.map(|(_, number): (_, u8)| format!("n{number}")).collect();
    (!names.is_empty()).then(|| names.join(", "))
}

/// Everybody must answer once everything is healed. Where it is not, silence may be the harness's own doing.
fn recovery(facts: &Facts<'_>) -> Option<Reason> {
    let left = facts.recovery.as_ref()?;
    let hosts = silent(left).filter(|_| !facts.interrupted)?;
    Some(match &facts.unhealed {
        None if are_doubtful(left, facts) => {
            unknown(format!("{hosts} did not answer at the end; its disk had been damaged before"))
        }
        None => invalid(format!(
            "after everything was healed, {hosts} did not answer a write and a read in time"
        )),
        Some(_) => unknown(format!(
            "{hosts} did not answer a write and a read at the end, when not everything was healed"
        )),
    })
}

fn final_reads(facts: &Facts<'_>) -> Option<Reason> {
    if facts.interrupted {
        return None;
    }
    match &facts.final_reads {
        None => Some(unknown("the final reads did not take place".to_owned())),
        Some(left) => {
            silent(left).map(|hosts| unknown(format!("{hosts} did not answer every final read")))
        }
    }
}

/// Answers that did not fit their calls: what the system had said is not known.
fn malformed_replies(history: &History) -> Option<Reason> {
    let errors =
        history.operations().iter().filter_map(|one| one.completion.as_ref()?.error.as_ref());
    let texts = errors.filter_map(|error| match error {
        Value::Str(text) => Some(text.as_str()),
        _ => None,
    });
    let wrong: Vec<&str> = texts.filter(|error| error.starts_with(MALFORMED_REPLY)).collect();
    let first = wrong.first()?;
    Some(unknown(format!("{} of the adapter's answers did not fit: {first}", wrong.len())))
}

fn unwitnessed(facts: &Facts<'_>) -> Vec<Reason> {
    let bare = facts.faults.iter().filter(|fault| fault.state == FaultState::Unwitnessed);
    let told = |fault: &FaultRecord| {
        let FaultRecord { id, kind, variant, evidence, .. } = fault;
        unknown(format!("nothing proves that fault {id} ({kind}:{variant}) bit: {evidence}"))
    };
    bare.map(told).collect()
}

/// Whether an operation that was answered, with yes or with no, overlaps the fault. No would do: while every replica
/// is dead nothing else can be heard, and what they kept is seen afterwards.
fn during(fault: &FaultRecord, operation: &Operation) -> bool {
    let (Some(started), Some(ended), Some(completion)) =
        (fault.started, fault.ended, &operation.completion)
    else {
        return false;
    };
    let answered = matches!(completion.kind, Kind::Ok | Kind::Fail);
    answered && operation.invoked.time <= ended && completion.at.time >= started
}

fn untouched_kinds(facts: &Facts<'_>) -> Vec<Reason> {
    let met = |fault: &FaultRecord| {
        fault.state == FaultState::Witnessed
            && facts.history.operations().iter().any(|one| during(fault, one))
    };
    let untouched = facts
        .kinds
        .iter()
        .filter(|kind| !facts.faults.iter().any(|fault| fault.kind == **kind && met(fault)));
    let told =
        |kind: &&str| unknown(format!("no {kind} was seen to bite while an operation completed"));
    untouched.map(told).collect()
}

fn too_few(facts: &Facts<'_>) -> Vec<Reason> {
    let mut ok: BTreeMap<&str, usize> =
        facts.functions.iter().map(|function| (*function, 0)).collect();
    let meant =
        |operation: &&Operation| operation.is_ok() && operation.invoked.time < facts.main_end;
    for operation in facts.history.operations().iter().filter(meant) {
        *ok.entry(operation.f.as_str()).or_default() += 1;
    }
    let few = ok.into_iter().filter(|(_, count)| *count < ENOUGH_OK);
    few.map(|(function, count)| {
        unknown(format!(
            "only {count} {function} operations succeeded; fewer than {ENOUGH_OK} mean nothing"
        ))
    })
    .collect()
}

/// The side of a long cut that could go on must have gone on, unless nobody ever promised that.
fn lapses(facts: &Facts<'_>) -> Vec<Reason> {
    if facts.no_failover_reason.is_some() {
        return Vec::new();
    }
    liveness::lapses(facts.history, facts.faults).into_iter().map(invalid).collect()
}

/// Where some fault left a majority able to go on, that side must have accepted a write while it lasted, unless nobody
/// ever promised that.
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
            !looks(operation) && there && within(fault, operation)
        })
    };
    let idle = !faults.is_empty() && !faults.iter().any(accepted);
    idle.then(|| {
        unknown("no write succeeded on the majority's side while a fault lasted".to_owned())
    })
}

/// Whether the operation happened wholly while the fault lasted.
fn within(fault: &FaultRecord, operation: &Operation) -> bool {
    let end = operation.completion.as_ref().map(|completion| completion.at.time);
    operation.is_ok()
        && fault.started.is_some_and(|started| operation.invoked.time >= started)
        && fault.ended.zip(end).is_some_and(|(ended, end)| end <= ended)
}

#[cfg(test)]
mod tests;
