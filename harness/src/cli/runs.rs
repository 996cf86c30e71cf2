//! `harness runs`: lists runs that are over, picked and sorted, from the index alone.

use super::failure::{Failure, usage};
use super::output::{Format, print, style};
use anyhow::Result;
use engine::live::say;
use engine::nemesis::NEMESES;
use records::RESULTS;
use records::index::{Index, Query, Sort};
use records::record::IndexLine;
use report::{Style, visible};
use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitCode;

/// Which runs.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Words that runs have: anywhere (`stale`), in a field (`workload:append`, `since:2026-01-31`,
    /// `validity:invalid`, nemesis, run, seed, system, unsafe, until); after `--`, `-validity:valid` is the opposite.
    words: Vec<String>,
    /// What comes first.
    #[arg(long, value_enum, default_value_t = Sort::Started)]
    sort: Sort,
    /// The other way round.
    #[arg(long)]
    reverse: bool,
    /// How many are shown at most; 0 is all.
    #[arg(long, default_value_t = 50)]
    count: usize,
    /// Where runs are filed.
    #[arg(long, value_name = "DIRECTORY", default_value = RESULTS)]
    results: PathBuf,
}

/// Carries out `harness runs`.
pub(crate) fn main(args: &Args, format: Format) -> Result<ExitCode> {
    let faults: Vec<&str> = NEMESES.iter().map(|nemesis| nemesis.name()).collect();
    let query = Query::parse(&args.words.join(" "), args.sort, args.reverse, &faults);
    let query = query.map_err(Failure::Usage)?;
    let index = Index::read(&args.results).map_err(usage)?;
    if !args.results.is_dir() {
        say(&format!("{} is not there; `harness test` makes it", args.results.display()));
    }
    match index.damaged {
        0 => (),
        1 => say("1 line of the index is damaged and left out"),
        damaged => say(&format!("{damaged} lines of the index are damaged and left out")),
    }
    let mut picked = query.pick(&index.runs);
    let all = picked.len();
    if args.count > 0 {
        picked.truncate(args.count);
    }
    match format {
        Format::Human => print(&table(&picked, all, style(std::io::stdout().is_terminal())))?,
        Format::Json => print(&serde_json::to_string_pretty(&picked)?)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn table(runs: &[&IndexLine], all: usize, style: Style) -> String {
    let width = runs.iter().map(|run| run.run.chars().count()).max().unwrap_or(0);
    let mut lines: Vec<String> = runs.iter().map(|run| row(run, width, style)).collect();
    let left = all - runs.len();
    if all == 0 {
        lines.push("no such runs".to_owned());
    } else if left > 0 {
        lines.push(style.faint(&format!("… and {left} more; --count 0 shows all")));
    }
    lines.join("\n")
}

fn row(run: &IndexLine, width: usize, style: Style) -> String {
    let mark = style.verdict(run.validity, style.mark(run.validity));
    let name = format!("{:width$}", visible(&run.run));
    format!("{mark} {}  {name}  {}", visible(&run.started), visible(&run.sentence))
}

#[cfg(test)]
mod tests {
    use super::*;
    use records::index::sample::line;
    use records::record::Validity;

    #[test]
    fn a_list_says_what_it_leaves_out() {
        let (one, two) = (line(1, Validity::Valid), line(2, Validity::Invalid));
        insta::assert_snapshot!(table(&[&two, &one], 3, Style::PLAIN), @r"
        x 2026-01-01T00:02:00Z  raft-register-partition/20260101T000200Z-2  5 replicas of raft behaved like one copy through 8 faults.
        + 2026-01-01T00:01:00Z  raft-register-partition/20260101T000100Z-1  5 replicas of raft behaved like one copy through 8 faults.
        … and 1 more; --count 0 shows all
        ");
        assert_eq!(table(&[], 0, Style::PLAIN), "no such runs");
    }
}
