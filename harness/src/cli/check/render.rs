//! Renders the verdicts of `harness check`.

use super::input::Unreadable;
use checker::finding::Finding;
use checker::{Verdict, Window};
use engine::run::record_validity;
use report::escape_controls;
use std::fmt;
use std::path::Path;
use std::time::Duration;

/// The greatest width of lanes.
const LANES_WIDTH: usize = 100;

/// The verdict, the operations that prove it, and with `explain` why no order explains them.
pub(super) fn render_verdict(path: &Path, verdict: &Verdict, explain: bool) -> String {
    let word = record_validity(verdict.validity).name().to_uppercase();
    let mut text = format!("{word}: {}: {}\n", path.display(), verdict.message);
    if let Some(window) = &verdict.witness {
        text += &format!("\n{}\n", checker::linear::lanes::render(window, LANES_WIDTH));
        if explain {
            text += &explain_window(window);
            text.push('\n');
        }
    }
    text += &verdict.findings.iter().map(render_finding).collect::<String>();
    // Names and values come from a file: escape terminal control characters.
    escape_controls(&text)
}

fn render_finding(finding: &Finding) -> String {
    let Finding { name, count, message, steps, .. } = finding;
    let times = if *count > 1 { format!(" ({count} times)") } else { String::new() };
    let steps: String = steps.iter().map(|step| format!("    {}\n", step.message)).collect();
    format!("\n  {name}{times}: {message}\n{steps}")
}

fn explain_window(window: &Window) -> String {
    let states = |states: &[checker::history::Value]| {
        states.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or ")
    };
    let mut text =
        format!("  before these operations the state was {}\n", states(&window.entry_states));
    if window.legal_prefix.is_empty() {
        text += "  no operation can come first:\n";
    } else {
        text += "  longest consistent prefix:\n";
        for (place, operation) in window.legal_prefix.iter().enumerate() {
            text += &format!("    {}. {}\n", place + 1, window.name(*operation));
        }
        text += &format!(
            "  after it the state is {}; no remaining operation can come next:\n",
            states(&window.states_after)
        );
    }
    for candidate in &window.candidates {
        let mark = if candidate.operation == window.accused { "✗ " } else { "  " };
        let name = window.name(candidate.operation);
        text += &format!("    {mark}{}: {}\n", name.trim_start_matches("✗ "), candidate.reason);
    }
    text
}

/// The verdicts of all histories.
#[derive(Default)]
pub(super) struct Summary {
    pub(super) valid: usize,
    pub(super) invalid: usize,
    pub(super) unknown: usize,
    pub(super) unreadable: usize,
    operations: usize,
    pub(super) elapsed: Duration,
}

impl Summary {
    /// Counts one verdict.
    pub(super) fn add(&mut self, answer: &Result<Verdict, Unreadable>) {
        match answer {
            Ok(verdict) => {
                self.operations += verdict.stats.operations;
                match verdict.validity {
                    checker::Validity::Valid => self.valid += 1,
                    checker::Validity::Invalid => self.invalid += 1,
                    checker::Validity::Unknown => self.unknown += 1,
                }
            }
            Err(_) => self.unreadable += 1,
        }
    }

    /// The counts as JSON.
    pub(super) fn to_json(&self) -> serde_json::Value {
        serde_json::json!({
            "valid": self.valid,
            "invalid": self.invalid,
            "unknown": self.unknown,
            "unreadable": self.unreadable,
            "operations": self.operations,
            "seconds": self.elapsed.as_secs_f64(),
        })
    }
}

/// `5 histories: 3 valid, 1 invalid, 1 unknown; 4661 operations in 0.13 s`
impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { valid, invalid, unknown, unreadable, operations, elapsed } = self;
        let all = valid + invalid + unknown + unreadable;
        write!(f, "{all} histories: {valid} valid, {invalid} invalid, {unknown} unknown")?;
        if *unreadable > 0 {
            write!(f, ", {unreadable} unreadable")?;
        }
        write!(f, "; {operations} operations in {:.2} s", elapsed.as_secs_f64())
    }
}
