//! Renders the end of a run for a terminal: the verdict first, then why, then what to type next.

use super::phrase;
use super::phrase::{count, span, visible};
use super::run::{Run, further_reasons};
use super::style::Style;
use records::record::{CheckRecord, FaultRecord, FaultState, Validity, VerdictRecord, Witness};

/// As many faults as are listed before the rest is left to the files.
const FAULTS: usize = 12;

/// The last lines of a dead replica's log that are shown.
const LOG: usize = 5;

/// The end of a run.
pub fn text(run: &Run<'_>, style: Style) -> String {
    let verdict = run.verdict;
    let mut lines = headline(verdict, style);
    for check in &verdict.checks {
        lines.extend(proof(verdict, check, style));
        lines.extend(findings(check, style));
    }
    lines.push(String::new());
    lines.extend(operations(verdict, style));
    lines.extend(faults(&verdict.faults, style));
    lines.extend(coverage(verdict, style));
    lines.extend(deaths(verdict, style));
    lines.push(String::new());
    lines.extend(endings(run, style));
    lines.join("\n") + "\n"
}

/// The verdict, and whatever else stands against *valid*.
fn headline(verdict: &VerdictRecord, style: Style) -> Vec<String> {
    let word = verdict.validity.name().to_ascii_uppercase();
    let badge = format!("{} {word}:", style.mark(verdict.validity));
    let mut lines =
        vec![format!("{} {}", style.verdict(verdict.validity, &badge), visible(&verdict.sentence))];
    if verdict.interrupted {
        lines.push("  interrupted; this is about the part that ran".to_owned());
    }
    if let Some(early) = &verdict.stopped_early {
        lines.push(format!("  stopped early {}", visible(early)));
    }
    if !verdict.bugs.is_empty() {
        lines
            .push(format!("  with seeded bugs switched on: {}", visible(&verdict.bugs.join(", "))));
    }
    let others = further_reasons(verdict);
    lines.extend(others.map(|reason| {
        let mark = style.verdict(reason.validity, style.mark(reason.validity));
        format!("  {mark} {}", visible(&reason.text))
    }));
    lines.extend(verdict.not_asked.iter().map(|what| format!("  not asked: {}", visible(what))));
    lines
}

/// The few operations that prove a check's word, if it has any.
fn proof(verdict: &VerdictRecord, check: &CheckRecord, style: Style) -> Vec<String> {
    let Some(witness) = &check.witness else { return Vec::new() };
    let key = witness.key.as_ref().map(|key| format!(", key {}", visible(key)));
    let mut lines = vec![String::new()];
    if check.sentence != verdict.sentence {
        lines.push(format!("  {}", visible(&check.sentence)));
    }
    lines.push(format!(
        "  The operations that prove it{}; {} marks the answer that no order explains:",
        key.unwrap_or_default(),
        style.mark(Validity::Invalid)
    ));
    lines.push(String::new());
    lines.extend(style.lanes(&visible(&witness.lanes)).lines().map(|line| format!("    {line}")));
    lines.push(String::new());
    lines.push(format!("  {}", visible(&phrase::stuck(&witness.states_after))));
    lines.extend(candidates(witness, style));
    lines
}

/// What a check found that is no window, a case of each kind.
fn findings(check: &CheckRecord, style: Style) -> Vec<String> {
    let mark = style.verdict(Validity::Invalid, style.mark(Validity::Invalid));
    let mut lines = Vec::new();
    for finding in &check.findings {
        let times =
            if finding.count > 1 { format!(" ({} times)", finding.count) } else { String::new() };
        lines.push(String::new());
        lines.push(format!("  {mark} {}{times}: {}", finding.name, visible(&finding.sentence)));
        lines.extend(finding.steps.iter().map(|step| format!("      {}", visible(step))));
    }
    lines
}

fn candidates(witness: &Witness, style: Style) -> Vec<String> {
    let lines = witness.candidates.iter().map(|candidate| {
        let mark = style.verdict(Validity::Invalid, style.mark(Validity::Invalid));
        format!("    {mark} {}: {}", visible(&candidate.operation), visible(&candidate.reason))
    });
    lines.collect()
}

fn operations(verdict: &VerdictRecord, style: Style) -> Vec<String> {
    let total = verdict.counts.total();
    let outcomes = format!(
        "{} ok, {} fail, {} info, {} missed",
        total.ok, total.fail, total.info, verdict.counts.missed
    );
    let mut lines = vec![row(style, "operations", &outcomes)];
    if total.ok > 0 {
        lines.push(row(style, "latency", &phrase::latency(&verdict.latency)));
    }
    let measured = verdict.checks.iter().flat_map(super::measured::measured);
    lines.extend(measured.map(|line| row(style, "measured", &visible(&line))));
    lines
}

