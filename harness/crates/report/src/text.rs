//! Renders the end of a run for a terminal: the verdict first, then why, then what to type next.

use super::phrase;
use super::phrase::{count_noun, escape_controls, format_span};
use super::run::{Run, further_reasons};
use super::style::Style;
use records::record::{
    CheckRecord, Config, FaultRecord, FaultState, Validity, VerdictRecord, Witness,
};

/// The most faults listed; `verdict.json` and `report.html` have all of them.
const FAULTS: usize = 12;

/// How many of the last log lines of an exited replica are shown.
const LOG: usize = 5;

/// Renders the summary of a finished run for the terminal.
pub fn text(run: &Run<'_>, style: Style) -> String {
    let verdict = run.verdict;
    let mut lines = verdict_lines(verdict, style);
    for check in &verdict.checks {
        lines.extend(witness_lines(verdict, check, style));
        lines.extend(finding_lines(check, style));
    }
    lines.push(String::new());
    lines.extend(operation_lines(verdict, style));
    lines.extend(fault_lines(&verdict.faults, &run.record.config, style));
    lines.extend(coverage_lines(verdict, style));
    lines.extend(death_lines(verdict, style));
    lines.push(String::new());
    lines.extend(closing_lines(run, style));
    lines.join("\n") + "\n"
}

/// The verdict, then every other reason against *valid*.
fn verdict_lines(verdict: &VerdictRecord, style: Style) -> Vec<String> {
    let word = verdict.validity.name().to_ascii_uppercase();
    let badge = format!("{} {word}:", style.mark(verdict.validity));
    let mut lines = vec![format!(
        "{} {}",
        style.verdict(verdict.validity, &badge),
        escape_controls(&verdict.sentence)
    )];
    if verdict.interrupted {
        lines.push("  interrupted: the verdict covers only the part that ran".to_owned());
    }
    if let Some(early) = &verdict.stopped_early {
        lines.push(format!("  stopped early {}", escape_controls(early)));
    }
    if !verdict.bugs.is_empty() {
        lines.push(format!("  seeded bugs enabled: {}", escape_controls(&verdict.bugs.join(", "))));
    }
    let others = further_reasons(verdict);
    lines.extend(others.map(|reason| {
        let mark = style.verdict(reason.validity, style.mark(reason.validity));
        format!("  {mark} {}", escape_controls(&reason.text))
    }));
    lines.extend(
        verdict.not_asked.iter().map(|what| format!("  not checked: {}", escape_controls(what))),
    );
    lines
}

/// The minimal operations that prove a violation, if the check found some.
fn witness_lines(verdict: &VerdictRecord, check: &CheckRecord, style: Style) -> Vec<String> {
    let Some(witness) = &check.witness else { return Vec::new() };
    let key = witness.key.as_ref().map(|key| format!(", key {}", escape_controls(key)));
    let mut lines = vec![String::new()];
    if check.sentence != verdict.sentence {
        lines.push(format!("  {}", escape_controls(&check.sentence)));
    }
    lines.push(format!(
        "  The operations that prove it{}; {} marks the answer that no order explains:",
        key.unwrap_or_default(),
        style.mark(Validity::Invalid)
    ));
    lines.push(String::new());
    lines.extend(
        style.lanes(&escape_controls(&witness.lanes)).lines().map(|line| format!("    {line}")),
    );
    lines.push(String::new());
    let dead_end = phrase::explain_dead_end(&witness.states_after);
    lines.extend(dead_end.iter().map(|line| format!("  {}", escape_controls(line))));
    lines.extend(candidate_lines(witness, style));
    lines
}

/// Findings without a window of operations: one example of each kind.
fn finding_lines(check: &CheckRecord, style: Style) -> Vec<String> {
    let mark = style.verdict(Validity::Invalid, style.mark(Validity::Invalid));
    let mut lines = Vec::new();
    for finding in &check.findings {
        let times =
            if finding.count > 1 { format!(" ({} times)", finding.count) } else { String::new() };
        lines.push(String::new());
        lines.push(format!(
            "  {mark} {}{times}: {}",
            finding.name,
            escape_controls(&finding.sentence)
        ));
        lines.extend(finding.steps.iter().map(|step| format!("      {}", escape_controls(step))));
    }
    lines
}

