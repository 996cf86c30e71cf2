//! Tells the page's script what is no operation: faults, hosts, and the operations that a proof is about.
//!
//! It is JSON in plain ASCII without a character that means anything to a browser; texts in it come from a run.

use super::run::Run;
use super::timeline;
use crate::phrase;
use checker::History;
use checker::history::{Process, jsonl};
use records::record::{FaultRecord, FaultState, VerdictRecord};
use serde::Serialize;

/// What the script reads before it unpacks the operations.
#[derive(Serialize)]
struct Outline<'a> {
    /// How many clients; an operation's lane is its process's number modulo that.
    clients: u64,
    /// What the wall clock read when the run's own read zero, in milliseconds since 1970.
    clock: Option<i64>,
    faults: Vec<Fault<'a>>,
    hosts: Vec<Host<'a>>,
    /// The operations that proofs are about, by index of their invocation.
    proof: Vec<u64>,
    /// The first proof's longest order that fits.
    order: Vec<u64>,
    /// Those whose answers no order explains.
    accused: Vec<u64>,
    /// The lines of the history that are no client's.
    others: Vec<String>,
    /// How stale reads were, where that was measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    staleness: Option<super::staleness::Staleness>,
    /// Each window as a history of its own, by the name of its file.
    cases: Vec<(&'a str, &'a str)>,
}

#[derive(Serialize)]
struct Fault<'a> {
    id: u32,
    kind: &'a str,
    word: String,
    started: Option<u64>,
    ended: Option<u64>,
    witnessed: bool,
    story: String,
}

#[derive(Serialize)]
struct Host<'a> {
    name: &'a str,
    /// The faults that mean something to it.
    faults: Vec<u32>,
}

/// The outline of a run.
pub(super) fn outline(run: &Run<'_>) -> String {
    let verdict = run.verdict;
    let witnesses = || verdict.checks.iter().filter_map(|check| check.witness.as_ref());
    let outline = Outline {
        clients: run.record.config.concurrency,
        clock: run.record.timings.clock_unix_ms,
        faults: verdict.faults.iter().map(fault).collect(),
        hosts: hosts(run),
        proof: proof(verdict),
        order: witnesses().take(1).flat_map(|it| it.order.iter().map(|one| one.index)).collect(),
        accused: witnesses().filter_map(|witness| witness.accused).collect(),
        others: others(run.history),
        staleness: verdict
            .checks
            .iter()
            .find_map(|check| super::staleness::measured(&check.measured)),
        cases: witnesses().map(|witness| (&*witness.file, &*witness.case)).collect(),
    };
    harmless(&serde_json::to_string(&outline).expect("it has string keys only"))
}

fn fault(fault: &FaultRecord) -> Fault<'_> {
    Fault {
        id: fault.id,
        kind: timeline::kind(fault),
        word: phrase::fault(fault),
        started: fault.started,
        ended: fault.ended,
        witnessed: fault.state == FaultState::Witnessed,
        story: timeline::story(fault),
    }
}

fn hosts<'a>(run: &Run<'a>) -> Vec<Host<'a>> {
    let faults = |name: &str| {
        let bitten = run.verdict.faults.iter().filter(|fault| fault.started.is_some());
        bitten.filter(|it| timeline::plight(it, name).is_some()).map(|it| it.id).collect()
    };
    let hosts = run.record.replicas.iter();
    hosts.map(|host| Host { name: &host.name, faults: faults(&host.name) }).collect()
}

/// The operations that proofs are about, by index of their invocation.
pub(super) fn proof(verdict: &VerdictRecord) -> Vec<u64> {
    let of_check = |check: &records::record::CheckRecord| {
        let window = check.witness.iter().flat_map(|witness| witness.operations.clone());
        let findings = check.findings.iter().flat_map(|finding| finding.operations.clone());
        window.chain(findings).collect::<Vec<_>>()
    };
    verdict.checks.iter().flat_map(of_check).collect()
}

fn others(history: &History) -> Vec<String> {
    let others = history.events().iter().filter(|event| event.process == Process::Nemesis);
    others.map(|event| jsonl::event_to_json_line(event).trim_end().to_owned()).collect()
}

/// The same JSON in ASCII, without what could end an element or begin an entity.
fn harmless(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        if c.is_ascii() && !c.is_ascii_control() && !"<>&'".contains(c) {
            out.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            out += &format!("\\u{unit:04x}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn it_is_json_that_means_nothing_to_a_browser() {
        let attack = "</script><!--\u{202e}&amp;'😀\u{7f}";
        let sample = sample::hostile(attack);
        let text = outline(&sample.run());
        assert!(text.is_ascii() && !text.contains(['<', '>', '&', '\'', '\u{7f}']));
        let value: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(value["hosts"][0]["name"], attack);
    }

    #[test]
    fn the_proof_is_named_by_index() {
        let sample = sample::invalid(10);
        let value: serde_json::Value = serde_json::from_str(&outline(&sample.run())).expect("JSON");
        assert_eq!(value["proof"], serde_json::json!([0, 2, 4]));
        assert_eq!(value["order"], serde_json::json!([0]));
        assert_eq!(value["accused"], serde_json::json!([2]));
        assert_eq!(value["clients"], 10);
    }
}
