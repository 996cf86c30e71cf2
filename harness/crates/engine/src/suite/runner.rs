//! Runs cells as child processes, several at a time, until all are done, the budget is spent or
//! the user stops the suite.
//!
//! A child that exceeds its time is killed; a child that crashes fails only its cell. An
//! interruption is passed on, so that children heal, judge what they have and keep their
//! histories. No child outlives this program.

use crate::run::options::command_line;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use records::suite::{Cell, CellRecord, Expectation, Outcome};
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};
use testbed::host::process::die_with_parent;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Time for a run besides its main phase: setup, recovery, final reads, checks.
const OVERHEAD: Duration = Duration::from_secs(300);
/// How long an interrupted run may take to check what it has.
const STOP_TIMEOUT: Duration = Duration::from_secs(60);
/// The limit on the captured output of a child.
const MAX_OUTPUT: u64 = 64 << 20;

/// How cells are run.
#[derive(Clone)]
pub struct RunnerOptions {
    /// This program.
    pub program: PathBuf,
    /// The program's name in a command line to paste.
    pub program_name: String,
    /// How many cells run at a time.
    pub jobs: usize,
    /// A cell whose main phase would end after this time does not start.
    pub budget: Option<Duration>,
    /// Becomes true when the user stops the suite.
    pub stop: watch::Receiver<bool>,
}

/// Runs cells, and reports each result as it ends, with its place in the list.
pub async fn run_cells(
    cells: &[Cell],
    orders: &RunnerOptions,
    mut ended: impl FnMut(usize, CellRecord) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let began = Instant::now();
    let mut waiting = cells.iter().cloned().enumerate();
    let mut running = JoinSet::new();
    loop {
        while running.len() < orders.jobs {
            let Some((place, cell)) = waiting.next() else { break };
            match skip_reason(&cell, began.elapsed(), orders) {
                Some((outcome, why)) => ended(place, skipped_cell(cell, outcome, why, orders))?,
                None => {
                    let orders = orders.clone();
                    running.spawn(async move { (place, run_cell(cell, &orders).await) });
                }
            }
        }
        match running.join_next().await {
            None => return Ok(()),
            Some(joined) => {
                let (place, record) = joined?;
                ended(place, record)?;
            }
        }
    }
}

/// Why a cell does not start.
fn skip_reason(
    cell: &Cell,
    elapsed: Duration,
    orders: &RunnerOptions,
) -> Option<(Outcome, String)> {
    if *orders.stop.borrow() {
        return Some((Outcome::Interrupted, "the suite was stopped before this cell".into()));
    }
    let budget = orders.budget?;
    let late = elapsed + Duration::from_millis(cell.limit_ms) > budget;
    late.then(|| {
        let why = format!("the budget of {} s was spent before this cell", budget.as_secs());
        (Outcome::NotRun, why)
    })
}

fn skipped_cell(
    cell: Cell,
    outcome: Outcome,
    sentence: String,
    orders: &RunnerOptions,
) -> CellRecord {
    let repro = command_line(&orders.program_name, &cell.arguments);
    CellRecord { cell, outcome, exit: None, sentence, took_ms: 0, run: None, repro }
}

/// The output and exit of a child.
struct ChildExit {
    status: std::io::Result<ExitStatus>,
    /// Whether it had to be ended from here.
    killed: bool,
    stdout: String,
    stderr: String,
}

/// Runs one cell to its end.
pub async fn run_cell(cell: Cell, orders: &RunnerOptions) -> CellRecord {
    let began = Instant::now();
    let ended = run_child(&cell, orders).await;
    let took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    let mut record =
        cell_result(skipped_cell(cell, Outcome::Crashed, String::new(), orders), ended);
    record.took_ms = took_ms;
    // A child that does not handle the interruption did not crash.
    if record.outcome == Outcome::Crashed && *orders.stop.borrow() {
        record.outcome = Outcome::Interrupted;
    }
    record
}

