//! Exports a run for other tools: spreadsheets, trace viewers, and one operation per line.
//!
//! Every operation is exported: one without a completion has empty fields, and in a trace no end.

use super::run::Run;
use super::timeline;
use checker::History;
use checker::history::{Kind, Operation, Process, edn};
use records::record::FaultRecord;
use serde_json::{Value, json};

/// An export format, as the command line names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Export {
    /// One row per operation, for spreadsheets: operations.csv.
    Csv,
    /// The history for Jepsen, Knossos and Elle: history.edn.
    Edn,
    /// One operation per line, request and response together: operations.jsonl.
    Jsonl,
    /// Operations and faults for the trace viewers of Perfetto and Chromium: trace.json.
    Perfetto,
}

/// Every format, its name and its description.
pub const EXPORTS: [(Export, &str, &str); 4] = [
    (Export::Csv, "csv", "One row per operation, for spreadsheets: operations.csv"),
    (Export::Edn, "edn", "The history for Jepsen, Knossos and Elle: history.edn"),
    (
        Export::Jsonl,
        "jsonl",
        "One operation per line, request and response together: operations.jsonl",
    ),
    (
        Export::Perfetto,
        "perfetto",
        "Operations and faults for the trace viewers of Perfetto and Chromium: trace.json",
    ),
];

impl Export {
    /// The name of the file beside the report.
    pub fn file(self) -> &'static str {
        match self {
            Self::Csv => "operations.csv",
            Self::Edn => "history.edn",
            Self::Jsonl => "operations.jsonl",
            Self::Perfetto => "trace.json",
        }
    }

    /// The content of the file.
    pub fn text(self, run: &Run<'_>) -> String {
        match self {
            Self::Csv => write_csv(run.history),
            Self::Edn => edn::write(run.history),
            Self::Jsonl => write_jsonl(run.history),
            Self::Perfetto => write_trace(run),
        }
    }
}

const HEAD: &str = "index,start_ns,end_ns,process,function,replica,outcome,input,output,error\n";

fn write_csv(history: &History) -> String {
    history.operations().iter().fold(HEAD.to_owned(), |text, operation| text + &csv_row(operation))
}

fn csv_row(operation: &Operation) -> String {
    let ended = operation.completion.as_ref();
    let error = ended.and_then(|ended| ended.error.as_ref());
    format!(
        "{},{},{},{},{},{},{},{},{},{}\n",
        operation.invoked.index,
        operation.invoked.time,
        ended.map(|ended| ended.at.time.to_string()).unwrap_or_default(),
        client_number(operation.process),
        quote_field(&operation.f),
        quote_field(operation.node.as_deref().unwrap_or_default()),
        outcome_name(operation),
        quote_field(&to_json(&operation.input)),
        quote_field(&ended.map(|ended| to_json(&ended.output)).unwrap_or_default()),
        quote_field(&error.map(to_json).unwrap_or_default())
    )
}

/// A quoted field; an apostrophe prevents a spreadsheet from evaluating it as a formula.
fn quote_field(text: &str) -> String {
    let formula = text.starts_with(['=', '+', '@', '-', '\t', '\r']);
    format!("\"{}{}\"", if formula { "'" } else { "" }, text.replace('"', "\"\""))
}

fn to_json(value: &checker::history::Value) -> String {
    serde_json::to_string(value).expect("a value is JSON")
}

fn client_number(process: Process) -> u64 {
    match process {
        Process::Client(number) => number,
        Process::Nemesis => unreachable!("the nemesis has no operations"),
    }
}

fn outcome_name(operation: &Operation) -> &'static str {
    match operation.kind() {
        Kind::Ok => "ok",
        Kind::Fail => "fail",
        Kind::Info | Kind::Invoke => "info",
    }
}

fn write_jsonl(history: &History) -> String {
    let line = |operation| serde_json::to_string(operation).expect("an operation is JSON") + "\n";
    history.operations().iter().map(line).collect()
}

/// The process ids of clients and of the nemesis in a trace.
const CLIENTS: u32 = 1;
const NEMESIS: u32 = 2;

/// Writes Chromium's trace event format, whose times are in microseconds.
fn write_trace(run: &Run<'_>) -> String {
    let name = |pid: u32, name: &str| {
        let args = json!({"name": name});
        json!({"ph": "M", "pid": pid, "name": "process_name", "args": args})
    };
    let names = [name(CLIENTS, "clients"), name(NEMESIS, "faults")];
    let operations = run.history.operations().iter().map(trace_operation);
    let faults = run.verdict.faults.iter().filter_map(trace_fault);
    let events: Vec<Value> = names.into_iter().chain(operations).chain(faults).collect();
    json!({"displayTimeUnit": "ms", "traceEvents": events}).to_string()
}

/// An operation as an event; one of unknown outcome has no end, because its process ends with it.
fn trace_operation(operation: &Operation) -> Value {
    let ended = operation.completion.as_ref();
    let mut event = json!({
        "ph": "B",
        "pid": CLIENTS,
        "tid": client_number(operation.process),
        "ts": to_micros(operation.invoked.time),
        "name": format!("{} {}", operation.f, to_json(&operation.input)),
        "cat": outcome_name(operation),
        "args": operation,
    });
    if let Some(ended) = ended.filter(|_| outcome_name(operation) != "info") {
        event["ph"] = json!("X");
        event["dur"] = json!(to_micros(ended.at.time.saturating_sub(operation.invoked.time)));
    }
    event
}

fn trace_fault(fault: &FaultRecord) -> Option<Value> {
    let from = fault.started?;
    let mut event = json!({
        "ph": "B",
        "pid": NEMESIS,
        "tid": fault.id,
        "ts": to_micros(from),
        "name": timeline::describe_fault(fault),
        "cat": fault.kind,
    });
    if let Some(ended) = fault.ended {
        event["ph"] = json!("X");
        event["dur"] = json!(to_micros(ended.saturating_sub(from)));
    }
    Some(event)
}

fn to_micros(ns: u64) -> f64 {
    ns as f64 / 1_000.0
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn exports_every_operation_in_every_format() {
        let sample = sample::valid(500);
        let run = sample.run();
        assert_eq!(Export::Csv.text(&run).lines().count(), 501);
        assert_eq!(Export::Jsonl.text(&run).lines().count(), 500);
        assert_eq!(Export::Edn.text(&run).lines().count(), 1_000);
        let trace: Value = serde_json::from_str(&Export::Perfetto.text(&run)).expect("JSON");
        let events = trace["traceEvents"].as_array().expect("events");
        assert_eq!(events.len(), 2 + 500 + 4, "a skipped fault is left out");
    }

    #[test]
    fn leaves_operations_of_unknown_outcome_open_in_a_trace() {
        let sample = sample::valid(500);
        let unknown = sample.history.operations().iter().find(|it| it.kind() == Kind::Info);
        let event = trace_operation(unknown.expect("faults leave unknown operations"));
        assert_eq!((&event["ph"], event.get("dur")), (&json!("B"), None));
        let known = trace_operation(&sample.history.operations()[0]);
        assert_eq!((&known["ph"], &known["dur"]), (&json!("X"), &json!(700.0)));
    }

    #[test]
    fn escapes_formulas_and_quotes_in_csv() {
        assert_eq!(quote_field("=cmd()"), "\"'=cmd()\"");
        assert_eq!(quote_field("[\"a\",1]"), "\"[\"\"a\"\",1]\"");
        let sample = sample::hostile("=1,\n\"2\"");
        let text = write_csv(sample.run().history);
        assert!(text.contains("\"'=1,\n\"\"2\"\"\""), "{text}");
    }
}
