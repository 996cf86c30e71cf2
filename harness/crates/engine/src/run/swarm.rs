//! Draws what the user left open of a run's configuration from its seed: swarm testing. Pure.
//!
//! Each part has a stream of its own, so that a new part leaves the others as they were. A value
//! that was given is never drawn over. What was drawn becomes part of the configuration, which then
//! asks for the same run without drawing. One part = one line in [`PARTS`], or in the system's
//! [`crate::system::SwarmChoices`].

use super::options::{OptionValues, parse_value};
use crate::nemesis::parse_request;
use crate::system::{ArgumentChoice, System, find_system};
use anyhow::{Context as _, Result, anyhow};
use records::config::{Config, OPTIONS};
use std::collections::BTreeSet;
use workloads::{Object, ReadConsistency, Rng, Workload, find_workload};

/// The names of the options that the user gave.
pub type GivenOptions = BTreeSet<&'static str>;

/// A part of the configuration that a seed draws: its option, and the values that may be drawn.
type Part = (&'static str, fn(&Situation<'_>) -> Vec<String>);

/// What may be drawn, by option.
const PARTS: &[Part] = &[
    ("concurrency", |_| to_texts(&["5", "10", "20", "30"])),
    ("keys", |run| run.key_choices(&["1", "2", "4", "8", "16"])),
    ("nodes", |run| run.node_choices()),
    ("patience", |_| to_texts(&["300ms", "500ms", "1s", "2s", "5s"])),
    ("rate", |_| to_texts(&["100", "200", "400", "800"])),
    ("read", |run| run.read_choices()),
    ("skew", |run| run.key_choices(&["hot", "uniform", "zipf"])),
    ("variant", |run| run.variant_choices()),
];

/// The option for arguments of replicas.
const NODE_ARG: &str = "node-arg";
/// Nemeses that let new members join.
const JOINING: [&str; 2] = ["membership", "replace"];
/// The nemesis that breaks what lease reads trust.
const CLOCK: &str = "clock";

/// What decides which values are allowed.
struct Situation<'a> {
    config: &'a Config,
    system: &'static dyn System,
    workload: &'static dyn Workload,
    nemeses: Vec<&'static str>,
}

/// Draws what is not `given`; returns the configuration and what was drawn, as text. A system or
/// workload that does not exist is left to the plan to refuse.
pub fn draw_configuration(config: &Config, given: &GivenOptions) -> Result<(Config, Vec<String>)> {
    let plain = Config { swarm: false, ..config.clone() };
    let nemeses = parse_request(&config.nemesis.join(","));
    let (Some(system), Some(workload), Ok(nemeses)) =
        (find_system(&config.system)?, find_workload(&config.workload), nemeses)
    else {
        return Ok((plain, Vec::new()));
    };
    let nemeses = nemeses.iter().map(|wanted| wanted.nemesis.name()).collect();
    let run = Situation { config, system, workload, nemeses };
    let rng = Rng::new(config.seed).fork("swarm");
    let mut values = OptionValues::from_config(&plain);
    let mut drawn = Vec::new();
    for (name, choices) in PARTS.iter().filter(|(name, _)| !given.contains(name)) {
        let Some(text) = rng.fork(name).choose(&choices(&run)).cloned() else { continue };
        if text.is_empty() {
            continue;
        }
        let option = OPTIONS.iter().find(|option| option.name == *name);
        let option = option.with_context(|| format!("there is no option --{name}"))?;
        let value = parse_value(option, &text).map_err(|why| anyhow!("--{name} {text}: {why}"))?;
        values.set(option, value);
        drawn.push(format!("--{name} {text}"));
    }
    let mut config = values.into_config(config.seed)?;
    for choice in run.argument_choices() {
        let Some(value) = rng.fork(choice.flag).choose(choice.values).copied() else { continue };
        if !value.is_empty() {
            config.node_args.extend([choice.flag.to_owned(), value.to_owned()]);
            drawn.push(format!("--{NODE_ARG} {} {value}", choice.flag));
        }
    }
    Ok((config, drawn))
}

fn to_texts(values: &[&str]) -> Vec<String> {
    values.iter().map(|value| (*value).to_owned()).collect()
}

