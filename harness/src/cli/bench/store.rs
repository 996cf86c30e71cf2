//! `harness bench node`: the store that comes with this tool under load, and in turn with etcd.

use super::groups;
use super::timing::{best_time, calibrate, to_milliseconds};
use crate::bench::machine::Machine;
use crate::bench::{
    BenchDirectory, Cluster, Dialect, ElectionTiming, IdleStats, KEYS, Load, Measurements,
    MemorySample, Pace, Sample, Target, VALUE_BYTES, compare_measurements, has_etcd,
    measure_failover, measure_idle, measure_transfer, median, quantile, run_endurance, run_load,
};
use crate::cli::failure::Failure;
use crate::cli::output::{Format, print};
use anyhow::{Context as _, Result};
use checker::Validity;
use engine::live::print_stderr;
use serde_json::{Value, json};
use std::hint::black_box;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// The share of the machine that the loader may use.
const LOADER_SHARE: f64 = 0.4;

const INTERRUPTED: u8 = 130;

/// How the store is to be measured.
#[derive(clap::Args)]
pub(crate) struct NodeBenchArgs {
    /// Only loads whose names contain this.
    #[arg(default_value = "")]
    filter: String,
    /// Measure this system, too, in turn.
    #[arg(long, value_enum)]
    against: Option<Against>,
    /// How often each load is put on each system.
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pairs: u32,
    /// How many seconds each time, after a sixth of that to warm up.
    #[arg(long, default_value_t = 1.2)]
    seconds: f64,
    /// How often a leader is killed.
    #[arg(long, default_value_t = 20)]
    trials: u32,
    /// How often leadership of our store is handed on.
    #[arg(long, default_value_t = 50)]
    transfers: u32,
    /// Operations in a second where clients do not wait for answers.
    #[arg(long, default_value_t = 1000.0)]
    rate: f64,
    /// Heartbeat and shortest election of both systems under load, in milliseconds.
    #[arg(
        long,
        value_name = "HEARTBEAT,ELECTION",
        default_value = "100,1000",
        value_parser = parse_timing
    )]
    timing: ElectionTiming,
    /// The same where leaders are killed.
    #[arg(
        long,
        value_name = "HEARTBEAT,ELECTION",
        default_value = "50,300",
        value_parser = parse_timing
    )]
    failover_timing: ElectionTiming,
    /// Also keep the store idle for so many seconds; count elections and stalls of the machine.
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    idle: u64,
    /// Also measure the store with these numbers of groups; compare them with the first.
    #[arg(
        long,
        value_name = "N,…",
        value_delimiter = ',',
        value_parser = clap::value_parser!(u32).range(1..=64)
    )]
    groups: Vec<u32>,
    /// Also write so often to the same keys, and tell how large the replicas get.
    #[arg(long, value_name = "WRITES", default_value_t = 0)]
    endure: u64,
    /// Directory of the replicas' data, which determines the measured disk.
    #[arg(long, value_name = "DIR", default_value = "results")]
    data: PathBuf,
    /// Decides keys and the order of reads and writes.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

