//! Plans a run from its configuration and seed: everything that is decided before it. Pure.

use crate::nemesis::regime::{Pace, list_paces};
use crate::nemesis::schedule::{Schedule, ScheduleContext, plan_schedule};
use crate::nemesis::script::{self, ScriptContext};
use crate::nemesis::timeline::Timeline;
use crate::nemesis::{RequestedNemesis, parse_request};
use crate::run::options::{check_values, command_line, test_arguments};
use crate::system::{ClientOptions, Feature, System, find_system};
use anyhow::{Context as _, Result, bail, ensure};
use checker::Limits;
use checker::registry::start_online_check;
use records::config::{Config, default_topology};
use std::time::Duration;
use testbed::net::router::{DISTRIBUTIONS, Distribution, Latency, Routing, TOPOLOGIES, Topology};
use workloads::{
    KeyChoice, READ_CONSISTENCIES, ReadConsistency, Rng, Skew, Workload, find_workload,
};

/// The largest number of nemeses in the name of a family of runs.
const MAX_NAMED: usize = 6;

/// The workload whose nodes are given neighbours.
const BROADCAST: &str = "broadcast";

/// Everything that is decided before a run.
pub struct Plan {
    /// What was asked, defaults filled in.
    pub config: Config,
    /// The command line as it was typed.
    pub argv: Vec<String>,
    /// What the seed drew of the configuration, as text.
    pub drawn: Vec<String>,
    /// The system under test.
    pub system: &'static dyn System,
    /// What clients do.
    pub workload: &'static dyn Workload,
    /// The consistency asked of their reads.
    pub consistency: ReadConsistency,
    /// The nemeses and their variants.
    pub requested: Vec<RequestedNemesis>,
    /// Every fault with its times.
    pub schedule: Schedule,
    /// The checks whose violation ends the run early, with `--fail-fast`.
    pub online_checks: Vec<&'static str>,
    /// The run's root stream of random numbers.
    pub rng: Rng,
    /// How messages travel where the harness carries them.
    pub routing: Routing,
}

impl Plan {
    /// The plan of this configuration; an error names the option that is wrong.
    pub fn new(config: Config, argv: Vec<String>) -> Result<Self> {
        let system = find_system(&config.system)?.with_context(|| {
            let names = crate::system::SYSTEMS.iter().map(|system| system.name());
            unknown_name("system", &config.system, names.chain(["a FILE.toml that describes one"]))
        })?;
        let workload = find_workload(&config.workload).with_context(|| {
            unknown_name(
                "workload",
                &config.workload,
                workloads::WORKLOADS.iter().map(|workload| workload.name()),
            )
        })?;
        let consistency = supported_consistency(system, workload, &config.read)?;
        check_values(&config)?;
        if !config.node_args.is_empty() && !system.has_feature(Feature::ExtraArguments) {
            bail!("--node-arg: the replicas of {} take no further arguments", config.system);
        }
        check_keys(&config, workload)?;
        check_variant(&config, system)?;
        let routing = plan_routing(&config, system)?;
        let mut wanted =
            supported_nemeses(parse_request(&config.nemesis.join(","))?, system, &config.nemesis)?;
        wanted
            .iter_mut()
            .for_each(|wanted| wanted.leader_unknown = !system.has_feature(Feature::ReportsLeader));
        let rng = Rng::new(config.seed);
        let hosts = usize::from(config.nodes);
        if let Some(idle) = wanted.iter().find(|wanted| wanted.usable_variants(hosts).is_empty()) {
            bail!("nemesis {idle} has no target with --nodes {hosts}; ask for more");
        }
        let schedule = plan_faults(&config, &wanted, (system, workload), &rng)?;
        let early = match config.fail_fast {
            true => find_online_checks(workload, consistency)?,
            false => Vec::new(),
        };
        Ok(Self {
            config,
            argv,
            drawn: Vec::new(),
            system,
            workload,
            consistency,
            requested: wanted,
            schedule,
            online_checks: early,
            rng,
            routing,
        })
    }

