//! `harness bench`: times parts of this tool on inputs made from a seed.

mod faults;
mod files;
mod groups;
mod leftovers;
mod memory;
mod store;
mod timing;

use super::failure::Failure;
use super::output::{Format, print};
use crate::bench::median;
use anyhow::Result;
use checker::{History, Limits, bench, check_by_name, txn};
use serde_json::json;
use std::hint::black_box;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use timing::{best_time, calibrate, to_milliseconds};

/// How long one judgement may take before the row says *unknown*.
const LIMIT: Duration = Duration::from_secs(10);

/// What one judgement may use.
const MEMORY_BYTES: usize = 6 << 30;

/// Pairs of runs of which the middle ratio is told.
const PAIRS: usize = 9;

/// Options of `harness bench`.
#[derive(clap::Args)]
pub(crate) struct BenchArgs {
    #[command(subcommand)]
    part: BenchCommand,
}

#[derive(clap::Subcommand)]
enum BenchCommand {
    /// Benchmark the checkers of linearizability and transactions.
    Checker(CheckerArgs),
    /// Benchmark faults: networks, cuts, stops and clocks.
    Faults(faults::FaultsArgs),
    /// Kill a run during each kind of fault and look for leftovers.
    Leftovers(leftovers::LeftoversArgs),
    /// Benchmark the built-in store, alone or alternating with etcd.
    Node(store::NodeBenchArgs),
}

