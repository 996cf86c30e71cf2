//! Checks that two replicas never report that they lead the same term, for every system that elects
//! at most one leader in a term.
//!
//! A replica may read its role and its term a moment apart. So a report counts only if a second one
//! of the same replica agrees.

use super::breaches::Breaches;
use super::sources::Sources;
use records::record::CheckRecord;
use records::replica_log::{Observation, ObservationRecord, ReportedStatus};
use std::collections::BTreeMap;

/// The name of the check.
const NAME: &str = "one-leader-per-term";
/// After this time a replica was asked again, whether it answered or not: twice the time between
/// two polls and the timeout of one.
const TWO_POLLS_NS: u64 = 800_000_000;

/// Checks the status that replicas reported, where the system elects one leader in a term.
pub(super) fn check_reported_leaders(sources: &Sources<'_>) -> Option<CheckRecord> {
    if !sources.one_leader_per_term {
        return None;
    }
    let mut leaders: BTreeMap<u64, (&str, u64)> = BTreeMap::new();
    let mut breaches = Breaches::default();
    for ReportedLeadership { replica, term, time } in repeated_leaderships(sources.observations) {
        let (first, since) = *leaders.entry(term).or_insert((replica, time));
        if first != replica {
            let example = format!(
                "{first} reported at {:.3} s and {replica} at {:.3} s that it led term {term}",
                since as f64 / 1e9,
                time as f64 / 1e9
            );
            breaches.add_breach("one leader in a term", example);
        }
    }
    if leaders.is_empty() {
        return None;
    }
    let excuse = sources
        .first_corruption()
        .map(|fault| format!("fault {} ({}) had corrupted a disk", fault.id, fault.kind));
    let holds = format!("one-leader-per-term: one leader in each of {} terms", leaders.len());
    Some(breaches.into_record(NAME, holds, excuse))
}

struct ReportedLeadership<'a> {
    replica: &'a str,
    term: u64,
    time: u64,
}

/// Who reported twice to lead a term. Reports that equal the one before are not recorded: what was
/// reported lasts until the next record.
fn repeated_leaderships(observations: &[ObservationRecord]) -> Vec<ReportedLeadership<'_>> {
    let mut last: BTreeMap<&str, (u64, Option<u64>)> = BTreeMap::new();
    let mut repeated = Vec::new();
    for ObservationRecord { time, replica, observation } in observations {
        let Observation::Says(said) = observation else { continue };
        let term = said.as_ref().and_then(led_term);
        let Some((since, Some(led))) = last.insert(replica, (*time, term)) else { continue };
        if term == Some(led) || time - since >= TWO_POLLS_NS {
            repeated.push(ReportedLeadership { replica, term: led, time: since });
        }
    }
    repeated
}

fn led_term(status: &ReportedStatus) -> Option<u64> {
    status.term.filter(|_| status.role.as_deref() == Some("leader"))
}