    /// How long the main phase lasts.
    pub fn limit(&self) -> Duration {
        Duration::from_millis(self.config.time_limit_ms)
    }

    /// Which keys clients use, where the workload takes such a choice.
    pub fn keys(&self) -> KeyChoice {
        KeyChoice {
            count: self.config.keys.and_then(|keys| usize::try_from(keys).ok()),
            skew: self.config.skew.as_deref().and_then(Skew::parse),
        }
    }

    /// What clients are asked to do besides their calls.
    pub fn client_options(&self) -> ClientOptions {
        let patience = self.config.patience_ms.map(Duration::from_millis);
        ClientOptions { consistency: self.consistency, patience }
    }

    /// When faults begin and end.
    pub fn fault_times(&self) -> Vec<Duration> {
        let mut timeline = Timeline::new(&self.schedule);
        let moments = std::iter::from_fn(|| timeline.take_due(u64::MAX));
        moments.map(|step| Duration::from_millis(step.at_ms)).collect()
    }

    /// Replaces the seed's schedule by this one; an error has the place in the file.
    pub fn with_schedule(mut self, file: &str, text: &str) -> Result<Self> {
        let setting = ScriptContext {
            hosts: usize::from(self.config.nodes),
            limit_ms: self.config.time_limit_ms,
            functions: self.workload.function_names(),
        };
        self.schedule = script::parse_script(text, &setting)
            .map_err(|wrong| anyhow::anyhow!("{file}:{wrong}"))?;
        let mut kinds: Vec<String> = self.schedule.iter().map(|entry| entry.kind.clone()).collect();
        kinds.sort_unstable();
        kinds.dedup();
        if kinds.is_empty() {
            kinds.push("none".to_owned());
        }
        self.requested = supported_nemeses(parse_request(&kinds.join(","))?, self.system, &kinds)?;
        (self.config.nemesis, self.config.schedule) = (kinds, Some(file.to_owned()));
        Ok(self)
    }

    /// A command line that asks for the same run again.
    pub fn repro_command(&self) -> String {
        let program = self.argv.first().map_or("harness", String::as_str);
        command_line(program, &test_arguments(&self.config))
    }

    /// The name of the directory for runs like this one.
    pub fn family_name(&self) -> String {
        // `all` stays one word: a directory's name must not grow with every new nemesis.
        let asked: Vec<&str> = self.config.nemesis.iter().map(|kind| kind.trim()).collect();
        let kinds = match asked.split_at_checked(MAX_NAMED) {
            Some((first, more @ [_, ..])) => format!("{}+{}-more", first.join("+"), more.len()),
            _ if asked.is_empty() => "none".to_owned(),
            _ => asked.join("+"),
        };
        let plain = |c: char| if c.is_ascii_alphanumeric() || "+-".contains(c) { c } else { '.' };
        let kinds: String = kinds.chars().map(plain).collect();
        format!("{}-{}-{kinds}", self.system.name(), self.workload.name())
    }
}

/// Refuses a choice of keys that the workload does not take.
fn check_keys(config: &Config, workload: &dyn Workload) -> Result<()> {
    let given = [("--keys", config.keys.is_some()), ("--skew", config.skew.is_some())];
    let Some((option, _)) = given.into_iter().find(|(_, given)| *given) else { return Ok(()) };
    let takers = workloads::WORKLOADS.iter().filter(|it| it.takes_key_choice());
    ensure!(
        workload.takes_key_choice(),
        "{option}: workload {} chooses its own keys; these take a choice: {}",
        workload.name(),
        takers.map(|it| it.name()).collect::<Vec<_>>().join(", ")
    );
    Ok(())
}

/// Refuses a variant that the system's file does not have.
fn check_variant(config: &Config, system: &dyn System) -> Result<()> {
    let Some(variant) = &config.variant else { return Ok(()) };
    let names = system.variant_names();
    ensure!(
        names.contains(&variant.as_str()),
        "--variant {variant}: {} has no such variant; it has: {}",
        config.system,
        if names.is_empty() { "none".to_owned() } else { names.join(", ") }
    );
    Ok(())
}

