//! States what must be seen in a scenario; each claim is proven by a sentence from the story, or refuted by one. Pure.

use super::story::{Answer, Story, seconds};
use std::collections::BTreeSet;

/// A sentence that shows it, or one that says what is missing.
pub(crate) type Claim = fn(&Story) -> Result<String, String>;

/// How soon after a fault began a write must have been asked so that only the old leader can have taken it.
const EARLY_MS: i64 = 1_000;

/// What no claim can be made without.
fn nobody() -> String {
    "no leader was followed by another one at a higher term".to_owned()
}

/// A leader was followed by another at a higher term after the fault began.
pub(crate) fn succession(story: &Story) -> Result<String, String> {
    let (old, new) = story.change().ok_or_else(nobody)?;
    let (began, _) = story.fault().ok_or_else(nobody)?;
    Ok(format!(
        "{} led term {}; {} leads term {}, {} after the fault began",
        old.leader,
        old.term,
        new.leader,
        new.term,
        seconds(new.from_ms - began)
    ))
}

/// The successor went from follower to pre-candidate, candidate and leader.
pub(crate) fn elected(story: &Story) -> Result<String, String> {
    let succession = succession(story)?;
    let (old, new) = story.change().ok_or_else(nobody)?;
    let (began, _) = story.fault().ok_or_else(nobody)?;
    if new.leader == old.leader {
        return Err(format!("{} came back as leader before anybody else stood", old.leader));
    }
    let path: Vec<&str> = story
        .turns
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
pub(crate) fn follows(story: &Story) -> Result<String, String> {
    let (old, _) = story.change().ok_or_else(nobody)?;
    let back = story
        .turns
        .iter()
        .find(|turn| turn.replica == old.leader && turn.term > old.term && turn.leader.is_some());
    match back {
        Some(turn) => Ok(format!(
            "{}, once leader of term {}, follows {} at term {} from {} on",
            old.leader,
            old.term,
            turn.leader.as_deref().unwrap_or("somebody"),
            turn.term,
            seconds(turn.at_ms)
        )),
        None => Err(format!("{} never followed a leader of a higher term", old.leader)),
    }
}

/// The old leader still believed that it led when the new one did.
pub(crate) fn two_leaders(story: &Story) -> Result<String, String> {
    let (old, new) = story.change().ok_or_else(nobody)?;
    let both = both_lead(story).ok_or_else(|| {
        format!("{} knew that it did not lead before {} did", old.leader, new.leader)
    })?;
    Ok(format!(
        "for {} {} believed that it led term {} while {} led term {}",
        seconds(both.end - both.start),
        old.leader,
        old.term,
        new.leader,
        new.term
    ))
}

/// The time in which two led.
fn both_lead(story: &Story) -> Option<std::ops::Range<i64>> {
    let (old, new) = story.change()?;
    let end = old.to_ms.unwrap_or(i64::MAX).min(new.to_ms.unwrap_or(i64::MAX));
    (old.leader != new.leader && end > new.from_ms).then_some(new.from_ms..end)
}

/// While two led, the old one acknowledged no write and the cluster did.
pub(crate) fn powerless(story: &Story) -> Result<String, String> {
    let (old, _) = story.change().ok_or_else(nobody)?;
    let both = both_lead(story).ok_or("never did two servers lead at the same time")?;
    let (of_old, of_rest): (Vec<&Answer>, Vec<&Answer>) = story
        .answers
        .iter()
        .filter(|answer| answer.outcome == "ok" && answer.f == "write")
        .filter(|answer| both.contains(&answer.asked_ms) && both.contains(&answer.told_ms))
        .partition(|answer| answer.node == old.leader);
    match (of_old.len(), of_rest.len()) {
        (0, 0) => Err("nobody acknowledged a write while two led: that shows nothing".to_owned()),
        (0, some) => Ok(format!(
            "meanwhile {} acknowledged no write, the others {some}: it has no majority",
            old.leader
        )),
        (some, _) => Err(format!("{} acknowledged {some} writes of its own", old.leader)),
    }
}

/// Writes that only the old leader's side took were told as unknown, and nobody ever reads them.
pub(crate) fn vanished(story: &Story) -> Result<String, String> {
    let (began, _) = story.fault().ok_or_else(nobody)?;
    let side = minority(story);
    let lost: Vec<&Answer> = story
        .answers
        .iter()
        .filter(|answer| answer.f == "write" && answer.outcome == "info")
        .filter(|answer| side.contains(&answer.node))
        .filter(|answer| (began..began + EARLY_MS).contains(&answer.asked_ms))
        .collect();
    let read = |write: &&&Answer| {
        let same = |answer: &&Answer| answer.outcome == "ok" && answer.value == write.value;
        story.answers.iter().filter(same).any(|answer| answer.f == "read")
    };
    match (lost.len(), lost.iter().filter(read).count()) {
        (0, _) => Err("no write was under way when the leader was cut off".to_owned()),
        (some, 0) => Ok(format!(
            "{some} writes that only the old leader's side could take were told as unknown, and \
             nobody ever read one"
        )),
        (some, read) => Err(format!("{read} of {some} writes without a majority were read later")),
    }
}

/// The replicas that the first fault left without a majority.
fn minority(story: &Story) -> BTreeSet<String> {
    let Some(fault) = story.faults.first() else { return BTreeSet::new() };
    let all = fault.cut.iter().flat_map(|(from, to)| [from.clone(), to.clone()]);
    all.filter(|name| !fault.majority.contains(name)).collect()
}

/// While the halves were apart servers stood on both sides and none won; when they met one did, at a higher term.
pub(crate) fn nobody_wins(story: &Story) -> Result<String, String> {
    let (began, ended) = story.fault().ok_or_else(nobody)?;
    let (old, new) = story.change().ok_or_else(nobody)?;
    let stood: BTreeSet<&str> = story
        .turns
        .iter()
        .filter(|turn| (began..ended).contains(&turn.at_ms) && turn.role.ends_with("candidate"))
        .map(|turn| turn.replica.as_str())
        .collect();
    if stood.len() < 2 {
        return Err(format!("{} servers stood for election, not several", stood.len()));
    }
    if new.from_ms < ended {
        return Err(format!("{} won with half of the servers", new.leader));
    }
    let stood = stood.into_iter().collect::<Vec<_>>().join(", ");
    Ok(format!(
        "{stood} stood, none won for {}; a lost pre-vote costs no term, so {} then leads term {} \
         after {}, {} after the halves met",
        seconds(ended - began),
        new.leader,
        new.term,
        old.term,
        seconds(new.from_ms - ended)
    ))
}
