//! Reads a suite from a TOML file into the runs that it consists of. Pure.
//!
//! Keys above the first `[[matrix]]` apply to all matrices. A `schedule` takes the place of
//! nemeses. Names, combinations and bounds are
//! checked as `harness test` checks them, so that every cell can run; an error has line and column.

mod error;
mod key;
#[cfg(test)]
mod tests;

use crate::run::options::{option_text, test_arguments};
use crate::run::plan::Plan;
use crate::run::swarm::draw_configuration;
use crate::spelling::hash_text;
use anyhow::{Context as _, Result, bail};
use error::SuiteFileError;
use key::{Axes, Seeds, run_keys};
use records::record::Config;
use records::suite::{Cell, Expectation};
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The built-in suites.
pub const SUITES: [(&str, &str); 2] = [
    ("nightly", include_str!("../../assets/suites/nightly.toml")),
    ("smoke", include_str!("../../assets/suites/smoke.toml")),
];

/// The table in which a regression file tells what was found; a suite needs nothing of it.
pub const FINDING: &str = "finding";

/// What a suite runs.
#[derive(Clone, Debug)]
pub struct Suite {
    /// Its name.
    pub name: String,
    /// After this time no cell begins, in milliseconds.
    pub budget_ms: Option<u64>,
    /// Its runs, in order.
    pub cells: Vec<Cell>,
    /// The configuration of each run.
    pub configs: Vec<Config>,
    /// The schedules that runs play, by the file that each must be written to first.
    pub schedules: BTreeMap<PathBuf, String>,
}

/// What reading a suite needs besides its text.
pub struct SuiteContext<'a> {
    /// The first seed of a matrix that has only a number of seeds.
    pub first_seed: u64,
    /// The names of a system's seeded bugs.
    pub bugs: &'a dyn Fn(&str) -> anyhow::Result<Vec<String>>,
    /// The folder of the files of schedules that stand in suites.
    pub schedules: &'a Path,
}

/// Reads a suite; `stem` is its name unless the file has one.
pub fn read_suite(
    file: &str,
    stem: &str,
    source: &str,
    setting: &SuiteContext<'_>,
) -> Result<Suite, String> {
    parse_suite(stem, source, setting).map_err(|wrong| wrong.message(file, source))
}

fn parse_suite(
    stem: &str,
    source: &str,
    setting: &SuiteContext<'_>,
) -> Result<Suite, SuiteFileError> {
    let table = DeTable::parse(source).map_err(|error| {
        SuiteFileError::new(error.span().unwrap_or(0..0), error.message().to_owned())
    })?;
    let mut suite = Suite {
        name: stem.to_owned(),
        budget_ms: None,
        cells: Vec::new(),
        configs: Vec::new(),
        schedules: BTreeMap::new(),
    };
    let mut common = Axes::default();
    let mut tables = Vec::new();
    for (key, value) in entries_in_order(table.get_ref()) {
        match key.get_ref().as_ref() {
            "name" => suite.name = key::parse_name(value)?,
            "budget" => suite.budget_ms = Some(key::parse_duration_ms(value)?),
            "matrix" => tables = parse_matrices(value)?,
            FINDING => key::expect_table(value)?,
            other if run_keys().contains(&other) => common.set_key((other, key.span()), value)?,
            other => {
                let known: Vec<&str> =
                    ["budget", FINDING, "matrix", "name"].into_iter().chain(run_keys()).collect();
                return Err(SuiteFileError::new(key.span(), key::unknown_key(other, &known)));
            }
        }
    }
    if tables.is_empty() {
        suite.add_cells(&common, setting, &table.span())?;
    }
    for (table, place) in tables {
        let mut axes = common.clone();
        for (key, value) in entries_in_order(table) {
            axes.set_key((key.get_ref(), key.span()), value)?;
        }
        suite.add_cells(&axes, setting, &place)?;
    }
    Ok(suite)
}

type TomlEntry<'a, 'i> = (&'a Spanned<std::borrow::Cow<'i, str>>, &'a Spanned<DeValue<'i>>);

/// The entries of a table in the order of the file, so that the first error is reported.
fn entries_in_order<'a, 'i>(table: &'a DeTable<'i>) -> Vec<TomlEntry<'a, 'i>> {
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    entries
}

fn parse_matrices<'a, 'i>(
    value: &'a Spanned<DeValue<'i>>,
) -> Result<Vec<(&'a DeTable<'i>, Range<usize>)>, SuiteFileError> {
    let list = value.get_ref().as_array();
    let tables: Option<Vec<_>> = list.map(|list| {
        list.iter().filter_map(|one| Some((one.get_ref().as_table()?, one.span()))).collect()
    });
    let all = list.map_or(0, |list| list.len());
    tables.filter(|tables| tables.len() == all).ok_or_else(|| {
        SuiteFileError::new(value.span(), "write each matrix as a table: [[matrix]]".to_owned())
    })
}

