//! `harness replay`: carries out a run again, with its configuration, its seed and the schedule
//! that it recorded.

use super::failure::{Failure, usage};
use super::output::Telling;
use super::test;
use anyhow::Result;
use engine::nemesis::script;
use records::RunDirectory;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

/// Which run.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The run's directory, as `results:` names it.
    run: PathBuf,
}

/// Carries out `harness replay`: the exit code is the new run's.
pub(crate) fn main(args: &Args, telling: Telling, began: Instant) -> Result<ExitCode> {
    let directory = RunDirectory::open(&args.run);
    let config = directory.run().map_err(usage)?.config;
    let schedule = directory.file(script::FILE);
    if !schedule.exists() {
        let text = format!(
            "{} has no {}: it is older than recorded schedules; its `repro:` line asks for the same",
            args.run.display(),
            script::FILE
        );
        return Err(Failure::Usage(text).into());
    }
    test::carry_out(test::play(test::checked(config)?, &schedule)?, telling, began)
}