fn candidate_lines(witness: &Witness, style: Style) -> Vec<String> {
    let lines = witness.candidates.iter().map(|candidate| {
        let mark = style.verdict(Validity::Invalid, style.mark(Validity::Invalid));
        format!(
            "    {mark} {}: {}",
            escape_controls(&candidate.operation),
            escape_controls(&candidate.reason)
        )
    });
    lines.collect()
}

fn operation_lines(verdict: &VerdictRecord, style: Style) -> Vec<String> {
    let total = verdict.counts.sum_outcomes();
    let mut outcomes = format!("{} ok, {} fail, {} info", total.ok, total.fail, total.info);
    if verdict.counts.missed > 0 {
        outcomes += &format!(", {} skipped: all clients busy", verdict.counts.missed);
    }
    let mut lines = vec![labelled_row(style, "operations", &outcomes)];
    if total.ok > 0 {
        lines.push(labelled_row(style, "latency", &phrase::format_latency(&verdict.latency)));
    }
    let measured = verdict.checks.iter().flat_map(super::measured::measured_lines);
    lines.extend(measured.map(|line| labelled_row(style, "measured", &escape_controls(&line))));
    lines
}

/// The injected faults: how many were confirmed, then each fault.
fn fault_lines(faults: &[FaultRecord], config: &Config, style: Style) -> Vec<String> {
    if faults.is_empty() {
        return vec![labelled_row(style, "faults", "none")];
    }
    let summary =
        format!("{}; {}", phrase::summarize_faults(faults), phrase::describe_pace(config));
    let mut lines = vec![labelled_row(style, "faults", &escape_controls(&summary))];
    lines.extend(align_columns(faults.iter().take(FAULTS).map(fault_cells).collect()));
    if faults.len() > FAULTS {
        let rest = count_noun(faults.len() - FAULTS, "more fault");
        lines.push(format!("    {rest} in verdict.json and report.html"));
    }
    lines
}

/// The operations that ran during faults, one line per kind of fault.
fn coverage_lines(verdict: &VerdictRecord, style: Style) -> Vec<String> {
    let kinds = phrase::coverage_rows(&verdict.coverage);
    if kinds.is_empty() {
        return Vec::new();
    }
    let mut lines =
        vec![labelled_row(style, "coverage", "operations that overlapped a confirmed fault")];
    lines.extend(align_columns(
        kinds.iter().map(|row| row.each_ref().map(|it| escape_controls(it)).into()).collect(),
    ));
    lines
}

/// A fault as the cells of a table row.
fn fault_cells(fault: &FaultRecord) -> Vec<String> {
    let when = fault.started.map_or("-".to_owned(), |started| format_span(started, fault.ended));
    let seen = match fault.state {
        FaultState::Witnessed => escape_controls(&fault.evidence),
        FaultState::Unwitnessed => format!("NOT CONFIRMED: {}", escape_controls(&fault.evidence)),
        FaultState::Skipped => format!("skipped: {}", escape_controls(&fault.evidence)),
    };
    vec![
        format!("#{}", fault.id),
        escape_controls(&phrase::fault_name(fault)),
        escape_controls(&fault.target),
        when,
        seen,
    ]
}

/// Pads each column to its widest cell.
fn align_columns(rows: Vec<Vec<String>>) -> Vec<String> {
    let width = |column: usize| {
        rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default()
    };
    let lines = rows.iter().map(|row| {
        let cells = row.iter().enumerate().map(|(at, cell)| format!("{cell:<0$}", width(at)));
        format!("    {}", cells.collect::<Vec<_>>().join("  ")).trim_end().to_owned()
    });
    lines.collect()
}

fn death_lines(verdict: &VerdictRecord, style: Style) -> Vec<String> {
    let mut lines = Vec::new();
    for death in &verdict.deaths {
        let words = format!(
            "{} exited unexpectedly: {}",
            escape_controls(&death.replica),
            escape_controls(&death.how)
        );
        lines.push(labelled_row(style, "death", &words));
        let from = death.log.len().saturating_sub(LOG);
        lines.extend(
            death.log[from..].iter().map(|line| format!("    | {}", escape_controls(line))),
        );
    }
    lines
}

