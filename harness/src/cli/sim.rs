//! `harness sim`: runs the simulator over many seeds, and reports the first failure.

use super::failure::{Failure, machine_error, usage_error};
use super::output::{Format, print};
use anyhow::{Context as _, Result};
use engine::duration;
use serde_json::json;
use simulator::plan::Plan;
use simulator::shrink::shrink_plan;
use simulator::trace::Trace;
use simulator::{Bug, Place, VARIATIONS, Variation, all_bugs};
use simulator::{Failure as SeedFailure, Outcome, SimConfig, run_simulation};
use std::io::IsTerminal as _;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use workloads::Object;

/// The interval of progress messages.
const PROGRESS: Duration = Duration::from_secs(10);
/// The most lines of a failing seed's trace that are printed; `--trace` writes all.
const TRACE_LINES: usize = 40;

/// The last seed; the end of the range of seeds must fit in a `u64`, too.
const LAST: u64 = u64::MAX - 1;

/// Options of `harness sim`.
#[derive(clap::Args)]
pub(crate) struct SimArgs {
    /// Number of seeds.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..))]
    seeds: u64,
    /// First seed.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Number of threads [default: one per processor].
    #[arg(long)]
    jobs: Option<usize>,
    /// Number of servers.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=9))]
    nodes: u64,
    /// Simulated time of clients and faults.
    #[arg(long, default_value = "30s", value_parser = duration::parse)]
    time_limit: Duration,
    /// Workload of the clients.
    #[arg(long, default_value = "register")]
    workload: String,
    /// Enable seeded bugs, separated by commas; the search ends at the first seed that fails.
    #[arg(long = "unsafe", value_name = "NAME", value_delimiter = ',')]
    bugs: Vec<String>,
    /// Enable harmless variations, separated by commas.
    #[arg(long = "vary", value_name = "NAME", value_delimiter = ',')]
    variations: Vec<String>,
    /// Write the trace of the first seed to this file.
    #[arg(long, value_name = "FILE")]
    trace: Option<std::path::PathBuf>,
}

/// The sums over all seeds.
#[derive(Default)]
struct Total {
    seeds: u64,
    events: u64,
    operations: usize,
    ok: usize,
    faults: usize,
    leader_changes: u64,
    simulated: u64,
    digest: u64,
    found: Option<(u64, SeedFailure)>,
}

/// Runs `harness sim`.
pub(crate) fn main(args: &SimArgs, format: Format) -> Result<ExitCode> {
    let setting = parse_setting(args)?;
    if let Some(file) = &args.trace {
        write_trace(&setting, args.seed, file)?;
    }
    let began = Instant::now();
    let jobs = args
        .jobs
        .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, std::num::NonZero::get));
    let total = run_seeds(&setting, args, jobs.max(1), began);
    let spent = began.elapsed();
    match format {
        Format::Human => print(&format_total(&setting, args, &total, (jobs, spent)))?,
        Format::Json => print(&serde_json::to_string_pretty(&to_json(args, &total, spent))?)?,
    }
    Ok(ExitCode::from(u8::from(total.found.is_some())))
}

fn parse_setting(args: &SimArgs) -> Result<SimConfig> {
    let workload = workloads::find_workload(&args.workload).with_context(|| {
        let names: Vec<_> = workloads::WORKLOADS.iter().map(|it| it.name()).collect();
        format!("there is no workload {:?}; there are: {}", args.workload, names.join(", "))
    });
    let workload = workload.map_err(usage_error)?;
    if workload.object() != Object::Registers {
        return Err(Failure::Usage(format!(
            "--workload {}: the simulated store keeps registers only",
            workload.name()
        ))
        .into());
    }
    if args.seed.checked_add(args.seeds).is_none() {
        let SimArgs { seed, seeds, .. } = args;
        let why = format!("--seed {seed} leaves no room for --seeds {seeds}: the last is {LAST}");
        return Err(Failure::Usage(why).into());
    }
    let span = u64::try_from(args.time_limit.as_micros()).unwrap_or(u64::MAX);
    if args.time_limit < Duration::from_secs(2) {
        return Err(Failure::Usage("--time-limit below 2s leaves no time for faults".into()).into());
    }
    Ok(SimConfig {
        nodes: args.nodes,
        span,
        workload,
        bugs: parse_names("unsafe", &args.bugs, Bug::from_name, &bug_names())?,
        variations: parse_names(
            "vary",
            &args.variations,
            Variation::from_name,
            &variation_names(),
        )?,
    })
}

