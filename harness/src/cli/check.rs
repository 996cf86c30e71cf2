//! `harness check`: checks histories from files, and shows the minimal operations of a violation.
//!
//! An unreadable file is reported; the other files are still checked.

mod certificate;
mod input;
mod render;

use self::certificate::CertificateOutput;
use self::input::{Input, Unreadable};
use self::render::Summary;
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
Exit code for several histories, the first that applies:
  1    one is invalid
  254  one cannot be read or parsed (reported on standard error; the others are checked)
  2    one is unknown
  0    all are valid

Examples:
  harness check results/* --model cas-register
  harness check history.edn --model cas-register --explain
  harness check etcd_*.log --model cas-register --format json";

/// Options of `harness check`.
#[derive(clap::Args)]
#[command(after_help = EXITS)]
pub(crate) struct CheckArgs {
    /// Files with histories, or directories of runs of this tool or Jepsen; `-` is standard input.
    #[arg(required = true, value_name = "HISTORY")]
    histories: Vec<PathBuf>,
    /// The model or check; `harness list` shows all.
    #[arg(long)]
    model: String,
    /// Format of the histories (`--format` is the format of the output).
    #[arg(long, value_enum, default_value_t = Input::Auto)]
    input: Input,
    /// For an invalid history, show the possible states and why each candidate fails.
    #[arg(long)]
    explain: bool,
    /// For a valid history, write a linearization of each key as JSON; a directory for several
    /// histories.
    #[arg(long, value_name = "OUT")]
    certificate: Option<PathBuf>,
    /// Whether values are `[key, value]`, so that each key can be checked separately.
    #[arg(long, value_enum, default_value_t = KeyedChoice::Auto)]
    keyed: KeyedChoice,
    /// Consistency level to check, for example `snapshot-isolation` for transactions or
    /// `sequential` for any model.
    #[arg(long, value_name = "LEVEL")]
    consistency: Option<String>,
    /// Time limit per history; after it the verdict is *unknown*.
    #[arg(long, default_value = "2m", value_parser = duration::parse)]
    time_limit: Duration,
    /// Memory limit in megabytes; beyond it the verdict is *unknown*.
    #[arg(long, default_value_t = 2048, value_name = "MB")]
    memory: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum KeyedChoice {
    Auto,
    Yes,
    No,
}

/// Runs `harness check`.
pub(crate) fn main(args: &CheckArgs, format: Format) -> Result<ExitCode> {
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
    let place = place
        .map(|out| CertificateOutput::new(out, args.histories.len(), &args.model))
        .transpose()?;
    let began = Instant::now();
    let mut summary = Summary::default();
    let mut judged = Vec::new();
    for (number, path) in (1..).zip(&args.histories) {
        let history = input::read_history(path, args.input);
        let answer = history.map(|history| {
            let verdict = check_history(args, &history);
            (verdict, history)
        });
        if let (Some(place), Ok((verdict, history))) = (&place, &answer) {
            let told = with_limits(args, |limits| {
                place.write_certificate((number, path), history, (&args.model, verdict), limits)
            })?;
            engine::live::print_stderr(&format!("harness: {}: {told}", path.display()));
        }
        let answer = answer.map(|(verdict, _)| verdict);
        summary.add(&answer);
        if let Err(unreadable) = &answer {
            engine::live::print_stderr(&format!("harness: {unreadable}"));
        }
        match format {
            Format::Human => print_verdict(path, &answer, args.explain)?,
            Format::Json => judged.push(to_record(path, &answer)),
        }
    }
    summary.elapsed = began.elapsed();
    match format {
        Format::Human if args.histories.len() > 1 => print(&summary.to_string())?,
        Format::Human => {}
        Format::Json => print(&serde_json::to_string_pretty(&to_document(judged, &summary))?)?,
    }
    Ok(exit_code(&summary))
}

/// The JSON output; its schema is `harness/crates/records/schema/check.schema.json`.
fn to_document(judged: Vec<serde_json::Value>, summary: &Summary) -> serde_json::Value {
    let summary = summary.to_json();
    json!({
        "schema_version": FORMAT, "format": FORMAT, "histories": judged, "summary": summary
    })
}

fn exit_code(summary: &Summary) -> ExitCode {
    ExitCode::from(match summary {
        Summary { invalid: 1.., .. } => 1,
        Summary { unreadable: 1.., .. } => USAGE,
        Summary { unknown: 1.., .. } => 2,
        _ => 0,
    })
}

fn check_history(args: &CheckArgs, history: &History) -> Verdict {
    with_limits(args, |limits| check_by_name(history, &args.model, limits))
}

/// Calls `work` with the limits of the command line.
fn with_limits<T>(args: &CheckArgs, work: impl FnOnce(&Limits<'_>) -> T) -> T {
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

fn print_verdict(path: &Path, answer: &Result<Verdict, Unreadable>, explain: bool) -> Result<()> {
    match answer {
        Ok(verdict) => print(&render::render_verdict(path, verdict, explain)),
        Err(_) => Ok(()),
    }
}

fn to_record(path: &Path, answer: &Result<Verdict, Unreadable>) -> serde_json::Value {
    match answer {
        Ok(verdict) => json!({ "history": path, "verdict": verdict }),
        Err(unreadable) => json!({ "history": path, "unreadable": unreadable.to_json() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use checker::history::jsonl;
    use records::schema;

    fn check_lines(model: &str, lines: &str) -> Verdict {
        let history = jsonl::parse(lines.trim_start().as_bytes()).expect("a history").history;
        check_by_name(&history, model, &Limits::default())
    }

    #[test]
    fn json_output_matches_its_schema() {
        let stale = r#"
{"index":0,"time":1,"type":"invoke","process":1,"f":"write","value":["k",5],"node":"n1"}
{"index":1,"time":2,"type":"ok","process":1,"f":"write","value":["k",5],"node":"n1"}
{"index":2,"time":3,"type":"invoke","process":1,"f":"read","value":["k",null],"node":"n1"}
{"index":3,"time":4,"type":"ok","process":1,"f":"read","value":["k",9],"node":"n1"}
"#;
        let torn = r#"
{"index":0,"time":1,"type":"invoke","process":1,"f":"txn","value":[["r","x",null]]}
{"index":1,"time":2,"type":"ok","process":1,"f":"txn","value":[["r","x",[9]]]}
"#;
        let answers = [
            Ok(check_lines("cas-register", stale)),
            Ok(check_lines("list-append", torn)),
            Err(Unreadable::Format { file: "x".into() }),
            Err(Unreadable::Parse {
                file: "x".into(),
                damage: jsonl::parse(b"nonsense\n{}\n").expect_err("it is damaged"),
            }),
        ];
        let mut summary = Summary::default();
        answers.iter().for_each(|answer| summary.add(answer));
        assert_eq!((summary.invalid, summary.unreadable), (2, 2));
        let judged = answers.iter().map(|answer| to_record(Path::new("x"), answer)).collect();
        let mut told = to_document(judged, &summary);
        assert_eq!(schema::schema_violations("check", &told), Vec::<String>::new());
        assert!(told["histories"][0]["verdict"]["witness"].is_object());
        assert!(told["histories"][1]["verdict"]["findings"].is_array());
        told["histories"][0]["verdict"]["validity"] = "VALID".into();
        assert_eq!(schema::schema_violations("check", &told).len(), 1);
    }
}
