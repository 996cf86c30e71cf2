//! The result of a hunt as text for people. Pure.

use engine::hunt::estimate::NoveltyEstimate;
use engine::hunt::journal::{FindingLine, RegressionResult};
use engine::hunt::state::{FindingGroup, ValueCoverage};
use engine::hunt::summary::HuntRecord;
use report::escape_controls;

/// The most characters of a value in the table.
const MAX_VALUE: usize = 40;
/// With fewer uniformly drawn runs, an estimate says nothing.
const FEWEST_RUNS: u64 = 3;

/// The result of a hunt: findings, what was covered, and what is left to see.
pub(super) fn summary(record: &HuntRecord) -> String {
    let mut parts: Vec<String> = Vec::new();
    let (known, rest): (Vec<&RegressionResult>, Vec<&RegressionResult>) =
        record.regressions.iter().partition(|result| result.rate.hits > 0);
    if !record.regressions.is_empty() {
        let lines = known.iter().map(|result| describe_known(result));
        let head = format!("regressions: {} still fail, {} did not fail", known.len(), rest.len());
        parts.push(std::iter::once(head).chain(lines).collect::<Vec<_>>().join("\n"));
    }
    for (number, group) in (1..).zip(&record.findings) {
        parts.push(format!("finding {number}: {}", describe_group(group)));
    }
    parts.push(describe_coverage(&record.covered));
    parts.push(describe_totals(record));
    escape_controls(&parts.join("\n\n"))
}

fn describe_known(result: &RegressionResult) -> String {
    format!("  {}: {}", result.file, result.signature)
}

fn describe_group(group: &FindingGroup) -> String {
    match &group.details {
        Some(details) => describe_finding(group, details),
        None => {
            let run = group.directory.as_deref().unwrap_or("-");
            format!("{}\n  not confirmed yet; first seen in {run}", group.signature)
        }
    }
}

fn describe_finding(group: &FindingGroup, finding: &FindingLine) -> String {
    let FindingLine { sentence, rate, schedule, limit_ms, repro, report, regression, .. } = finding;
    let seconds = limit_ms.div_ceil(1_000);
    let smallest = match schedule.lines().count() {
        0 => format!("  without faults, within {seconds} s"),
        count => {
            let lines: String = schedule.lines().map(|line| format!("    {line}\n")).collect();
            let faults = count_noun(count as u64, "fault");
            format!("  {faults} in {seconds} s:\n{}", lines.trim_end())
        }
    };
    let again = match (rate.runs, rate.hits) {
        (0, _) => "not repeated".to_owned(),
        (_, 0) => format!("did not show again in {} runs", rate.runs),
        _ => format!("shows again in {rate}"),
    };
    let runs = group.runs;
    let others =
        if runs > 1 { format!("; {runs} runs of the hunt showed it") } else { String::new() };
    format!(
        "{sentence}\n{smallest}\n  {again}{others}\n  first after {} s, in run {}\n  \
         repro:      {repro}\n  report:     {report}\n  regression: {regression}",
        finding.found_ms / 1_000,
        finding.first_run + 1
    )
}

/// A table of the values that runs have played, and those of each axis that none has.
fn describe_coverage(covered: &[ValueCoverage]) -> String {
    let mut lines = vec![format!(
        "{:<14} {:<40} {:>5} {:>10} {:>10}",
        "covered", "", "runs", "new states", "violations"
    )];
    let name = |row: &ValueCoverage| match row.value.as_str() {
        "" => "(default)".to_owned(),
        value => value.chars().take(MAX_VALUE).collect(),
    };
    for axis in covered.chunk_by(|a, b| a.axis == b.axis) {
        let (played, left): (Vec<&ValueCoverage>, Vec<&ValueCoverage>) =
            axis.iter().partition(|row| row.runs > 0);
        for row in played {
            let (value, ValueCoverage { axis, runs, new_states, violations, .. }) =
                (name(row), row);
            lines.push(format!(
                "{axis:<14} {value:<40} {runs:>5} {new_states:>10} {violations:>10}"
            ));
        }
        let left: Vec<String> = left.into_iter().map(name).collect();
        if let (Some(first), false) = (axis.first(), left.is_empty()) {
            lines.push(format!("{:<14} not played: {}", first.axis, left.join("; ")));
        }
    }
    lines.join("\n")
}

fn describe_totals(record: &HuntRecord) -> String {
    let judged = record.judged_runs();
    let all: u64 = record.runs.values().sum();
    let outcomes: Vec<String> =
        record.runs.iter().map(|(outcome, count)| format!("{count} {outcome}")).collect();
    let outcomes =
        if outcomes.is_empty() { String::new() } else { format!(" ({})", outcomes.join(", ")) };
    let mut lines = vec![format!(
        "{}{outcomes} in {} s, {} states, {}",
        count_noun(all, "run"),
        record.spent_ms / 1_000,
        record.states,
        count_noun(record.findings.len() as u64, "finding")
    )];
    lines.push(describe_estimate(record.new_state.as_ref(), record.new_violation.as_ref()));
    if record.interrupted {
        lines.push("interrupted: the same command goes on".to_owned());
    } else if judged == 0 {
        lines.push("no run was judged, so nothing is known about the system".to_owned());
    }
    lines.push(format!("journal: {}/journal.jsonl", record.folder));
    lines.join("\n")
}

