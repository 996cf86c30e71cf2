//! Benchmarks checker and parsers on histories from files. The table `verdicts.tsv` of a folder has
//! file, model and verdict; results are summed by folder and model.

use super::timing::{best_time, to_milliseconds};
use crate::cli::failure::Failure;
use anyhow::Result;
use checker::history::Value;
use checker::{History, Limits, Validity, check_by_name, registry};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

/// Files of one folder and model.
#[derive(Default)]
pub(super) struct FileGroup {
    name: String,
    files: usize,
    bytes: u64,
    operations: usize,
    agree: usize,
    parsing: Duration,
    judging: Duration,
    /// The file that took longest.
    slowest: (Duration, String),
}

/// Every group of the table whose name contains the filter, timed.
pub(super) fn time_groups(data: &Path, filter: &str) -> Result<Vec<FileGroup>> {
    let table = data.join("verdicts.tsv");
    let text = std::fs::read_to_string(&table)
        .map_err(|why| Failure::Usage(format!("{}: cannot be read: {why}", table.display())))?;
    let mut groups: BTreeMap<String, FileGroup> = BTreeMap::new();
    for line in text.lines().skip(1) {
        let mut cells = line.split('\t');
        let (Some(file), Some(model), Some(verdict)) = (cells.next(), cells.next(), cells.next())
        else {
            continue;
        };
        let start = cells.next().and_then(parse_initial_state);
        let folder = file.rsplit_once('/').map_or("", |(folder, _)| folder);
        let name = format!("{folder} {model}");
        if !name.contains(filter) || !registry::known_names().contains(&model_of(model).0) {
            continue;
        }
        let group = groups
            .entry(name.clone())
            .or_insert_with(|| FileGroup { name, ..FileGroup::default() });
        group.add_file(&data.join(file), model, verdict, start)?;
    }
    Ok(groups.into_values().collect())
}

/// `list-append (snapshot-isolation)` asks for a level.
fn model_of(model: &str) -> (&str, Option<&str>) {
    match model.split_once(" (") {
        // Porcupine's name for the keys with `append` that it is tested with.
        _ if model == "append-kv" => ("kv", None),
        Some((model, level)) => (model, level.strip_suffix(')')),
        None => (model, None),
    }
}

/// The state that a remark on a verdict takes for granted: `(initially x = y = 0)`.
fn parse_initial_state(remark: &str) -> Option<Value> {
    let (_, rest) = remark.split_once("(initially ")?;
    let mut words: Vec<&str> = rest.split_once(')')?.0.split(" = ").collect();
    let held: i64 = words.pop()?.parse().ok()?;
    Some(Value::List(words.into_iter().map(|key| Value::pair(key, held)).collect()))
}

impl FileGroup {
    fn add_file(
        &mut self,
        file: &Path,
        model: &str,
        verdict: &str,
        start: Option<Value>,
    ) -> Result<()> {
        let bytes = std::fs::read(file)
            .map_err(|why| Failure::Usage(format!("{}: cannot be read: {why}", file.display())))?;
        let unlike = || Failure::Usage(format!("{}: this is no history", file.display()));
        let format = checker::history::Format::detect(&bytes).ok_or_else(unlike)?;
        let history: History = format.parse(&bytes[..])?.history;
        let history = history.with_initial(start.into_iter().collect());
        let (model, consistency) = model_of(model);
        let limits = Limits { consistency, ..Limits::default() };
        let found = check_by_name(&history, model, &limits);
        let expected = match verdict.split(':').next() {
            Some("valid") => Validity::Valid,
            Some("invalid") => Validity::Invalid,
            _ => Validity::Unknown,
        };
        self.files += 1;
        self.bytes += bytes.len() as u64;
        self.operations += found.stats.operations;
        self.agree += usize::from(found.validity == expected);
        self.parsing += best_time(|| format.parse(&bytes[..]).is_ok());
        let judging = best_time(|| check_by_name(&history, model, &limits));
        self.judging += judging;
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        self.slowest = std::mem::take(&mut self.slowest).max((judging, name));
        Ok(())
    }

    fn parse_mb_per_s(&self) -> f64 {
        self.bytes as f64 / 1e6 / self.parsing.as_secs_f64()
    }

    pub(super) fn to_text(&self) -> String {
        let Self { name, files, operations, agree, slowest: (longest, slowest), .. } = self;
        format!(
            "{:10.3} ms  {name:<44} {files:>3} files, {operations:>6} operations, \
             {agree} verdicts as expected, {slowest} {:.3} ms; parsed at {:.0} MB/s",
            to_milliseconds(self.judging),
            to_milliseconds(*longest),
            self.parse_mb_per_s()
        )
    }

    pub(super) fn to_json(&self) -> serde_json::Value {
        json!({
            "name": self.name, "ms": to_milliseconds(self.judging), "files": self.files,
            "operations": self.operations, "agree": self.agree, "slowest": self.slowest.1,
            "slowest_ms": to_milliseconds(self.slowest.0), "parse_mb_per_s": self.parse_mb_per_s(),
        })
    }
}
