//! Shows a run while it lasts, on standard error: a block drawn over in place, or plain lines now
//! and then.
//!
//! What a [`Snapshot`] looks like is decided purely; only [`LiveView`] prints.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use report::{Style, duration, escape_controls};
use std::time::Duration;

/// Where the output is not a terminal: at least this long between two lines of one phase.
const LINE_INTERVAL: Duration = Duration::from_secs(10);

/// Drawings per second, at most.
const MAX_DRAWS_PER_S: u8 = 5;

/// The state of a run at one moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Snapshot {
    /// The phase.
    pub phase: String,
    /// Time since the main phase began.
    pub elapsed: Duration,
    /// How long the main phase lasts.
    pub limit: Duration,
    /// Operations that succeeded.
    pub ok: u64,
    /// Operations with an unknown outcome.
    pub info: u64,
    /// Operations that failed.
    pub fail: u64,
    /// Operations skipped because all clients were busy.
    pub(crate) skipped: u64,
    /// Completions per second, lately.
    pub(crate) ops_per_s: f64,
    /// Median latency, lately.
    pub p50: Option<Duration>,
    /// 99th percentile of latency, lately.
    pub p99: Option<Duration>,
    /// The reported leader and its term.
    pub leader: Option<(String, u64)>,
    /// The active faults.
    pub(crate) active: Vec<String>,
    /// Time until the next fault begins or ends.
    pub(crate) next_in: Option<Duration>,
}

/// The view of a run that lasts.
pub(crate) struct LiveView {
    style: Style,
    bar: Option<ProgressBar>,
    last: Option<(String, Duration)>,
    quiet: bool,
}

impl LiveView {
    /// A view in this style, chosen for standard error; a quiet view prints nothing.
    pub(crate) fn new(style: Style, quiet: bool) -> Self {
        let bar = (style.terminal && !quiet).then(|| {
            let target = ProgressDrawTarget::stderr_with_hz(MAX_DRAWS_PER_S);
            let block = ProgressStyle::with_template("{msg}").expect("a template of one key");
            ProgressBar::with_draw_target(None, target).with_style(block)
        });
        Self { style, bar, last: None, quiet }
    }

    /// Shows the moment: at once on a terminal, else when there is something to say.
    pub(crate) fn update(&mut self, snapshot: &Snapshot) {
        if let Some(bar) = &self.bar {
            bar.set_message(format_block(snapshot, self.style).join("\n"));
        } else if !self.quiet && is_line_due(self.last.as_ref(), snapshot) {
            self.last = Some((snapshot.phase.clone(), snapshot.elapsed));
            print_stderr(&format_line(snapshot));
        }
    }

    /// Prints a line that stays, above the block.
    pub(crate) fn print_line(&self, text: &str) {
        let text = escape_controls(text);
        match &self.bar {
            Some(bar) => bar.suspend(|| print_stderr(&text)),
            None if self.quiet => (),
            None => print_stderr(&text),
        }
    }