/// Every fault of the seed with its times.
fn plan_faults(
    config: &Config,
    wanted: &[RequestedNemesis],
    (system, workload): (&dyn System, &dyn Workload),
    rng: &Rng,
) -> Result<Schedule> {
    let pace = Pace::find(&config.pace)
        .with_context(|| unknown_name("--pace", &config.pace, list_paces().into_iter()))?;
    let context = ScheduleContext {
        hosts: usize::from(config.nodes),
        limit_ms: config.time_limit_ms,
        pace: pace.with_numbers(config.interval_ms, config.duration_ms),
        system: system.name(),
        workload: workload.name(),
    };
    Ok(plan_schedule(wanted, &context, rng))
}

/// The nemeses that this system supports. `all` leaves out the others; naming one is an error.
fn supported_nemeses(
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

/// The consistency of reads, after checking that system and workload support it.
fn supported_consistency(
    system: &dyn System,
    workload: &dyn Workload,
    read: &str,
) -> Result<ReadConsistency> {
    let object = workload.object();
    ensure!(
        system.objects().contains(&object),
        "system {} keeps no {}, which workload {} needs",
        system.name(),
        object.name(),
        workload.name()
    );
    if let Some(why) = system.unsupported_workload(workload) {
        bail!(why);
    }
    let names = || READ_CONSISTENCIES.iter().map(|(_, name)| *name);
    let consistency =
        ReadConsistency::parse(read).with_context(|| unknown_name("--read", read, names()))?;
    ensure!(
        system.read_consistencies().contains(&consistency),
        "system {} has no {read} reads",
        system.name()
    );
    Ok(consistency)
}

/// How the harness carries messages, for systems that use standard input and output.
fn plan_routing(config: &Config, system: &dyn System) -> Result<Routing> {
    let name = &config.latency_dist;
    let distribution = Distribution::from_name(name).with_context(|| {
        unknown_name("--latency-dist", name, DISTRIBUTIONS.iter().map(|(_, name)| *name))
    })?;
    if system.has_feature(Feature::StandardIo) {
        check_routed_options(config, system)?;
    } else {
        check_network_options(config, system)?;
    }
    let latency = Latency { mean_ms: config.latency_ms, distribution };
    let topology = parse_topology(config)?.filter(|_| system.has_feature(Feature::StandardIo));
    Ok(Routing { latency, topology, loss: config.loss_per_mille })
}

/// Checks the options of a system whose messages the harness carries.
fn check_routed_options(config: &Config, system: &dyn System) -> Result<()> {
    ensure!(
        config.bin.is_some(),
        "system {} is a program of yours: name it with --bin",
        system.name()
    );
    ensure!(!config.capture, "--capture: there are no packets; every message is in messages.jsonl");
    Ok(())
}

/// Checks the options of a system whose replicas have a network of their own.
fn check_network_options(config: &Config, system: &dyn System) -> Result<()> {
    let name = system.name();
    ensure!(
        config.latency_ms == 0,
        "--latency: the replicas of {name} have a network of their own; --nemesis packet delays it"
    );
    ensure!(
        config.loss_per_mille == 0,
        "--loss: the replicas of {name} have a network of their own; --nemesis packet loses \
         some of it"
    );
    ensure!(
        config.topology == default_topology(),
        "--topology: the replicas of {name} are given no neighbours; only those of maelstrom are"
    );
    Ok(())
}

/// The topology, where the workload gives nodes their neighbours.
fn parse_topology(config: &Config) -> Result<Option<Topology>> {
    let name = &config.topology;
    let topology = Topology::from_name(name).with_context(|| {
        unknown_name("--topology", name, TOPOLOGIES.iter().map(|(_, name)| *name))
    })?;
    let told = config.workload == BROADCAST;
    ensure!(
        told || topology == Topology::default(),
        "--topology {name}: only workload {BROADCAST} gives nodes their neighbours"
    );
    Ok(told.then_some(topology))
}

/// The checks that can find a violation while the run lasts.
fn find_online_checks(
    workload: &dyn Workload,
    consistency: ReadConsistency,
) -> Result<Vec<&'static str>> {
    let names = workload.check_names(consistency);
    let start = |name: &&'static str| start_online_check(name, Limits::default()).map(|_| *name);
    let (online, refused): (Vec<_>, Vec<_>) = names.iter().map(start).partition(Result::is_ok);
    let reasons: Vec<_> = refused.into_iter().filter_map(Result::err).collect();
    ensure!(
        !online.is_empty(),
        "--fail-fast has no effect on workload {}: {}; leave the option out",
        workload.name(),
        reasons.join("; ")
    );
    Ok(online.into_iter().flatten().collect())
}

