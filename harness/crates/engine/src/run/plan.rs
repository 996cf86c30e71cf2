//! Decides everything that can be decided before a run, from the command line and the seed. Pure.

use crate::nemesis::schedule::{Schedule, plan_schedule};
use crate::nemesis::script::{self, ScriptContext};
use crate::nemesis::timeline::Timeline;
use crate::nemesis::{RequestedNemesis, parse_request};
use crate::system::{System, system};
use anyhow::{Context as _, Result, bail, ensure};
use checker::model::{self, Model};
use records::record::{Config, grid};
use report::quote;
use std::time::Duration;
use testbed::net::router::{DISTRIBUTIONS, Distribution, Latency, Routing, TOPOLOGIES, Topology};
use workloads::{READ_CONSISTENCIES, ReadConsistency, Rng, Workload, find_workload};

/// The most replicas a run can have: two groups of them still read well, and the addresses suffice.
const MOST_NODES: u8 = 9;
/// The most kinds of fault that the name of a family of runs has.
const MOST_NAMED: usize = 6;

/// The longest latency between nodes: with more, clients would mostly wait.
const LONGEST_LATENCY_MS: u64 = 2_000;

/// The workload whose nodes are told who their neighbours are.
const BROADCAST: &str = "broadcast";

/// The longest main phase: a day.
const LONGEST_MS: u64 = 24 * 3_600_000;

/// All that is decided before a run.
pub struct Plan {
    /// What was asked, defaults filled in.
    pub config: Config,
    /// The command line as it was typed.
    pub argv: Vec<String>,
    /// The system under test.
    pub system: &'static dyn System,
    /// What clients do.
    pub workload: &'static dyn Workload,
    /// How fresh their reads are asked to be.
    pub consistency: ReadConsistency,
    /// What goes wrong.
    pub wanted: Vec<RequestedNemesis>,
    /// When.
    pub schedule: Schedule,
    /// Whose word ends the run early, if it is to stop at the first violation.
    pub early: Option<&'static dyn Model>,
    /// The run's root stream.
    pub rng: Rng,
    /// How messages travel where the harness itself carries them.
    pub routing: Routing,
}

impl Plan {
    /// The plan of this configuration; an error says which part of it cannot be.
    pub fn new(config: Config, argv: Vec<String>) -> Result<Self> {
        let system = system(&config.system)?.with_context(|| {
            let names = crate::system::SYSTEMS.iter().map(|system| system.name());
            unknown("system", &config.system, names.chain(["a FILE.toml that describes one"]))
        })?;
        let workload = find_workload(&config.workload).with_context(|| {
            unknown(
                "workload",
                &config.workload,
                workloads::WORKLOADS.iter().map(|workload| workload.name()),
            )
        })?;
        let consistency = suited(system, workload, &config.read)?;
        bounds(&config)?;
        if !config.node_args.is_empty() && !system.takes_arguments() {
            bail!("--node-arg: the replicas of {} take no further arguments", config.system);
        }
        let routing = routing(&config, system)?;
        let mut wanted =
            possible(parse_request(&config.nemesis.join(","))?, system, &config.nemesis)?;
        wanted.iter_mut().for_each(|wanted| wanted.leader_unknown = !system.leads());
        let rng = Rng::new(config.seed);
        let hosts = usize::from(config.nodes);
        if let Some(idle) = wanted.iter().find(|wanted| wanted.variants(hosts).is_empty()) {
            bail!("nemesis {idle} has no target with --nodes {hosts}; ask for more");
        }
        let schedule = plan_schedule(&wanted, hosts, config.time_limit_ms, &rng);
        let early = config.fail_fast.then(|| early(workload, consistency)).transpose()?;
        Ok(Self {
            config,
            argv,
            system,
            workload,
            consistency,
            wanted,
            schedule,
            early,
            rng,
            routing,
        })
    }

    /// How long the main phase lasts.
    pub fn limit(&self) -> Duration {
        Duration::from_millis(self.config.time_limit_ms)
    }

    /// When faults begin and end.
    pub fn changes(&self) -> Vec<Duration> {
        let mut timeline = Timeline::new(&self.schedule);
        let moments = std::iter::from_fn(|| timeline.take_due(u64::MAX));
        moments.map(|step| Duration::from_millis(step.at_ms)).collect()
    }