/// What went wrong on purpose: how much of it was seen, then each fault.
fn faults(faults: &[FaultRecord], style: Style) -> Vec<String> {
    if faults.is_empty() {
        return vec![row(style, "faults", "none")];
    }
    let mut lines = vec![row(style, "faults", &phrase::faults(faults))];
    lines.extend(columns(faults.iter().take(FAULTS).map(fault).collect()));
    if faults.len() > FAULTS {
        let rest = count(faults.len() - FAULTS, "more fault");
        lines.push(format!("    {rest} in verdict.json and report.html"));
    }
    lines
}

/// What the faults met, a line for each kind of fault.
fn coverage(verdict: &VerdictRecord, style: Style) -> Vec<String> {
    let kinds = phrase::coverage(&verdict.coverage);
    if kinds.is_empty() {
        return Vec::new();
    }
    let mut lines = vec![row(style, "coverage", "operations that overlapped a witnessed fault")];
    lines.extend(columns(
        kinds.iter().map(|row| row.each_ref().map(|it| visible(it)).into()).collect(),
    ));
    lines
}

/// A fault as cells of a table.
fn fault(fault: &FaultRecord) -> Vec<String> {
    let when = fault.started.map_or("-".to_owned(), |started| span(started, fault.ended));
    let seen = match fault.state {
        FaultState::Witnessed => visible(&fault.evidence),
        FaultState::Unwitnessed => format!("NOT WITNESSED: {}", visible(&fault.evidence)),
        FaultState::Skipped => format!("skipped: {}", visible(&fault.evidence)),
    };
    vec![
        format!("#{}", fault.id),
        visible(&phrase::fault(fault)),
        visible(&fault.target),
        when,
        seen,
    ]
}

/// Cells under each other, each column as wide as its widest cell.
fn columns(rows: Vec<Vec<String>>) -> Vec<String> {
    let width = |column: usize| {
        rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default()
    };
    let lines = rows.iter().map(|row| {
        let cells = row.iter().enumerate().map(|(at, cell)| format!("{cell:<0$}", width(at)));
        format!("    {}", cells.collect::<Vec<_>>().join("  ")).trim_end().to_owned()
    });
    lines.collect()
}

fn deaths(verdict: &VerdictRecord, style: Style) -> Vec<String> {
    let mut lines = Vec::new();
    for death in &verdict.deaths {
        let words = format!("{} exited unasked: {}", visible(&death.replica), visible(&death.how));
        lines.push(row(style, "death", &words));
        let from = death.log.len().saturating_sub(LOG);
        lines.extend(death.log[from..].iter().map(|line| format!("    | {}", visible(line))));
    }
    lines
}

/// Where everything is, how to ask for it again, and what to look at.
fn endings(run: &Run<'_>, style: Style) -> Vec<String> {
    let directory = run.directory.trim_end_matches('/');
    let repro = format!(
        "{}   {}",
        visible(&run.record.repro),
        style.faint("# the same plan; real interleavings differ")
    );
    vec![
        row(style, "results:", &visible(&format!("{directory}/"))),
        row(style, "report:", &visible(&quote(&format!("{directory}/report.html")))),
        row(style, "repro:", &repro),
        row(style, "next:", &visible(&next(run, directory))),
    ]
}

/// What is worth doing now: judge the proof again, or the whole history, or look at the page.
fn next(run: &Run<'_>, directory: &str) -> String {
    let proven = run.verdict.checks.iter().zip(run.check_names).find_map(|(check, name)| {
        let witness = check.witness.as_ref().map(|witness| format!("{directory}/{}", witness.file));
        let found = (!check.findings.is_empty()).then(|| directory.to_owned());
        Some((witness.or(found)?, name))
    });
    match proven {
        Some((file, name)) => {
            let harness = quote(run.record.argv.first().map_or("harness", String::as_str));
            format!("{harness} check {} --model {name}", quote(&file))
        }
        None => format!("open {} in a browser", quote(&format!("{directory}/report.html"))),
    }
}