fn unknown_name(what: &str, name: &str, names: impl Iterator<Item = &'static str>) -> String {
    format!("there is no {what} {name:?}; there are: {}", names.collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use records::sample::sample_config;

    fn refusal_text(change: impl FnOnce(&mut Config)) -> String {
        let mut config = sample_config();
        change(&mut config);
        Plan::new(config, Vec::new()).err().map_or_else(String::new, |error| error.to_string())
    }

    #[test]
    fn a_run_fails_fast_by_every_check_that_can_judge_it_early() {
        let plan = |workload: &str| {
            let workload = workload.to_owned();
            Plan::new(Config { workload, fail_fast: true, ..sample_config() }, Vec::new())
        };
        let online = |workload| plan(workload).expect("a plan").online_checks;
        assert_eq!(online("lock"), ["fenced-lock", "lock"]);
        assert_eq!(online("append"), ["list-append"]);
        assert_eq!(online("wr"), ["rw-register-closed"]);
        for workload in ["bank", "counter", "queue", "register", "set"] {
            assert_eq!(online(workload).len(), 1, "{workload}");
        }
        let refusal = refusal_text(|config| {
            (config.workload, config.fail_fast) = ("g-counter".to_owned(), true);
        });
        assert_eq!(
            refusal,
            "--fail-fast has no effect on workload g-counter: eventual-counter judges the last \
             read of each replica, which only the end shows; leave the option out"
        );
    }

    #[test]
    fn a_plan_says_how_to_ask_for_it_again_and_where_it_is_filed() {
        let plan = Plan::new(sample_config(), Vec::new()).expect("everything in it exists");
        insta::assert_snapshot!(
            plan.repro_command(),
            @"harness test --system raft --nodes 5 --workload register --nemesis \
              partition,kill:leader --pace calm --time-limit 30s --concurrency 10 --rate 200 \
              --seed 1 --net auto --unsafe stale-reads"
        );
        insta::assert_snapshot!(plan.family_name(), @"raft-register-partition+kill.leader");
        let family = |kinds: &[&str]| {
            let nemesis = kinds.iter().map(|kind| (*kind).to_owned()).collect();
            Plan::new(Config { nemesis, time_limit_ms: 200_000, ..sample_config() }, Vec::new())
                .expect("a plan")
                .family_name()
        };
        assert_eq!(family(&["all"]), "raft-register-all");
        assert_eq!(family(&["none"]), "raft-register-none");
        let many =
            ["bit-rot", "clock", "kill", "pause", "packet", "starve", "transfer", "truncate"];
        assert_eq!(family(&many), "raft-register-bit-rot+clock+kill+pause+packet+starve+2-more");
    }

    #[test]
    fn a_schedule_takes_the_place_of_the_seeds_and_its_kinds_are_what_is_wanted() {
        let plan = || Plan::new(sample_config(), Vec::new()).expect("everything in it exists");
        let text = "after 10 ok writes pause n2 for 1s\n";
        let played = plan().with_schedule("story.txt", text).expect("it can be done");
        assert_eq!(script::write_script(&played.schedule), text);
        assert!(
            played.repro_command().contains("--schedule story.txt"),
            "{}",
            played.repro_command()
        );
        assert_eq!(played.family_name(), "raft-register-pause");
        let wrong =
            plan().with_schedule("story.txt", "at 1s kill n7").err().expect("there is no n7");
        assert!(wrong.to_string().starts_with("story.txt:1:12: there is no host"), "{wrong}");
    }

    #[test]
    fn what_only_maelstroms_programs_can_be_asked_is_refused_elsewhere() {
        insta::assert_snapshot!(
            refusal_text(|config| config.latency_ms = 5),
            @"--latency: the replicas of raft have a network of their own; --nemesis packet \
              delays it"
        );
        insta::assert_snapshot!(
            refusal_text(|config| config.loss_per_mille = 5),
            @"--loss: the replicas of raft have a network of their own; --nemesis packet loses \
              some of it"
        );
        insta::assert_snapshot!(
            refusal_text(|config| config.topology = "line".to_owned()),
            @"--topology: the replicas of raft are given no neighbours; only those of maelstrom are"
        );
    }

    fn broadcast_config() -> Config {
        let (system, workload) = ("maelstrom".to_owned(), BROADCAST.to_owned());
        let (bin, bugs, nemesis) =
            (Some("node".to_owned()), Vec::new(), vec!["partition".to_owned()]);
        let (loss_per_mille, topology) = (125, "tree3".to_owned());
        Config { system, workload, bin, bugs, nemesis, loss_per_mille, topology, ..sample_config() }
    }

    #[test]
    fn loss_and_neighbours_are_part_of_a_plan_and_asked_for_again() {
        let plan = Plan::new(broadcast_config(), Vec::new()).expect("everything in it exists");
        let Routing { topology, loss, .. } = plan.routing;
        assert_eq!((topology, loss), (Some(Topology::Tree(3)), 125));
        assert!(
            plan.repro_command().ends_with("--loss 0.125 --topology tree3"),
            "{}",
            plan.repro_command()
        );
        let refused = |config| {
            let why = Plan::new(config, Vec::new()).err().map(|why| why.to_string());
            why.unwrap_or_default()
        };
        let star = Config { topology: "star".to_owned(), ..broadcast_config() };
        insta::assert_snapshot!(
            refused(star),
            @"there is no --topology \"star\"; there are: grid, line, total, tree, tree2, tree3, \
              tree4"
        );
        let echo = Config { workload: "echo".to_owned(), ..broadcast_config() };
        insta::assert_snapshot!(
            refused(echo),
            @"--topology tree3: only workload broadcast gives nodes their neighbours"
        );
    }

    #[test]
    fn what_cannot_be_is_refused_with_what_can() {
        insta::assert_snapshot!(
            refusal_text(|config| config.system = "oracle".to_owned()),
            @"there is no system \"oracle\"; there are: etcd, maelstrom, raft, redis, \
              redis-sentinel, zookeeper, a FILE.toml that describes one"
        );
        insta::assert_snapshot!(
            refusal_text(|config| config.workload = "poetry".to_owned()),
            @"there is no workload \"poetry\"; there are: append, bank, broadcast, cas, counter, \
              echo, follower-reads, g-counter, g-set, kafka, lin-kv, lock, long-fork, monotonic, \
              pn-counter, queue, register, set, txn-list-append, txn-rw-register, unique-ids, wr"
        );
        insta::assert_snapshot!(
            refusal_text(|config| config.read = "new".to_owned()),
            @r#"there is no --read "new"; there are: linearizable, lease, stale, after"#
        );
        insta::assert_snapshot!(
            refusal_text(|config| config.pace = "hectic".to_owned()),
            @r#"there is no --pace "hectic"; there are: bursts, calm, dense, long, mixed"#
        );
        insta::assert_snapshot!(
            refusal_text(|config| config.nodes = 0),
            @"--nodes 0: expected a whole number from 1 to 9"
        );
        insta::assert_snapshot!(
            refusal_text(|config| config.rate = 0),
            @"--rate 0: expected a whole number from 1 to 1000000"
        );
        insta::assert_snapshot!(
            refusal_text(|config| config.time_limit_ms = 10),
            @"--time-limit 10ms: expected a duration from 1s to 24h"
        );
        insta::assert_snapshot!(
            refusal_text(|config| config.nodes = 1),
            @"nemesis partition has no target with --nodes 1; ask for more"
        );
    }
}
