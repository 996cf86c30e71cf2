//! `harness bench leftovers`: kills a run during each kind of fault and looks for leftovers.

use crate::bench::{BenchDirectory, GRACE, TrialOutcome, kill_during};
use crate::cli::failure::Failure;
use crate::cli::output::{Format, print};
use anyhow::Result;
use engine::nemesis::{NEMESES, Nemesis};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

/// How often a run is repeated if its fault has no target.
const ATTEMPTS: u32 = 5;

/// The preferred target selectors, the worst first.
const WORST: [&str; 2] = ["majority", "one"];

/// During which faults, and how often.
#[derive(clap::Args)]
pub(crate) struct LeftoversArgs {
    /// Only during these kinds of fault.
    #[arg(value_name = "KIND")]
    kinds: Vec<String>,
    /// How often during each kind.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
    trials: u32,
    /// The directory under which runs leave their results for as long as they are looked at.
    #[arg(long, value_name = "DIR", default_value = "results")]
    data: PathBuf,
}

/// What came of one kind.
struct LeftoversRow {
    fault: String,
    trials: u32,
    clean: u32,
    slowest: Duration,
    /// What was left, or why there was no trial.
    note: Option<String>,
}

/// Runs `harness bench leftovers`: exits with 0 without leftovers, with 1 if there are some, and
/// with 3 if no fault is possible.
pub(crate) fn main(args: &LeftoversArgs, format: Format) -> Result<ExitCode> {
    let place = BenchDirectory::create(&args.data)?;
    let mut rows = Vec::new();
    for nemesis in select_nemeses(&args.kinds)? {
        let row = run_trials(nemesis, args.trials, place.path())?;
        if format == Format::Human {
            print(&row.to_text())?;
        }
        rows.push(row);
    }
    if format == Format::Json {
        let rows: Vec<Value> = rows.iter().map(LeftoversRow::to_json).collect();
        print(&serde_json::to_string_pretty(&json!({ "format": 1, "rows": rows }))?)?;
    }
    if rows.iter().all(|row| row.trials == 0) {
        return Err(Failure::Machine("no fault can be tried here".to_owned()).into());
    }
    Ok(ExitCode::from(u8::from(rows.iter().any(|row| row.clean < row.trials))))
}

fn select_nemeses(kinds: &[String]) -> Result<Vec<&'static dyn Nemesis>> {
    let known = || NEMESES.iter().copied().filter(|nemesis| !nemesis.variants().is_empty());
    if let Some(kind) = kinds.iter().find(|kind| known().all(|nemesis| nemesis.name() != **kind)) {
        let names: Vec<_> = known().map(Nemesis::name).collect();
        let text = format!("there is no fault {kind:?}; there are {}", names.join(", "));
        return Err(Failure::Usage(text).into());
    }
    let wanted = |nemesis: &&dyn Nemesis| {
        kinds.is_empty() || kinds.iter().any(|kind| kind == nemesis.name())
    };
    Ok(known().filter(wanted).collect())
}

/// The kind with its aim, as schedules put it.
fn schedule_fault(nemesis: &dyn Nemesis) -> String {
    let aims = || nemesis.variants().iter().map(|(aim, _)| *aim);
    let worst = WORST.iter().find(|worst| aims().any(|aim| aim == **worst)).copied();
    format!("{} {}", nemesis.name(), worst.or_else(|| aims().next()).unwrap_or_default())
}

fn run_trials(nemesis: &dyn Nemesis, trials: u32, place: &Path) -> Result<LeftoversRow> {
    let (fault, slowest) = (schedule_fault(nemesis), Duration::ZERO);
    let mut row = LeftoversRow { fault, trials: 0, clean: 0, slowest, note: None };
    for turn in 0..trials {
        match run_trial(&row.fault, &place.join(format!("{}-{turn}", nemesis.name())))? {
            TrialOutcome::Clean(after) => {
                (row.clean, row.slowest) = (row.clean + 1, row.slowest.max(after));
            }
            TrialOutcome::Leftovers(what) => row.note = Some(format!("left: {}", what.join("; "))),
            TrialOutcome::NotBegun => {
                row.note = Some(format!("NOT RUN: {} was never on", row.fault));
                break;
            }
            TrialOutcome::Unable(why) => {
                row.note = Some(format!("NOT RUN: {why}"));
                break;
            }
        }
        row.trials += 1;
    }
    Ok(row)
}

/// One trial whose fault was on, if that can be had.
fn run_trial(fault: &str, place: &Path) -> Result<TrialOutcome> {
    for attempt in 0..ATTEMPTS {
        let directory = place.join(attempt.to_string());
        let trial = kill_during(fault, &directory)?;
        // What cannot be taken away now goes with the place.
        drop(std::fs::remove_dir_all(&directory));
        if !matches!(trial, TrialOutcome::NotBegun) {
            return Ok(trial);
        }
    }
    Ok(TrialOutcome::NotBegun)
}

impl LeftoversRow {
    fn to_text(&self) -> String {
        let Self { fault, trials, clean, slowest, note } = self;
        let note = note.as_deref().unwrap_or_default();
        if *trials == 0 {
            return format!("{fault:<24} {note}");
        }
        let (slowest, grace) = (slowest.as_millis(), GRACE.as_secs());
        let line = format!(
            "{fault:<24} {clean:>3} of {trials} left nothing after {grace} s; \
             the slowest took {slowest} ms {note}"
        );
        line.trim_end().to_owned()
    }

    fn to_json(&self) -> Value {
        json!({ "fault": self.fault, "trials": self.trials, "clean": self.clean,
                "slowest_ms": self.slowest.as_millis(), "note": self.note })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::nemesis::script::{self, ScriptContext};

    #[test]
    fn every_kind_of_fault_is_among_them_and_can_be_scheduled() {
        let all = select_nemeses(&[]).expect("they exist");
        assert_eq!(all.len(), NEMESES.len() - 1, "all but none");
        let setting = ScriptContext { hosts: 5, limit_ms: 40_000, functions: &[] };
        for nemesis in all {
            let text = format!("at 300ms {} for 30s\n", schedule_fault(nemesis));
            script::parse_script(&text, &setting).unwrap_or_else(|error| panic!("{text}{error}"));
        }
        assert!(select_nemeses(&["wind".to_owned()]).is_err());
    }
}
