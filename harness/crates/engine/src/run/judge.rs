//! Computes the verdict: runs the workload's checks within a budget, and collects objections.

use super::dispatcher::DispatcherResults;
use super::online_check::EarlyViolation;
use super::plan::Plan;
use crate::evidence::{Facts, collect_objections, measure_coverage, unchecked_properties};
use crate::nemesis::UnexpectedExit;
use anyhow::Result;
use checker::history::Value;
use checker::{History, Limits, Verdict, Window};
use records::RunDirectory;
use records::record::{
    Candidate, CheckRecord, Config, DependencyEdge, FORMAT, Finding, PrefixOperation, Reason,
    RunRecord, Validity, VerdictRecord, Witness,
};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use workloads::ReadConsistency;

/// The time limit of the checks.
const CHECK_TIMEOUT: Duration = Duration::from_secs(120);
/// The memory limit of the checks.
const MEMORY_BYTES: usize = 2 << 30;
/// The width of drawings of operations, in columns.
const LANES_WIDTH: usize = 100;

/// The names of the checks of a run with this configuration, as `harness check --model` takes them.
pub fn check_names(config: &Config) -> &'static [&'static str] {
    let consistency = ReadConsistency::parse(&config.read).unwrap_or_default();
    workloads::find_workload(&config.workload)
        .map_or(&[], |workload| workload.check_names(consistency))
}

/// The results of the phases.
pub(crate) struct Phases {
    /// When the main phase ended, in nanoseconds since the run began.
    pub main_end: u64,
    /// The error of the nemesis while it applied faults.
    pub nemesis_error: Option<String>,
    /// The error of the nemesis while it healed faults.
    pub heal_error: Option<String>,
    /// How replicas violated the protocol of messages that the harness routes for them.
    pub protocol_error: Option<String>,
    /// Per host: whether a recovery call was left unanswered.
    pub recovery: Option<Vec<bool>>,
    /// Per host: whether a final read was left unanswered.
    pub final_reads: Option<Vec<bool>>,
    /// Whether the user stopped the run before its end.
    pub interrupted: bool,
    /// When a violation stopped the main phase, and which.
    pub(crate) stopped_early: Option<(Duration, EarlyViolation)>,
}

/// Checks the history with the workload's checks.
///
/// An interruption stops the checks; their results so far count.
pub(crate) fn run_checks(
    plan: &Plan,
    history: &History,
    stop: &watch::Receiver<bool>,
) -> Vec<Verdict> {
    let deadline = Instant::now() + CHECK_TIMEOUT;
    let was_stopped = *stop.borrow();
    let jobs = std::thread::available_parallelism().map_or(1, usize::from);
    let expired = move || Instant::now() > deadline || (*stop.borrow() && !was_stopped);
    let limits =
        Limits { jobs, memory_bytes: MEMORY_BYTES, expired: &expired, ..Limits::default() };
    plan.workload.check_history(history, &limits, plan.consistency)
}

/// Writes each witness as a history of its own, and returns the checks as they are recorded.
pub(crate) fn record_checks(
    verdicts: &[Verdict],
    directory: &RunDirectory,
) -> Result<Vec<CheckRecord>> {
    let mut records = Vec::new();
    for (verdict, number) in verdicts.iter().zip(1..) {
        let file =
            if number == 1 { "window.jsonl".to_owned() } else { format!("window-{number}.jsonl") };
        if let Some(window) = &verdict.witness {
            directory.write_file(&file, &window.to_jsonl())?;
        }
        records.push(CheckRecord {
            name: verdict.check.clone(),
            validity: record_validity(verdict.validity),
            sentence: verdict.message.clone(),
            witness: verdict.witness.as_ref().map(|window| witness_record(window, file)),
            findings: verdict.findings.iter().map(finding_record).collect(),
            measured: convert_measurements(verdict)?,
        });
    }
    Ok(records)
}

/// The verdict of a check as records name it.
pub fn record_validity(validity: checker::Validity) -> Validity {
    match validity {
        checker::Validity::Valid => Validity::Valid,
        checker::Validity::Unknown => Validity::Unknown,
        checker::Validity::Invalid => Validity::Invalid,
    }
}

fn witness_record(window: &Window, file: String) -> Witness {
    let index = |place: usize| window.operations[place].invoked.index;
    let candidate = |candidate: &checker::window::Candidate| Candidate {
        index: Some(index(candidate.operation)),
        operation: window.name(candidate.operation),
        reason: candidate.reason.clone(),
    };
    let placed = |(place, before): (&usize, &Vec<Value>)| PrefixOperation {
        index: index(*place),
        operation: window.name(*place),
        before: state_texts(before),
    };
    Witness {
        key: window.key.as_ref().map(ToString::to_string),
        entry_states: state_texts(&window.entry_states),
        states_after: state_texts(&window.states_after),
        lanes: checker::linear::lanes::render(window, LANES_WIDTH),
        operations: (0..window.operations.len()).map(index).collect(),
        accused: Some(index(window.accused)),
        order: window.legal_prefix.iter().zip(&window.states_along).map(placed).collect(),
        candidates: window.candidates.iter().map(candidate).collect(),
        file,
        case: window.to_jsonl(),
    }
}

fn state_texts(states: &[Value]) -> Vec<String> {
    states.iter().map(ToString::to_string).collect()
}

