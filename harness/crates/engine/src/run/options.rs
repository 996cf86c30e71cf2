//! Reads and writes the values of `harness test`'s options, for every entry of the table alike.
//!
//! A value is the JSON that `run.json` has under the option's key. Texts of the command line and
//! leaves of a suite file become such values; a [`Config`] becomes the arguments that ask for it
//! again. Pure, except that the names of seeded bugs come from the systems' own programs.

use crate::duration;
use crate::nemesis::NEMESES;
use crate::nemesis::regime::list_paces;
use crate::system::SYSTEMS;
use anyhow::{Context as _, Result, bail};
use records::config::{Config, NameSource, OPTIONS, OptionKind, TestOption};
use report::shell_quote;
use serde_json::{Map, Value};
use testbed::net::router::{DISTRIBUTIONS, TOPOLOGIES};
use workloads::{READ_CONSISTENCIES, WORKLOADS};

/// A probability is recorded in so many parts.
const PROBABILITY_PARTS: u16 = 1_000;

/// Values by the keys of `run.json`, on their way to a [`Config`].
#[derive(Clone, Debug, PartialEq)]
pub struct OptionValues(Map<String, Value>);

impl OptionValues {
    /// The default of every option that has one.
    pub fn defaults() -> Self {
        let default = |option: &TestOption| Some((option.key.to_owned(), default_value(option)?));
        Self(OPTIONS.iter().filter_map(default).collect())
    }

    /// The values of a configuration.
    pub fn from_config(config: &Config) -> Self {
        match serde_json::to_value(config) {
            Ok(Value::Object(values)) => Self(values),
            _ => Self(Map::new()),
        }
    }

    /// Sets an option to a value of [`parse_value`].
    pub fn set(&mut self, option: &TestOption, value: Value) {
        self.0.insert(option.key.to_owned(), value);
    }

    /// Sets an option to what it is in other values.
    pub fn copy_from(&mut self, other: &Self, option: &TestOption) {
        match other.0.get(option.key) {
            Some(value) => self.set(option, value.clone()),
            None => drop(self.0.remove(option.key)),
        }
    }

    /// The configuration; `seed` is used where none was set.
    pub fn into_config(mut self, seed: u64) -> Result<Config> {
        self.0.entry("seed").or_insert(seed.into());
        serde_json::from_value(self.0.into()).context("the options are no configuration")
    }

    /// The value of an option; none where it neither is set nor has a default.
    fn get(&self, option: &TestOption) -> Option<Value> {
        let value = self.0.get(option.key).filter(|value| !value.is_null()).cloned();
        value.or_else(|| default_value(option))
    }
}

fn default_value(option: &TestOption) -> Option<Value> {
    match (option.default, option.kind) {
        (Some(text), _) => parse_value(option, text).ok(),
        (None, OptionKind::NameSet(_) | OptionKind::Words) => Some(Value::Array(Vec::new())),
        (None, OptionKind::Flag) => Some(false.into()),
        (None, _) => None,
    }
}

/// Reads a value of an option; the error says what is expected instead.
pub fn parse_value(option: &TestOption, text: &str) -> Result<Value, String> {
    let wrong = || format!("expected {}", expected_value(option.kind));
    match option.kind {
        OptionKind::Name(_) | OptionKind::File => Ok(text.into()),
        OptionKind::Words => Ok(vec![text].into()),
        OptionKind::Choice(words) => {
            let known = words.iter().any(|(word, _)| *word == text);
            known.then(|| text.into()).ok_or_else(wrong)
        }
        OptionKind::NameList(_) | OptionKind::NameSet(_) => {
            Ok(text.split(',').map(str::trim).collect())
        }
        OptionKind::Number { min, max } => {
            let number = text.parse().ok().filter(|number| (min..=max).contains(number));
            number.map(Value::from).ok_or_else(wrong)
        }
        OptionKind::Duration { min, max } => {
            let given = duration::parse(text)?;
            let within = duration::parse(min)? <= given && given <= duration::parse(max)?;
            let ms = u64::try_from(given.as_millis()).ok().filter(|_| within);
            ms.map(Value::from).ok_or_else(wrong)
        }
        OptionKind::Probability => parse_probability(text).map(Value::from).ok_or_else(wrong),
        OptionKind::Flag => text.parse::<bool>().map(Value::from).map_err(|_| wrong()),
    }
}

/// Reads a probability that is a whole number of thousandths.
fn parse_probability(text: &str) -> Option<u16> {
    let parts = text.parse::<f64>().ok()? * f64::from(PROBABILITY_PARTS);
    (0..PROBABILITY_PARTS).find(|it| (f64::from(*it) - parts).abs() < 1e-6)
}

/// What a value of this kind looks like.
pub fn expected_value(kind: OptionKind) -> String {
    match kind {
        OptionKind::Choice(words) => {
            let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            format!("one of {}", words.join(", "))
        }
        OptionKind::Number { min, max } => format!("a whole number from {min} to {max}"),
        OptionKind::Duration { min, max } => format!("a duration from {min} to {max}"),
        OptionKind::Probability => {
            "a probability from 0 to below 1 in thousandths, for example 0.05".to_owned()
        }
        OptionKind::Flag => "true or false".to_owned(),
        _ => "a string".to_owned(),
    }
}