impl Situation<'_> {
    fn key_choices(&self, values: &[&str]) -> Vec<String> {
        if self.workload.takes_key_choice() { to_texts(values) } else { Vec::new() }
    }

    /// A schedule that was given may name hosts.
    fn node_choices(&self) -> Vec<String> {
        match self.config.schedule {
            None => to_texts(self.system.swarm_choices().nodes),
            Some(_) => Vec::new(),
        }
    }

    /// Only what is judged like linearizable reads, and only while clocks can be trusted.
    fn read_choices(&self) -> Vec<String> {
        let checks = |read| self.workload.check_names(read);
        let strong = checks(ReadConsistency::Linearizable);
        let same =
            |name: &&str| ReadConsistency::parse(name).is_some_and(|read| checks(read) == strong);
        let all = self.system.swarm_choices().reads;
        let all = all.iter().copied().filter(same).map(str::to_owned).collect();
        if self.may_inject(&[CLOCK]) { Vec::new() } else { all }
    }

    /// Each variant of the file, and none.
    fn variant_choices(&self) -> Vec<String> {
        let names = self.system.variant_names();
        if names.is_empty() {
            return Vec::new();
        }
        names.iter().copied().chain([""]).map(str::to_owned).collect()
    }

    /// The arguments that are not given yet and that this run allows.
    fn argument_choices(&self) -> impl Iterator<Item = &'static ArgumentChoice> {
        let is_given = |choice: &&ArgumentChoice| {
            let mut words = self.config.node_args.iter();
            words.any(|word| word.split('=').next() == Some(choice.flag))
        };
        let single_key = self.workload.object() == Object::Registers;
        let may_split = single_key && !self.may_inject(&JOINING);
        let all = self.system.swarm_choices().arguments.iter();
        all.filter(move |choice| !is_given(choice) && (may_split || !choice.splits_keys))
    }

    /// Whether the run may inject one of these faults; a schedule may have any.
    fn may_inject(&self, kinds: &[&str]) -> bool {
        self.config.schedule.is_some() || self.nemeses.iter().any(|kind| kinds.contains(kind))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::plan::Plan;
    use proptest::prelude::*;
    use records::sample::sample_config;

    fn config_for(workload: &str, nemesis: &str, seed: u64) -> Config {
        let (workload, nemesis) = (workload.to_owned(), vec![nemesis.to_owned()]);
        Config { workload, nemesis, seed, swarm: true, bugs: Vec::new(), ..sample_config() }
    }

    fn raft_workloads() -> Vec<&'static str> {
        let raft = find_system("raft").expect("no file is read").expect("it exists");
        let fits = |it: &&&dyn Workload| raft.objects().contains(&it.object());
        workloads::WORKLOADS.iter().filter(fits).map(|it| it.name()).collect()
    }

    proptest! {
        #[test]
        fn what_is_drawn_can_be_run_and_given_values_stay(
            seed in any::<u64>(),
            workload in prop::sample::select(raft_workloads()),
            nemesis in prop::sample::select(vec!["all", "none", "kill", "membership,pause"]),
            given in prop::collection::btree_set(
                prop::sample::select(PARTS.iter().map(|(name, _)| *name).collect::<Vec<_>>()), 0..4,
            ),
        ) {
            let mut config = config_for(workload, nemesis, seed);
            config.nemesis = nemesis.split(',').map(str::to_owned).collect();
            let (drawn, texts) = draw_configuration(&config, &given).expect("it can be drawn");
            let again = draw_configuration(&config, &given).expect("again");
            prop_assert_eq!(again, (drawn.clone(), texts));
            prop_assert!(!drawn.swarm);
            let values = |config: &Config| serde_json::to_value(config).expect("it is JSON");
            let (before, after) = (values(&config), values(&drawn));
            for name in &given {
                let option = OPTIONS.iter().find(|option| option.name == *name).expect("it exists");
                prop_assert_eq!(&before[option.key], &after[option.key], "--{}", name);
            }
            let plan = Plan::new(drawn.clone(), Vec::new());
            prop_assert!(plan.is_ok(), "{:?}: {:?}", drawn, plan.err());
        }
    }

    fn draw_for_seeds(given: &GivenOptions) -> Vec<Config> {
        let draw = |seed| {
            let config = config_for("register", "kill", seed);
            draw_configuration(&config, given).expect("it can be drawn").0
        };
        (0..200).map(draw).collect()
    }

    #[test]
    fn seeds_draw_every_value_and_one_part_does_not_depend_on_another() {
        let all = draw_for_seeds(&GivenOptions::new());
        let distinct =
            |of: &dyn Fn(&Config) -> String| all.iter().map(of).collect::<BTreeSet<_>>().len();
        assert_eq!(distinct(&|it| it.nodes.to_string()), 3);
        assert_eq!(distinct(&|it| it.concurrency.to_string()), 4);
        assert_eq!(distinct(&|it| it.rate.to_string()), 4);
        assert_eq!(distinct(&|it| format!("{:?}", it.keys)), 5);
        assert_eq!(distinct(&|it| format!("{:?}", it.skew)), 3);
        assert_eq!(distinct(&|it| format!("{:?}", it.patience_ms)), 5);
        assert_eq!(distinct(&|it| it.read.clone()), 2);
        let has =
            |flag: &str| all.iter().filter(|it| it.node_args.iter().any(|it| it == flag)).count();
        for flag in ["--snapshot-entries", "--profile", "--groups"] {
            assert!((20..180).contains(&has(flag)), "{flag}: {}", has(flag));
        }
        let fewer = draw_for_seeds(&GivenOptions::from(["nodes", "rate"]));
        let rest = |config: &Config| Config { nodes: 5, rate: 200, ..config.clone() };
        assert!(all.iter().zip(&fewer).all(|(one, other)| rest(one) == rest(other)));
    }

    #[test]
    fn arguments_of_the_user_and_what_a_run_cannot_have_are_not_drawn() {
        for seed in 0..100 {
            let drawn = |change: fn(&mut Config)| {
                let mut config = config_for("register", "kill", seed);
                change(&mut config);
                draw_configuration(&config, &GivenOptions::new()).expect("it can be drawn").0
            };
            let own = drawn(|config| config.node_args = vec!["--snapshot-entries=7".to_owned()]);
            assert!(!own.node_args.iter().any(|word| word == "--snapshot-entries"), "{own:?}");
            let groups = |config: Config| config.node_args.iter().any(|word| word == "--groups");
            assert!(!groups(drawn(|config| config.workload = "bank".to_owned())));
            assert!(!groups(drawn(|config| config.nemesis = vec!["replace".to_owned()])));
            let clock = drawn(|config| config.nemesis = vec!["clock".to_owned()]);
            assert_eq!(clock.read, "linearizable");
            let played = drawn(|config| config.schedule = Some("story.txt".to_owned()));
            assert_eq!((played.nodes, played.read.as_str()), (5, "linearizable"));
            let set = drawn(|config| config.workload = "set".to_owned());
            assert_eq!((set.keys, set.skew), (None, None));
        }
    }
}
