//! Runs cells as children of this program, so many at a time, until all have had their turn, the time is spent, or
//! somebody says stop.
//!
//! A child that does not end is ended; one that crashed is a cell that crashed. Being told to stop is passed on, so
//! that children heal, judge what there is, and keep their histories; none outlives this program, however it ends.

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

/// What a run may need besides its main phase: setup, recovery, final reads, judgement.
const BESIDES: Duration = Duration::from_secs(300);
/// How long a run that is told to stop may take to judge what there is.
const LAST_WORDS: Duration = Duration::from_secs(60);
/// The longest that is kept of what a child says.
const MOST: u64 = 64 << 20;

/// How cells are run.
#[derive(Clone)]
pub struct Orders {
    /// This program.
    pub program: PathBuf,
    /// How it is called in a command line that can be pasted.
    pub called: String,
    /// How many at a time.
    pub jobs: usize,
    /// No cell begins that could not be through its main phase by then.
    pub budget: Option<Duration>,
    /// Says when to stop.
    pub stop: watch::Receiver<bool>,
}

/// Runs cells, and hands over what became of each as it ends, with its place in the list.
pub async fn carry_out(
    cells: &[Cell],
    orders: &Orders,
    mut ended: impl FnMut(usize, CellRecord) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let began = Instant::now();
    let mut waiting = cells.iter().cloned().enumerate();
    let mut running = JoinSet::new();
    loop {
        while running.len() < orders.jobs {
            let Some((place, cell)) = waiting.next() else { break };
            match refusal(&cell, began.elapsed(), orders) {
                Some((outcome, why)) => ended(place, unrun(cell, outcome, why, orders))?,
                None => {
                    let orders = orders.clone();
                    running.spawn(async move { (place, run(cell, &orders).await) });
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

/// Why a cell does not get its turn.
fn refusal(cell: &Cell, elapsed: Duration, orders: &Orders) -> Option<(Outcome, String)> {
    if *orders.stop.borrow() {
        return Some((Outcome::Interrupted, "the suite was told to stop before its turn".into()));
    }
    let budget = orders.budget?;
    let late = elapsed + Duration::from_millis(cell.limit_ms) > budget;
    late.then(|| {
        let why = format!("the budget of {} s was spent before its turn", budget.as_secs());
        (Outcome::NotRun, why)
    })
}

fn unrun(cell: Cell, outcome: Outcome, sentence: String, orders: &Orders) -> CellRecord {
    let repro = command_line(&orders.called, &cell.arguments);
    CellRecord { cell, outcome, exit: None, sentence, took_ms: 0, run: None, repro }
}

/// What a child said and how it ended.
struct Ended {
    status: std::io::Result<ExitStatus>,
    /// Whether it had to be ended from here.
    killed: bool,
    stdout: String,
    stderr: String,
}

async fn run(cell: Cell, orders: &Orders) -> CellRecord {
    let began = Instant::now();
    let ended = live(&cell, orders).await;
    let took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    let mut record = told(unrun(cell, Outcome::Crashed, String::new(), orders), ended);
    record.took_ms = took_ms;
    // A child that does not know how to stop gently is no crash when it was told to.
    if record.outcome == Outcome::Crashed && *orders.stop.borrow() {
        record.outcome = Outcome::Interrupted;
    }
    record
}

async fn live(cell: &Cell, orders: &Orders) -> std::io::Result<Ended> {
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
    let wait = wait(&mut child, cell, orders.stop.clone());
    let ((status, killed), stdout, stderr) = tokio::join!(wait, drained(out), drained(err));
    Ok(Ended { status, killed, stdout, stderr })
}

async fn drained(pipe: Option<impl AsyncRead + Unpin>) -> String {
    let mut bytes = Vec::new();
    if let Some(pipe) = pipe {
        // What was read before a pipe broke is all there is.
        drop(pipe.take(MOST).read_to_end(&mut bytes).await);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Waits for a child, as long as it may take, and passes on that it is to stop.
async fn wait(
    child: &mut Child,
    cell: &Cell,
    mut stop: watch::Receiver<bool>,
) -> (std::io::Result<ExitStatus>, bool) {
    let longest = Duration::from_millis(cell.limit_ms) + BESIDES;
    let told = async {
        if stop.wait_for(|stop| *stop).await.is_err() {
            // Nobody is left who could say so.
            std::future::pending::<()>().await;
        }
    };
    let stopping = tokio::select! {
        status = child.wait() => return (status, false),
        () = tokio::time::sleep(longest) => false,
        () = told => true,
    };
    if stopping {
        interrupt(child);
        if let Ok(status) = tokio::time::timeout(LAST_WORDS, child.wait()).await {
            return (status, false);
        }
    }
    // If it is gone by now, so much the better.
    drop(child.start_kill());
    (child.wait().await, true)
}

fn interrupt(child: &Child) {
    if let Some(pid) = child.id().and_then(|pid| i32::try_from(pid).ok()) {
        // If it is gone by now, so much the better.
        let _ = kill(Pid::from_raw(pid), Signal::SIGINT);
    }
}

/// What a child's exit and words say of its cell.
fn told(mut record: CellRecord, ended: std::io::Result<Ended>) -> CellRecord {
    let ended = match ended {
        Ok(ended) => ended,
        Err(error) => {
            record.outcome = Outcome::Infra;
            record.sentence = format!("this program cannot be started again: {error}");
            return record;
        }
    };
    record.exit = ended.status.as_ref().ok().and_then(ExitStatus::code);
    record.outcome = Outcome::of(record.exit, record.cell.expect);
    let json: Option<serde_json::Value> = serde_json::from_str(&ended.stdout).ok();
    let text = |key: &str| json.as_ref()?.get(key)?.as_str().map(str::to_owned);
    record.run = text("results");
    record.repro = text("repro").unwrap_or(record.repro);
    record.sentence = match (&ended, record.exit, record.cell.expect) {
        (Ended { killed: true, .. }, ..) => "it did not end and was killed".to_owned(),
        (_, Some(0), Expectation::Invalid) => {
            "a seeded bug went free: the run was judged valid".to_owned()
        }
        _ => text("sentence")
            .or_else(|| Some(json.as_ref()?["found"]["sentence"].as_str()?.to_owned()))
            .unwrap_or_else(|| last_words(&ended)),
    };
    record
}

/// The last thing that a child said before it went without a verdict.
fn last_words(ended: &Ended) -> String {
    let mut lines = ended.stderr.lines().rev().chain(ended.stdout.lines());
    let line = lines.find(|line| !line.trim().is_empty()).map(|line| line.trim().to_owned());
    match (&ended.status, line) {
        (Ok(status), Some(line)) if status.code().is_some() => line,
        (Ok(status), line) => format!("{status}; {}", line.unwrap_or("it said nothing".to_owned())),
        (Err(error), _) => format!("its end was missed: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use records::suite::sample;
    use report::quote;

    /// Runs shell scripts as cells; this program's own part is that of an argument to a script.
    async fn play(scripts: &[&str], orders: impl FnOnce(&mut Orders)) -> Vec<CellRecord> {
        let cell = |script: &&str| Cell {
            arguments: vec!["-c".into(), (*script).to_owned()],
            ..sample::cell(Outcome::Passed).cell
        };
        let cells: Vec<Cell> = scripts.iter().map(cell).collect();
        let (_keep, stop) = watch::channel(false);
        let program = PathBuf::from("/bin/sh");
        let mut how = Orders { program, called: "sh".into(), jobs: 2, budget: None, stop };
        orders(&mut how);
        let mut records = vec![None; cells.len()];
        let ended = |place: usize, record| {
            records[place] = Some(record);
            Ok(())
        };
        carry_out(&cells, &how, ended).await.expect("all end");
        records.into_iter().map(|record| record.expect("each cell ends")).collect()
    }

    #[tokio::test]
    async fn each_end_of_a_child_is_one_cell() {
        let records = play(
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
    async fn a_spent_budget_leaves_cells_unrun() {
        let budget = Some(Duration::from_secs(1));
        let records = play(&["exit 0"], |orders| orders.budget = budget).await;
        assert_eq!(records[0].outcome, Outcome::NotRun);
    }

    #[tokio::test]
    async fn being_told_to_stop_is_passed_on_and_nothing_new_begins() {
        let (stop_in, stop) = watch::channel(false);
        let folder = tempfile::tempdir().expect("a directory");
        let ready = ["gentle", "plain"].map(|name| folder.path().join(name));
        // Who is started in the background is born deaf to SIGINT, and a shell cannot hear again by itself.
        let hears =
            |script: String| format!("exec env --default-signal=INT sh -c {}", quote(&script));
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
        let records = play(&[&gentle, &plain, "exit 0"], |orders| {
            orders.stop = stop;
        })
        .await;
        let outcomes: Vec<_> = records.iter().map(|record| record.outcome).collect();
        assert_eq!(outcomes, [Outcome::Interrupted; 3]);
        let exits: Vec<_> = records.iter().map(|record| record.exit).collect();
        assert_eq!(exits, [Some(130), None, None]);
    }
}