#[derive(clap::Args)]
struct CheckerArgs {
    /// Run only rows whose names contain this.
    #[arg(default_value = "")]
    filter: String,
    /// Also time the histories in this folder, listed in its `verdicts.tsv` (file, model, verdict).
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

/// Carries out `harness bench`.
pub(crate) fn main(args: &BenchArgs, format: Format) -> Result<ExitCode> {
    match &args.part {
        BenchCommand::Checker(args) => bench_checkers(args, format),
        BenchCommand::Faults(args) => faults::main(args, format),
        BenchCommand::Leftovers(args) => leftovers::main(args, format),
        BenchCommand::Node(args) => store::main(args, format),
    }
}

fn bench_checkers(args: &CheckerArgs, format: Format) -> Result<ExitCode> {
    let mut timed = Vec::new();
    for row in bench::rows().into_iter().filter(|row| row.name.contains(&args.filter)) {
        let model = row.recipe.object.model_name();
        timed.push(print_row(
            time_check(row.name, (model, None), &row.recipe.make_history()),
            format,
        )?);
    }
    for row in txn::bench::rows().into_iter().filter(|row| row.name.contains(&args.filter)) {
        let claim = (row.check, row.consistency);
        timed.push(print_row(time_check(row.name, claim, &row.recipe.history()), format)?);
    }
    for (name, one, two) in
        thread_rows().into_iter().filter(|(name, ..)| name.contains(&args.filter))
    {
        timed.push(print_row(time_threads(name, one, two), format)?);
    }
    let groups = match &args.data {
        Some(data) => files::time_groups(data, &args.filter)?,
        None => Vec::new(),
    };
    if format == Format::Human {
        groups.iter().try_for_each(|group| print(&group.to_text()))?;
    }
    if timed.is_empty() && groups.is_empty() {
        return Err(Failure::Usage(format!("no row's name contains {:?}", args.filter)).into());
    }
    let calibration = to_milliseconds(best_time(|| black_box(calibrate())));
    match format {
        Format::Human => {
            print(&format!("{calibration:10.3} ms  100 million additions, for scale"))?
        }
        Format::Json => {
            let rows: Vec<_> = timed.iter().map(TimedCheck::to_json).collect();
            let files: Vec<_> = groups.iter().map(files::FileGroup::to_json).collect();
            let table =
                json!({ "format": 1, "calibration_ms": calibration, "rows": rows, "files": files });
            print(&serde_json::to_string_pretty(&table)?)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// A row of the table.
struct TimedCheck {
    name: &'static str,
    verdict: checker::Verdict,
    best: Duration,
    /// The most memory it took beside the history, in bytes.
    peak: Option<u64>,
    /// The speedup with two threads, and the speedup of this machine for independent work: medians
    /// over several pairs.
    speedup: Option<(f64, f64)>,
}

impl TimedCheck {
    fn to_text(&self) -> String {
        let stats = self.verdict.stats;
        let (ms, name, validity) = (to_milliseconds(self.best), self.name, self.verdict.validity);
        let answered = format!("{validity:?} by {:?}", stats.algorithm).to_lowercase();
        let (operations, configurations) = (stats.operations, stats.configurations);
        let peak =
            self.peak.map_or_else(String::new, |peak| format!(", {} MB", peak.div_ceil(1 << 20)));
        let speedup = self.speedup.map_or_else(String::new, |(times, machine)| {
            format!(
                ", {times:.2} times as fast with two threads where the machine gives {machine:.2}"
            )
        });
        format!(
            "{ms:10.3} ms  {name:<32} {operations:>8} operations, \
             {configurations:>8} configurations, {answered}{peak}{speedup}"
        )
    }

    fn to_json(&self) -> serde_json::Value {
        let (validity, stats) = (self.verdict.validity, self.verdict.stats);
        json!({
            "name": self.name, "ms": to_milliseconds(self.best),
            "validity": validity, "stats": stats,
            "peak_bytes": self.peak, "speedup": self.speedup.map(|(times, _)| times),
            "machine_speedup": self.speedup.map(|(_, machine)| machine),
        })
    }
}

/// Prints a row as soon as it is known.
fn print_row(row: TimedCheck, format: Format) -> Result<TimedCheck> {
    if format == Format::Human {
        print(&row.to_text())?;
    }
    Ok(row)
}

/// A row: a check, and the level that it is asked for.
fn time_check(
    name: &'static str,
    (check, consistency): (&str, Option<&str>),
    history: &History,
) -> TimedCheck {
    let judge = || {
        let deadline = Instant::now() + LIMIT;
        let expired = move || Instant::now() > deadline;
        let limits = Limits {
            expired: &expired,
            memory_bytes: MEMORY_BYTES,
            consistency,
            ..Limits::default()
        };
        check_by_name(history, check, &limits)
    };
    let (verdict, peak) = memory::measure_peak(judge);
    TimedCheck { name, verdict, best: best_time(|| drop(black_box(judge()))), peak, speedup: None }
}

/// Rows that compare one thread with two.
fn thread_rows() -> Vec<(&'static str, usize, usize)> {
    vec![("64 keys, two threads against one", 1, 2)]
}

/// Pairs of runs, in turn, so that what else the machine does hits both.
fn time_threads(name: &'static str, one: usize, two: usize) -> TimedCheck {
    let history = bench::keyed_history(64);
    let judge = |jobs| {
        let began = Instant::now();
        let verdict = check_by_name(&history, "register", &Limits { jobs, ..Limits::default() });
        (verdict, began.elapsed())
    };
    let (mut pairs, mut machine, mut best) = (Vec::new(), Vec::new(), Duration::MAX);
    for _ in 0..PAIRS {
        let (alone, shared) = (judge(one).1, judge(two).1);
        best = best.min(alone);
        pairs.push(alone.as_secs_f64() / shared.as_secs_f64());
        machine.push(measure_scaling());
    }
    let speedup = median(&pairs).zip(median(&machine));
    TimedCheck { name, verdict: judge(one).0, best, peak: None, speedup }
}

/// How many times as fast two threads do twice what shares nothing.
fn measure_scaling() -> f64 {
    let timed = |work: &dyn Fn()| {
        let began = Instant::now();
        work();
        began.elapsed().as_secs_f64()
    };
    let alone = timed(&|| {
        black_box(calibrate() ^ calibrate());
    });
    let together = timed(&|| {
        std::thread::scope(|scope| {
            scope.spawn(calibrate);
            black_box(calibrate());
        });
    });
    alone / together
}