/// The switches of these names, which must be among those that the simulator has.
fn parse_names<T, S: FromIterator<T>>(
    option: &str,
    names: &[String],
    parse: impl Fn(&str) -> Option<T>,
    known: &[&str],
) -> Result<S> {
    let switch = |name: &String| {
        parse(name).filter(|_| known.contains(&name.as_str())).with_context(|| {
            format!("--{option} {name}: the simulator has no such; it has: {}", known.join(", "))
        })
    };
    names.iter().map(switch).collect::<Result<S>>().map_err(usage_error)
}

/// The names of the bugs that can be enabled: the server's are not simulated.
pub(super) fn bug_names() -> Vec<&'static str> {
    let simulated = all_bugs().filter(|(_, row)| row.place != Place::Server);
    let mut names: Vec<_> = simulated.map(|(_, row)| row.name).collect();
    names.sort_unstable();
    names
}

/// The names of the variations that can be enabled.
pub(super) fn variation_names() -> Vec<&'static str> {
    VARIATIONS.iter().map(|row| row.name).collect()
}

fn write_trace(setting: &SimConfig, seed: u64, file: &std::path::Path) -> Result<()> {
    let mut trace = Trace::recording();
    run_simulation(setting, &Plan::new(setting, seed), &mut trace);
    std::fs::write(file, trace.text())
        .with_context(|| format!("cannot write the trace to {}", file.display()))
        .map_err(machine_error)
}