/// The text that [`parse_value`] reads as this value.
fn value_text(option: &TestOption, value: &Value) -> String {
    match (option.kind, value) {
        (OptionKind::Duration { .. }, value) => duration_text(value.as_u64().unwrap_or_default()),
        (OptionKind::Probability, value) => {
            let parts = value.as_f64().unwrap_or_default();
            (parts / f64::from(PROBABILITY_PARTS)).to_string()
        }
        (_, Value::Array(words)) => words.iter().map(plain_text).collect::<Vec<_>>().join(","),
        (_, value) => plain_text(value),
    }
}

fn plain_text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn duration_text(ms: u64) -> String {
    if ms.is_multiple_of(1_000) { format!("{}s", ms / 1_000) } else { format!("{ms}ms") }
}

/// The text of an option's value in a configuration.
pub fn option_text(option: &TestOption, config: &Config) -> String {
    let value = OptionValues::from_config(config).get(option);
    value.map_or_else(String::new, |value| value_text(option, &value))
}

/// Refuses a configuration with a value that the command line would refuse.
pub fn check_values(config: &Config) -> Result<()> {
    let values = OptionValues::from_config(config);
    for option in OPTIONS.iter().filter(|option| option.kind != OptionKind::Words) {
        let Some(value) = values.get(option) else { continue };
        let text = value_text(option, &value);
        if let Err(why) = parse_value(option, &text) {
            bail!("--{} {text}: {why}", option.name);
        }
    }
    Ok(())
}

/// The arguments that ask `harness` for this configuration: those that a `repro` line always has,
/// then those that differ from their defaults.
pub fn test_arguments(config: &Config) -> Vec<String> {
    let values = OptionValues::from_config(config);
    let is_replaced = |option: &TestOption| {
        let mut others = OPTIONS.iter().filter(|other| other.replaces.contains(&option.name));
        others.any(|other| values.get(other).is_some())
    };
    let (always, changed) =
        OPTIONS.iter().partition::<Vec<&TestOption>, _>(|option| option.always_in_repro);
    let changed = changed.into_iter().filter(|it| values.get(it) != default_value(it));
    let shown = always.into_iter().chain(changed).filter(|option| !is_replaced(option));
    let words = shown.filter_map(|option| Some(option_arguments(option, &values.get(option)?)));
    std::iter::once("test".to_owned()).chain(words.flatten()).collect()
}

fn option_arguments(option: &TestOption, value: &Value) -> Vec<String> {
    let name = option.name;
    match (option.kind, value) {
        (OptionKind::Flag, _) => vec![format!("--{name}")],
        (OptionKind::Words, Value::Array(words)) => {
            words.iter().map(|word| format!("--{name}={}", plain_text(word))).collect()
        }
        _ => match value_text(option, value) {
            // Otherwise it would be read as an option.
            text if text.starts_with('-') => vec![format!("--{name}={text}")],
            text => vec![format!("--{name}"), text],
        },
    }
}

/// A command line that can be pasted into a shell.
pub fn command_line(program: &str, arguments: &[String]) -> String {
    let words = arguments.iter().map(|word| shell_quote(word));
    std::iter::once(shell_quote(program)).chain(words).collect::<Vec<_>>().join(" ")
}

/// The names that a registry has. A nemesis may have a variant besides, a system may be a file.
pub fn registered_names(source: NameSource) -> Vec<String> {
    fn owned_names<'a>(names: impl Iterator<Item = &'a str>) -> Vec<String> {
        names.map(str::to_owned).collect()
    }
    match source {
        NameSource::Bugs => {
            let bugs = SYSTEMS.iter().filter_map(|system| system.list_bugs(None).ok()).flatten();
            bugs.map(|bug| bug.name).collect()
        }
        NameSource::LatencyDistributions => {
            owned_names(DISTRIBUTIONS.iter().map(|(_, name)| *name))
        }
        NameSource::Nemeses => owned_names(NEMESES.iter().map(|nemesis| nemesis.name())),
        NameSource::Paces => owned_names(list_paces().into_iter()),
        NameSource::ReadConsistencies => {
            owned_names(READ_CONSISTENCIES.iter().map(|(_, name)| *name))
        }
        NameSource::Systems => owned_names(SYSTEMS.iter().map(|system| system.name())),
        NameSource::Topologies => owned_names(TOPOLOGIES.iter().map(|(_, name)| *name)),
        // They are in the system's file.
        NameSource::Variants => Vec::new(),
        NameSource::Workloads => owned_names(WORKLOADS.iter().map(|workload| workload.name())),
    }
}

/// The help of an option.
pub fn help_text(option: &TestOption) -> String {
    let names = match option.kind {
        OptionKind::Name(source) | OptionKind::NameList(source) | OptionKind::NameSet(source)
            if option.help.contains(NAMES) =>
        {
            registered_names(source).join(", ")
        }
        _ => String::new(),
    };
    option.help.replace(NAMES, &names)
}

/// What stands for the names in an option's help.
const NAMES: &str = "{names}";
