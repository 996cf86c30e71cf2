//! `harness runs`: lists finished runs, filtered and sorted, from the index alone.

use super::choice::choice_parser;
use super::failure::{Failure, usage_error};
use super::output::{Format, output_style, print};
use anyhow::Result;
use engine::live::print_stderr;
use engine::nemesis::NEMESES;
use records::RESULTS;
use records::index::{Index, Query, SORTS, Sort};
use records::record::IndexLine;
use report::{Style, escape_controls};
use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitCode;

/// Options of `harness runs`.
#[derive(clap::Args)]
pub(crate) struct RunsArgs {
    /// Filter by words anywhere (`stale`) or in a field (`workload:append`, `since:2026-01-31`,
    /// `validity:invalid`, nemesis, run, seed, system, unsafe, until). After `--`, a leading `-`
    /// negates a word: `-validity:valid`.
    words: Vec<String>,
    /// Sort order.
    #[arg(long, value_parser = choice_parser(&SORTS), default_value = "started")]
    sort: Sort,
    /// Reverse the order.
    #[arg(long)]
    reverse: bool,
    /// Maximum number of runs to show; 0 shows all.
    #[arg(long, default_value_t = 50)]
    count: usize,
    /// Results directory.
    #[arg(long, value_name = "DIRECTORY", default_value = RESULTS)]
    results: PathBuf,
}

/// Runs `harness runs`.
pub(crate) fn main(args: &RunsArgs, format: Format) -> Result<ExitCode> {
    let faults: Vec<&str> = NEMESES.iter().map(|nemesis| nemesis.name()).collect();
    let query = Query::parse(&args.words.join(" "), args.sort, args.reverse, &faults);
    let query = query.map_err(Failure::Usage)?;
    let index = Index::read(&args.results).map_err(usage_error)?;
    if !args.results.is_dir() {
        print_stderr(&format!(
            "{} does not exist; `harness test` creates it",
            args.results.display()
        ));
    }
    match index.damaged {
        0 => (),
        1 => print_stderr("skipped 1 damaged line of the index"),
        damaged => print_stderr(&format!("skipped {damaged} damaged lines of the index")),
    }
    let mut picked = query.select_runs(&index.runs);
    let all = picked.len();
    if args.count > 0 {
        picked.truncate(args.count);
    }
    match format {
        Format::Human => {
            print(&render_table(&picked, all, output_style(std::io::stdout().is_terminal())))?
        }
        Format::Json => print(&serde_json::to_string_pretty(&picked)?)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn render_table(runs: &[&IndexLine], all: usize, style: Style) -> String {
    let width = runs.iter().map(|run| run.run.chars().count()).max().unwrap_or(0);
    let mut lines: Vec<String> = runs.iter().map(|run| render_row(run, width, style)).collect();
    let left = all - runs.len();
    if all == 0 {
        lines.push("no matching runs".to_owned());
    } else if left > 0 {
        lines.push(style.dim_text(&format!("… and {left} more; --count 0 shows all")));
    }
    lines.join("\n")
}

fn render_row(run: &IndexLine, width: usize, style: Style) -> String {
    let mark = style.verdict(run.validity, style.mark(run.validity));
    let name = format!("{:width$}", escape_controls(&run.run));
    format!("{mark} {}  {name}  {}", escape_controls(&run.started), escape_controls(&run.sentence))
}

#[cfg(test)]
mod tests {
    use super::*;
    use records::index::sample::sample_line;
    use records::record::Validity;

    #[test]
    fn counts_the_runs_that_are_not_shown() {
        let (one, two) = (sample_line(1, Validity::Valid), sample_line(2, Validity::Invalid));
        insta::assert_snapshot!(render_table(&[&two, &one], 3, Style::PLAIN), @r"
        x 2026-01-01T00:02:00Z  raft-register-partition/20260101T000200Z-2  5 replicas, 8 faults
        + 2026-01-01T00:01:00Z  raft-register-partition/20260101T000100Z-1  5 replicas, 8 faults
        … and 1 more; --count 0 shows all
        ");
        assert_eq!(render_table(&[], 0, Style::PLAIN), "no matching runs");
    }
}
