//! `harness report`: writes the report of a run again from its files, and prints its summary.

use super::choice::choice_parser;
use super::failure::{Failure, machine_error, usage_error};
use super::output::{Format, output_style, print};
use anyhow::Result;
use checker::history::jsonl;
use engine::run::check_names;
use records::RunDirectory;
use records::replica_log::ReplicaTelemetry;
use report::{EXPORTS, Export, Run, html, json, text};
use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitCode;

/// Options of `harness report`.
#[derive(clap::Args)]
pub(crate) struct ReportArgs {
    /// Directory of the run, as printed after `results:`.
    run: PathBuf,
    /// Also export the run to its directory in these formats, separated by commas.
    #[arg(long, value_parser = choice_parser(&EXPORTS), value_delimiter = ',')]
    export: Vec<Export>,
    /// Same as `--export edn`.
    #[arg(long, hide = true)]
    edn: bool,
}

/// Runs `harness report`.
pub(crate) fn main(args: &ReportArgs, format: Format) -> Result<ExitCode> {
    let directory = RunDirectory::open(&args.run);
    let (record, verdict) = (
        directory.read_run().map_err(usage_error)?,
        directory.read_verdict().map_err(usage_error)?,
    );
    let path = directory.file_path("history.jsonl");
    let wrong = |why: String| Failure::Usage(format!("{}: {why}", path.display()));
    let bytes = std::fs::read(&path).map_err(|error| wrong(format!("cannot be read: {error}")))?;
    let parsed = jsonl::parse(&bytes).map_err(|damage| wrong(damage.to_string()))?;
    let shown = args.run.display().to_string();
    let names = record.replicas.iter().map(|replica| replica.name.as_str());
    let observed = ReplicaTelemetry::read(&directory, names);
    let run = Run {
        record: &record,
        verdict: &verdict,
        history: &parsed.history,
        observed: &observed,
        check_names: check_names(&record.config),
        directory: &shown,
    };
    directory.write_file("report.html", &html(&run)).map_err(machine_error)?;
    for export in args.export.iter().copied().chain(args.edn.then_some(Export::Edn)) {
        directory.write_file(export.file(), &export.text(&run)).map_err(machine_error)?;
    }
    match format {
        Format::Human => print(&text(&run, output_style(std::io::stdout().is_terminal())))?,
        Format::Json => print(&json(&run))?,
    }
    Ok(ExitCode::SUCCESS)
}
