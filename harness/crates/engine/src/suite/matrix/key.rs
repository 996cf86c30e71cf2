//! Names the keys of a suite file, and reads the value of one.
//!
//! Every option of `harness test` is a key, except `seed`: a suite has `seeds`. The key `schedule`
//! holds the schedule itself. The keys `seeds` and `expect` are a suite's own.

use super::error::SuiteFileError;
use crate::run::options::{OptionValues, expected_value, parse_value};
use crate::run::swarm::GivenOptions;
use crate::spelling::nearest_word;
use records::config::{OPTIONS, OptionKind, TestOption};
use records::suite::Expectation;
use serde_json::Value as OptionValue;
use std::ops::Range;
use toml::Spanned;
use toml::de::DeValue;

/// What a suite file sets for its runs: a list makes one run of each value.
#[derive(Clone, Debug)]
pub(super) struct Axes {
    /// The values of each option that is set.
    set: Vec<(&'static TestOption, Vec<OptionValue>)>,
    pub(super) seeds: Seeds,
    pub(super) expect: Expectation,
    /// The text of the schedule that is played instead of nemeses, and its place in the file.
    pub(super) schedule: Option<(String, Range<usize>)>,
}

/// More seeds than a suite gets through; so many cells still fit into memory.
const MAX_SEEDS: u64 = 10_000;

/// Which seeds.
#[derive(Clone, Debug)]
pub(super) enum Seeds {
    /// So many, from the first one on.
    Count(u64),
    /// These.
    These(Vec<u64>),
}

impl Default for Axes {
    fn default() -> Self {
        let (seeds, expect) = (Seeds::Count(1), Expectation::Valid);
        Self { set: Vec::new(), seeds, expect, schedule: None }
    }
}

/// The options that a suite file can set.
fn suite_options() -> impl Iterator<Item = &'static TestOption> {
    OPTIONS.iter().filter(|option| option.in_suites)
}

/// Every key that [`Axes::set`] accepts, in alphabetical order.
pub(super) fn run_keys() -> Vec<&'static str> {
    let options = suite_options().map(|option| option.name);
    let mut keys: Vec<&str> = options.chain(["expect", "schedule", "seeds"]).collect();
    keys.sort_unstable();
    keys
}

type TomlValue<'a> = Spanned<DeValue<'a>>;

impl Axes {
    /// Sets what a key says; an unknown key is refused at its own place.
    pub(super) fn set_key(
        &mut self,
        (key, place): (&str, Range<usize>),
        value: &TomlValue<'_>,
    ) -> Result<(), SuiteFileError> {
        match key {
            "seeds" => self.seeds = parse_seeds(value)?,
            "expect" => self.expect = parse_expectation(value)?,
            "schedule" => self.schedule = Some((parse_string(value)?, value.span())),
            _ => {
                let option = suite_options().find(|option| option.name == key);
                let unknown = || SuiteFileError::new(place, unknown_key(key, &run_keys()));
                let option = option.ok_or_else(unknown)?;
                let values = option_values(option, value)?;
                self.set.retain(|(earlier, _)| earlier.name != key);
                self.set.push((option, values));
            }
        }
        Ok(())
    }

    /// The names of the options that are set.
    pub(super) fn set_options(&self) -> GivenOptions {
        self.set.iter().map(|(option, _)| option.name).collect()
    }

    /// The options with more than one value.
    pub(super) fn varied_options(&self) -> impl Iterator<Item = &'static TestOption> {
        self.set.iter().filter(|(_, values)| values.len() > 1).map(|(option, _)| *option)
    }

    /// Every combination of the values, in the table's order of options. Numbers vary fastest, so
    /// that runs of one system, workload and nemesis stay together.
    pub(super) fn combinations(&self) -> Vec<OptionValues> {
        let place = |option: &TestOption| {
            let place = suite_options().position(|other| other.name == option.name);
            (matches!(option.kind, OptionKind::Number { .. }), place)
        };
        let mut axes: Vec<_> = self.set.iter().collect();
        axes.sort_by_key(|(option, _)| place(option));
        axes.iter().fold(vec![OptionValues::defaults()], |all, (option, values)| {
            let with = |base: &OptionValues, value: &OptionValue| {
                let mut changed = base.clone();
                changed.set(option, value.clone());
                changed
            };
            all.iter().flat_map(|base| values.iter().map(move |value| with(base, value))).collect()
        })
    }
}

/// The message for an unknown key: the key that was perhaps meant, or all of them.
pub(super) fn unknown_key(key: &str, known: &[&str]) -> String {
    match nearest_word(key, known) {
        Some(near) => format!("no key {key:?}; did you mean {near:?}?"),
        None => format!("no key {key:?}; there are: {}", known.join(", ")),
    }
}

