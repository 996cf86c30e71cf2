//! `harness check`: judges histories from files, and shows the few operations that prove one wrong.
//!
//! A file that cannot be read or understood is told and does not keep the others from being judged.

mod certificate;
mod input;
mod told;

use self::certificate::Place;
use self::input::{Input, Unreadable};
use self::told::Summary;
use super::failure::{Failure, USAGE};
use super::output::{Format, print};
use anyhow::Result;
use checker::verdict::Keyed;
use checker::{History, Limits, Verdict, check_by_name, registry};
use engine::duration;
use records::record::FORMAT;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

const EXITS: &str = "\
Exit code of many histories, the first that applies:
  1    one is invalid: that stands whatever the others are
  254  one cannot be read or understood: it is told on standard error, the others are judged
  2    one is unknown
  0    all are valid

Examples:
  harness check results/* --model cas-register
  harness check history.edn --model cas-register --explain
  harness check etcd_*.log --model cas-register --format json";

/// What is to be judged, and how.
#[derive(clap::Args)]
#[command(after_help = EXITS)]
pub(crate) struct Args {
    /// Files with histories; `-` is standard input. The directory of a run, ours or Jepsen's, stands for its history.
    #[arg(required = true, value_name = "HISTORY")]
    histories: Vec<PathBuf>,
    /// What one copy of the system would do; `harness list` shows all.
    #[arg(long)]
    model: String,
    /// How the histories are written. (`--format` says how results are printed.)
    #[arg(long, value_enum, default_value_t = Input::Auto)]
    input: Input,
    /// Show of an invalid history what could have been before, between and after.
    #[arg(long)]
    explain: bool,
    /// Write of a valid history, per key, an order of its operations that anyone can replay, as JSON. Of several
    /// histories into this directory.
    #[arg(long, value_name = "OUT")]
    certificate: Option<PathBuf>,
    /// Values are `[key, value]`, and each key can be judged by itself: auto, yes or no.
    #[arg(long, value_enum, default_value_t = KeyedChoice::Auto)]
    keyed: KeyedChoice,
    /// What must hold, of the levels that the model offers: `snapshot-isolation` of transactions, `sequential` of
    /// any model.
    #[arg(long, value_name = "LEVEL")]
    consistency: Option<String>,
    /// How long to search each history before the answer is *unknown*.
    #[arg(long, default_value = "2m", value_parser = duration::parse)]
    time_limit: Duration,
    /// How many megabytes to use before the answer is *unknown*.
    #[arg(long, default_value_t = 2048, value_name = "MB")]
    memory: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum KeyedChoice {
    Auto,
    Yes,
    No,
}

/// Carries out `harness check`.
pub(crate) fn main(args: &Args, format: Format) -> Result<ExitCode> {
    if !registry::known_names().contains(&args.model.as_str()) {
        let names = registry::known_names().join(", ");
        return Err(Failure::Usage(format!(
            "there is no model {:?}; there are: {names}",
            args.model
        ))
        .into());
    }
    registry::validate_level(&args.model, args.consistency.as_deref()).map_err(Failure::Usage)?;
    let place = args.certificate.as_deref();
    let place = place.map(|out| Place::of(out, args.histories.len(), &args.model)).transpose()?;
    let began = Instant::now();
    let mut summary = Summary::default();
    let mut judged = Vec::new();
    for (number, path) in (1..).zip(&args.histories) {
        let history = input::read(path, args.input);
        let answer = history.map(|history| {
            let verdict = judge(args, &history);
            (verdict, history)
        });
        if let (Some(place), Ok((verdict, history))) = (&place, &answer) {
            let told = limited(args, |limits| {
                place.write((number, path), history, (&args.model, verdict), limits)
            })?;
            engine::live::say(&format!("harness: {}: {told}", path.display()));
        }
        let answer = answer.map(|(verdict, _)| verdict);
        summary.add(&answer);
        if let Err(unreadable) = &answer {
            engine::live::say(&format!("harness: {unreadable}"));
        }
        match format {
            Format::Human => tell(path, &answer, args.explain)?,
            Format::Json => judged.push(record(path, &answer)),
        }
    }
    summary.elapsed = began.elapsed();
    match format {
        Format::Human if args.histories.len() > 1 => print(&summary.to_string())?,
        Format::Human => {}
        Format::Json => print(&serde_json::to_string_pretty(&document(judged, &summary))?)?,
    }
    Ok(exit(&summary))
}

/// What programs are told, as `harness/crates/records/schema/check.schema.json` says.
fn document(judged: Vec<serde_json::Value>, summary: &Summary) -> serde_json::Value {
    json!({ "schema_version": FORMAT, "format": FORMAT, "histories": judged, "summary": summary.json() })
}

fn exit(summary: &Summary) -> ExitCode {
    ExitCode::from(match summary {
        Summary { invalid: 1.., .. } => 1,
        Summary { unreadable: 1.., .. } => USAGE,
        Summary { unknown: 1.., .. } => 2,
        _ => 0,
    })
}

fn judge(args: &Args, history: &History) -> Verdict {
    limited(args, |limits| check_by_name(history, &args.model, limits))
}

/// Does something within the limits that were asked for.
fn limited<T>(args: &Args, work: impl FnOnce(&Limits<'_>) -> T) -> T {
    let deadline = Instant::now() + args.time_limit;
    let expired = move || Instant::now() > deadline;
    let keyed = match args.keyed {
        KeyedChoice::Auto => Keyed::Auto,
        KeyedChoice::Yes => Keyed::Yes,
        KeyedChoice::No => Keyed::No,
    };
    let jobs = std::thread::available_parallelism().map_or(1, usize::from);
    let limits = Limits {
        jobs,
        memory_bytes: args.memory.saturating_mul(1 << 20),
        expired: &expired,
        keyed,
        consistency: args.consistency.as_deref(),
    };
    work(&limits)
}

fn tell(path: &Path, answer: &Result<Verdict, Unreadable>, explain: bool) -> Result<()> {
    match answer {
        Ok(verdict) => print(&told::verdict(path, verdict, explain)),
        Err(_) => Ok(()),
    }
}

fn record(path: &Path, answer: &Result<Verdict, Unreadable>) -> serde_json::Value {
    match answer {
        Ok(verdict) => json!({ "history": path, "verdict": verdict }),
        Err(unreadable) => json!({ "history": path, "unreadable": unreadable.json() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use checker::history::jsonl;
    use records::schema;

    fn judged(model: &str, lines: &str) -> Verdict {
        let history = jsonl::parse(lines.as_bytes()).expect("a history").history;
        check_by_name(&history, model, &Limits::default())
    }

    #[test]
    fn what_programs_are_told_is_as_its_schema_says() {
        let stale = r#"{"index":0,"time":1,"type":"invoke","process":1,"f":"write","value":["k",5],"node":"n1"}
{"index":1,"time":2,"type":"ok","process":1,"f":"write","value":["k",5],"node":"n1"}
{"index":2,"time":3,"type":"invoke","process":1,"f":"read","value":["k",null],"node":"n1"}
{"index":3,"time":4,"type":"ok","process":1,"f":"read","value":["k",9],"node":"n1"}
"#;
        let torn = r#"{"index":0,"time":1,"type":"invoke","process":1,"f":"txn","value":[["r","x",null]]}
{"index":1,"time":2,"type":"ok","process":1,"f":"txn","value":[["r","x",[9]]]}
"#;
        let answers = [
            Ok(judged("cas-register", stale)),
            Ok(judged("list-append", torn)),
            Err(Unreadable::Format { file: "x".into() }),
            Err(Unreadable::Damage {
                file: "x".into(),
                damage: jsonl::parse(b"nonsense\n{}\n").expect_err("it is damaged"),
            }),
        ];
        let mut summary = Summary::default();
        answers.iter().for_each(|answer| summary.add(answer));
        assert_eq!((summary.invalid, summary.unreadable), (2, 2));
        let judged = answers.iter().map(|answer| record(Path::new("x"), answer)).collect();
        let mut told = document(judged, &summary);
        assert_eq!(schema::against("check", &told), Vec::<String>::new());
        assert!(told["histories"][0]["verdict"]["witness"].is_object());
        assert!(told["histories"][1]["verdict"]["findings"].is_array());
        told["histories"][0]["verdict"]["validity"] = "VALID".into();
        assert_eq!(schema::against("check", &told).len(), 1);
    }
}
