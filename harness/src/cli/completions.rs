//! `harness completions`: prints what a shell needs to complete our command line.

use super::Cli;
use anyhow::Result;
use clap::CommandFactory as _;
use std::process::ExitCode;

/// Which shell.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The shell.
    shell: clap_complete::Shell,
}

/// Carries out `harness completions`.
pub(crate) fn main(args: &Args) -> Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "harness", &mut script);
    super::print(&String::from_utf8_lossy(&script))?;
    Ok(ExitCode::SUCCESS)
}
