//! `harness suite`: runs a matrix of tests, each in a child process, and summarizes their outcomes.

use super::failure::{Failure, machine_error};
use super::output::{Format, OutputOptions, output_style, print};
use super::test;
use anyhow::{Context as _, Result};
use engine::duration;
use engine::hunt::regression::list_files;
use engine::live::print_stderr;
use engine::run::options::command_line;
use engine::suite::ledger::Ledger;
use engine::suite::matrix::{self, SUITES, Suite, SuiteContext};
use engine::suite::runner::{RunnerOptions, run_cells};
use engine::system::find_system;
use records::RESULTS;
use records::suite::{Cell, CellRecord, SuiteRecord};
use report::suite as render;
use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// Options of `harness suite`.
#[derive(clap::Args)]
pub(crate) struct SuiteArgs {
    /// `smoke`, `nightly`, a suite file (its format is in harness/docs/nightly.md), or a folder of
    /// such files, for example `regressions`.
    suite: String,
    /// Run only one part, for machines that share a suite: 2/5.
    #[arg(long, value_name = "PART/PARTS", value_parser = parse_shard)]
    shard: Option<(usize, usize)>,
    /// Number of concurrent runs; concurrent runs affect each other's latencies.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    jobs: u16,
    /// Time limit, for example 2h or 30m: start no run whose main phase would exceed it. Overrides
    /// the limit of the suite file.
    #[arg(long, value_parser = duration::parse)]
    budget: Option<Duration>,
    /// First seed, for suites that only give a number of seeds; use another one each night.
    #[arg(long, default_value_t = 1)]
    first_seed: u64,
    /// Start from the beginning even if the last suite of these runs was interrupted.
    #[arg(long)]
    fresh: bool,
    /// Print the runs without running them.
    #[arg(long)]
    dry_run: bool,
    /// Also write junit=PATH, markdown=PATH, json=PATH, or github (annotations and step summary).
    #[arg(long, value_name = "KIND=PATH", value_parser = parse_output)]
    output: Vec<Output>,
}

/// A further output.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Output {
    Junit(PathBuf),
    Markdown(PathBuf),
    Json(PathBuf),
    Github,
}

fn parse_output(text: &str) -> Result<Output, String> {
    let (kind, path) = text.split_once('=').unwrap_or((text, ""));
    match (kind, path) {
        ("github", "") => Ok(Output::Github),
        ("junit", path) if !path.is_empty() => Ok(Output::Junit(path.into())),
        ("markdown", path) if !path.is_empty() => Ok(Output::Markdown(path.into())),
        ("json", path) if !path.is_empty() => Ok(Output::Json(path.into())),
        _ => Err("write junit=PATH, markdown=PATH, json=PATH or github".to_owned()),
    }
}

fn parse_shard(text: &str) -> Result<(usize, usize), String> {
    let numbers = text
        .split_once('/')
        .and_then(|(part, parts)| Some((part.parse().ok()?, parts.parse().ok()?)));
    match numbers {
        Some((part, parts)) if 1 <= part && part <= parts => Ok((part, parts)),
        _ => Err(format!("{text:?} is not a shard; write for example 2/5 for the second of five")),
    }
}

/// Runs `harness suite`; the worst cell determines the exit code.
pub(crate) fn main(args: &SuiteArgs, options: OutputOptions) -> Result<ExitCode> {
    let OutputOptions { format, quiet } = options;
    let suite = read_suite(&args.suite, args.first_seed)?;
    let (mut name, mut cells) = (suite.name, suite.cells);
    if let Some((part, parts)) = args.shard {
        cells = matrix::shard(cells, part, parts);
        name += &format!("-{part}-of-{parts}");
    }
    if args.dry_run {
        return print_cells(&cells, format);
    }
    let budget = args.budget.or(suite.budget_ms.map(Duration::from_millis));
    let record = run_suite(
        name,
        &cells,
        &RunOptions { jobs: usize::from(args.jobs), budget, fresh: args.fresh, quiet },
    )?;
    for output in &args.output {
        write_output(output, &record, format)?;
    }
    print_suite(&record, format)
}