impl Suite {
    /// Adds one cell per combination and seed.
    fn add_cells(
        &mut self,
        axes: &Axes,
        setting: &SuiteContext<'_>,
        place: &Range<usize>,
    ) -> Result<(), SuiteFileError> {
        let refused =
            |error: anyhow::Error| SuiteFileError::new(place.clone(), format!("{error:#}"));
        let seeds = list_seeds(axes, setting.first_seed).map_err(refused)?;
        let schedule = axes.schedule.as_ref().map(|(text, place)| {
            let file = setting.schedules.join(format!("{:016x}.txt", hash_text(text)));
            (file, text, place)
        });
        for values in axes.combinations() {
            let mut config = values.into_config(0).map_err(refused)?;
            if schedule.is_some() {
                config.nemesis = vec!["none".to_owned()];
            }
            let plan = Plan::new(config.clone(), Vec::new()).map_err(refused)?;
            if let Some((file, text, place)) = &schedule {
                let wrong = |error: anyhow::Error| {
                    SuiteFileError::new(Range::clone(place), format!("{error:#}"))
                };
                plan.with_schedule("schedule", text).map_err(wrong)?;
                config.schedule = Some(file.display().to_string());
                self.schedules.insert(file.clone(), (*text).clone());
            }
            check_bugs(&config, setting).map_err(refused)?;
            let family = family_name(&config, axes, &self.name);
            for seed in &seeds {
                let seeded = Config { seed: *seed, ..config.clone() };
                let drawn = match seeded.swarm {
                    true => draw_configuration(&seeded, &axes.set_options()).map_err(refused)?.0,
                    false => seeded,
                };
                self.cells.push(make_cell(&drawn, family.clone(), axes.expect));
                self.configs.push(drawn);
            }
        }
        Ok(())
    }
}

fn list_seeds(axes: &Axes, first: u64) -> Result<Vec<u64>> {
    match &axes.seeds {
        Seeds::Count(count) => {
            let end = first.checked_add(*count).with_context(|| {
                format!("--first-seed {first} leaves no room for {count} seeds")
            })?;
            Ok((first..end).collect())
        }
        Seeds::These(seeds) => Ok(seeds.clone()),
    }
}

/// Refuses a seeded bug that the system does not have.
fn check_bugs(config: &Config, setting: &SuiteContext<'_>) -> Result<()> {
    if config.bugs.is_empty() {
        return Ok(());
    }
    let known = (setting.bugs)(&config.system)?;
    let Some(bug) = config.bugs.iter().find(|bug| !known.contains(bug)) else { return Ok(()) };
    if known.is_empty() {
        bail!("{} has no seeded bugs, so no {bug:?}", config.system);
    }
    bail!("there is no seeded bug {bug:?}; there are: {}", known.join(", "))
}

fn make_cell(config: &Config, family: String, expect: Expectation) -> Cell {
    Cell {
        family,
        seed: config.seed,
        arguments: test_arguments(config),
        expect,
        limit_ms: config.time_limit_ms,
    }
}

/// The name of all runs that differ in nothing but their seed.
fn family_name(config: &Config, axes: &Axes, suite: &str) -> String {
    let Config { system, workload, read, nodes, .. } = config;
    let faults = match config.schedule {
        Some(_) => format!("schedule of {suite}"),
        None => config.nemesis.join(","),
    };
    let mut family = format!("{system} {workload} {faults}");
    if !config.swarm || axes.set_options().contains("nodes") {
        family += &format!(", {nodes} nodes");
    }
    if config.swarm {
        family += ", swarm";
    }
    if read != "linearizable" {
        family += &format!(", {read} reads");
    }
    if !config.bugs.is_empty() {
        family += &format!(", unsafe {}", config.bugs.join(","));
    }
    let named = ["system", "workload", "read", "nemesis", "nodes", "swarm"];
    for option in axes.varied_options().filter(|option| !named.contains(&option.name)) {
        family += &format!(", {} {}", option.name, option_text(option, config));
    }
    family
}

/// The cells of one part of so many; parts are counted from one.
pub fn shard(cells: Vec<Cell>, part: usize, parts: usize) -> Vec<Cell> {
    let turns = cells.into_iter().enumerate();
    turns.filter(|(turn, _)| turn % parts == part - 1).map(|(_, cell)| cell).collect()
}
