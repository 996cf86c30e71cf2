//! `harness hunt`: looks for bugs within a budget, and proves each one.

mod text;
mod view;

use super::failure::{Failure, machine_error, usage_error};
use super::output::{Format, OutputOptions, output_style, print};
use super::test::{self, GivenOptions};
use anyhow::{Context as _, Result};
use clap::ValueEnum;
use engine::duration;
use engine::hunt::choice::Choices;
use engine::hunt::policy::PolicyParameters;
use engine::hunt::session::{HuntOrder, run_hunt};
use engine::run::plan::Plan;
use engine::suite::runner::RunnerOptions;
use engine::system::{System, find_system};
use records::RESULTS;
use records::record::Config;
use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use tokio::sync::watch;
use view::HuntView;

/// Which part of the budget one violation may take, unless the command line says otherwise.
const INVESTIGATION_SHARE: u32 = 4;
/// The system that is hunted unless the command line names another.
const DEFAULT_SYSTEM: &str = "raft";

/// Options of `harness hunt`.
#[derive(clap::Args)]
pub(crate) struct HuntArgs {
    /// Begin no run after this time: 30m, 2h. Investigating the last finding may take a quarter
    /// longer.
    #[arg(long, default_value = "30m", value_parser = duration::parse)]
    budget: Duration,
    /// Number of concurrent runs; concurrent runs slow each other down.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    jobs: u16,
    /// Choose the next run by what was new in those before, or draw all runs uniformly.
    #[arg(long, value_enum, default_value_t = Feedback::On)]
    feedback: Feedback,
    /// Repeat each finding this often to know how often it shows again.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    repeats: u16,
    /// Confirm and minimize each finding for at most this long; 0s only notes it
    /// [default: a quarter of the budget].
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    investigate: Option<Duration>,
    /// End after this many different findings instead of when the budget is spent.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    max_findings: Option<u16>,
    /// Play the regression files of this folder first, and write new ones to it.
    #[arg(long, value_name = "FOLDER", default_value = "regressions")]
    regressions: PathBuf,
    /// Derive every draw from this number; random if not given.
    #[arg(long)]
    seed: Option<u64>,
    /// Start from the beginning even if the last hunt of this kind was interrupted.
    #[arg(long)]
    fresh: bool,
    #[command(flatten)]
    given: GivenOptions,
}

/// Whether what was new decides which run is next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Feedback {
    /// Prefer choices whose runs showed states that were not seen before.
    On,
    /// Draw every choice uniformly.
    Off,
}

/// Runs `harness hunt`: exits with 1 if something was violated.
pub(crate) fn main(args: &HuntArgs, options: OutputOptions) -> Result<ExitCode> {
    let system = hunted_system(args)?;
    let choices = Choices::new(system, &args.given.0, &is_plannable)
        .map_err(|it| usage_error(explain(args, it)))?;
    let plainest = vec![0; choices.axes.len()];
    let base = choices.make_config(&plainest, 0).context("the options are no run")?;
    // It also checks that the program and the seeded bugs exist.
    let plan = test::checked_plan(base)?;
    let (stop_in, stop) = watch::channel(false);
    let runtime = tokio::runtime::Runtime::new().context("cannot start the runtime")?;
    runtime.block_on(async { test::watch_signals(stop_in) })?;
    let policy =
        PolicyParameters { feedback: args.feedback == Feedback::On, ..PolicyParameters::default() };
    let bin = plan.config.bin.as_ref().map(PathBuf::from);
    let bugs = system.list_bugs(bin.as_ref()).map_err(machine_error)?;
    let order = HuntOrder {
        choices,
        policy,
        seed: args.seed,
        random_seed: test::random_seed(),
        budget: args.budget,
        investigation: args.investigate.unwrap_or(args.budget / INVESTIGATION_SHARE),
        repeats: u64::from(args.repeats),
        max_findings: args.max_findings.map(usize::from),
        fresh: args.fresh,
        results: RESULTS.into(),
        regressions: args.regressions.clone(),
        runner: RunnerOptions {
            program: std::env::current_exe().context("cannot find the path of this program")?,
            program_name: std::env::args().next().unwrap_or_else(|| "harness".to_owned()),
            jobs: usize::from(args.jobs),
            budget: None,
            stop,
        },
        bugs: bugs.into_iter().map(|bug| bug.name).collect(),
        accepts: &is_plannable,
    };
    let style = output_style(std::io::stderr().is_terminal());
    let mut view = HuntView::new(style, options.quiet, args.budget);
    let record = run_hunt(&order, &runtime, &mut |event, state| view.show(event, state))?;
    view.finish();
    match options.format {
        Format::Human => print(&text::summary(&record))?,
        Format::Json => print(&serde_json::to_string_pretty(&record)?)?,
    }
    Ok(ExitCode::from(record.exit))
}

/// The system that is hunted.
fn hunted_system(args: &HuntArgs) -> Result<&'static dyn System> {
    let named = args.given.0.iter().find(|(option, _)| option.name == "system");
    let name = named.and_then(|(_, value)| value.as_str()).unwrap_or(DEFAULT_SYSTEM);
    let system = find_system(name).map_err(usage_error)?;
    system.ok_or_else(|| Failure::Usage(format!("there is no system {name:?}")).into())
}

/// Whether there can be a run of this configuration.
fn is_plannable(config: &Config) -> bool {
    Plan::new(config.clone(), Vec::new()).is_ok()
}

/// The reason for which the options as given are no run, if there is one more exact.
fn explain(args: &HuntArgs, otherwise: anyhow::Error) -> anyhow::Error {
    use engine::run::options::OptionValues;
    let mut values = OptionValues::defaults();
    for (option, value) in &args.given.0 {
        values.set(option, value.clone());
    }
    let config = values.into_config(0);
    let plan = config.and_then(|config| Plan::new(config, Vec::new()));
    plan.err().unwrap_or(otherwise)
}

#[cfg(test)]
mod tests {
    use super::super::Cli;
    use clap::Parser as _;

    #[test]
    fn takes_options_of_test_but_not_those_that_it_decides() {
        let parse = |line: &str| Cli::try_parse_from(line.split(' ')).map(|_| ());
        assert!(parse("harness hunt --budget 10m --jobs 2 --nemesis kill --unsafe x").is_ok());
        for line in ["--schedule x", "--fail-fast", "--capture", "--jobs 0", "--rate 0"] {
            assert!(parse(&format!("harness hunt {line}")).is_err(), "{line}");
        }
    }
}
