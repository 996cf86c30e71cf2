//! `harness bench node`: the store that comes with this tool under load, and in turn with etcd.

use super::groups;
use super::timing::{best, calibrate, milliseconds};
use crate::bench::machine::Machine;
use crate::bench::{
    Cluster, Dialect, Idle, KEYS, Load, Look, Pace, Place, Reach, Sample, Side, Timing,
    VALUE_BYTES, endure, fail_over, hand_over, has_etcd, idle, median, quantile, run, told,
};
use crate::cli::failure::Failure;
use crate::cli::output::{Format, print};
use anyhow::{Context as _, Result};
use checker::Validity;
use engine::live::say;
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
pub(crate) struct Args {
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
        value_parser = timing
    )]
    timing: Timing,
    /// The same where leaders are killed.
    #[arg(long, value_name = "HEARTBEAT,ELECTION", default_value = "50,300", value_parser = timing)]
    failover_timing: Timing,
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

impl Args {
    fn rounds(&self) -> groups::Rounds<'_> {
        groups::Rounds {
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
pub(crate) fn main(args: &Args, format: Format) -> Result<ExitCode> {
    if args.against.is_some() && !has_etcd() {
        let missing = "etcd cannot be started here; install it: apt-get install etcd-server";
        return Err(Failure::Machine(missing.to_owned()).into());
    }
    if !(0.01..=600.0).contains(&args.seconds) || !(1.0..=1e6).contains(&args.rate) {
        let range = "--seconds lies between 0.01 and 600, --rate between 1 and 1000000";
        return Err(Failure::Usage(range.to_owned()).into());
    }
    let place = Place::make(&args.data)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("the runtime cannot be started")?;
    runtime.block_on(async {
        tokio::select! {
            measured = measure(args, &place, format) => measured,
            // What stands falls, and the directory goes, as after a whole run.
            _ = tokio::signal::ctrl_c() => Ok(ExitCode::from(INTERRUPTED)),
        }
    })
}

/// What is put on the systems, and how it is called.
struct Named {
    name: String,
    load: Load,
}

fn loads(args: &Args) -> Vec<Named> {
    let time = Duration::from_secs_f64(args.seconds);
    let load = Load {
        clients: 64,
        pace: Pace::Closed,
        reach: Reach::Leader,
        reads: 0,
        warm_up: time / 6,
        time,
    };
    let mut loads = Vec::new();
    let mut add = |name: String, load| loads.push(Named { name, load });
    for clients in [1, 16, 64, 256] {
        add(format!("puts, {clients} clients"), Load { clients, ..load });
        add(format!("reads, {clients} clients"), Load { clients, reads: 100, ..load });
    }
    let followers = Load { reads: 100, reach: Reach::Followers, ..load };
    add("reads at followers, 64 clients".to_owned(), followers);
    add("half reads, 64 clients".to_owned(), Load { reads: 50, ..load });
    let open = Load { pace: Pace::Open(args.rate), ..load };
    add(format!("puts at {}/s, 64 connections", args.rate), open);
    let open = Load { reads: 100, ..open };
    add(format!("reads at {}/s, 64 connections", args.rate), open);
    loads.retain(|load| load.name.contains(&args.filter));
    loads
}

/// One system that stands, and what came of it.
struct Subject {
    cluster: Cluster,
    sample: Sample,
    sides: Vec<Side>,
}

impl Subject {
    async fn start(dialect: Dialect, timing: Timing, place: &Place, loads: usize) -> Result<Self> {
        let cluster = Cluster::start(dialect, timing, place).await?;
        Ok(Self { cluster, sample: Sample::new(dialect), sides: vec![Side::default(); loads] })
    }
}

async fn measure(args: &Args, place: &Place, format: Format) -> Result<ExitCode> {
    let machine = Machine::look(place.path()).context("the disk cannot be tried")?;
    let calibration = milliseconds(best(|| black_box(calibrate())));
    let human = format == Format::Human;
    if human {
        print(&introduction(args, &machine, calibration))?;
    }
    let loads = loads(args);
    let subjects = take_turns(args, place, &loads).await?;
    let mut rows = Vec::new();
    for (at, Named { name, .. }) in loads.iter().enumerate() {
        rows.push(row(name, &subjects, at, human)?);
    }
    let loader = subjects.iter().flat_map(|subject| &subject.sides).map(Side::loader_cores);
    let share = loader.fold(0.0, f64::max) / machine.cores as f64;
    let (worst, judged) = judge(subjects, human)?;
    if human && !rows.is_empty() {
        let verdict =
            if share < LOADER_SHARE { "" } else { ": TOO MUCH, the figures are the loader's" };
        print(&format!("the loader used at most {:.0} % of the machine{verdict}", share * 100.0))?;
    }
    let failovers = failovers(args, place, human).await?;
    let transfer = transfers(args, place, human).await?;
    let (groups, spread) = groups::measure(&args.rounds(), place, human).await?;
    let worst = worst.max(spread);
    let idle = idle_time(args, place, human).await?;
    let endurance = endurance(args, place, human).await?;
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

fn introduction(args: &Args, machine: &Machine, calibration: f64) -> String {
    let Timing { heartbeat_ms, election_ms } = args.timing;
    format!(
        "{}\n{calibration:.3} ms for 100 million additions, for scale\n\
         3 replicas each, fsync on, {KEYS} keys, values of {VALUE_BYTES} bytes, \
         heartbeat {heartbeat_ms} ms, election {election_ms} ms; {} times {} s each",
        machine.told(),
        args.pairs,
        args.seconds
    )
}

/// What the judge says of each system's sample; the worst of it.
fn judge(subjects: Vec<Subject>, human: bool) -> Result<(Validity, Vec<Value>)> {
    let mut worst = Validity::Valid;
    let mut judged = Vec::new();
    for Subject { cluster, sample, .. } in subjects {
        let (verdict, operations) = sample.judge();
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

fn dialects(args: &Args) -> Vec<Dialect> {
    let theirs = args.against.map(|Against::Etcd| Dialect::Etcd);
    std::iter::once(Dialect::Raft).chain(theirs).collect()
}

/// Puts every load on every system, pair by pair.
async fn take_turns(args: &Args, place: &Place, loads: &[Named]) -> Result<Vec<Subject>> {
    let mut subjects = Vec::new();
    if loads.is_empty() {
        return Ok(subjects);
    }
    for dialect in dialects(args) {
        subjects.push(Subject::start(dialect, args.timing, place, loads.len()).await?);
    }
    for pair in 0..args.pairs {
        say(&format!("pair {} of {}", pair + 1, args.pairs));
        for (at, Named { load, .. }) in loads.iter().enumerate() {
            // Who begins changes.
            let mut turns: Vec<&mut Subject> = subjects.iter_mut().collect();
            if pair % 2 == 1 {
                turns.reverse();
            }
            for Subject { cluster, sample, sides } in turns {
                let seed = args.seed.wrapping_add(u64::from(pair));
                sides[at].0.push(run(cluster, *load, sample, seed).await?);
            }
        }
    }
    Ok(subjects)
}

fn row(name: &str, subjects: &[Subject], at: usize, human: bool) -> Result<Value> {
    let mut row = json!({ "name": name });
    if human {
        print(name)?;
    }
    for Subject { cluster, sides, .. } in subjects {
        if human {
            print(&format!("  {}  {}", cluster.dialect.name(), sides[at].told()))?;
        }
        row[cluster.dialect.name()] = sides[at].json();
    }
    if let [ours, theirs] = subjects
        && let Some((text, json)) = told(&ours.sides[at], &theirs.sides[at])
    {
        if human {
            print(&format!("  raft/etcd: {text}"))?;
        }
        row["ratio"] = json;
    }
    Ok(row)
}

/// Kills the leaders of each system in turn; measures how long no write succeeds.
async fn failovers(args: &Args, place: &Place, human: bool) -> Result<Vec<Value>> {
    if args.trials == 0 || !"failover".contains(&args.filter) {
        return Ok(Vec::new());
    }
    let mut clusters = Vec::new();
    for dialect in dialects(args) {
        clusters.push((Cluster::start(dialect, args.failover_timing, place).await?, Vec::new()));
    }
    say(&format!("failover, {} trials", args.trials));
    for _ in 0..args.trials {
        for (cluster, times) in &mut clusters {
            times.push(fail_over(cluster).await?.as_secs_f64() * 1e3);
        }
    }
    let Timing { heartbeat_ms, election_ms } = args.failover_timing;
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
async fn transfers(args: &Args, place: &Place, human: bool) -> Result<Option<Value>> {
    if args.transfers == 0 || !"transfer".contains(&args.filter) {
        return Ok(None);
    }
    let mut cluster = Cluster::start(Dialect::Raft, args.failover_timing, place).await?;
    say(&format!("{} transfers of leadership", args.transfers));
    let mut times = Vec::new();
    for _ in 0..args.transfers {
        times.push(hand_over(&mut cluster).await?.as_secs_f64() * 1e3);
    }
    let (p50, p99) = (quantile(&times, 0.5), quantile(&times, 0.99));
    if human {
        let count = times.len();
        print(&format!("leadership handed on: p50 {p50:.1} ms, p99 {p99:.1} ms, {count} times"))?;
    }
    Ok(Some(json!({ "p50_ms": p50, "p99_ms": p99, "ms": times })))
}

/// Elections of a store that rests.
async fn idle_time(args: &Args, place: &Place, human: bool) -> Result<Option<Idle>> {
    if args.idle == 0 {
        return Ok(None);
    }
    let mut cluster = Cluster::start(Dialect::Raft, args.failover_timing, place).await?;
    say(&format!("idle for {} s", args.idle));
    let seen = idle(&mut cluster, Duration::from_secs(args.idle)).await?;
    if human {
        let Timing { heartbeat_ms, election_ms } = args.failover_timing;
        let Idle { seconds, elections, stalls, longest_ms } = seen;
        print(&format!(
            "idle for {seconds:.0} s at {heartbeat_ms}/{election_ms} ms: {elections} elections; \
             {stalls} stalls of a core above 25 ms, the longest {longest_ms:.1} ms"
        ))?;
    }
    Ok(Some(seen))
}

/// How large replicas are while the same keys are written again and again.
async fn endurance(args: &Args, place: &Place, human: bool) -> Result<Vec<Look>> {
    if args.endure == 0 {
        return Ok(Vec::new());
    }
    let mut cluster = Cluster::start(Dialect::Raft, args.timing, place).await?;
    let sample = Sample::new(Dialect::Raft);
    say(&format!("{} writes to {KEYS} keys", args.endure));
    let looks = endure(&mut cluster, &sample, args.endure, args.seed).await?;
    for Look { writes, largest_bytes } in looks.iter().filter(|_| human) {
        print(&format!(
            "after {writes} writes the largest replica has {} MB",
            largest_bytes >> 20
        ))?;
    }
    Ok(looks)
}

fn timing(text: &str) -> Result<Timing, String> {
    let parts = text.split_once(',').and_then(|(heartbeat, election)| {
        Some(Timing { heartbeat_ms: heartbeat.parse().ok()?, election_ms: election.parse().ok()? })
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
        assert!(timing("50,300").is_ok_and(|t| (t.heartbeat_ms, t.election_ms) == (50, 300)));
        for wrong in ["", "50", "50,", "50,249", "0,10", "a,b"] {
            assert!(timing(wrong).is_err(), "{wrong}");
        }
    }
}
