//! `harness check`: judges histories from files, and shows the few operations that prove one wrong.

use super::failure::Failure;
use super::{Format, duration, print};
use crate::store::record::Validity;
use anyhow::Result;
use checker::history::{jsonl, porcupine_log};
use checker::{History, Keyed, Limits, Verdict, check_linearizable, model};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// How wide lanes may be drawn.
const LANES_WIDTH: usize = 100;

/// What is to be judged, and how.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Files with histories: JSON lines as in a run's history.jsonl, or Porcupine's etcd logs. A run's directory
    /// stands for its history.
    #[arg(required = true, value_name = "HISTORY")]
    histories: Vec<PathBuf>,
    /// What one copy of the system would do; `harness list` shows all.
    #[arg(long)]
    model: String,
    /// Values are `[key, value]`, and each key can be judged by itself: auto, yes or no.
    #[arg(long, value_enum, default_value_t = KeyedChoice::Auto)]
    keyed: KeyedChoice,
    /// How long to search before the answer is *unknown*.
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
    if model::named(&args.model).is_none() {
        let names = model::names().join(", ");
        return Err(Failure::Usage(format!(
            "there is no model {:?}; there are: {names}",
            args.model
        ))
        .into());
    }
    let mut worst = Validity::Valid;
    let mut judged = Vec::new();
    for path in &args.histories {
        let verdict = judge(args, &read(path)?);
        worst = worst.max(verdict.validity.into());
        match format {
            Format::Human => print(&told(path, &verdict))?,
            Format::Json => judged.push(json!({ "history": path, "verdict": verdict })),
        }
    }
    if format == Format::Json {
        print(&serde_json::to_string_pretty(&json!({ "format": 1, "histories": judged }))?)?;
    }
    Ok(ExitCode::from(match worst {
        Validity::Valid => 0,
        Validity::Invalid => 1,
        Validity::Unknown => 2,
    }))
}

fn read(path: &Path) -> Result<History> {
    let file = if path.is_dir() { path.join("history.jsonl") } else { path.to_owned() };
    let wrong = |why: String| Failure::Usage(format!("{}: {why}", file.display()));
    let bytes = std::fs::read(&file).map_err(|error| wrong(format!("cannot be read: {error}")))?;
    if !bytes.trim_ascii_start().starts_with(b"{") && !bytes.trim_ascii().is_empty() {
        let text = String::from_utf8_lossy(&bytes);
        return porcupine_log::parse(&text).map_err(|damage| wrong(damage.to_string()).into());
    }
    let parsed = jsonl::parse(&bytes).map_err(|damage| wrong(damage.to_string()))?;
    if let Some(torn) = parsed.torn {
        crate::report::say(&format!("{}: {torn}", file.display()));
    }
    Ok(parsed.history)
}

fn judge(args: &Args, history: &History) -> Verdict {
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
    };
    check_linearizable(history, &args.model, &limits)
}

fn told(path: &Path, verdict: &Verdict) -> String {
    let word = Validity::from(verdict.validity).name().to_uppercase();
    let mut text = format!("{word}: {}: {}\n", path.display(), verdict.sentence);
    if let Some(window) = &verdict.witness {
        text += &format!("\n{}\n", checker::linear::lanes::render(window, LANES_WIDTH));
        for candidate in &window.candidates {
            text += &format!("  {}: {}\n", window.name(candidate.operation), candidate.reason);
        }
    }
    text
}
