//! `harness replay`: carries out a run again, with its configuration, its seed and the schedule
//! that it recorded.

use super::failure::{Failure, usage_error};
use super::output::OutputOptions;
use super::test;
use anyhow::Result;
use engine::nemesis::script;
use records::RunDirectory;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

/// Which run.
#[derive(clap::Args)]
pub(crate) struct ReplayArgs {
    /// The run's directory, as `results:` names it.
    run: PathBuf,
}

/// Carries out `harness replay`: the exit code is the new run's.
pub(crate) fn main(args: &ReplayArgs, options: OutputOptions, began: Instant) -> Result<ExitCode> {
    let directory = RunDirectory::open(&args.run);
    let config = directory.read_run().map_err(usage_error)?.config;
    let schedule = directory.file_path(script::FILE);
    if !schedule.exists() {
        let text = format!(
            "{} has no {}: it is older than recorded schedules; \
             its `repro:` line asks for the same",
            args.run.display(),
            script::FILE
        );
        return Err(Failure::Usage(text).into());
    }
    test::run_plan(test::load_schedule(test::checked_plan(config)?, &schedule)?, options, began)
}