/// Prints the outcome of a suite; its worst cell determines the exit code.
pub(super) fn print_suite(record: &SuiteRecord, format: Format) -> Result<ExitCode> {
    match format {
        Format::Human => {
            print(&render::table(record, output_style(std::io::stdout().is_terminal())))?
        }
        Format::Json => print(&serde_json::to_string_pretty(record)?)?,
    }
    Ok(ExitCode::from(record.exit))
}

/// Reads a built-in suite, a suite file, or a folder of suite files, and writes the schedules that
/// its runs play.
fn read_suite(name: &str, first_seed: u64) -> Result<Suite> {
    let schedules = Path::new(RESULTS).join("suites").join("schedules");
    let setting = SuiteContext { first_seed, bugs: &seeded_bugs, schedules: &schedules };
    let built_in = SUITES.iter().find(|(known, _)| *known == name);
    let suite = match built_in {
        Some((name, source)) => {
            matrix::read_suite(name, name, source, &setting).map_err(Failure::Usage)?
        }
        None if Path::new(name).is_dir() => read_folder(Path::new(name), &setting)?,
        None => read_file(name, &setting)?,
    };
    for (file, text) in &suite.schedules {
        let written = std::fs::create_dir_all(&schedules).and_then(|()| std::fs::write(file, text));
        written.map_err(|error| Failure::Machine(format!("{}: {error}", file.display())))?;
    }
    Ok(suite)
}

/// The runs of all suite files in a folder, in order of name.
fn read_folder(folder: &Path, setting: &SuiteContext<'_>) -> Result<Suite> {
    let files = list_files(folder).map_err(machine_error)?;
    let suites = files.iter().map(|file| read_file(&file.display().to_string(), setting));
    let suites: Vec<Suite> = suites.collect::<Result<_>>()?;
    let joined = suites.into_iter().reduce(|mut all, one| {
        all.cells.extend(one.cells);
        all.configs.extend(one.configs);
        all.schedules.extend(one.schedules);
        all
    });
    let mut suite = joined.ok_or_else(|| {
        Failure::Usage(format!("{} has no suite file (*.toml)", folder.display()))
    })?;
    suite.name = plain_stem(folder);
    suite.budget_ms = None;
    Ok(suite)
}

fn read_file(name: &str, setting: &SuiteContext<'_>) -> Result<Suite> {
    let source = std::fs::read_to_string(name).map_err(|error| {
        let names: Vec<&str> = SUITES.iter().map(|(name, _)| *name).collect();
        let names = names.join(", ");
        Failure::Usage(format!(
            "unknown built-in suite {name} (available: {names}), and not a readable file: {error}"
        ))
    })?;
    let stem = plain_stem(Path::new(name));
    Ok(matrix::read_suite(name, &stem, &source, setting).map_err(Failure::Usage)?)
}

/// The name of a file or folder without its extension, in letters, digits and hyphens.
fn plain_stem(path: &Path) -> String {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    stem.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect()
}

fn seeded_bugs(name: &str) -> Result<Vec<String>> {
    let system = find_system(name)?.with_context(|| format!("there is no system {name:?}"))?;
    Ok(system.list_bugs(None)?.iter().map(|bug| bug.name.clone()).collect())
}

