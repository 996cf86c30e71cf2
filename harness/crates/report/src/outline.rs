//! Gives the page's script everything but the operations: faults, hosts, and the proof.
//!
//! The format is ASCII JSON without characters that HTML interprets, because its texts come from
//! a run.

use super::run::Run;
use super::timeline;
use crate::phrase;
use checker::History;
use checker::history::{Process, jsonl};
use records::record::{FaultRecord, FaultState, VerdictRecord};
use serde::Serialize;

/// The data that the script reads before it unpacks the operations.
#[derive(Serialize)]
struct Outline<'a> {
    /// The number of clients; the lane of an operation is its process number modulo this.
    clients: u64,
    /// The wall clock at time zero of the run, in milliseconds since 1970.
    clock: Option<i64>,
    faults: Vec<Fault<'a>>,
    hosts: Vec<Host<'a>>,
    /// The operations of all proofs, by index of their invocation.
    proof: Vec<u64>,
    /// The longest consistent prefix of the first proof.
    order: Vec<u64>,
    /// The operations whose answers no order explains.
    accused: Vec<u64>,
    /// The lines of the history that the nemesis wrote.
    others: Vec<String>,
    /// The staleness of reads, if it was measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    staleness: Option<super::staleness::Staleness>,
    /// The windows as separate histories, by file name.
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
    /// The faults that affect it.
    faults: Vec<u32>,
}

/// Renders the outline of a run.
pub(super) fn render_outline(run: &Run<'_>) -> String {
    let verdict = run.verdict;
    let witnesses = || verdict.checks.iter().filter_map(|check| check.witness.as_ref());
    let outline = Outline {
        clients: run.record.config.concurrency,
        clock: run.record.timings.clock_unix_ms,
        faults: verdict.faults.iter().map(outline_fault).collect(),
        hosts: outline_hosts(run),
        proof: proof_operations(verdict),
        order: witnesses().take(1).flat_map(|it| it.order.iter().map(|one| one.index)).collect(),
        accused: witnesses().filter_map(|witness| witness.accused).collect(),
        others: nemesis_lines(run.history),
        staleness: verdict
            .checks
            .iter()
            .find_map(|check| super::staleness::read_measured(&check.measured)),
        cases: witnesses().map(|witness| (&*witness.file, &*witness.case)).collect(),
    };
    escape_json(&serde_json::to_string(&outline).expect("it has string keys only"))
}

fn outline_fault(fault: &FaultRecord) -> Fault<'_> {
    Fault {
        id: fault.id,
        kind: timeline::fault_style(fault),
        word: phrase::fault_name(fault),
        started: fault.started,
        ended: fault.ended,
        witnessed: fault.state == FaultState::Witnessed,
        story: timeline::describe_fault(fault),
    }
}

fn outline_hosts<'a>(run: &Run<'a>) -> Vec<Host<'a>> {
    let faults = |name: &str| {
        let started = run.verdict.faults.iter().filter(|fault| fault.started.is_some());
        started.filter(|it| timeline::effect_on_host(it, name).is_some()).map(|it| it.id).collect()
    };
    let hosts = run.record.replicas.iter();
    hosts.map(|host| Host { name: &host.name, faults: faults(&host.name) }).collect()
}

/// The operations of all proofs, by index of their invocation.
pub(super) fn proof_operations(verdict: &VerdictRecord) -> Vec<u64> {
    let of_check = |check: &records::record::CheckRecord| {
        let window = check.witness.iter().flat_map(|witness| witness.operations.clone());
        let findings = check.findings.iter().flat_map(|finding| finding.operations.clone());
        window.chain(findings).collect::<Vec<_>>()
    };
    verdict.checks.iter().flat_map(of_check).collect()
}

fn nemesis_lines(history: &History) -> Vec<String> {
    let others = history.events().iter().filter(|event| event.process == Process::Nemesis);
    others.map(|event| jsonl::event_to_json_line(event).trim_end().to_owned()).collect()
}

/// Escapes non-ASCII characters and those that could end an element or begin an entity.
fn escape_json(json: &str) -> String {
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
    fn writes_json_without_markup() {
        let attack = "</script><!--\u{202e}&amp;'😀\u{7f}";
        let sample = sample::hostile(attack);
        let text = render_outline(&sample.run());
        assert!(text.is_ascii() && !text.contains(['<', '>', '&', '\'', '\u{7f}']));
        let value: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(value["hosts"][0]["name"], attack);
    }

    #[test]
    fn names_the_proof_by_index() {
        let sample = sample::invalid(10);
        let value: serde_json::Value =
            serde_json::from_str(&render_outline(&sample.run())).expect("JSON");
        assert_eq!(value["proof"], serde_json::json!([0, 2, 4]));
        assert_eq!(value["order"], serde_json::json!([0]));
        assert_eq!(value["accused"], serde_json::json!([2]));
        assert_eq!(value["clients"], 10);
    }
}
