//! `harness report`: writes a run's report again from its files, and says what came of the run.

use super::failure::{Failure, usage};
use super::{Format, print, style};
use crate::report::{Run, html, json, text};
use crate::store::RunDirectory;
use anyhow::Result;
use checker::history::{edn, jsonl};
use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitCode;

/// Which run.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The run's directory, as `results:` names it.
    run: PathBuf,
    /// Write the history as EDN, too (history.edn in the run's directory), as Jepsen, Knossos and Elle read it.
    #[arg(long)]
    edn: bool,
}

/// Carries out `harness report`.
pub(crate) fn main(args: &Args, format: Format) -> Result<ExitCode> {
    let directory = RunDirectory::open(&args.run);
    let (record, verdict) = (directory.run().map_err(usage)?, directory.verdict().map_err(usage)?);
    let path = directory.file("history.jsonl");
    let wrong = |why: String| Failure::Usage(format!("{}: {why}", path.display()));
    let bytes = std::fs::read(&path).map_err(|error| wrong(format!("cannot be read: {error}")))?;
    let parsed = jsonl::parse(&bytes).map_err(|damage| wrong(damage.to_string()))?;
    let shown = args.run.display().to_string();
    let run =
        Run { record: &record, verdict: &verdict, history: &parsed.history, directory: &shown };
    directory.write("report.html", &html(&run))?;
    if args.edn {
        directory.write("history.edn", &edn::write(&parsed.history))?;
    }
    match format {
        Format::Human => print(&text(&run, style(std::io::stdout().is_terminal())))?,
        Format::Json => print(&json(&run))?,
    }
    Ok(ExitCode::SUCCESS)
}
