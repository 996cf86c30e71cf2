//! Reads what a suite runs from a TOML file, and lays it out as cells. Pure.
//!
//! What is said above the first `[[matrix]]` holds for all of them. Every cell that is read could be run: names,
//! combinations and bounds are checked as `harness test` checks them, and what cannot be is refused with line and
//! column.

mod key;
#[cfg(test)]
mod tests;

use crate::run::plan::Plan;
use key::{Axes, KEYS, Seeds};
use records::record::{Config, grid};
use records::suite::Cell;
use report::quote;
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Suites that come with this tool.
pub const SUITES: [(&str, &str); 2] = [
    ("nightly", include_str!("../../assets/suites/nightly.toml")),
    ("smoke", include_str!("../../assets/suites/smoke.toml")),
];

/// What a suite runs.
#[derive(Clone, Debug)]
pub struct Suite {
    /// Its name.
    pub name: String,
    /// After this time no cell begins, in milliseconds.
    pub budget_ms: Option<u64>,
    /// Its runs, in order.
    pub cells: Vec<Cell>,
}

/// What is wrong with a file, and where: bytes of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wrong {
    place: Range<usize>,
    text: String,
}

impl Wrong {
    fn at(place: Range<usize>, text: String) -> Self {
        Self { place, text }
    }

    /// `file:line:column: what`, and the line with a mark under the place.
    fn told(&self, file: &str, source: &str) -> String {
        let start = self.place.start.min(source.len());
        let before = source.get(..start).unwrap_or_default();
        let from = before.rfind('\n').map_or(0, |at| at + 1);
        let line = source.get(from..).unwrap_or_default().lines().next().unwrap_or_default();
        let column = before[from..].chars().count();
        let number = before.matches('\n').count() + 1;
        let most = line.chars().count().saturating_sub(column).max(1);
        let width = self.place.len().clamp(1, most);
        format!(
            "{file}:{number}:{}: {}\n  | {line}\n  | {}{}",
            column + 1,
            self.text,
            " ".repeat(column),
            "^".repeat(width)
        )
    }
}

/// What a suite is read with besides its text.
pub struct Setting<'a> {
    /// The first of seeds of which only the number is said.
    pub first_seed: u64,
    /// The names of a system's seeded bugs.
    pub bugs: &'a dyn Fn(&str) -> anyhow::Result<Vec<String>>,
}

/// Reads a suite; `stem` names one that does not name itself.
pub fn read(file: &str, stem: &str, source: &str, setting: &Setting<'_>) -> Result<Suite, String> {
    parse(stem, source, setting).map_err(|wrong| wrong.told(file, source))
}

fn parse(stem: &str, source: &str, setting: &Setting<'_>) -> Result<Suite, Wrong> {
    let table = DeTable::parse(source)
        .map_err(|error| Wrong::at(error.span().unwrap_or(0..0), error.message().to_owned()))?;
    let mut suite = Suite { name: stem.to_owned(), budget_ms: None, cells: Vec::new() };
    let mut common = Axes::default();
    let mut tables = Vec::new();
    for (key, value) in in_order(table.get_ref()) {
        match key.get_ref().as_ref() {
            "name" => suite.name = key::name(value)?,
            "budget" => suite.budget_ms = Some(key::duration_ms(value)?),
            "matrix" => tables = matrices(value)?,
            other if KEYS.contains(&other) => common.set((other, key.span()), value)?,
            other => {
                let known: Vec<&str> =
                    ["budget", "matrix", "name"].into_iter().chain(KEYS).collect();
                return Err(Wrong::at(key.span(), key::unknown(other, &known)));
            }
        }
    }
    if tables.is_empty() {
        suite.cells = cells(&common, setting, &table.span())?;
    }
    for (table, place) in tables {
        let mut axes = common.clone();
        for (key, value) in in_order(table) {
            axes.set((key.get_ref(), key.span()), value)?;
        }
        suite.cells.extend(cells(&axes, setting, &place)?);
    }
    Ok(suite)
}

type Entry<'a, 'i> = (&'a Spanned<std::borrow::Cow<'i, str>>, &'a Spanned<DeValue<'i>>);

/// The entries of a table as they stand in the file, so that the first thing wrong is told first.
fn in_order<'a, 'i>(table: &'a DeTable<'i>) -> Vec<Entry<'a, 'i>> {
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    entries
}

fn matrices<'a, 'i>(
    value: &'a Spanned<DeValue<'i>>,
) -> Result<Vec<(&'a DeTable<'i>, Range<usize>)>, Wrong> {
    let list = value.get_ref().as_array();
    let tables: Option<Vec<_>> = list.map(|list| {
        list.iter().filter_map(|one| Some((one.get_ref().as_table()?, one.span()))).collect()
    });
    let all = list.map_or(0, |list| list.len());
    tables.filter(|tables| tables.len() == all).ok_or_else(|| {
        Wrong::at(value.span(), "write each matrix as a table: [[matrix]]".to_owned())
    })
}

