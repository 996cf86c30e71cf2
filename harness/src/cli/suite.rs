//! `harness suite`: runs a matrix of runs, each a child of its own, and tells what came of them all.

use super::failure::{Failure, machine};
use super::output::{Format, Telling, print, style};
use super::test;
use anyhow::{Context as _, Result};
use engine::duration;
use engine::live::say;
use engine::run::options::command_line;
use engine::suite::ledger::Ledger;
use engine::suite::matrix::{self, SUITES};
use engine::suite::runner::{Orders, run_cells};
use engine::system::system;
use records::RESULTS;
use records::suite::{Cell, CellRecord, SuiteRecord};
use report::suite as told;
use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// Which suite, and how.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// `smoke`, `nightly`, or a file: see results/README.md for what it can say.
    suite: String,
    /// Only one part of so many, for machines that share a suite: 2/5.
    #[arg(long, value_name = "PART/PARTS", value_parser = part)]
    shard: Option<(usize, usize)>,
    /// How many runs at a time; more than one disturb each other's latencies.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    jobs: u16,
    /// No run begins that could not be through its main phase by then; overrides the file's: 2h, 30m.
    #[arg(long, value_parser = duration::parse)]
    budget: Option<Duration>,
    /// The first seed where a suite says only how many; give each night its own.
    #[arg(long, default_value_t = 1)]
    first_seed: u64,
    /// Begin anew even where the last suite of the same runs was cut off.
    #[arg(long)]
    fresh: bool,
    /// Say what would run, and run nothing.
    #[arg(long)]
    dry_run: bool,
    /// Also write junit=PATH, markdown=PATH, json=PATH, or github: annotations, and the step summary.
    #[arg(long, value_name = "KIND=PATH", value_parser = output)]
    output: Vec<Output>,
}

/// Something else to write.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Output {
    Junit(PathBuf),
    Markdown(PathBuf),
    Json(PathBuf),
    Github,
}

fn output(text: &str) -> Result<Output, String> {
    let (kind, path) = text.split_once('=').unwrap_or((text, ""));
    match (kind, path) {
        ("github", "") => Ok(Output::Github),
        ("junit", path) if !path.is_empty() => Ok(Output::Junit(path.into())),
        ("markdown", path) if !path.is_empty() => Ok(Output::Markdown(path.into())),
        ("json", path) if !path.is_empty() => Ok(Output::Json(path.into())),
        _ => Err("write junit=PATH, markdown=PATH, json=PATH or github".to_owned()),
    }
}

fn part(text: &str) -> Result<(usize, usize), String> {
    let numbers = text
        .split_once('/')
        .and_then(|(part, parts)| Some((part.parse().ok()?, parts.parse().ok()?)));
    match numbers {
        Some((part, parts)) if 1 <= part && part <= parts => Ok((part, parts)),
        _ => Err(format!("{text:?} is no part; the second of five is 2/5")),
    }
}

/// Carries out `harness suite`: the worst cell decides the exit code.
pub(crate) fn main(args: &Args, telling: Telling) -> Result<ExitCode> {
    let Telling { format, quiet } = telling;
    let suite = read(&args.suite, args.first_seed)?;
    let (mut name, mut cells) = (suite.name, suite.cells);
    if let Some((part, parts)) = args.shard {
        cells = matrix::shard(cells, part, parts);
        name += &format!("-{part}-of-{parts}");
    }
    if args.dry_run {
        return foretell(&cells, format);
    }
    let budget = args.budget.or(suite.budget_ms.map(Duration::from_millis));
    let record = perform(
        name,
        &cells,
        &Way { jobs: usize::from(args.jobs), budget, fresh: args.fresh, quiet },
    )?;
    for output in &args.output {
        write(output, &record, format)?;
    }
    show(&record, format)
}

/// Prints what came of a suite; its worst cell decides the exit code.
pub(super) fn show(record: &SuiteRecord, format: Format) -> Result<ExitCode> {
    match format {
        Format::Human => print(&told::table(record, style(std::io::stdout().is_terminal())))?,
        Format::Json => print(&serde_json::to_string_pretty(record)?)?,
    }
    Ok(ExitCode::from(record.exit))
}

fn read(name: &str, first_seed: u64) -> Result<matrix::Suite> {
    let setting = matrix::Setting { first_seed, bugs: &bugs };
    let refused = |wrong| Failure::Usage(wrong).into();
    if let Some((name, source)) = SUITES.iter().find(|(known, _)| *known == name) {
        return matrix::read(name, name, source, &setting).map_err(refused);
    }
    let source = std::fs::read_to_string(name).map_err(|error| {
        let names: Vec<&str> = SUITES.iter().map(|(name, _)| *name).collect();
        let names = names.join(", ");
        Failure::Usage(format!("{name}: this is no suite that comes along ({names}), and no file that can be read: {error}"))
    })?;
    let stem = Path::new(name).file_stem().unwrap_or_default().to_string_lossy();
    let stem: String =
        stem.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    matrix::read(name, &stem, &source, &setting).map_err(refused)
}