    /// Plays this schedule instead of the seed's; an error says where in the file it cannot be.
    pub fn play(mut self, file: &str, text: &str) -> Result<Self> {
        let setting = ScriptContext {
            hosts: usize::from(self.config.nodes),
            limit_ms: self.config.time_limit_ms,
            functions: self.workload.functions(),
        };
        self.schedule = script::parse_script(text, &setting)
            .map_err(|wrong| anyhow::anyhow!("{file}:{wrong}"))?;
        let mut kinds: Vec<String> = self.schedule.iter().map(|entry| entry.kind.clone()).collect();
        kinds.sort_unstable();
        kinds.dedup();
        if kinds.is_empty() {
            kinds.push("none".to_owned());
        }
        self.wanted = possible(parse_request(&kinds.join(","))?, self.system, &kinds)?;
        (self.config.nemesis, self.config.schedule) = (kinds, Some(file.to_owned()));
        Ok(self)
    }

    /// A command line that asks for the same run again.
    pub fn repro(&self) -> String {
        let config = &self.config;
        let harm = match &config.schedule {
            Some(file) => format!("--schedule {}", quote(file)),
            None => format!("--nemesis {}", quoted_where_needed(&config.nemesis.join(","))),
        };
        let mut line = format!(
            "{} test --system {} --nodes {} --workload {} {harm} --time-limit {} \
             --concurrency {} --rate {} --seed {} --net {}",
            quote(self.argv.first().map_or("harness", String::as_str)),
            config.system,
            config.nodes,
            config.workload,
            written(config.time_limit_ms),
            config.concurrency,
            config.rate,
            config.seed,
            config.net
        );
        if self.consistency != ReadConsistency::default() {
            line += &format!(" --read {}", config.read);
        }
        if !config.bugs.is_empty() {
            line += &format!(" --unsafe {}", config.bugs.join(","));
        }
        for arg in &config.node_args {
            line += &format!(" --node-arg={}", quote(arg));
        }
        if let Some(bin) = &config.bin {
            line += &format!(" --bin {}", quote(bin));
        }
        if config.fail_fast {
            line += " --fail-fast";
        }
        if config.capture {
            line += " --capture";
        }
        if config.latency_ms > 0 {
            let (mean, distribution) = (config.latency_ms, &config.latency_dist);
            line += &format!(" --latency {mean} --latency-dist {distribution}");
        }
        if config.loss_per_mille > 0 {
            line += &format!(" --loss {}", f64::from(config.loss_per_mille) / 1e3);
        }
        if config.topology != grid() {
            line += &format!(" --topology {}", config.topology);
        }
        line
    }

    /// What runs like this one are filed under.
    pub fn family(&self) -> String {
        // What was asked for in one word is called so; a name must not grow with every nemesis that there is.
        let asked: Vec<&str> = self.config.nemesis.iter().map(|kind| kind.trim()).collect();
        let kinds = match asked.split_at_checked(MOST_NAMED) {
            Some((first, more @ [_, ..])) => format!("{}+{}-more", first.join("+"), more.len()),
            _ if asked.is_empty() => "none".to_owned(),
            _ => asked.join("+"),
        };
        let plain = |c: char| if c.is_ascii_alphanumeric() || "+-".contains(c) { c } else { '.' };
        let kinds: String = kinds.chars().map(plain).collect();
        format!("{}-{}-{kinds}", self.system.name(), self.workload.name())
    }
}

/// The faults that can be done to this system: `all` is all of those, and one that is asked for by name must be.
fn possible(
    mut all: Vec<RequestedNemesis>,
    system: &dyn System,
    named: &[String],
) -> Result<Vec<RequestedNemesis>> {
    if named == ["all"] {
        all.retain(|wanted| wanted.nemesis.reject_system(system).is_none());
    }
    match all.iter().find_map(|wanted| wanted.nemesis.reject_system(system)) {
        Some(why) => bail!(why),
        None => Ok(all),
    }
}

/// How fresh reads are to be, if the system can be asked for that and keeps what the workload is about.
fn suited(system: &dyn System, workload: &dyn Workload, read: &str) -> Result<ReadConsistency> {
    let object = workload.object();
    ensure!(
        system.objects().contains(&object),
        "system {} keeps no {}, which workload {} needs",
        system.name(),
        object.name(),
        workload.name()
    );
    if let Some(why) = system.lacks(workload) {
        bail!(why);
    }
    let names = || READ_CONSISTENCIES.iter().map(|(_, name)| *name);
    let consistency =
        ReadConsistency::parse(read).with_context(|| unknown("--read", read, names()))?;
    ensure!(
        system.read_consistencies().contains(&consistency),
        "system {} has no {read} reads",
        system.name()
    );
    Ok(consistency)
}

/// How messages travel between replicas that speak on standard input and output, if these do.
fn routing(config: &Config, system: &dyn System) -> Result<Routing> {
    let name = &config.latency_dist;
    let distribution = Distribution::named(name).with_context(|| {
        unknown("--latency-dist", name, DISTRIBUTIONS.iter().map(|(_, name)| *name))
    })?;
    if system.speaks() {
        carried(config, system)?;
    } else {
        carries_itself(config, system)?;
    }
    ensure!(
        config.latency_ms <= LONGEST_LATENCY_MS,
        "--latency {} is more than {LONGEST_LATENCY_MS} ms",
        config.latency_ms
    );
    let latency = Latency { mean_ms: config.latency_ms, distribution };
    let topology = topology(config)?.filter(|_| system.speaks());
    Ok(Routing { latency, topology, loss: config.loss_per_mille })
}