/// Runs seeds on all threads; reports the lowest failing seed.
fn run_seeds(setting: &SimConfig, args: &SimArgs, jobs: usize, began: Instant) -> Total {
    let next = AtomicU64::new(args.seed);
    let end = args.seed.saturating_add(args.seeds);
    // The counter stops at the end, so that it cannot overflow.
    let after = |seed: u64| (seed < end).then(|| seed + 1);
    let found = AtomicBool::new(false);
    let total = Mutex::new(Total::default());
    let told = Mutex::new(began);
    let work = || {
        while !found.load(Ordering::Relaxed) {
            let taken = next.fetch_update(Ordering::Relaxed, Ordering::Relaxed, after);
            let Ok(seed) = taken else { return };
            let outcome = run_simulation(setting, &Plan::new(setting, seed), &mut Trace::default());
            found.fetch_or(outcome.failure.is_some(), Ordering::Relaxed);
            let mut total = total.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            total.add_outcome(seed, outcome);
            print_progress(&told, &total, args.seeds, began);
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..jobs {
            // If a thread cannot start, the others do its work.
            drop(std::thread::Builder::new().spawn_scoped(scope, work));
        }
        work();
    });
    total.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn print_progress(told: &Mutex<Instant>, total: &Total, seeds: u64, began: Instant) {
    let mut told = told.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if told.elapsed() >= PROGRESS && std::io::stderr().is_terminal() {
        *told = Instant::now();
        let rate = total.events as f64 / began.elapsed().as_secs_f64() / 1e3;
        let done = total.seeds;
        engine::live::print_stderr(&format!("{done} of {seeds} seeds, {rate:.0} k events/s"));
    }
}

impl Total {
    fn add_outcome(&mut self, seed: u64, outcome: Outcome) {
        self.seeds += 1;
        self.events += outcome.events;
        self.operations += outcome.operations;
        self.ok += outcome.ok;
        self.faults += outcome.faults;
        self.leader_changes += u64::from(outcome.leader_changes > 1);
        self.simulated += outcome.simulated_time;
        // Addition, because threads finish in any order.
        self.digest = self.digest.wrapping_add(outcome.digest ^ seed);
        let earlier = self.found.as_ref().is_none_or(|(first, _)| seed < *first);
        if let Some(failure) = outcome.failure.filter(|_| earlier) {
            self.found = Some((seed, failure));
        }
    }
}

fn format_total(
    setting: &SimConfig,
    args: &SimArgs,
    total: &Total,
    (jobs, spent): (usize, Duration),
) -> String {
    let seconds = spent.as_secs_f64();
    let mut text = match &total.found {
        None => format!("VALID: no violation in {} seeds\n", total.seeds),
        Some((seed, failure)) => format_failure(setting, args, *seed, failure),
    };
    let simulated = total.simulated as f64 / 1e6;
    let share = 100 * total.leader_changes / total.seeds.max(1);
    text += &format!(
        "\n  seeds       {} of {} ({:#018x}), {jobs} threads, {seconds:.1} s\n",
        total.seeds, args.seeds, total.digest
    );
    text += &format!(
        "  events      {} ({:.0} k/s per thread); simulated time {simulated:.0} s, \
         {:.0} times real time\n",
        total.events,
        total.events as f64 / seconds / jobs as f64 / 1e3,
        simulated / seconds
    );
    text += &format!(
        "  operations  {} ({} ok); faults {}; the leader changed in {share} % of the seeds\n",
        total.operations, total.ok, total.faults
    );
    text
}

/// The failure of a seed, with a minimized fault schedule.
fn format_failure(setting: &SimConfig, args: &SimArgs, seed: u64, failure: &SeedFailure) -> String {
    let (plan, failure) = shrink_plan(setting, Plan::new(setting, seed), failure.clone());
    let mut trace = Trace::recording();
    run_simulation(setting, &plan, &mut trace);
    let SeedFailure { property, message, at } = &failure;
    let mut text = format!("INVALID: seed {seed}: {property}: {message}\n");
    let seconds = *at as f64 / 1e6;
    text += &format!(
        "\n  minimal run: {} calls per second for {seconds:.3} s, with these faults:\n",
        plan.rate
    );
    text += &plan.faults.iter().map(|fault| format!("    {fault}\n")).collect::<String>();
    text += "\n  end of the trace:\n";
    let lines: Vec<&str> = trace.text().lines().collect();
    let shown = lines.len().saturating_sub(TRACE_LINES);
    text += &lines[shown..].iter().map(|line| format!("    {line}\n")).collect::<String>();
    let option = |name: &str, values: &[String]| match values {
        [] => String::new(),
        values => format!(" --{name} {}", values.join(",")),
    };
    let bugs = option("unsafe", &args.bugs) + &option("vary", &args.variations);
    let SimArgs { nodes, workload, .. } = args;
    let limit = args.time_limit.as_millis();
    text += &format!(
        "\n  repro: harness sim --seeds 1 --seed {seed} --nodes {nodes} --workload {workload} \
         --time-limit {limit}ms{bugs} --trace trace.txt\n"
    );
    text
}

fn to_json(args: &SimArgs, total: &Total, spent: Duration) -> serde_json::Value {
    let found = total.found.as_ref().map(|(seed, SeedFailure { property, message, at })| {
        json!({ "seed": seed, "promise": property, "sentence": message, "at_us": at })
    });
    json!({
        "format": 1,
        "first_seed": args.seed,
        "seeds": total.seeds,
        "events": total.events,
        "operations": total.operations,
        "ok": total.ok,
        "faults": total.faults,
        "led_anew": total.leader_changes,
        "simulated_us": total.simulated,
        "digest": format!("{:016x}", total.digest),
        "seconds": spent.as_secs_f64(),
        "found": found,
    })
}