fn expected_error(value: &TomlValue<'_>, expected: &str) -> SuiteFileError {
    SuiteFileError::new(value.span(), format!("expected {expected}"))
}

/// Refuses what is no table.
pub(super) fn expect_table(value: &TomlValue<'_>) -> Result<(), SuiteFileError> {
    let table = value.get_ref().as_table();
    table.map(|_| ()).ok_or_else(|| expected_error(value, "a table"))
}

fn parse_string(value: &TomlValue<'_>) -> Result<String, SuiteFileError> {
    let word = value.get_ref().as_str();
    word.map(str::to_owned).ok_or_else(|| expected_error(value, "a string"))
}

fn parse_integer(value: &TomlValue<'_>) -> Option<u64> {
    let integer = value.get_ref().as_integer()?;
    u64::from_str_radix(integer.as_str(), integer.radix()).ok()
}

/// The values that a key gives to an option, of which each is a run of its own.
fn option_values(
    option: &'static TestOption,
    value: &TomlValue<'_>,
) -> Result<Vec<OptionValue>, SuiteFileError> {
    match option.kind {
        OptionKind::NameSet(_) | OptionKind::Words => {
            let parts = parse_each(value, |one| option_value(option, one))?;
            let parts = parts.into_iter().filter_map(|part| part.as_array().cloned());
            Ok(vec![parts.flatten().collect()])
        }
        _ => parse_each(value, |one| option_value(option, one)),
    }
}

/// One value of an option. TOML's type must fit, too: a number is not written as a string.
fn option_value(option: &TestOption, value: &TomlValue<'_>) -> Result<OptionValue, SuiteFileError> {
    let leaf = value.get_ref();
    let text = match option.kind {
        OptionKind::Number { .. } => parse_integer(value).map(|number| number.to_string()),
        OptionKind::Probability => leaf.as_float().map(|float| float.as_str().to_owned()),
        OptionKind::Flag => leaf.as_bool().map(|flag| flag.to_string()),
        _ => leaf.as_str().map(str::to_owned),
    };
    let text = text.ok_or_else(|| expected_error(value, &expected_value(option.kind)))?;
    parse_value(option, &text).map_err(|why| SuiteFileError::new(value.span(), why))
}

/// A value that is no list is a list of one.
fn parse_each<T>(
    value: &TomlValue<'_>,
    one: impl Fn(&TomlValue<'_>) -> Result<T, SuiteFileError>,
) -> Result<Vec<T>, SuiteFileError> {
    match value.get_ref().as_array() {
        Some(list) if list.is_empty() => {
            Err(expected_error(value, "a list with at least one value: an empty one makes no run"))
        }
        Some(list) => list.iter().map(one).collect(),
        None => Ok(vec![one(value)?]),
    }
}

fn parse_seeds(value: &TomlValue<'_>) -> Result<Seeds, SuiteFileError> {
    if value.get_ref().as_array().is_none() {
        let count = parse_integer(value).filter(|count| (1..=MAX_SEEDS).contains(count));
        let expected = || format!("a number of seeds from 1 to {MAX_SEEDS}, or a list of seeds");
        return count.map(Seeds::Count).ok_or_else(|| expected_error(value, &expected()));
    }
    let seed = |one: &TomlValue<'_>| {
        parse_integer(one).ok_or_else(|| expected_error(one, "a seed, a whole number"))
    };
    Ok(Seeds::These(parse_each(value, seed)?))
}

/// A duration in milliseconds.
pub(super) fn parse_duration_ms(value: &TomlValue<'_>) -> Result<u64, SuiteFileError> {
    let text = parse_string(value)?;
    let duration = crate::duration::parse(&text);
    let duration = duration.map_err(|why| SuiteFileError::new(value.span(), why))?;
    Ok(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}

/// A word that names the suite or a file of it.
pub(super) fn parse_name(value: &TomlValue<'_>) -> Result<String, SuiteFileError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let name = parse_string(value)?;
    if name.is_empty() || !name.chars().all(plain) {
        return Err(expected_error(value, "a name of letters, digits and hyphens"));
    }
    Ok(name)
}

fn parse_expectation(value: &TomlValue<'_>) -> Result<Expectation, SuiteFileError> {
    match parse_string(value)?.as_str() {
        "valid" => Ok(Expectation::Valid),
        "invalid" => Ok(Expectation::Invalid),
        _ => Err(expected_error(value, "\"valid\" or \"invalid\"")),
    }
}