/// One cell per combination and seed.
fn cells(axes: &Axes, setting: &Setting<'_>, place: &Range<usize>) -> Result<Vec<Cell>, Wrong> {
    let seeds: Vec<u64> = match &axes.seeds {
        Seeds::Count(count) => {
            let first = setting.first_seed;
            let end = first.checked_add(*count).ok_or_else(|| {
                let text = format!("--first-seed {first} leaves no room for {count} seeds");
                Wrong::at(place.clone(), text)
            })?;
            (first..end).collect()
        }
        Seeds::These(seeds) => seeds.clone(),
    };
    let mut cells = Vec::new();
    for config in combinations(axes) {
        let refused = |error: anyhow::Error| Wrong::at(place.clone(), format!("{error:#}"));
        Plan::new(config.clone(), Vec::new()).map_err(refused)?;
        if !config.bugs.is_empty() {
            let known = (setting.bugs)(&config.system).map_err(refused)?;
            if let Some(bug) = config.bugs.iter().find(|bug| !known.contains(bug)) {
                let text = match known.join(", ") {
                    none if none.is_empty() => {
                        format!("{} has no seeded bugs to switch on, so no {bug:?}", config.system)
                    }
                    known => format!("there is no seeded bug {bug:?}; there are: {known}"),
                };
                return Err(Wrong::at(place.clone(), text));
            }
        }
        cells
            .extend(seeds.iter().map(|seed| cell(&Config { seed: *seed, ..config.clone() }, axes)));
    }
    Ok(cells)
}

fn combinations(axes: &Axes) -> Vec<Config> {
    let mut all = Vec::new();
    for system in &axes.system {
        for workload in &axes.workload {
            for read in &axes.read {
                for nemesis in &axes.nemesis {
                    let config =
                        |nodes: &u8| config(axes, [system, workload, read, nemesis], *nodes);
                    all.extend(axes.nodes.iter().map(config));
                }
            }
        }
    }
    all
}

fn config(axes: &Axes, [system, workload, read, nemesis]: [&String; 4], nodes: u8) -> Config {
    Config {
        system: system.clone(),
        nodes,
        workload: workload.clone(),
        read: read.clone(),
        nemesis: nemesis.split(',').map(|part| part.trim().to_owned()).collect(),
        time_limit_ms: axes.time_limit_ms,
        concurrency: axes.concurrency,
        rate: axes.rate,
        seed: 0,
        net: axes.net.clone(),
        bugs: axes.bugs.clone(),
        bin: None,
        schedule: None,
        node_args: Vec::new(),
        fail_fast: axes.fail_fast,
        capture: false,
        latency_ms: 0,
        latency_dist: records::record::constant(),
        loss_per_mille: 0,
        topology: grid(),
    }
}

fn cell(config: &Config, axes: &Axes) -> Cell {
    let Config { system, workload, read, nodes, .. } = config;
    let mut family = format!("{system} {workload} {}, {nodes} nodes", config.nemesis.join(","));
    if read != "linearizable" {
        family += &format!(", {read} reads");
    }
    if !config.bugs.is_empty() {
        family += &format!(", unsafe {}", config.bugs.join(","));
    }
    Cell {
        family,
        seed: config.seed,
        arguments: arguments(config),
        expect: axes.expect,
        limit_ms: config.time_limit_ms,
    }
}

/// What `harness` is told to carry out this configuration.
pub fn arguments(config: &Config) -> Vec<String> {
    let mut words = vec!["test".to_owned()];
    let mut say = |option: &str, value: String| words.extend([option.to_owned(), value]);
    say("--system", config.system.clone());
    say("--nodes", config.nodes.to_string());
    say("--workload", config.workload.clone());
    say("--read", config.read.clone());
    match &config.schedule {
        Some(file) => say("--schedule", file.clone()),
        None => say("--nemesis", config.nemesis.join(",")),
    }
    say("--time-limit", format!("{}ms", config.time_limit_ms));
    say("--concurrency", config.concurrency.to_string());
    say("--rate", config.rate.to_string());
    say("--seed", config.seed.to_string());
    say("--net", config.net.clone());
    if !config.bugs.is_empty() {
        say("--unsafe", config.bugs.join(","));
    }
    if let Some(bin) = &config.bin {
        say("--bin", bin.clone());
    }
    words.extend(config.node_args.iter().map(|arg| format!("--node-arg={arg}")));
    if config.latency_ms > 0 {
        let (mean, distribution) = (config.latency_ms.to_string(), config.latency_dist.clone());
        words.extend(["--latency".to_owned(), mean, "--latency-dist".to_owned(), distribution]);
    }
    if config.loss_per_mille > 0 {
        let loss = f64::from(config.loss_per_mille) / 1e3;
        words.extend(["--loss".to_owned(), loss.to_string()]);
    }
    if config.topology != grid() {
        words.extend(["--topology".to_owned(), config.topology.clone()]);
    }
    if config.capture {
        words.push("--capture".to_owned());
    }
    if config.fail_fast {
        words.push("--fail-fast".to_owned());
    }
    words
}

/// A command line that can be pasted.
pub fn pasteable(program: &str, arguments: &[String]) -> String {
    let words = arguments.iter().map(|word| quote(word));
    std::iter::once(quote(program)).chain(words).collect::<Vec<_>>().join(" ")
}

/// The cells whose turn is in part `part` of `parts`, counted from one.
pub fn shard(cells: Vec<Cell>, part: usize, parts: usize) -> Vec<Cell> {
    let turns = cells.into_iter().enumerate();
    turns.filter(|(turn, _)| turn % parts == part - 1).map(|(_, cell)| cell).collect()
}