fn finding_record(finding: &checker::finding::Finding) -> Finding {
    let arrow = |step: &checker::finding::Step| DependencyEdge {
        from: step.from,
        to: step.to,
        relation: step.relation.clone(),
    };
    Finding {
        name: finding.name.clone(),
        count: finding.count,
        sentence: finding.message.clone(),
        steps: finding.steps.iter().map(|step| step.message.clone()).collect(),
        arrows: finding.steps.iter().map(arrow).collect(),
        operations: finding.operations.clone(),
    }
}

fn convert_measurements(verdict: &Verdict) -> Result<BTreeMap<String, serde_json::Value>> {
    let json = |(name, value): (&String, &Value)| Ok((name.clone(), serde_json::to_value(value)?));
    verdict.measured.iter().map(json).collect()
}

/// The results of all checks.
pub(crate) struct RunChecks {
    /// Those of the workload, on the history.
    pub history: Vec<CheckRecord>,
    /// Those on what the replicas wrote and reported, which decide no consistency.
    pub invariants: Vec<CheckRecord>,
}

/// The verdict on a run.
pub(crate) fn make_verdict(
    plan: &Plan,
    closed: &DispatcherResults,
    history: &History,
    checks: RunChecks,
    phases: Phases,
) -> VerdictRecord {
    let RunChecks { history: own, invariants } = checks;
    let checks = [own.as_slice(), &invariants].concat();
    let of = |doubtful: bool| {
        let such = closed.exits.iter().filter(move |exit| exit.disk_was_corrupt == doubtful);
        such.map(UnexpectedExit::to_record).collect::<Vec<_>>()
    };
    let early = phases.stopped_early.as_ref();
    let names = plan.workload.check_names(plan.consistency);
    let reasons = collect_objections(&Facts {
        history,
        checks: &checks,
        faults: &closed.faults,
        deaths: &of(false),
        doubtful: &of(true),
        kinds: plan.requested.iter().map(|wanted| wanted.nemesis.name()).collect(),
        functions: plan.workload.function_names(),
        main_end: phases.main_end,
        nemesis_error: phases.nemesis_error,
        heal_error: phases.heal_error,
        protocol_error: phases.protocol_error,
        recovery: phases.recovery,
        final_reads: phases.final_reads,
        interrupted: phases.interrupted,
        unconfirmed: early.and_then(|(_, violation)| violation.unconfirmed(names, &checks)),
        no_failover_reason: plan.system.no_failover_reason(),
    });
    let validity = reasons.iter().map(|reason| reason.validity).max().unwrap_or(Validity::Valid);
    VerdictRecord {
        schema_version: FORMAT,
        format: FORMAT,
        validity,
        exit: exit_code(validity, phases.interrupted),
        interrupted: phases.interrupted,
        stopped_early: early.map(|(after, violation)| {
            let (after, what) = (after.as_secs_f64(), &violation.message);
            format!("after {after:.1} s by --fail-fast: {what}")
        }),
        bugs: plan.config.bugs.clone(),
        sentence: summarize_verdict(plan, validity, &reasons, &own),
        reasons,
        not_asked: unchecked_properties(plan.system.no_failover_reason(), &closed.faults),
        checks,
        faults: closed.faults.clone(),
        counts: closed.counters.counts.clone(),
        latency: closed.counters.summarize_latency(),
        deaths: closed.exits.iter().map(UnexpectedExit::to_record).collect(),
        coverage: measure_coverage(history, &closed.faults, &closed.led),
        led: closed.led.clone(),
    }
}

/// Jepsen's exit codes.
fn exit_code(validity: Validity, interrupted: bool) -> u8 {
    match (interrupted, validity) {
        (true, _) => 130,
        (false, Validity::Valid) => 0,
        (false, Validity::Invalid) => 1,
        (false, Validity::Unknown) => 2,
    }
}

fn summarize_verdict(
    plan: &Plan,
    validity: Validity,
    reasons: &[Reason],
    checks: &[CheckRecord],
) -> String {
    let first = reasons.first().map_or("", |reason| reason.text.as_str());
    match validity {
        Validity::Valid => {
            let found: Vec<&str> = checks.iter().map(|check| check.sentence.as_str()).collect();
            let calm = if plan.requested.is_empty() { "; without faults" } else { "" };
            format!("{} passed: {}{calm}", plan.system.name(), found.join("; "))
        }
        Validity::Unknown => format!("no violation found, but validity is unproven: {first}"),
        Validity::Invalid => first.to_owned(),
    }
}

/// The line of the index about this run.
pub(crate) fn index_line(
    run: String,
    record: &RunRecord,
    verdict: &VerdictRecord,
) -> records::record::IndexLine {
    records::record::IndexLine {
        run,
        started: record.started.clone(),
        validity: verdict.validity,
        exit: verdict.exit,
        seed: record.config.seed,
        sentence: verdict.sentence.clone(),
        system: record.config.system.clone(),
        workload: record.config.workload.clone(),
        nemesis: record.config.schedule.clone().unwrap_or_else(|| record.config.nemesis.join(",")),
        nodes: record.config.nodes,
        bugs: record.config.bugs.clone(),
        ok: verdict.counts.sum_outcomes().ok,
        took_ms: record.timings.judged_ms.unwrap_or(0),
    }
}
