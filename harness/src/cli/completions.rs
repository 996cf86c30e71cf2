//! `harness completions`: prints what a shell needs to complete our command line.

use super::output::print;
use anyhow::Result;
use std::process::ExitCode;

/// Which shell.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The shell.
    shell: clap_complete::Shell,
}

/// Carries out `harness completions`.
pub(crate) fn main(args: &Args, command: &mut clap::Command) -> Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, command, "harness", &mut script);
    print(&String::from_utf8_lossy(&script))?;
    Ok(ExitCode::SUCCESS)
}