/// A word as a shell reads it.
pub fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+,:=".contains(c);
    // At the start of a word zsh replaces `=ls` by the path of `ls`.
    if word.chars().all(plain) && !word.is_empty() && !word.starts_with('=') {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

fn row(style: Style, head: &str, words: &str) -> String {
    format!("{} {words}", style.faint(&format!("{head:<11}")))
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;
    use records::record::{KindCoverage, Outcomes};

    fn plain(sample: &sample::Sample) -> String {
        text(&sample.run(), Style { unicode: true, ..Style::PLAIN })
    }

    #[test]
    fn an_invalid_run_is_proved() {
        insta::assert_snapshot!(plain(&sample::invalid(500)), @r#"
        ✗ INVALID: process 7 read 4 from n2, but write 5 had already completed
          with seeded bugs switched on: stale-reads

          The operations that prove it, key "k3"; ✗ marks the answer that no order explains:

            key "k3", before: 4
                w 5 ok
            p2  ├───────┤
                            ✗ r 4 ok
            p7              ├────────┤
                      cas [1 2] ?
            p9        ├╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌

          No order explains it. After the longest one that fits the state is 5, and none of these leads on:
            ✗ read by process 7: it read 4, but the register holds 5
            ✗ cas 1 -> 2 by process 9: it needs 1, but the register holds 5

        operations  470 ok, 16 fail, 14 info, 3 missed
        latency     p50 1.2 ms, p95 3.9 ms, p99 48 ms, max 2.0 s
        faults      5 faults: 4 witnessed, 1 skipped
            #1  partition:halves  n1 n2 | n3 n4 n5  3.0-7.0 s    412 packets dropped
            #2  kill:leader       n3                10.0-13.0 s  n3 did not answer for 2.9 s
            #3  pause:leader      n2                16.0-18.0 s  n2 did not answer for 2.9 s
            #4  partition:leader  n2 | n1 n3 n4 n5  21.0-25.0 s  412 packets dropped
            #5  pause:leader      -                 -            skipped: nobody led
        death       n4 exited unasked: exit code 101
            | term 9: became follower
            | thread 'main' panicked: log has a gap at 812

        results:    results/raft-register/42/
        report:     results/raft-register/42/report.html
        repro:      harness test --seed 42   # the same plan; real interleavings differ
        next:       harness check results/raft-register/42/window.jsonl --model cas-register
        "#);
    }

    #[test]
    fn a_valid_run_sends_to_its_page() {
        insta::assert_snapshot!(plain(&sample::valid(500)), @r"
        ✓ VALID: 5 replicas of raft behaved like one copy through 5 faults.

        operations  470 ok, 16 fail, 14 info, 3 missed
        latency     p50 1.2 ms, p95 3.9 ms, p99 48 ms, max 2.0 s
        faults      5 faults: 4 witnessed, 1 skipped
            #1  partition:halves  n1 n2 | n3 n4 n5  3.0-7.0 s    412 packets dropped
            #2  kill:leader       n3                10.0-13.0 s  n3 did not answer for 2.9 s
            #3  pause:leader      n2                16.0-18.0 s  n2 did not answer for 2.9 s
            #4  partition:leader  n2 | n1 n3 n4 n5  21.0-25.0 s  412 packets dropped
            #5  pause:leader      -                 -            skipped: nobody led

        results:    results/raft-register/42/
        report:     results/raft-register/42/report.html
        repro:      harness test --seed 42   # the same plan; real interleavings differ
        next:       open results/raft-register/42/report.html in a browser
        ");
    }

    #[test]
    fn an_unknown_run_says_why() {
        insta::assert_snapshot!(plain(&sample::unknown(40)), @r"
        ? UNKNOWN: Nothing wrong was seen, but the run was interrupted and 1 fault left no trace.
          interrupted; this is about the part that ran
          ? fault #2 was applied, but nothing shows that it bit
          ? only 41 operations succeeded: too few to mean anything

        operations  37 ok, 0 fail, 3 info, 3 missed
        latency     p50 1.2 ms, p95 3.9 ms, p99 48 ms, max 2.0 s
        faults      5 faults: 3 witnessed, 1 not witnessed, 1 skipped
            #1  partition:halves  n1 n2 | n3 n4 n5  3.0-7.0 s          412 packets dropped
            #2  kill:leader       n3                10.0-13.0 s        NOT WITNESSED: it answered
            #3  pause:leader      n2                16.0-18.0 s        n2 did not answer for 2.9 s
            #4  partition:leader  n2 | n1 n3 n4 n5  21.0 s to the end  412 packets dropped
            #5  pause:leader      -                 -                  skipped: nobody led

        results:    results/raft-register/42/
        report:     results/raft-register/42/report.html
        repro:      harness test --seed 42   # the same plan; real interleavings differ
        next:       open results/raft-register/42/report.html in a browser
        ");
    }

    #[test]
    fn what_faults_met_is_told_by_kind() {
        let mut sample = sample::valid(0);
        let met = |ok| Outcomes { ok, fail: 0, info: 1 };
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
    fn a_run_without_anything_is_still_told() {
        let mut sample = sample::valid(0);
        sample.verdict.faults.clear();
        assert!(plain(&sample).contains("0 ok, 0 fail, 0 info"));
    }

    #[test]
    fn no_text_of_a_run_steers_the_terminal() {
        let shown = plain(&sample::hostile("\x1b]0;owned\x07\r\u{202e}"));
        let steers = |c: char| c != '\n' && (c.is_control() || c == '\u{202e}');
        assert!(!shown.contains(steers), "{shown:?}");
    }

    #[test]
    fn colour_only_dresses_what_is_said_without_it() {
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
    fn a_path_is_quoted_where_a_shell_would_split_it() {
        assert_eq!(quote("results/a-b/2026_1.2+3,4"), "results/a-b/2026_1.2+3,4");
        assert_eq!(quote("my results/it's"), r"'my results/it'\''s'");
        assert_eq!(quote("--node-arg=--groups"), "--node-arg=--groups");
        assert_eq!((quote("=ls"), quote("")), ("'=ls'".to_owned(), "''".to_owned()));
    }
}