fn print_cells(cells: &[Cell], format: Format) -> Result<ExitCode> {
    let line = |cell: &Cell| command_line("harness", &cell.arguments);
    match format {
        Format::Human => print(&cells.iter().map(line).collect::<Vec<_>>().join("\n"))?,
        Format::Json => print(&serde_json::to_string_pretty(cells)?)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// How to run a suite.
pub(super) struct RunOptions {
    pub(super) jobs: usize,
    pub(super) budget: Option<Duration>,
    pub(super) fresh: bool,
    pub(super) quiet: bool,
}

/// Runs the cells that are not settled yet, and records each in the ledger as it ends.
pub(super) fn run_suite(name: String, cells: &[Cell], options: &RunOptions) -> Result<SuiteRecord> {
    let began = Instant::now();
    let now = jiff::Timestamp::now();
    let ledger = Ledger::open(Path::new(RESULTS), &name, cells, &now, options.fresh)
        .map_err(machine_error)?;
    let mut records: Vec<Option<CellRecord>> = cells
        .iter()
        .map(|cell| ledger.settled.iter().find(|settled| settled.cell == *cell).cloned())
        .collect();
    let settled = records.iter().flatten().count();
    if settled > 0 {
        print_stderr(&format!(
            "resuming: {settled} of {} cells are settled in {}",
            cells.len(),
            ledger.path().display()
        ));
    }
    let places: Vec<usize> = (0..cells.len()).filter(|place| records[*place].is_none()).collect();
    let left: Vec<Cell> = places.iter().map(|place| cells[*place].clone()).collect();
    let mut done = settled;
    run_until_stopped(&left, options, |place, record| {
        ledger.record(&record)?;
        done += 1;
        if !options.quiet {
            print_stderr(&format_progress(done, cells.len(), &record));
        }
        records[places[place]] = Some(record);
        Ok(())
    })?;
    let took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    let records = records.into_iter().flatten().collect();
    let record = SuiteRecord::new(name, ledger.started.clone(), took_ms, records);
    let left = record.cells.iter().any(|cell| cell.exit.is_none());
    if !left && record.exit != 130 {
        ledger.record_end(record.exit)?;
    }
    Ok(record)
}

fn format_progress(done: usize, all: usize, record: &CellRecord) -> String {
    let cell = &record.cell;
    let head =
        format!("[{done}/{all}] {}: {}, seed {}", record.outcome.name(), cell.family, cell.seed);
    format!("{head} ({} s)", record.took_ms / 1_000)
}

fn run_until_stopped(
    cells: &[Cell],
    options: &RunOptions,
    ended: impl FnMut(usize, CellRecord) -> Result<()>,
) -> Result<()> {
    let program = std::env::current_exe().context("cannot find the path of this program")?;
    let called = std::env::args().next().unwrap_or_else(|| "harness".to_owned());
    let (stop_in, stop) = watch::channel(false);
    let orders = RunnerOptions {
        program,
        program_name: called,
        jobs: options.jobs,
        budget: options.budget,
        stop,
    };
    let runtime = tokio::runtime::Runtime::new().context("cannot start the runtime")?;
    runtime.block_on(async {
        test::watch_signals(stop_in)?;
        run_cells(cells, &orders, ended).await
    })
}

fn write_output(output: &Output, record: &SuiteRecord, format: Format) -> Result<()> {
    let (path, text) = match output {
        Output::Junit(path) => (path, render::junit(record)),
        Output::Markdown(path) => (path, render::markdown(record, usize::MAX)),
        Output::Json(path) => (path, serde_json::to_string_pretty(record)? + "\n"),
        Output::Github => return write_github(record, format),
    };
    let written = std::fs::write(path, text);
    written.map_err(|error| Failure::Machine(format!("{}: {error}", path.display())).into())
}

/// Prints annotations for the runner, and appends the summary to the file that it names.
fn write_github(record: &SuiteRecord, format: Format) -> Result<()> {
    let annotations = render::annotations(record);
    match format {
        Format::Human => print(&annotations)?,
        Format::Json => print_stderr(annotations.trim_end()),
    }
    let Some(path) = std::env::var_os("GITHUB_STEP_SUMMARY").map(PathBuf::from) else {
        print_stderr("no step summary: GITHUB_STEP_SUMMARY is not set");
        return Ok(());
    };
    let text = render::markdown(record, render::SUMMARY_BYTES);
    let file = std::fs::OpenOptions::new().create(true).append(true).open(&path);
    let written = file.and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| Failure::Machine(format!("{}: {error}", path.display())).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_outputs_and_shards() {
        assert_eq!(parse_output("junit=a=b.xml"), Ok(Output::Junit("a=b.xml".into())));
        assert_eq!(parse_output("github"), Ok(Output::Github));
        for text in ["junit", "junit=", "github=x", "xml=y", ""] {
            assert!(parse_output(text).is_err(), "{text}");
        }
        assert_eq!(parse_shard("2/5"), Ok((2, 5)));
        for text in ["0/5", "6/5", "2", "a/b", "1/0"] {
            assert!(parse_shard(text).is_err(), "{text}");
        }
    }
}