/// Where the results are, how to repeat the run, and the next command.
fn closing_lines(run: &Run<'_>, style: Style) -> Vec<String> {
    let directory = run.directory.trim_end_matches('/');
    let repro = format!(
        "{}   {}",
        escape_controls(&run.record.repro),
        style.dim_text("# same plan; real interleavings differ")
    );
    let drawn = &run.record.drawn;
    let drawn = (!drawn.is_empty())
        .then(|| labelled_row(style, "drawn:", &escape_controls(&drawn.join(" "))));
    let mut lines: Vec<String> = drawn.into_iter().collect();
    lines.extend([
        labelled_row(style, "results:", &escape_controls(&format!("{directory}/"))),
        labelled_row(
            style,
            "report:",
            &escape_controls(&shell_quote(&format!("{directory}/report.html"))),
        ),
        labelled_row(style, "repro:", &repro),
        labelled_row(style, "next:", &escape_controls(&next_command(run, directory))),
    ]);
    lines
}

/// The most useful next command: check the proof again, or open the report.
fn next_command(run: &Run<'_>, directory: &str) -> String {
    let proven = run.verdict.checks.iter().zip(run.check_names).find_map(|(check, name)| {
        let witness = check.witness.as_ref().map(|witness| format!("{directory}/{}", witness.file));
        let found = (!check.findings.is_empty()).then(|| directory.to_owned());
        Some((witness.or(found)?, name))
    });
    match proven {
        Some((file, name)) => {
            let harness = shell_quote(run.record.argv.first().map_or("harness", String::as_str));
            format!("{harness} check {} --model {name}", shell_quote(&file))
        }
        None => format!("open {} in a browser", shell_quote(&format!("{directory}/report.html"))),
    }
}