/// What can be asked where the harness carries what replicas say.
fn carried(config: &Config, system: &dyn System) -> Result<()> {
    ensure!(
        config.bin.is_some(),
        "system {} is a program of yours: name it with --bin",
        system.name()
    );
    ensure!(!config.capture, "--capture: there are no packets; every message is in messages.jsonl");
    Ok(())
}

/// What cannot be asked where replicas have a network of their own.
fn carries_itself(config: &Config, system: &dyn System) -> Result<()> {
    let name = system.name();
    ensure!(
        config.latency_ms == 0,
        "--latency: the replicas of {name} have a network of their own; --nemesis packet delays it"
    );
    ensure!(
        config.loss_per_mille == 0,
        "--loss: the replicas of {name} have a network of their own; --nemesis packet loses some of it"
    );
    ensure!(
        config.topology == grid(),
        "--topology: nobody tells the replicas of {name} who their neighbours are"
    );
    Ok(())
}

/// Who is told to be whose neighbour, where the workload has that told.
fn topology(config: &Config) -> Result<Option<Topology>> {
    let name = &config.topology;
    let topology = Topology::named(name)
        .with_context(|| unknown("--topology", name, TOPOLOGIES.iter().map(|(_, name)| *name)))?;
    let told = config.workload == BROADCAST;
    ensure!(
        told || topology == Topology::default(),
        "--topology {name}: only the nodes of workload {BROADCAST} are told who their neighbours are"
    );
    Ok(told.then_some(topology))
}

/// The model whose verdict on part of a history holds for the whole.
fn early(workload: &dyn Workload, consistency: ReadConsistency) -> Result<&'static dyn Model> {
    let checks = workload.checks(consistency);
    checks.iter().find_map(|name| model::named(name)).with_context(|| {
        format!(
            "--fail-fast has no effect on workload {}: it is judged by {}, which needs the whole \
             history; leave the option out",
            workload.name(),
            checks.join(", ")
        )
    })
}

fn bounds(config: &Config) -> Result<()> {
    ensure!(
        (1..=MOST_NODES).contains(&config.nodes),
        "--nodes {} is not possible: 1 to {MOST_NODES} are",
        config.nodes
    );
    ensure!(config.rate >= 1, "--rate 0 would never ask anything");
    ensure!(
        config.rate <= 1_000_000,
        "--rate {} is more than a clock of microseconds can keep",
        config.rate
    );
    ensure!(config.concurrency >= 1, "--concurrency 0 leaves nobody to ask");
    ensure!(
        config.concurrency <= 10_000,
        "--concurrency {} is more than 10000",
        config.concurrency
    );
    ensure!(
        config.time_limit_ms >= 1_000,
        "--time-limit below 1s leaves no time for anything to happen"
    );
    ensure!(
        config.time_limit_ms <= LONGEST_MS,
        "--time-limit above 24h is more than one run should be"
    );
    Ok(())
}

/// Hosts by name bring spaces and bars; everything else reads better without quotes.
fn quoted_where_needed(nemesis: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || ",:-".contains(c);
    if nemesis.chars().all(bare) { nemesis.to_owned() } else { quote(nemesis) }
}

/// A duration as the command line takes it.
fn written(ms: u64) -> String {
    if ms.is_multiple_of(1_000) { format!("{}s", ms / 1_000) } else { format!("{ms}ms") }
}

