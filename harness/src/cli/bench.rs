//! `harness bench`: times parts of this tool on inputs made from a seed.

use super::failure::Failure;
use super::{Format, print};
use anyhow::Result;
use checker::{History, Limits, bench, judge as judge_by, txn};
use serde_json::json;
use std::hint::black_box;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// How long one judgement may take before the row says *unknown*.
const LIMIT: Duration = Duration::from_secs(10);

/// How often each row is timed, and how long at most.
const TIMES: usize = 10;
const PATIENCE: Duration = Duration::from_secs(3);

/// What is to be timed.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The part.
    #[arg(value_enum)]
    part: Part,
    /// Only rows whose names contain this.
    #[arg(default_value = "")]
    filter: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    /// The judges of linearizability and of transactions.
    Checker,
}

/// Carries out `harness bench`.
pub(crate) fn main(args: &Args, format: Format) -> Result<ExitCode> {
    let Part::Checker = args.part;
    let mut timed = Vec::new();
    for row in bench::rows().into_iter().filter(|row| row.name.contains(&args.filter)) {
        timed.push(show(time(row.name, "register", &row.recipe.history()), format)?);
    }
    for row in txn::bench::rows().into_iter().filter(|row| row.name.contains(&args.filter)) {
        timed.push(show(time(row.name, row.check, &row.recipe.history()), format)?);
    }
    if timed.is_empty() {
        return Err(Failure::Usage(format!("no row's name contains {:?}", args.filter)).into());
    }
    let calibration = milliseconds(best(|| black_box(calibrate())));
    match format {
        Format::Human => {
            print(&format!("{calibration:10.3} ms  100 million additions, for scale"))?
        }
        Format::Json => {
            let rows: Vec<_> = timed.iter().map(Timed::json).collect();
            let table = json!({ "format": 1, "calibration_ms": calibration, "rows": rows });
            print(&serde_json::to_string_pretty(&table)?)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// A row of the table.
struct Timed {
    name: &'static str,
    verdict: checker::Verdict,
    best: Duration,
}

impl Timed {
    fn told(&self) -> String {
        let stats = self.verdict.stats;
        let (ms, name, validity) = (milliseconds(self.best), self.name, self.verdict.validity);
        let answered = format!("{validity:?} by {:?}", stats.algorithm).to_lowercase();
        let (operations, configurations) = (stats.operations, stats.configurations);
        format!(
            "{ms:10.3} ms  {name:<28} {operations:>7} operations, {configurations:>8} configurations, {answered}"
        )
    }

    fn json(&self) -> serde_json::Value {
        let (validity, stats) = (self.verdict.validity, self.verdict.stats);
        json!({ "name": self.name, "ms": milliseconds(self.best), "validity": validity, "stats": stats })
    }
}

/// Prints a row as soon as it is known.
fn show(row: Timed, format: Format) -> Result<Timed> {
    if format == Format::Human {
        print(&row.told())?;
    }
    Ok(row)
}

fn time(name: &'static str, check: &str, history: &History) -> Timed {
    let judge = || {
        let deadline = Instant::now() + LIMIT;
        let expired = move || Instant::now() > deadline;
        judge_by(history, check, &Limits { expired: &expired, ..Limits::default() })
    };
    let verdict = judge();
    Timed { name, verdict, best: best(|| drop(black_box(judge()))) }
}

/// The shortest of several times.
fn best<T>(work: impl Fn() -> T) -> Duration {
    let began = Instant::now();
    let mut best = Duration::MAX;
    for _ in 0..TIMES {
        let start = Instant::now();
        work();
        best = best.min(start.elapsed());
        if began.elapsed() > PATIENCE {
            break;
        }
    }
    best
}

/// Work that takes this machine as long as it is slow.
fn calibrate() -> u64 {
    (0..100_000_000_u64).fold(0, |sum, number| black_box(sum.wrapping_add(number)))
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