/// Quotes a word for a POSIX shell, if it needs quotes.
pub fn shell_quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+,:=".contains(c);
    // At the start of a word zsh replaces `=ls` by the path of `ls`.
    if word.chars().all(plain) && !word.is_empty() && !word.starts_with('=') {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

fn labelled_row(style: Style, head: &str, words: &str) -> String {
    format!("{} {words}", style.dim_text(&format!("{head:<11}")))
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;
    use records::record::{KindCoverage, OutcomeCounts};

    fn plain(sample: &sample::Sample) -> String {
        text(&sample.run(), Style { unicode: true, ..Style::PLAIN })
    }

    #[test]
    fn prints_the_proof_of_an_invalid_run() {
        insta::assert_snapshot!(plain(&sample::invalid(500)), @r#"
        ✗ INVALID: client 7 read 4 from n2, but write 5 had already completed
          seeded bugs enabled: stale-reads

          The operations that prove it, key "k3"; ✗ marks the answer that no order explains:

            key "k3", before: 4
                w 5 ok
            c2  ├───────┤
                            ✗ r 4 ok
            c7              ├────────┤
                      cas [1 2] ?
            c9        ├╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌

          No order explains it. After the longest consistent prefix the state is 5;
          no remaining operation can come next:
            ✗ read by client 7: it read 4, but the register holds 5
            ✗ cas 1 -> 2 by client 9: it needs 1, but the register holds 5

        operations  470 ok, 16 fail, 14 info, 3 skipped: all clients busy
        latency     p50 1.2 ms, p95 3.9 ms, p99 48 ms, max 2.0 s
        faults      5 faults: 4 confirmed, 1 skipped; pace calm
            #1  partition:halves  n1 n2 | n3 n4 n5  3.0-7.0 s    412 packets dropped
            #2  kill:leader       n3                10.0-13.0 s  n3 did not answer for 2.9 s
            #3  pause:leader      n2                16.0-18.0 s  n2 did not answer for 2.9 s
            #4  partition:leader  n2 | n1 n3 n4 n5  21.0-25.0 s  412 packets dropped
            #5  pause:leader      -                 -            skipped: no leader
        death       n4 exited unexpectedly: exit code 101
            | term 9: became follower
            | thread 'main' panicked: log has a gap at 812

        results:    results/raft-register/42/
        report:     results/raft-register/42/report.html
        repro:      harness test --seed 42   # same plan; real interleavings differ
        next:       harness check results/raft-register/42/window.jsonl --model cas-register
        "#);
    }

    #[test]
    fn points_to_the_report_of_a_valid_run() {
        let told = plain(&sample::valid(500));
        let (verdict, rest) = told.split_once("\n\n").expect("a blank line after the verdict");
        let expected = "\u{2713} VALID: 5 replicas of raft behaved like one copy through 5 faults.";
        assert_eq!(verdict, expected);
        let next = "next:       open results/raft-register/42/report.html in a browser\n";
        assert!(rest.starts_with("operations  470 ok") && rest.ends_with(next), "{rest}");
    }

    #[test]
    fn explains_an_unknown_verdict() {
        insta::assert_snapshot!(plain(&sample::unknown(40)), @r"
        ? UNKNOWN: no violation found, but the run was interrupted and 1 fault was not confirmed.
          interrupted: the verdict covers only the part that ran
          ? fault #2 was applied, but no evidence confirms that it took effect
          ? only 41 operations succeeded: too few to judge

        operations  37 ok, 0 fail, 3 info, 3 skipped: all clients busy
        latency     p50 1.2 ms, p95 3.9 ms, p99 48 ms, max 2.0 s
        faults      5 faults: 3 confirmed, 1 not confirmed, 1 skipped; pace calm
            #1  partition:halves  n1 n2 | n3 n4 n5  3.0-7.0 s          412 packets dropped
            #2  kill:leader       n3                10.0-13.0 s        NOT CONFIRMED: it answered
            #3  pause:leader      n2                16.0-18.0 s        n2 did not answer for 2.9 s
            #4  partition:leader  n2 | n1 n3 n4 n5  21.0 s to the end  412 packets dropped
            #5  pause:leader      -                 -                  skipped: no leader

        results:    results/raft-register/42/
        report:     results/raft-register/42/report.html
        repro:      harness test --seed 42   # same plan; real interleavings differ
        next:       open results/raft-register/42/report.html in a browser
        ");
    }

    #[test]
    fn lists_coverage_by_kind_of_fault() {
        let mut sample = sample::valid(0);
        let met = |ok| OutcomeCounts { ok, fail: 0, info: 1 };
        let operations = [("cas", met(2)), ("read", met(7))].map(|(f, n)| (f.to_owned(), n)).into();
        let kill = KindCoverage { witnessed: 2, operations, leader_hit: 1, elections: 3 };
        sample.verdict.coverage.kinds.insert("kill".to_owned(), kill);
        let told = plain(&sample);
        assert!(
            told.contains("    kill  2 faults  3 cas, 8 read  leader hit 1x, 3 elections"),
            "{told}"
        );
    }

    #[test]
    fn prints_a_run_without_operations() {
        let mut sample = sample::valid(0);
        sample.verdict.faults.clear();
        assert!(plain(&sample).contains("0 ok, 0 fail, 0 info"));
    }

    #[test]
    fn escapes_terminal_controls() {
        let shown = plain(&sample::hostile("\x1b]0;owned\x07\r\u{202e}"));
        let steers = |c: char| c != '\n' && (c.is_control() || c == '\u{202e}');
        assert!(!shown.contains(steers), "{shown:?}");
    }

    #[test]
    fn prints_the_same_text_with_and_without_colour() {
        let sample = sample::invalid(50);
        let coloured = text(&sample.run(), Style { colour: true, unicode: true, terminal: true });
        let mut bare = coloured.clone();
        for code in ["\x1b[1;31m", "\x1b[2m", "\x1b[0m"] {
            bare = bare.replace(code, "");
        }
        assert_ne!(coloured, bare);
        assert_eq!(bare, plain(&sample));
    }

    #[test]
    fn quotes_a_path_only_if_a_shell_would_split_it() {
        assert_eq!(shell_quote("results/a-b/2026_1.2+3,4"), "results/a-b/2026_1.2+3,4");
        assert_eq!(shell_quote("my results/it's"), r"'my results/it'\''s'");
        assert_eq!(shell_quote("--node-arg=--groups"), "--node-arg=--groups");
        assert_eq!((shell_quote("=ls"), shell_quote("")), ("'=ls'".to_owned(), "''".to_owned()));
    }
}