async fn run_child(cell: &Cell, orders: &RunnerOptions) -> std::io::Result<ChildExit> {
    let mut command = Command::new(&orders.program);
    // The threads of this program's runtime live as long as it does.
    die_with_parent(command.as_std_mut());
    let mut child = command
        .args(&cell.arguments)
        .args(["--format", "json", "--quiet"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let wait = wait_for_child(&mut child, cell, orders.stop.clone());
    let ((status, killed), stdout, stderr) = tokio::join!(wait, read_to_end(out), read_to_end(err));
    Ok(ChildExit { status, killed, stdout, stderr })
}

async fn read_to_end(pipe: Option<impl AsyncRead + Unpin>) -> String {
    let mut bytes = Vec::new();
    if let Some(pipe) = pipe {
        // What was read before a pipe broke is all there is.
        drop(pipe.take(MAX_OUTPUT).read_to_end(&mut bytes).await);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Waits for a child, as long as it may take, and passes on that it is to stop.
async fn wait_for_child(
    child: &mut Child,
    cell: &Cell,
    mut stop: watch::Receiver<bool>,
) -> (std::io::Result<ExitStatus>, bool) {
    let longest = Duration::from_millis(cell.limit_ms) + OVERHEAD;
    let told = async {
        if stop.wait_for(|stop| *stop).await.is_err() {
            // The sender is gone, so no interruption can follow.
            std::future::pending::<()>().await;
        }
    };
    let stopping = tokio::select! {
        status = child.wait() => return (status, false),
        () = tokio::time::sleep(longest) => false,
        () = told => true,
    };
    if stopping {
        interrupt_child(child);
        if let Ok(status) = tokio::time::timeout(STOP_TIMEOUT, child.wait()).await {
            return (status, false);
        }
    }
    // If it is gone by now, so much the better.
    drop(child.start_kill());
    (child.wait().await, true)
}

fn interrupt_child(child: &Child) {
    if let Some(pid) = child.id().and_then(|pid| i32::try_from(pid).ok()) {
        // If it is gone by now, so much the better.
        let _ = kill(Pid::from_raw(pid), Signal::SIGINT);
    }
}

/// The result of a cell from the exit and the output of its child.
fn cell_result(mut record: CellRecord, ended: std::io::Result<ChildExit>) -> CellRecord {
    let ended = match ended {
        Ok(ended) => ended,
        Err(error) => {
            record.outcome = Outcome::Infra;
            record.sentence = format!("cannot start this program again: {error}");
            return record;
        }
    };
    record.exit = ended.status.as_ref().ok().and_then(ExitStatus::code);
    record.outcome = Outcome::from_exit_code(record.exit, record.cell.expect);
    let json: Option<serde_json::Value> = serde_json::from_str(&ended.stdout).ok();
    let text = |key: &str| json.as_ref()?.get(key)?.as_str().map(str::to_owned);
    record.run = text("results");
    record.repro = text("repro").unwrap_or(record.repro);
    record.sentence = match (&ended, record.exit, record.cell.expect) {
        (ChildExit { killed: true, .. }, ..) => {
            "the run exceeded its time and was killed".to_owned()
        }
        (_, Some(0), Expectation::Invalid) => {
            "a seeded bug was missed: the run was judged valid".to_owned()
        }
        _ => text("sentence")
            .or_else(|| Some(json.as_ref()?["found"]["sentence"].as_str()?.to_owned()))
            .unwrap_or_else(|| last_output_line(&ended)),
    };
    record
}

/// The last line that a child printed before it exited without a verdict.
fn last_output_line(ended: &ChildExit) -> String {
    let mut lines = ended.stderr.lines().rev().chain(ended.stdout.lines());
    let line = lines.find(|line| !line.trim().is_empty()).map(|line| line.trim().to_owned());
    match (&ended.status, line) {
        (Ok(status), Some(line)) if status.code().is_some() => line,
        (Ok(status), line) => format!("{status}; {}", line.unwrap_or("no output".to_owned())),
        (Err(error), _) => format!("its exit status is unknown: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use records::suite::sample;
    use report::shell_quote;

    /// Runs shell scripts as cells; this program's own part is that of an argument to a script.
    async fn run_scripts(
        scripts: &[&str],
        orders: impl FnOnce(&mut RunnerOptions),
    ) -> Vec<CellRecord> {
        let cell = |script: &&str| Cell {
            arguments: vec!["-c".into(), (*script).to_owned()],
            ..sample::sample_cell(Outcome::Passed).cell
        };
        let cells: Vec<Cell> = scripts.iter().map(cell).collect();
        let (_keep, stop) = watch::channel(false);
        let program = PathBuf::from("/bin/sh");
        let mut how =
            RunnerOptions { program, program_name: "sh".into(), jobs: 2, budget: None, stop };
        orders(&mut how);
        let mut records = vec![None; cells.len()];
        let ended = |place: usize, record| {
            records[place] = Some(record);
            Ok(())
        };
        run_cells(&cells, &how, ended).await.expect("all end");
        records.into_iter().map(|record| record.expect("each cell ends")).collect()
    }

    #[tokio::test]
    async fn maps_each_exit_to_an_outcome() {
        let records = run_scripts(
            &[
                r#"echo '{"sentence":"all is well","results":"r/1","repro":"again"}'"#,
                r#"echo '{"sentence":"it lied"}'; exit 1"#,
                "echo 'harness: no namespaces here' >&2; exit 3",
                "kill -9 $$",
                "exit 255",
            ],
            |_| (),
        )
        .await;
        let outcomes: Vec<_> = records.iter().map(|record| record.outcome).collect();
        assert_eq!(
            outcomes,
            [Outcome::Passed, Outcome::Finding, Outcome::Infra, Outcome::Crashed, Outcome::Crashed]
        );
        let sentences: Vec<_> = records.iter().map(|record| record.sentence.as_str()).collect();
        assert_eq!(sentences[..3], ["all is well", "it lied", "harness: no namespaces here"]);
        assert!(sentences[3].contains("signal: 9"), "{sentences:?}");
        assert_eq!(records[0].run.as_deref(), Some("r/1"));
        assert_eq!(
            (records[0].repro.as_str(), records[4].repro.as_str()),
            ("again", "sh -c 'exit 255'")
        );
    }

    #[tokio::test]
    async fn a_spent_budget_skips_cells() {
        let budget = Some(Duration::from_secs(1));
        let records = run_scripts(&["exit 0"], |orders| orders.budget = budget).await;
        assert_eq!(records[0].outcome, Outcome::NotRun);
    }

    #[tokio::test]
    async fn an_interruption_reaches_children_and_starts_no_more() {
        let (stop_in, stop) = watch::channel(false);
        let folder = tempfile::tempdir().expect("a directory");
        let ready = ["gentle", "plain"].map(|name| folder.path().join(name));
        // A background process ignores SIGINT, and a shell cannot undo that by itself.
        let hears = |script: String| {
            format!("exec env --default-signal=INT sh -c {}", shell_quote(&script))
        };
        let [gentle, plain] = ready.each_ref().map(|file| file.display().to_string());
        let gentle =
            hears(format!("trap 'exit 130' INT; : > {gentle}; while :; do sleep 0.05; done"));
        let plain = hears(format!(": > {plain}; exec sleep 9"));
        tokio::spawn(async move {
            // Not before both can hear of it, however busy the machine is.
            while !ready.iter().all(|file| file.exists()) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            stop_in.send_replace(true);
            std::future::pending::<()>().await;
        });
        let records = run_scripts(&[&gentle, &plain, "exit 0"], |orders| {
            orders.stop = stop;
        })
        .await;
        let outcomes: Vec<_> = records.iter().map(|record| record.outcome).collect();
        assert_eq!(outcomes, [Outcome::Interrupted; 3]);
        let exits: Vec<_> = records.iter().map(|record| record.exit).collect();
        assert_eq!(exits, [Some(130), None, None]);
    }
}