impl NodeBenchArgs {
    fn group_rounds(&self) -> groups::GroupRounds<'_> {
        groups::GroupRounds {
            groups: &self.groups,
            timing: self.timing,
            seconds: self.seconds,
            pairs: self.pairs,
            seed: self.seed,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Against {
    /// etcd, through its own gateway from HTTP.
    Etcd,
}

/// Carries out `harness bench node`.
pub(crate) fn main(args: &NodeBenchArgs, format: Format) -> Result<ExitCode> {
    if args.against.is_some() && !has_etcd() {
        let missing = "etcd cannot be started here; install it: apt-get install etcd-server";
        return Err(Failure::Machine(missing.to_owned()).into());
    }
    if !(0.01..=600.0).contains(&args.seconds) || !(1.0..=1e6).contains(&args.rate) {
        let range = "--seconds lies between 0.01 and 600, --rate between 1 and 1000000";
        return Err(Failure::Usage(range.to_owned()).into());
    }
    let place = BenchDirectory::create(&args.data)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("the runtime cannot be started")?;
    runtime.block_on(async {
        tokio::select! {
            measured = measure_systems(args, &place, format) => measured,
            // What stands falls, and the directory goes, as after a whole run.
            _ = tokio::signal::ctrl_c() => Ok(ExitCode::from(INTERRUPTED)),
        }
    })
}

/// What is put on the systems, and how it is called.
struct NamedLoad {
    name: String,
    load: Load,
}

fn select_loads(args: &NodeBenchArgs) -> Vec<NamedLoad> {
    let time = Duration::from_secs_f64(args.seconds);
    let load = Load {
        clients: 64,
        pace: Pace::Closed,
        target: Target::Leader,
        read_percent: 0,
        warm_up: time / 6,
        time,
    };
    let mut loads = Vec::new();
    let mut add = |name: String, load| loads.push(NamedLoad { name, load });
    for clients in [1, 16, 64, 256] {
        add(format!("puts, {clients} clients"), Load { clients, ..load });
        add(format!("reads, {clients} clients"), Load { clients, read_percent: 100, ..load });
    }
    let followers = Load { read_percent: 100, target: Target::Followers, ..load };
    add("reads at followers, 64 clients".to_owned(), followers);
    add("half reads, 64 clients".to_owned(), Load { read_percent: 50, ..load });
    let open = Load { pace: Pace::Open(args.rate), ..load };
    add(format!("puts at {}/s, 64 connections", args.rate), open);
    let open = Load { read_percent: 100, ..open };
    add(format!("reads at {}/s, 64 connections", args.rate), open);
    loads.retain(|load| load.name.contains(&args.filter));
    loads
}

/// One system that stands, and what came of it.
struct MeasuredSystem {
    cluster: Cluster,
    sample: Sample,
    sides: Vec<Measurements>,
}

impl MeasuredSystem {
    async fn start(
        dialect: Dialect,
        timing: ElectionTiming,
        place: &BenchDirectory,
        loads: usize,
    ) -> Result<Self> {
        let cluster = Cluster::start(dialect, timing, place).await?;
        Ok(Self {
            cluster,
            sample: Sample::new(dialect),
            sides: vec![Measurements::default(); loads],
        })
    }
}

async fn measure_systems(
    args: &NodeBenchArgs,
    place: &BenchDirectory,
    format: Format,
) -> Result<ExitCode> {
    let machine = Machine::inspect(place.path()).context("the disk cannot be tried")?;
    let calibration = to_milliseconds(best_time(|| black_box(calibrate())));
    let human = format == Format::Human;
    if human {
        print(&format_header(args, &machine, calibration))?;
    }
    let loads = select_loads(args);
    let subjects = alternate_loads(args, place, &loads).await?;
    let mut rows = Vec::new();
    for (at, NamedLoad { name, .. }) in loads.iter().enumerate() {
        rows.push(load_row(name, &subjects, at, human)?);
    }
    let loader = subjects.iter().flat_map(|subject| &subject.sides).map(Measurements::loader_cores);
    let share = loader.fold(0.0, f64::max) / machine.cores as f64;
    let (worst, judged) = check_samples(subjects, human)?;
    if human && !rows.is_empty() {
        let verdict =
            if share < LOADER_SHARE { "" } else { ": TOO MUCH, the figures are the loader's" };
        print(&format!("the loader used at most {:.0} % of the machine{verdict}", share * 100.0))?;
    }
    let failovers = bench_failovers(args, place, human).await?;
    let transfer = bench_transfers(args, place, human).await?;
    let (groups, spread) = groups::measure_groups(&args.group_rounds(), place, human).await?;
    let worst = worst.max(spread);
    let idle = bench_idle(args, place, human).await?;
    let endurance = bench_endurance(args, place, human).await?;
    let nothing = rows.is_empty() && failovers.is_empty() && groups.is_empty();
    if nothing && transfer.is_none() && args.idle + args.endure == 0 {
        return Err(Failure::Usage(format!("no load's name contains {:?}", args.filter)).into());
    }
    if !human {
        let table = json!({
            "format": 1, "machine": machine, "calibration_ms": calibration, "rows": rows,
            "loader_share": share, "judged": judged, "failover": failovers, "transfer": transfer,
            "groups": groups, "idle": idle, "endurance": endurance,
        });
        print(&serde_json::to_string_pretty(&table)?)?;
    }
    Ok(ExitCode::from(match worst {
        Validity::Valid => 0,
        Validity::Invalid => 1,
        Validity::Unknown => 2,
    }))
}

fn format_header(args: &NodeBenchArgs, machine: &Machine, calibration: f64) -> String {
    let ElectionTiming { heartbeat_ms, election_ms } = args.timing;
    format!(
        "{}\n{calibration:.3} ms for 100 million additions, for scale\n\
         3 replicas each, fsync on, {KEYS} keys, values of {VALUE_BYTES} bytes, \
         heartbeat {heartbeat_ms} ms, election {election_ms} ms; {} times {} s each",
        machine.to_text(),
        args.pairs,
        args.seconds
    )
}

/// What the judge says of each system's sample; the worst of it.
fn check_samples(subjects: Vec<MeasuredSystem>, human: bool) -> Result<(Validity, Vec<Value>)> {
    let mut worst = Validity::Valid;
    let mut judged = Vec::new();
    for MeasuredSystem { cluster, sample, .. } in subjects {
        let (verdict, operations) = sample.check_history();
        worst = worst.max(verdict.validity);
        let (name, validity) = (cluster.dialect.name(), verdict.validity);
        if human {
            let said = format!("{validity:?}").to_lowercase();
            print(&format!("{name}: a sample of {operations} operations is {said}"))?;
        }
        judged.push(json!({ "system": name, "operations": operations, "validity": validity }));
    }
    Ok((worst, judged))
}

fn select_dialects(args: &NodeBenchArgs) -> Vec<Dialect> {
    let theirs = args.against.map(|Against::Etcd| Dialect::Etcd);
    std::iter::once(Dialect::Raft).chain(theirs).collect()
}

/// Puts every load on every system, pair by pair.
async fn alternate_loads(
    args: &NodeBenchArgs,
    place: &BenchDirectory,
    loads: &[NamedLoad],
) -> Result<Vec<MeasuredSystem>> {
    let mut subjects = Vec::new();
    if loads.is_empty() {
        return Ok(subjects);
    }
    for dialect in select_dialects(args) {
        subjects.push(MeasuredSystem::start(dialect, args.timing, place, loads.len()).await?);
    }
    for pair in 0..args.pairs {
        print_stderr(&format!("pair {} of {}", pair + 1, args.pairs));
        for (at, NamedLoad { load, .. }) in loads.iter().enumerate() {
            // Who begins changes.
            let mut turns: Vec<&mut MeasuredSystem> = subjects.iter_mut().collect();
            if pair % 2 == 1 {
                turns.reverse();
            }
            for MeasuredSystem { cluster, sample, sides } in turns {
                let seed = args.seed.wrapping_add(u64::from(pair));
                sides[at].0.push(run_load(cluster, *load, sample, seed).await?);
            }
        }
    }
    Ok(subjects)
}

fn load_row(name: &str, subjects: &[MeasuredSystem], at: usize, human: bool) -> Result<Value> {
    let mut row = json!({ "name": name });
    if human {
        print(name)?;
    }
    for MeasuredSystem { cluster, sides, .. } in subjects {
        if human {
            print(&format!("  {}  {}", cluster.dialect.name(), sides[at].to_text()))?;
        }
        row[cluster.dialect.name()] = sides[at].to_json();
    }
    if let [ours, theirs] = subjects
        && let Some((text, json)) = compare_measurements(&ours.sides[at], &theirs.sides[at])
    {
        if human {
            print(&format!("  raft/etcd: {text}"))?;
        }
        row["ratio"] = json;
    }
    Ok(row)
}

/// Kills the leaders of each system in turn; measures how long no write succeeds.
async fn bench_failovers(
    args: &NodeBenchArgs,
    place: &BenchDirectory,
    human: bool,
) -> Result<Vec<Value>> {
    if args.trials == 0 || !"failover".contains(&args.filter) {
        return Ok(Vec::new());
    }
    let mut clusters = Vec::new();
    for dialect in select_dialects(args) {
        clusters.push((Cluster::start(dialect, args.failover_timing, place).await?, Vec::new()));
    }
    print_stderr(&format!("failover, {} trials", args.trials));
    for _ in 0..args.trials {
        for (cluster, times) in &mut clusters {
            times.push(measure_failover(cluster).await?.as_secs_f64() * 1e3);
        }
    }
    let ElectionTiming { heartbeat_ms, election_ms } = args.failover_timing;
    let mut said = Vec::new();
    for (cluster, mut times) in clusters {
        times.sort_by(f64::total_cmp);
        let (name, p50) = (cluster.dialect.name(), median(&times).unwrap_or(0.0));
        let (least, most) = (times[0], times[times.len() - 1]);
        if human {
            print(&format!(
                "failover of {name} at {heartbeat_ms}/{election_ms} ms: \
                 p50 {p50:.0} ms ({least:.0}..{most:.0}), {} trials",
                times.len()
            ))?;
        }
        said.push(json!({
            "system": name, "heartbeat_ms": heartbeat_ms, "election_ms": election_ms,
            "p50_ms": p50, "ms": times,
        }));
    }
    Ok(said)
}

/// Hands leadership of our store on; how long it took until the next leader had answered a write.
async fn bench_transfers(
    args: &NodeBenchArgs,
    place: &BenchDirectory,
    human: bool,
) -> Result<Option<Value>> {
    if args.transfers == 0 || !"transfer".contains(&args.filter) {
        return Ok(None);
    }
    let mut cluster = Cluster::start(Dialect::Raft, args.failover_timing, place).await?;
    print_stderr(&format!("{} transfers of leadership", args.transfers));
    let mut times = Vec::new();
    for _ in 0..args.transfers {
        times.push(measure_transfer(&mut cluster).await?.as_secs_f64() * 1e3);
    }
    let (p50, p99) = (quantile(&times, 0.5), quantile(&times, 0.99));
    if human {
        let count = times.len();
        print(&format!("leadership handed on: p50 {p50:.1} ms, p99 {p99:.1} ms, {count} times"))?;
    }
    Ok(Some(json!({ "p50_ms": p50, "p99_ms": p99, "ms": times })))
}

/// Elections of a store that rests.
async fn bench_idle(
    args: &NodeBenchArgs,
    place: &BenchDirectory,
    human: bool,
) -> Result<Option<IdleStats>> {
    if args.idle == 0 {
        return Ok(None);
    }
    let mut cluster = Cluster::start(Dialect::Raft, args.failover_timing, place).await?;
    print_stderr(&format!("idle for {} s", args.idle));
    let seen = measure_idle(&mut cluster, Duration::from_secs(args.idle)).await?;
    if human {
        let ElectionTiming { heartbeat_ms, election_ms } = args.failover_timing;
        let IdleStats { seconds, elections, stalls, longest_ms } = seen;
        print(&format!(
            "idle for {seconds:.0} s at {heartbeat_ms}/{election_ms} ms: {elections} elections; \
             {stalls} stalls of a core above 25 ms, the longest {longest_ms:.1} ms"
        ))?;
    }
    Ok(Some(seen))
}

/// How large replicas are while the same keys are written again and again.
async fn bench_endurance(
    args: &NodeBenchArgs,
    place: &BenchDirectory,
    human: bool,
) -> Result<Vec<MemorySample>> {
    if args.endure == 0 {
        return Ok(Vec::new());
    }
    let mut cluster = Cluster::start(Dialect::Raft, args.timing, place).await?;
    let sample = Sample::new(Dialect::Raft);
    print_stderr(&format!("{} writes to {KEYS} keys", args.endure));
    let looks = run_endurance(&mut cluster, &sample, args.endure, args.seed).await?;
    for MemorySample { writes, largest_bytes } in looks.iter().filter(|_| human) {
        print(&format!(
            "after {writes} writes the largest replica has {} MB",
            largest_bytes >> 20
        ))?;
    }
    Ok(looks)
}

fn parse_timing(text: &str) -> Result<ElectionTiming, String> {
    let parts = text.split_once(',').and_then(|(heartbeat, election)| {
        Some(ElectionTiming {
            heartbeat_ms: heartbeat.parse().ok()?,
            election_ms: election.parse().ok()?,
        })
    });
    parts
        .filter(|timing| timing.heartbeat_ms > 0 && timing.election_ms >= 5 * timing.heartbeat_ms)
        .ok_or_else(|| {
            "give HEARTBEAT,ELECTION in ms, the second at least five times the first".to_owned()
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timing_is_two_numbers_of_which_the_second_is_larger() {
        assert!(parse_timing("50,300").is_ok_and(|t| (t.heartbeat_ms, t.election_ms) == (50, 300)));
        for wrong in ["", "50", "50,", "50,249", "0,10", "a,b"] {
            assert!(parse_timing(wrong).is_err(), "{wrong}");
        }
    }
}
