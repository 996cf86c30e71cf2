//! Shows a hunt while it lasts, on standard error: a line drawn over in place on a terminal, and
//! lines that stay.

use engine::hunt::session::HuntEvent;
use engine::hunt::state::HuntState;
use engine::live::print_stderr;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use records::suite::Outcome;
use report::{Style, escape_controls};
use std::time::Duration;

/// Drawings per second, at most.
const MAX_DRAWS_PER_S: u8 = 4;
/// How often the clock of the line moves on.
const TICK: Duration = Duration::from_millis(500);

/// The view of a hunt.
pub(super) struct HuntView {
    bar: Option<ProgressBar>,
    quiet: bool,
}

impl HuntView {
    /// A view in this style, chosen for standard error; a quiet view prints nothing.
    pub(super) fn new(style: Style, quiet: bool, budget: Duration) -> Self {
        let bar = (style.terminal && !quiet).then(|| {
            let target = ProgressDrawTarget::stderr_with_hz(MAX_DRAWS_PER_S);
            let template = format!("{{elapsed}} of {}s  {{wide_msg}}", budget.as_secs());
            let line = ProgressStyle::with_template(&template).expect("a template of two keys");
            let bar = ProgressBar::with_draw_target(None, target).with_style(line);
            bar.enable_steady_tick(TICK);
            bar
        });
        Self { bar, quiet }
    }

    /// Shows what happened.
    pub(super) fn show(&mut self, event: &HuntEvent<'_>, state: &HuntState) {
        if self.quiet {
            return;
        }
        if let Some(line) = lasting_line(event, state) {
            let line = escape_controls(&line);
            match &self.bar {
                Some(bar) => bar.suspend(|| print_stderr(&line)),
                None => print_stderr(&line),
            }
        }
        if let Some(bar) = &self.bar {
            bar.set_message(escape_controls(&progress_line(event, state)));
        }
    }

    /// Removes the line.
    pub(super) fn finish(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}

/// The line that is drawn over.
fn progress_line(event: &HuntEvent<'_>, state: &HuntState) -> String {
    let now = match event {
        HuntEvent::Began(words) => (*words).to_owned(),
        HuntEvent::Investigating(_) => "confirming a finding".to_owned(),
        HuntEvent::Step(step) => format!("minimizing: {step}"),
        _ => String::new(),
    };
    let (runs, states, findings) = (state.all_runs(), state.state_count(), state.findings.len());
    format!("{runs} runs, {states} states, {findings} findings  {now}")
}

/// The line that stays, if there is one.
fn lasting_line(event: &HuntEvent<'_>, state: &HuntState) -> Option<String> {
    match event {
        HuntEvent::Resumed(folder) => Some(format!(
            "resuming: {} runs, {} states and {} s are in {}",
            state.all_runs(),
            state.state_count(),
            state.spent_ms / 1_000,
            folder.display()
        )),
        HuntEvent::Regression(result) => {
            let word = if result.rate.hits > 0 { "still fails" } else { "did not fail" };
            Some(format!("regression {}: {word} in {} runs", result.file, result.rate.runs))
        }
        HuntEvent::BadRegression(why) => Some(format!("regression skipped: {why}")),
        HuntEvent::Ended(run, words) => {
            let (number, outcome) = (run.number + 1, run.outcome.name());
            let (seconds, new) = (run.took_ms / 1_000, run.new.len());
            let mut line = format!("[{number}] {outcome}: {words} ({seconds} s, {new} new states)");
            if run.outcome != Outcome::Passed {
                line += &format!(": {}", run.sentence);
            }
            Some(line)
        }
        HuntEvent::Investigating(signature) => Some(format!("finding: {signature}")),
        HuntEvent::Step(step) => Some(format!("  {step}")),
        HuntEvent::Found(finding) => {
            Some(format!("  {}\n  regression: {}", finding.sentence, finding.regression))
        }
        HuntEvent::Began(_) => None,
    }
}
