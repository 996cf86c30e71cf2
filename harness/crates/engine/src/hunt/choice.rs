//! What a hunt varies from run to run: axes with their values, and the configuration that a draw
//! of one value each makes. Pure, but for the question whether a configuration can be played.
//!
//! [`AXES`] is the whole table. A row whose option this build does not have, or whose values the
//! system does not take, is left out, so that a new option needs one row here.

use crate::nemesis::find_nemesis;
use crate::run::options::{OptionValues, parse_value};
use crate::system::System;
use anyhow::{Result, anyhow, ensure};
use records::config::{Config, OPTIONS, OptionKind, TestOption};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use workloads::{Object, ReadConsistency, WORKLOADS, find_workload};

/// A row of the table.
struct AxisRow {
    /// The name in tables of coverage.
    name: &'static str,
    /// The option of `harness test` that it sets.
    option: &'static str,
    /// The values as the command line takes them; several words for an option that repeats.
    values: &'static [&'static str],
    /// The only system that takes it; `None` for all.
    system: Option<&'static str>,
}

const fn for_all(name: &'static str, values: &'static [&'static str]) -> AxisRow {
    AxisRow { name, option: name, values, system: None }
}

const fn for_raft(name: &'static str, values: &'static [&'static str]) -> AxisRow {
    AxisRow { name, option: "node-arg", values, system: Some("raft") }
}

/// Every axis besides workload and nemesis. The first value is the plainest; an empty one leaves
/// the option out.
const AXES: &[AxisRow] = &[
    for_all("pace", &["mixed", "dense", "calm"]),
    for_all("nodes", &["5", "3", "4"]),
    for_all("read", &["linearizable", "lease"]),
    for_all("time-limit", &["15s", "30s"]),
    for_all("concurrency", &["10", "5", "30"]),
    for_all("rate", &["200", "60", "600"]),
    for_all("keys", &["", "1", "3", "16"]),
    for_all("skew", &["", "uniform", "zipf", "hot"]),
    for_all("patience", &["", "300ms", "1s", "5s"]),
    for_raft("snapshots", &["", "--snapshot-entries 20", "--snapshot-entries 100"]),
    for_raft("groups", &["", "--groups 3"]),
    for_raft("profile", &["", "--profile fast"]),
];

/// The mixes of faults. Kinds that the system or the machine does not support are left out of each.
const MIXES: &[&str] = &[
    "partition,kill,pause",
    "partition",
    "kill",
    "pause",
    "kill,transfer",
    "partition,pause,transfer",
    "packet,kill",
    "power-loss,partition",
    "power-loss,kill,pause",
    "slow-disk,kill,partition",
    "membership,kill",
    "replace,partition",
    "crash-loop,partition",
    "partition,kill,pause,transfer,packet,power-loss,slow-disk,membership",
    "none",
];

/// Nemeses that let new members join, which groups do not support.
const JOINING: [&str; 2] = ["membership", "replace"];
/// The nemesis that breaks what weaker reads trust.
const CLOCK: &str = "clock";
/// Names of workloads that only repeat another one.
const ALIASES: [&str; 3] = ["lin-kv", "txn-list-append", "txn-rw-register"];

/// One thing that is drawn for each run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChoiceAxis {
    /// Its name in tables of coverage.
    pub name: String,
    /// The option of `harness test` that it sets.
    pub option: String,
    /// Its values.
    pub values: Vec<String>,
}

/// What a hunt can draw.
#[derive(Clone, Debug)]
pub struct Choices {
    /// The axes.
    pub axes: Vec<ChoiceAxis>,
    /// The options that all runs share.
    base: OptionValues,
}

/// An option that a person fixed, and its value.
pub type GivenOption = (&'static TestOption, Value);

impl Choices {
    /// What can be drawn for this system when these options are given. `accepts` tells whether a
    /// configuration can be planned.
    pub fn new(
        system: &dyn System,
        given: &[GivenOption],
        accepts: &dyn Fn(&Config) -> bool,
    ) -> Result<Self> {
        let mut base = OptionValues::defaults();
        for (option, value) in given.iter().filter(|(option, _)| option.name != "workload") {
            base.set(option, value.clone());
        }
        let (workload, nemesis) = (find_option("workload")?, find_option("nemesis")?);
        let find = |option: &TestOption| given.iter().find(|(one, _)| one.name == option.name);
        base.set(nemesis, vec!["none"].into());
        let mut choices = Self { axes: Vec::new(), base };
        let names = find(workload).map_or_else(list_workloads, |(_, value)| split_names(value));
        choices.add_axis("workload", workload, names.clone(), accepts);
        ensure!(
            !choices.axes.is_empty(),
            "{} plays none of these workloads as asked: {}",
            system.name(),
            names.join(", ")
        );
        let mixes = match find(nemesis) {
            Some((_, value)) => narrow_mixes(possible_names(split_names(value))?),
            None => MIXES.iter().map(|mix| supported_mix(mix, system)).collect(),
        };
        choices.add_axis("nemesis", nemesis, mixes, accepts);
        ensure!(choices.axes.len() == 2, "{} supports none of these nemeses", system.name());
        for row in AXES {
            let Some(option) = OPTIONS.iter().find(|option| option.name == row.option) else {
                continue;
            };
            let is_other = row.system.is_some_and(|name| name != system.name());
            let is_fixed = find(option).is_some() && option.kind != OptionKind::Words;
            if !is_other && !is_fixed {
                let values = row.values.iter().map(|value| (*value).to_owned()).collect();
                choices.add_axis(row.name, option, values, accepts);
            }
        }
        let variants: Vec<String> =
            system.variant_names().iter().map(|name| (*name).to_owned()).collect();
        let variant = find_option("variant")?;
        if !variants.is_empty() && find(variant).is_none() {
            let values = std::iter::once(String::new()).chain(variants).collect();
            choices.add_axis("variant", variant, values, accepts);
        }
        Ok(choices)
    }

    /// Adds an axis of the values that can be played with one of the workloads; of none, no axis.
    fn add_axis(
        &mut self,
        name: &str,
        option: &TestOption,
        values: Vec<String>,
        accepts: &dyn Fn(&Config) -> bool,
    ) {
        let mut axis = ChoiceAxis {
            name: name.to_owned(),
            option: option.name.to_owned(),
            values: Vec::new(),
        };
        let plainest = vec![0; self.axes.len()];
        for value in values.into_iter().filter(|value| !value.is_empty() || name != "nemesis") {
            let mut tried = self.clone();
            tried.axes.push(ChoiceAxis { values: vec![value.clone()], ..axis.clone() });
            let workloads = self.axes.first().map_or(1, |axis| axis.values.len());
            let is_playable = (0..workloads).any(|workload| {
                let mut picks = plainest.clone();
                picks.iter_mut().take(1).for_each(|pick| *pick = workload);
                picks.push(0);
                let fits = |config: &Config| tried.fits_together(&picks, config) && accepts(config);
                tried.make_config(&picks, 0).as_ref().is_some_and(fits)
            });
            if is_playable && !axis.values.contains(&value) {
                axis.values.push(value);
            }
        }
        if !axis.values.is_empty() {
            self.axes.push(axis);
        }
    }

    /// The configuration of a draw; `None` if a value is out of its option's bounds.
    pub fn make_config(&self, picks: &[usize], seed: u64) -> Option<Config> {
        let mut values = self.base.clone();
        let mut words = Vec::new();
        for (axis, pick) in self.axes.iter().zip(picks) {
            let option = OPTIONS.iter().find(|option| option.name == axis.option)?;
            let text = axis.values.get(*pick)?;
            match option.kind {
                _ if text.is_empty() => (),
                OptionKind::Words => words.extend(text.split_whitespace().map(str::to_owned)),
                _ => values.set(option, parse_value(option, text).ok()?),
            }
        }
        let mut config = values.into_config(seed).ok()?;
        config.node_args.extend(words);
        config.seed = seed;
        Some(config)
    }

    /// Whether the values of a draw are promised to work together. What a person gave is not asked.
    fn fits_together(&self, picks: &[usize], config: &Config) -> bool {
        let is_drawn = |name: &str| {
            let mut drawn = self.axes.iter().zip(picks);
            drawn.any(|(axis, pick)| axis.name == name && *pick > 0)
        };
        let Some(workload) = find_workload(&config.workload) else { return false };
        let has_kind = |kinds: &[&str]| {
            let names = config.nemesis.iter().filter_map(|name| name.split(':').next());
            names.into_iter().any(|name| kinds.contains(&name))
        };
        let splits_keys = workload.object() != Object::Registers || has_kind(&JOINING);
        let judged_as_strong = ReadConsistency::parse(&config.read).is_some_and(|read| {
            let strong = workload.check_names(ReadConsistency::Linearizable);
            workload.check_names(read) == strong && !has_kind(&[CLOCK])
        });
        !(is_drawn("groups") && splits_keys) && (!is_drawn("read") || judged_as_strong)
    }

    /// The draw nearest to this one that can be played: axes get their plainest value, the last
    /// one first, until it can.
    pub fn settle(
        &self,
        mut picks: Vec<usize>,
        seed: u64,
        accepts: &dyn Fn(&Config) -> bool,
    ) -> Option<(Vec<usize>, Config)> {
        let playable = |picks: &[usize]| {
            let fits = |config: &Config| self.fits_together(picks, config) && accepts(config);
            self.make_config(picks, seed).filter(fits)
        };
        if let Some(config) = playable(&picks) {
            return Some((picks, config));
        }
        // What does not fit to workload and nemesis by itself is mostly what does not fit.
        let drawn = picks.clone();
        for axis in 2..drawn.len() {
            let mut alone = vec![0; drawn.len()];
            alone[..2].copy_from_slice(&drawn[..2]);
            alone[axis] = drawn[axis];
            if playable(&alone).is_none() {
                picks[axis] = 0;
            }
        }
        if let Some(config) = playable(&picks) {
            return Some((picks, config));
        }
        for axis in (0..picks.len()).rev() {
            picks[axis] = 0;
            if let Some(config) = playable(&picks) {
                return Some((picks, config));
            }
        }
        None
    }

    /// What a draw consists of, in words: `append dense kill`.
    pub fn describe(&self, picks: &[usize]) -> String {
        let drawn = self.axes.iter().zip(picks);
        let shown =
            drawn.filter(|(axis, pick)| axis.values.len() > 1 && (**pick > 0 || is_main(axis)));
        let words = shown.filter_map(|(axis, pick)| {
            let value = axis.values.get(*pick)?;
            let bare = is_main(axis) || axis.option == "node-arg";
            Some(if bare { value.clone() } else { format!("{} {value}", axis.name) })
        });
        words.collect::<Vec<_>>().join(", ")
    }
}

/// Whether an axis is always named.
fn is_main(axis: &ChoiceAxis) -> bool {
    ["workload", "nemesis", "pace"].contains(&axis.name.as_str())
}

fn find_option(name: &str) -> Result<&'static TestOption> {
    let option = OPTIONS.iter().find(|option| option.name == name);
    option.ok_or_else(|| anyhow!("there is no option --{name}"))
}

fn list_workloads() -> Vec<String> {
    let names = WORKLOADS.iter().map(|workload| workload.name());
    names.filter(|name| !ALIASES.contains(name)).map(str::to_owned).collect()
}

/// The names of a value: those of a list, or of a text with commas.
fn split_names(value: &Value) -> Vec<String> {
    let texts = match value {
        Value::Array(list) => list.iter().filter_map(Value::as_str).collect(),
        other => other.as_str().into_iter().collect::<Vec<_>>(),
    };
    texts.iter().flat_map(|text| text.split(',')).map(|name| name.trim().to_owned()).collect()
}

/// The mixes of nemeses that a person named: all of them at once, then each alone.
fn narrow_mixes(names: Vec<String>) -> Vec<String> {
    let all = names.join(",");
    std::iter::once(all).chain(names).collect()
}

/// The named nemeses that this machine supports; an error if there are none.
fn possible_names(names: Vec<String>) -> Result<Vec<String>> {
    let reason = |name: &String| {
        let kind = name.split(':').next().unwrap_or_default();
        find_nemesis(kind).and_then(|nemesis| nemesis.unsupported_here())
    };
    let reasons: Vec<String> = names.iter().filter_map(reason).collect();
    let possible: Vec<String> = names.into_iter().filter(|name| reason(name).is_none()).collect();
    ensure!(!possible.is_empty(), "{}", reasons.join("; "));
    Ok(possible)
}

/// The kinds of a mix that the system and this machine support; empty if there are none.
fn supported_mix(mix: &str, system: &dyn System) -> String {
    let is_supported = |name: &&str| {
        find_nemesis(name).is_some_and(|nemesis| {
            nemesis.reject_system(system).is_none() && nemesis.unsupported_here().is_none()
        })
    };
    mix.split(',').filter(is_supported).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::plan::Plan;
    use crate::system::find_system;

    fn is_plannable(config: &Config) -> bool {
        Plan::new(config.clone(), Vec::new()).is_ok()
    }

    fn choices_for(name: &str, given: &[(&str, &str)]) -> Result<Choices> {
        let system = find_system(name).expect("no file").expect("it exists");
        let option = |name: &str| find_option(name).expect("it exists");
        let mut all = vec![(option("system"), Value::from(name))];
        for (name, text) in given {
            all.push((option(name), parse_value(option(name), text).expect("a value")));
        }
        Choices::new(system, &all, &is_plannable)
    }

    fn axis_values(choices: &Choices, name: &str) -> Vec<String> {
        let axis = choices.axes.iter().find(|axis| axis.name == name);
        axis.map(|axis| axis.values.clone()).unwrap_or_default()
    }

    #[test]
    fn a_system_is_offered_only_what_it_supports() {
        let raft = choices_for("raft", &[]).expect("choices");
        let workloads = axis_values(&raft, "workload");
        assert!(workloads.contains(&"bank".to_owned()) && !workloads.contains(&"echo".to_owned()));
        assert!(!workloads.contains(&"lin-kv".to_owned()), "{workloads:?}");
        assert!(
            axis_values(&raft, "snapshots").len() == 3 && axis_values(&raft, "read").len() == 2
        );
        let redis = choices_for("redis", &[]).expect("choices");
        assert!(axis_values(&redis, "snapshots").is_empty());
        assert!(!axis_values(&redis, "nemesis").iter().any(|mix| mix.contains("transfer")));
    }

    #[test]
    fn what_is_given_is_not_varied() {
        let given = [("workload", "append,set"), ("nemesis", "kill,pause"), ("nodes", "7")];
        let choices = choices_for("raft", &given).expect("choices");
        assert_eq!(axis_values(&choices, "workload"), ["append", "set"]);
        assert_eq!(axis_values(&choices, "nemesis"), ["kill,pause", "kill", "pause"]);
        assert!(axis_values(&choices, "nodes").is_empty());
        let config = choices.make_config(&vec![0; choices.axes.len()], 9).expect("a configuration");
        assert_eq!((config.nodes, config.seed, config.workload.as_str()), (7, 9, "append"));
        let refused = choices_for("redis", &[("workload", "echo")]).expect_err("it has none");
        assert!(
            refused.to_string().contains("none of these workloads as asked: echo"),
            "{refused}"
        );
    }

    #[test]
    fn every_draw_can_be_played_after_it_settled() {
        for system in ["raft", "etcd", "redis", "zookeeper"] {
            let choices = choices_for(system, &[]).expect("choices");
            let mut rng = workloads::Rng::new(1);
            for seed in 0..200 {
                let picks: Vec<usize> = choices
                    .axes
                    .iter()
                    .map(|axis| rng.below(axis.values.len() as u64) as usize)
                    .collect();
                let settled = choices.settle(picks.clone(), seed, &is_plannable);
                let (settled, config) = settled.expect("the plainest values can be played");
                assert!(is_plannable(&config));
                assert!(settled[0] == picks[0] || !settled.iter().any(|pick| *pick > 0));
            }
        }
    }

    #[test]
    fn values_that_are_not_promised_together_are_not_drawn_together() {
        let choices = choices_for("raft", &[]).expect("choices");
        let pick = |name: &str, value: &str| {
            let axis = choices.axes.iter().position(|axis| axis.name == name).expect("an axis");
            let values = &choices.axes[axis].values;
            (axis, values.iter().position(|one| one == value).expect("a value"))
        };
        let settle = |wanted: &[(&str, &str)]| {
            let mut picks = vec![0; choices.axes.len()];
            for (name, value) in wanted {
                let (axis, place) = pick(name, value);
                picks[axis] = place;
            }
            choices.settle(picks, 1, &is_plannable).expect("it can be played").1
        };
        let bank = settle(&[("workload", "bank"), ("groups", "--groups 3")]);
        assert_eq!((bank.workload.as_str(), bank.node_args.len()), ("bank", 0));
        let register = settle(&[("workload", "register"), ("groups", "--groups 3")]);
        assert_eq!(register.node_args.join(" "), "--groups 3");
        let reads = settle(&[("workload", "follower-reads"), ("read", "lease")]);
        let strong = |read| {
            let workload = find_workload("follower-reads").expect("it exists");
            workload.check_names(ReadConsistency::parse(read).expect("it exists"))
        };
        assert_eq!(strong(&reads.read), strong("linearizable"));
    }

    #[test]
    fn words_for_replicas_add_up() {
        let choices = choices_for("raft", &[("node-arg", "--lease-reads")]).expect("choices");
        let all_last: Vec<usize> = choices.axes.iter().map(|axis| axis.values.len() - 1).collect();
        let config = choices.make_config(&all_last, 1).expect("a configuration");
        let words = config.node_args.join(" ");
        assert!(words.starts_with("--lease-reads --snapshot-entries 100 --groups 3"), "{words}");
        assert!(choices.describe(&all_last).contains("--groups 3"));
    }
}