/// A number of things: `1 run`, `2 runs`.
fn count_noun(count: u64, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

/// What is left to see, in sentences.
fn describe_estimate(
    states: Option<&NoveltyEstimate>,
    violations: Option<&NoveltyEstimate>,
) -> String {
    let (Some(states), Some(violations)) = (states, violations) else {
        return "no estimate: no run that counts for it has ended".to_owned();
    };
    let runs = states.runs;
    if runs < FEWEST_RUNS {
        return format!("no estimate yet: only {runs} of the runs were drawn uniformly");
    }
    let percent = |share: f64| format!("{:.0}", share * 100.0);
    let (low, high) = states.interval;
    let (_, most) = violations.interval;
    let total = states.total.round() as u64;
    let of_total = if total > states.seen { format!("of about {total} ") } else { String::new() };
    format!(
        "The next run would show a new state with a chance of {} % ({} to {} %),\nand a new kind \
         of violation with a chance of at most {} %.\nEstimated from {runs} uniformly drawn \
         runs; {} {of_total}states were seen.",
        percent(states.chance),
        percent(low),
        percent(high),
        percent(most),
        states.seen
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::hunt::rate::Rate;
    use engine::hunt::signature::Signature;

    fn sample_group() -> FindingGroup {
        let signature = Signature {
            system: "raft".to_owned(),
            check: "linearizable".to_owned(),
            anomaly: "no order".to_owned(),
            shape: "it read # but the register held #".to_owned(),
        };
        let details = FindingLine {
            signature: signature.clone(),
            sentence: "key \"k2\": process 20 read 75\u{1b}".to_owned(),
            faults: vec!["kill".to_owned()],
            first_run: 6,
            found_ms: 71_000,
            repeated: Rate { hits: 3, runs: 5 },
            rate: Rate { hits: 4, runs: 5 },
            schedule: "at 1s kill leader for 1s\n".to_owned(),
            limit_ms: 4_000,
            trials: 12,
            repro: "harness test --schedule x.txt".to_owned(),
            report: "results/a/b/report.html".to_owned(),
            regression: "regressions/a.toml".to_owned(),
            spent_ms: 99_000,
        };
        FindingGroup {
            signature,
            runs: 2,
            first_run: 6,
            found_ms: 71_000,
            directory: Some("results/a/b".to_owned()),
            details: Some(details),
        }
    }

    fn sample_record() -> HuntRecord {
        let estimate = NoveltyEstimate {
            runs: 10,
            seen: 200,
            singletons: 30,
            doubletons: 20,
            total: 222.4,
            chance: 0.4,
            interval: (0.17, 0.69),
        };
        let row = |value: &str, runs| ValueCoverage {
            axis: "workload".to_owned(),
            value: value.to_owned(),
            runs,
            new_states: 17,
            violations: 2,
        };
        HuntRecord {
            format: 1,
            folder: "results/hunts/x".to_owned(),
            started: "2026-01-01T00:00:00Z".to_owned(),
            seed: 7,
            feedback: true,
            spent_ms: 600_000,
            exit: 1,
            interrupted: false,
            runs: [("finding", 2), ("passed", 48)].into(),
            states: 260,
            regressions: Vec::new(),
            findings: vec![sample_group()],
            covered: vec![row("append", 25), row("", 25), row("set", 0), row("wr", 0)],
            new_state: Some(estimate),
            new_violation: Some(NoveltyEstimate { interval: (0.0, 0.28), ..estimate }),
        }
    }

    #[test]
    fn tells_what_was_found_covered_and_left() {
        insta::assert_snapshot!(summary(&sample_record()), @r#"
        finding 1: key "k2": process 20 read 75\u{1b}
          1 fault in 4 s:
            at 1s kill leader for 1s
          shows again in 4 of 5 runs (38 to 96 %); 2 runs of the hunt showed it
          first after 71 s, in run 7
          repro:      harness test --schedule x.txt
          report:     results/a/b/report.html
          regression: regressions/a.toml

        covered                                                  runs new states violations
        workload       append                                      25         17          2
        workload       (default)                                   25         17          2
        workload       not played: set; wr

        50 runs (2 finding, 48 passed) in 600 s, 260 states, 1 finding
        The next run would show a new state with a chance of 40 % (17 to 69 %),
        and a new kind of violation with a chance of at most 28 %.
        Estimated from 10 uniformly drawn runs; 200 of about 222 states were seen.
        journal: results/hunts/x/journal.jsonl
        "#);
    }

    #[test]
    fn a_hunt_without_runs_claims_nothing() {
        let record = HuntRecord {
            runs: std::collections::BTreeMap::new(),
            findings: Vec::new(),
            new_state: None,
            new_violation: None,
            ..sample_record()
        };
        let text = summary(&record);
        assert!(text.contains("no estimate") && text.contains("nothing is known"), "{text}");
    }
}
