//! The claims of scenarios: each is proven or refuted by a sentence from the trace of a run. Pure.

use super::trace::{ClientOperation, RunTrace, format_seconds};
use std::collections::BTreeSet;

/// Returns a sentence that proves the claim, or one that says what is missing.
pub(crate) type Claim = fn(&RunTrace) -> Result<String, String>;

/// How soon after the start of a fault a write must be invoked, so that only the old leader can
/// have accepted it.
const EARLY_MS: i64 = 1_000;

/// The message if there was no change of leader.
fn no_leader_change() -> String {
    "no leader was followed by another one at a higher term".to_owned()
}

/// A leader was followed by another at a higher term after the fault began.
pub(crate) fn leader_changed(trace: &RunTrace) -> Result<String, String> {
    let (old, new) = trace.leader_change().ok_or_else(no_leader_change)?;
    let (began, _) = trace.first_fault().ok_or_else(no_leader_change)?;
    Ok(format!(
        "{} led term {}; {} leads term {}, {} after the fault began",
        old.leader,
        old.term,
        new.leader,
        new.term,
        format_seconds(new.from_ms - began)
    ))
}

/// The successor went from follower to pre-candidate, candidate and leader.
pub(crate) fn successor_elected(trace: &RunTrace) -> Result<String, String> {
    let succession = leader_changed(trace)?;
    let (old, new) = trace.leader_change().ok_or_else(no_leader_change)?;
    let (began, _) = trace.first_fault().ok_or_else(no_leader_change)?;
    if new.leader == old.leader {
        return Err(format!("{} became leader again before another candidate", old.leader));
    }
    let path: Vec<&str> = trace
        .role_changes
        .iter()
        .filter(|turn| turn.replica == new.leader)
        .filter(|turn| (began..=new.from_ms).contains(&turn.at_ms))
        .map(|turn| turn.role.as_str())
        .collect();
    if path.ends_with(&["pre-candidate", "candidate", "leader"]) {
        Ok(format!("{succession}; it was {}", path.join(", then ")))
    } else {
        Err(format!("{} came to lead as {}", new.leader, path.join(", then ")))
    }
}

/// The old leader ends as a follower of a higher term.
pub(crate) fn old_leader_follows(trace: &RunTrace) -> Result<String, String> {
    let (old, _) = trace.leader_change().ok_or_else(no_leader_change)?;
    let back = trace
        .role_changes
        .iter()
        .find(|turn| turn.replica == old.leader && turn.term > old.term && turn.leader.is_some());
    match back {
        Some(turn) => Ok(format!(
            "{}, once leader of term {}, follows {} at term {} from {} on",
            old.leader,
            old.term,
            turn.leader.as_deref().unwrap_or("another replica"),
            turn.term,
            format_seconds(turn.at_ms)
        )),
        None => Err(format!("{} never followed a leader of a higher term", old.leader)),
    }
}

/// The old leader had not stepped down when the new one was elected.
pub(crate) fn two_leaders(trace: &RunTrace) -> Result<String, String> {
    let (old, new) = trace.leader_change().ok_or_else(no_leader_change)?;
    let both = both_lead(trace).ok_or_else(|| {
        format!("{} stepped down before {} became leader", old.leader, new.leader)
    })?;
    Ok(format!(
        "for {} {} still acted as leader of term {} while {} led term {}",
        format_seconds(both.end - both.start),
        old.leader,
        old.term,
        new.leader,
        new.term
    ))
}

/// The time with two leaders.
fn both_lead(trace: &RunTrace) -> Option<std::ops::Range<i64>> {
    let (old, new) = trace.leader_change()?;
    let end = old.to_ms.unwrap_or(i64::MAX).min(new.to_ms.unwrap_or(i64::MAX));
    (old.leader != new.leader && end > new.from_ms).then_some(new.from_ms..end)
}

/// While there were two leaders, only the new one acknowledged writes.
pub(crate) fn only_new_leader_acks(trace: &RunTrace) -> Result<String, String> {
    let (old, _) = trace.leader_change().ok_or_else(no_leader_change)?;
    let both = both_lead(trace).ok_or("there were never two leaders at the same time")?;
    let (of_old, of_rest): (Vec<&ClientOperation>, Vec<&ClientOperation>) = trace
        .operations
        .iter()
        .filter(|answer| answer.outcome == "ok" && answer.f == "write")
        .filter(|answer| both.contains(&answer.invoked_ms) && both.contains(&answer.completed_ms))
        .partition(|answer| answer.node == old.leader);
    match (of_old.len(), of_rest.len()) {
        (0, 0) => Err("no write was acknowledged while there were two leaders".to_owned()),
        (0, some) => Ok(format!(
            "meanwhile {} acknowledged no write, the others {some}: it has no majority",
            old.leader
        )),
        (some, _) => Err(format!("{} acknowledged {some} writes without a majority", old.leader)),
    }
}

/// Writes that only the old leader's side received have an unknown outcome and are never read.
pub(crate) fn minority_writes_lost(trace: &RunTrace) -> Result<String, String> {
    let (began, _) = trace.first_fault().ok_or_else(no_leader_change)?;
    let side = minority_replicas(trace);
    let lost: Vec<&ClientOperation> = trace
        .operations
        .iter()
        .filter(|answer| answer.f == "write" && answer.outcome == "info")
        .filter(|answer| side.contains(&answer.node))
        .filter(|answer| (began..began + EARLY_MS).contains(&answer.invoked_ms))
        .collect();
    let read = |write: &&&ClientOperation| {
        let same =
            |answer: &&ClientOperation| answer.outcome == "ok" && answer.value == write.value;
        trace.operations.iter().filter(same).any(|answer| answer.f == "read")
    };
    match (lost.len(), lost.iter().filter(read).count()) {
        (0, _) => Err("no write was in progress when the leader was cut off".to_owned()),
        (some, 0) => Ok(format!(
            "{some} writes that only the old leader's side could receive have an unknown outcome, \
             and none was ever read"
        )),
        (some, read) => Err(format!("{read} of {some} writes without a majority were read later")),
    }
}

/// The replicas that the first fault left without a majority.
fn minority_replicas(trace: &RunTrace) -> BTreeSet<String> {
    let Some(fault) = trace.faults.first() else { return BTreeSet::new() };
    let all = fault.cut.iter().flat_map(|(from, to)| [from.clone(), to.clone()]);
    all.filter(|name| !fault.majority.contains(name)).collect()
}

/// While the halves were partitioned, candidates on both sides lost; after healing one won, at a
/// higher term.
pub(crate) fn split_vote(trace: &RunTrace) -> Result<String, String> {
    let (began, ended) = trace.first_fault().ok_or_else(no_leader_change)?;
    let (old, new) = trace.leader_change().ok_or_else(no_leader_change)?;
    let stood: BTreeSet<&str> = trace
        .role_changes
        .iter()
        .filter(|turn| (began..ended).contains(&turn.at_ms) && turn.role.ends_with("candidate"))
        .map(|turn| turn.replica.as_str())
        .collect();
    if stood.len() < 2 {
        return Err(format!("{} candidates, not several", stood.len()));
    }
    if new.from_ms < ended {
        return Err(format!("{} was elected by half of the servers", new.leader));
    }
    let stood = stood.into_iter().collect::<Vec<_>>().join(", ");
    Ok(format!(
        "{stood} were candidates, none won for {}; a lost pre-vote does not increase the term, so \
         {} then leads term {} after {}, {} after healing",
        format_seconds(ended - began),
        new.leader,
        new.term,
        old.term,
        format_seconds(new.from_ms - ended)
    ))
}