    /// Removes the block.
    pub(crate) fn finish(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}

/// Prints a line on standard error. A closed standard error does not end the run.
pub fn print_stderr(text: &str) {
    use std::io::Write as _;
    drop(writeln!(std::io::stderr(), "{text}"));
}

/// Whether a plain line is worth printing after the last one.
fn is_line_due(last: Option<&(String, Duration)>, now: &Snapshot) -> bool {
    last.is_none_or(|(phase, at)| {
        *phase != now.phase || now.elapsed.saturating_sub(*at) >= LINE_INTERVAL
    })
}

/// The block on a terminal, line by line.
fn format_block(now: &Snapshot, style: Style) -> Vec<String> {
    let head = |word: &str| style.dim_text(&format!("{word:<11}"));
    let mut lines = vec![
        format!("{} {}", head(&escape_controls(&now.phase)), format_clock(now)),
        format!("{} {}", head("operations"), format_operations(now)),
        format!("{} {}", head("latency"), format_latency(now)),
        format!("{} {}", head("leader"), format_leader(now)),
    ];
    lines.extend(
        now.active
            .iter()
            .map(|fault| format!("{} {}", head("fault"), style.fault(&escape_controls(fault)))),
    );
    lines.extend(format_countdown(now).map(|words| format!("{} {words}", head("next"))));
    lines
}

/// The same in one line.
fn format_line(now: &Snapshot) -> String {
    let mut parts = vec![
        format_clock(now),
        format_operations(now),
        format_latency(now),
        format!("leader {}", format_leader(now)),
    ];
    parts.extend(now.active.iter().map(|fault| format!("fault {}", escape_controls(fault))));
    format!("{}: {}", escape_controls(&now.phase), parts.join("; "))
}

fn format_clock(now: &Snapshot) -> String {
    format!("{:.0} of {:.0} s", now.elapsed.as_secs_f64(), now.limit.as_secs_f64())
}

fn format_operations(now: &Snapshot) -> String {
    let Snapshot { ok, info, fail, skipped, ops_per_s, .. } = now;
    let mut operations = format!("{ops_per_s:.0}/s, {ok} ok, {info} info, {fail} fail");
    if *skipped > 0 {
        operations += &format!(", {skipped} skipped: all clients busy");
    }
    operations
}

fn format_latency(now: &Snapshot) -> String {
    let words = |value: Option<Duration>| value.map_or("-".to_owned(), duration);
    format!("p50 {}, p99 {}", words(now.p50), words(now.p99))
}

fn format_leader(now: &Snapshot) -> String {
    match &now.leader {
        Some((name, term)) => format!("{} in term {term}", escape_controls(name)),
        None => "unknown".to_owned(),
    }
}

/// When the next fault begins or the active one ends; the schedule has only the moment.
fn format_countdown(now: &Snapshot) -> Option<String> {
    let left = now.next_in?.as_secs_f64().ceil();
    let what = if now.active.is_empty() { "fault in" } else { "healed in" };
    Some(format!("{what} {left} s"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample_snapshot() -> Snapshot {
        Snapshot {
            phase: "running".into(),
            elapsed: Duration::from_millis(12_400),
            limit: Duration::from_secs(30),
            ok: 2210,
            info: 45,
            fail: 12,
            skipped: 3,
            ops_per_s: 198.4,
            p50: Some(Duration::from_micros(1234)),
            p99: Some(Duration::from_millis(48)),
            leader: Some(("n3".into(), 7)),
            active: vec!["partition:leader n2 | n1 n3 n4 n5".into()],
            next_in: Some(Duration::from_millis(3600)),
        }
    }

    #[test]
    fn the_block_says_everything() {
        insta::assert_snapshot!(format_block(&sample_snapshot(), Style::PLAIN).join("\n"), @r"
        running     12 of 30 s
        operations  198/s, 2210 ok, 45 info, 12 fail, 3 skipped: all clients busy
        latency     p50 1.2 ms, p99 48 ms
        leader      n3 in term 7
        fault       partition:leader n2 | n1 n3 n4 n5
        next        healed in 4 s
        ");
    }

    #[test]
    fn shows_dashes_before_the_first_operation() {
        let start = Snapshot { phase: "starting".into(), ..Snapshot::default() };
        insta::assert_snapshot!(format_block(&start, Style::PLAIN).join("\n"), @r"
        starting    0 of 0 s
        operations  0/s, 0 ok, 0 info, 0 fail
        latency     p50 -, p99 -
        leader      unknown
        ");
    }

    #[test]
    fn formats_a_plain_line() {
        insta::assert_snapshot!(format_line(&sample_snapshot()).replace("; ", "\n; "), @r"
        running: 12 of 30 s
        ; 198/s, 2210 ok, 45 info, 12 fail, 3 skipped: all clients busy
        ; p50 1.2 ms, p99 48 ms
        ; leader n3 in term 7
        ; fault partition:leader n2 | n1 n3 n4 n5
        ");
    }

    #[test]
    fn escapes_control_characters_in_names() {
        let snapshot = Snapshot { active: vec!["\x1b[2J".into()], ..sample_snapshot() };
        assert!(!format_block(&snapshot, Style::PLAIN).join("").contains('\x1b'));
        assert!(!format_line(&snapshot).contains('\x1b'));
    }

    #[test]
    fn prints_a_plain_line_per_phase_and_every_ten_seconds() {
        let last = |phase: &str, at| Some((phase.to_owned(), Duration::from_millis(at)));
        assert!(is_line_due(None, &sample_snapshot()));
        assert!(is_line_due(last("starting", 12_000).as_ref(), &sample_snapshot()));
        assert!(!is_line_due(last("running", 2_500).as_ref(), &sample_snapshot()));
        assert!(is_line_due(last("running", 2_400).as_ref(), &sample_snapshot()));
    }
}