fn bugs(name: &str) -> Result<Vec<String>> {
    let system = system(name)?.with_context(|| format!("there is no system {name:?}"))?;
    Ok(system.bugs(None)?.iter().map(|(bug, _)| (*bug).to_owned()).collect())
}

fn foretell(cells: &[Cell], format: Format) -> Result<ExitCode> {
    let line = |cell: &Cell| command_line("harness", &cell.arguments);
    match format {
        Format::Human => print(&cells.iter().map(line).collect::<Vec<_>>().join("\n"))?,
        Format::Json => print(&serde_json::to_string_pretty(cells)?)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// How a suite is carried out.
pub(super) struct Way {
    pub(super) jobs: usize,
    pub(super) budget: Option<Duration>,
    pub(super) fresh: bool,
    pub(super) quiet: bool,
}

/// Runs what is left of a suite, and takes down each cell as it ends.
pub(super) fn perform(name: String, cells: &[Cell], way: &Way) -> Result<SuiteRecord> {
    let began = Instant::now();
    let now = jiff::Timestamp::now();
    let ledger =
        Ledger::open(Path::new(RESULTS), &name, cells, &now, way.fresh).map_err(machine)?;
    let mut records: Vec<Option<CellRecord>> = cells
        .iter()
        .map(|cell| ledger.settled.iter().find(|settled| settled.cell == *cell).cloned())
        .collect();
    let settled = records.iter().flatten().count();
    if settled > 0 {
        say(&format!(
            "going on: {settled} of {} cells are settled in {}",
            cells.len(),
            ledger.path().display()
        ));
    }
    let places: Vec<usize> = (0..cells.len()).filter(|place| records[*place].is_none()).collect();
    let left: Vec<Cell> = places.iter().map(|place| cells[*place].clone()).collect();
    let mut done = settled;
    live(&left, way, |place, record| {
        ledger.record(&record)?;
        done += 1;
        if !way.quiet {
            say(&progress(done, cells.len(), &record));
        }
        records[places[place]] = Some(record);
        Ok(())
    })?;
    let took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    let records = records.into_iter().flatten().collect();
    let record = SuiteRecord::new(name, ledger.started.clone(), took_ms, records);
    let left = record.cells.iter().any(|cell| cell.exit.is_none());
    if !left && record.exit != 130 {
        ledger.end(record.exit)?;
    }
    Ok(record)
}

fn progress(done: usize, all: usize, record: &CellRecord) -> String {
    let cell = &record.cell;
    let head =
        format!("[{done}/{all}] {}: {}, seed {}", record.outcome.name(), cell.family, cell.seed);
    format!("{head} ({} s)", record.took_ms / 1_000)
}

fn live(
    cells: &[Cell],
    way: &Way,
    ended: impl FnMut(usize, CellRecord) -> Result<()>,
) -> Result<()> {
    let program = std::env::current_exe().context("this program cannot find itself")?;
    let called = std::env::args().next().unwrap_or_else(|| "harness".to_owned());
    let (stop_in, stop) = watch::channel(false);
    let orders = Orders { program, called, jobs: way.jobs, budget: way.budget, stop };
    let runtime = tokio::runtime::Runtime::new().context("the runtime cannot be started")?;
    runtime.block_on(async {
        test::watch_signals(stop_in)?;
        run_cells(cells, &orders, ended).await
    })
}

fn write(output: &Output, record: &SuiteRecord, format: Format) -> Result<()> {
    let (path, text) = match output {
        Output::Junit(path) => (path, told::junit(record)),
        Output::Markdown(path) => (path, told::markdown(record, usize::MAX)),
        Output::Json(path) => (path, serde_json::to_string_pretty(record)? + "\n"),
        Output::Github => return github(record, format),
    };
    let written = std::fs::write(path, text);
    written.map_err(|error| Failure::Machine(format!("{}: {error}", path.display())).into())
}

/// Annotations go where the runner reads them, the summary into the file that it names.
fn github(record: &SuiteRecord, format: Format) -> Result<()> {
    let annotations = told::annotations(record);
    match format {
        Format::Human => print(&annotations)?,
        Format::Json => say(annotations.trim_end()),
    }
    let Some(path) = std::env::var_os("GITHUB_STEP_SUMMARY").map(PathBuf::from) else {
        say("no step summary: GITHUB_STEP_SUMMARY is not set");
        return Ok(());
    };
    let text = told::markdown(record, told::SUMMARY_BYTES);
    let file = std::fs::OpenOptions::new().create(true).append(true).open(&path);
    let written = file.and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| Failure::Machine(format!("{}: {error}", path.display())).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_and_parts_are_read_or_refused() {
        assert_eq!(output("junit=a=b.xml"), Ok(Output::Junit("a=b.xml".into())));
        assert_eq!(output("github"), Ok(Output::Github));
        for text in ["junit", "junit=", "github=x", "xml=y", ""] {
            assert!(output(text).is_err(), "{text}");
        }
        assert_eq!(part("2/5"), Ok((2, 5)));
        for text in ["0/5", "6/5", "2", "a/b", "1/0"] {
            assert!(part(text).is_err(), "{text}");
        }
    }
}