fn unknown(what: &str, name: &str, names: impl Iterator<Item = &'static str>) -> String {
    format!("there is no {what} {name:?}; there are: {}", names.collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use records::sample::config;

    fn refusal(change: impl FnOnce(&mut Config)) -> String {
        let mut config = config();
        change(&mut config);
        Plan::new(config, Vec::new()).err().map_or_else(String::new, |error| error.to_string())
    }

    #[test]
    fn a_plan_says_how_to_ask_for_it_again_and_where_it_is_filed() {
        let plan = Plan::new(config(), Vec::new()).expect("everything in it exists");
        insta::assert_snapshot!(plan.repro(), @"harness test --system raft --nodes 5 --workload register --nemesis partition,kill:leader --time-limit 30s --concurrency 10 --rate 200 --seed 1 --net auto --unsafe stale-reads");
        insta::assert_snapshot!(plan.family(), @"raft-register-partition+kill.leader");
        let family = |kinds: &[&str]| {
            let nemesis = kinds.iter().map(|kind| (*kind).to_owned()).collect();
            Plan::new(Config { nemesis, time_limit_ms: 200_000, ..config() }, Vec::new())
                .expect("a plan")
                .family()
        };
        assert_eq!(family(&["all"]), "raft-register-all");
        assert_eq!(family(&["none"]), "raft-register-none");
        let many =
            ["bit-rot", "clock", "kill", "pause", "packet", "starve", "transfer", "truncate"];
        assert_eq!(family(&many), "raft-register-bit-rot+clock+kill+pause+packet+starve+2-more");
    }

    #[test]
    fn a_schedule_takes_the_place_of_the_seeds_and_its_kinds_are_what_is_wanted() {
        let plan = || Plan::new(config(), Vec::new()).expect("everything in it exists");
        let text = "after 10 ok writes pause n2 for 1s\n";
        let played = plan().play("story.txt", text).expect("it can be done");
        assert_eq!(script::write_script(&played.schedule), text);
        assert!(played.repro().contains("--schedule story.txt"), "{}", played.repro());
        assert_eq!(played.family(), "raft-register-pause");
        let wrong = plan().play("story.txt", "at 1s kill n7").err().expect("there is no n7");
        assert!(wrong.to_string().starts_with("story.txt:1:12: there is no host"), "{wrong}");
    }

    #[test]
    fn what_only_maelstroms_programs_can_be_asked_is_refused_elsewhere() {
        insta::assert_snapshot!(refusal(|config| config.latency_ms = 5), @"--latency: the replicas of raft have a network of their own; --nemesis packet delays it");
        insta::assert_snapshot!(refusal(|config| config.loss_per_mille = 5), @"--loss: the replicas of raft have a network of their own; --nemesis packet loses some of it");
        insta::assert_snapshot!(refusal(|config| config.topology = "line".to_owned()), @"--topology: nobody tells the replicas of raft who their neighbours are");
    }

    fn broadcast() -> Config {
        let (system, workload) = ("maelstrom".to_owned(), BROADCAST.to_owned());
        let (bin, bugs, nemesis) =
            (Some("node".to_owned()), Vec::new(), vec!["partition".to_owned()]);
        let (loss_per_mille, topology) = (125, "tree3".to_owned());
        Config { system, workload, bin, bugs, nemesis, loss_per_mille, topology, ..config() }
    }

    #[test]
    fn loss_and_neighbours_are_part_of_a_plan_and_asked_for_again() {
        let plan = Plan::new(broadcast(), Vec::new()).expect("everything in it exists");
        let Routing { topology, loss, .. } = plan.routing;
        assert_eq!((topology, loss), (Some(Topology::Tree(3)), 125));
        assert!(plan.repro().ends_with("--loss 0.125 --topology tree3"), "{}", plan.repro());
        let refused = |config| Plan::new(config, Vec::new()).err().map(|why| why.to_string());
        insta::assert_snapshot!(refused(Config { topology: "star".to_owned(), ..broadcast() }).unwrap_or_default(), @r#"there is no --topology "star"; there are: grid, line, total, tree, tree2, tree3, tree4"#);
        insta::assert_snapshot!(refused(Config { workload: "echo".to_owned(), ..broadcast() }).unwrap_or_default(), @"--topology tree3: only the nodes of workload broadcast are told who their neighbours are");
    }

    #[test]
    fn what_cannot_be_is_refused_with_what_can() {
        insta::assert_snapshot!(refusal(|config| config.system = "oracle".to_owned()), @r#"there is no system "oracle"; there are: etcd, maelstrom, raft, redis, redis-sentinel, zookeeper, a FILE.toml that describes one"#);
        insta::assert_snapshot!(refusal(|config| config.workload = "poetry".to_owned()), @r#"there is no workload "poetry"; there are: append, bank, broadcast, cas, counter, echo, follower-reads, g-counter, g-set, kafka, lin-kv, lock, long-fork, monotonic, pn-counter, queue, register, set, txn-list-append, txn-rw-register, unique-ids, wr"#);
        insta::assert_snapshot!(refusal(|config| config.read = "new".to_owned()), @r#"there is no --read "new"; there are: linearizable, lease, stale, after"#);
        insta::assert_snapshot!(refusal(|config| config.nodes = 0), @"--nodes 0 is not possible: 1 to 9 are");
        insta::assert_snapshot!(refusal(|config| config.rate = 0), @"--rate 0 would never ask anything");
        insta::assert_snapshot!(refusal(|config| config.time_limit_ms = 10), @"--time-limit below 1s leaves no time for anything to happen");
        insta::assert_snapshot!(refusal(|config| config.nodes = 1), @"nemesis partition has no target with --nodes 1; ask for more");
    }
}
