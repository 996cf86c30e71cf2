//! Writes a run in the forms of other tools: sheets, trace viewers, and one operation a line.
//!
//! Nothing is left out: an operation without an answer has empty fields, and in a trace no end.

use super::run::Run;
use super::timeline;
use checker::History;
use checker::history::{Kind, Operation, Process, edn};
use records::record::FaultRecord;
use serde_json::{Value, json};

/// A form, as the command line names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Export {
    /// A row per operation, for sheets: operations.csv.
    Csv,
    /// The history for Jepsen, Knossos and Elle: history.edn.
    Edn,
    /// An operation a line, question and answer together: operations.jsonl.
    Jsonl,
    /// Operations and faults for Perfetto's viewer and Chromium's: trace.json.
    Perfetto,
}

impl Export {
    /// The file beside the report.
    pub fn file(self) -> &'static str {
        match self {
            Self::Csv => "operations.csv",
            Self::Edn => "history.edn",
            Self::Jsonl => "operations.jsonl",
            Self::Perfetto => "trace.json",
        }
    }

    /// What is in it.
    pub fn text(self, run: &Run<'_>) -> String {
        match self {
            Self::Csv => csv(run.history),
            Self::Edn => edn::write(run.history),
            Self::Jsonl => lines(run.history),
            Self::Perfetto => trace(run),
        }
    }
}

const HEAD: &str = "index,start_ns,end_ns,process,function,replica,outcome,input,output,error\n";

fn csv(history: &History) -> String {
    history.operations().iter().fold(HEAD.to_owned(), |text, operation| text + &row(operation))
}

fn row(operation: &Operation) -> String {
    let ended = operation.completion.as_ref();
    let error = ended.and_then(|ended| ended.error.as_ref());
    format!(
        "{},{},{},{},{},{},{},{},{},{}\n",
        operation.invoked.index,
        operation.invoked.time,
        ended.map(|ended| ended.at.time.to_string()).unwrap_or_default(),
        number(operation.process),
        quoted(&operation.f),
        quoted(operation.node.as_deref().unwrap_or_default()),
        outcome(operation),
        quoted(&json(&operation.input)),
        quoted(&ended.map(|ended| json(&ended.output)).unwrap_or_default()),
        quoted(&error.map(json).unwrap_or_default())
    )
}

/// A field; what a sheet would take for a formula begins with an apostrophe.
fn quoted(text: &str) -> String {
    let formula = text.starts_with(['=', '+', '@', '-', '\t', '\r']);
    format!("\"{}{}\"", if formula { "'" } else { "" }, text.replace('"', "\"\""))
}

fn json(value: &checker::history::Value) -> String {
    serde_json::to_string(value).expect("a value is JSON")
}

fn number(process: Process) -> u64 {
    match process {
        Process::Client(number) => number,
        Process::Nemesis => unreachable!("the nemesis has no operations"),
    }
}

fn outcome(operation: &Operation) -> &'static str {
    match operation.kind() {
        Kind::Ok => "ok",
        Kind::Fail => "fail",
        Kind::Info | Kind::Invoke => "info",
    }
}

fn lines(history: &History) -> String {
    let line = |operation| serde_json::to_string(operation).expect("an operation is JSON") + "\n";
    history.operations().iter().map(line).collect()
}

/// Of clients and of the nemesis.
const CLIENTS: u32 = 1;
const NEMESIS: u32 = 2;

/// Chromium's trace events; times there are in microseconds.
fn trace(run: &Run<'_>) -> String {
    let name = |pid: u32, name: &str| json!({"ph": "M", "pid": pid, "name": "process_name", "args": {"name": name}});
    let names = [name(CLIENTS, "clients"), name(NEMESIS, "faults")];
    let operations = run.history.operations().iter().map(slice);
    let faults = run.verdict.faults.iter().filter_map(fault);
    let events: Vec<Value> = names.into_iter().chain(operations).chain(faults).collect();
    json!({"displayTimeUnit": "ms", "traceEvents": events}).to_string()
}

/// An operation; one that may still happen has a beginning only, for its process never goes on.
fn slice(operation: &Operation) -> Value {
    let ended = operation.completion.as_ref();
    let mut event = json!({
        "ph": "B",
        "pid": CLIENTS,
        "tid": number(operation.process),
        "ts": micros(operation.invoked.time),
        "name": format!("{} {}", operation.f, json(&operation.input)),
        "cat": outcome(operation),
        "args": operation,
    });
    if let Some(ended) = ended.filter(|_| outcome(operation) != "info") {
        event["ph"] = json!("X");
        event["dur"] = json!(micros(ended.at.time.saturating_sub(operation.invoked.time)));
    }
    event
}

fn fault(fault: &FaultRecord) -> Option<Value> {
    let from = fault.started?;
    let mut event = json!({
        "ph": "B",
        "pid": NEMESIS,
        "tid": fault.id,
        "ts": micros(from),
        "name": timeline::story(fault),
        "cat": fault.kind,
    });
    if let Some(ended) = fault.ended {
        event["ph"] = json!("X");
        event["dur"] = json!(micros(ended.saturating_sub(from)));
    }
    Some(event)
}

fn micros(ns: u64) -> f64 {
    ns as f64 / 1_000.0
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn every_operation_is_in_every_form() {
        let sample = sample::valid(500);
        let run = sample.run();
        assert_eq!(Export::Csv.text(&run).lines().count(), 501);
        assert_eq!(Export::Jsonl.text(&run).lines().count(), 500);
        assert_eq!(Export::Edn.text(&run).lines().count(), 1_000);
        let trace: Value = serde_json::from_str(&Export::Perfetto.text(&run)).expect("JSON");
        let events = trace["traceEvents"].as_array().expect("events");
        assert_eq!(events.len(), 2 + 500 + 4, "a fault that was skipped never began");
    }

    #[test]
    fn what_nobody_knows_has_no_end_in_a_trace() {
        let sample = sample::valid(500);
        let unknown = sample.history.operations().iter().find(|it| it.kind() == Kind::Info);
        let event = slice(unknown.expect("faults leave unknown operations"));
        assert_eq!((&event["ph"], event.get("dur")), (&json!("B"), None));
        let known = slice(&sample.history.operations()[0]);
        assert_eq!((&known["ph"], &known["dur"]), (&json!("X"), &json!(700.0)));
    }

    #[test]
    fn a_sheet_runs_no_formula_and_keeps_quotes() {
        assert_eq!(quoted("=cmd()"), "\"'=cmd()\"");
        assert_eq!(quoted("[\"a\",1]"), "\"[\"\"a\"\",1]\"");
        let sample = sample::hostile("=1,\n\"2\"");
        let text = csv(sample.run().history);
        assert!(text.contains("\"'=1,\n\"\"2\"\"\""), "{text}");
    }
}
