//! Formats durations, counts and names, and escapes control characters in foreign text.

use checker::history::Process;
use records::record::{Config, Coverage, FaultRecord, FaultState, KindCoverage, Latency};
use std::time::Duration;

/// A duration with two significant digits: `940 us`, `1.2 ms`, `48 ms`, `1.2 s`, `95 s`.
pub fn duration(value: Duration) -> String {
    let ns = value.as_nanos() as f64;
    let (scaled, unit) = match ns {
        _ if ns < 999.5 => (ns, "ns"),
        _ if ns < 999.5e3 => (ns / 1e3, "us"),
        _ if ns < 999.5e6 => (ns / 1e6, "ms"),
        _ => (ns / 1e9, "s"),
    };
    let digits = usize::from(scaled < 9.95 && scaled.fract() != 0.0);
    format!("{scaled:.digits$} {unit}")
}

/// Formats microseconds.
fn format_micros(value: u64) -> String {
    duration(Duration::from_micros(value))
}

/// Formats nanoseconds.
pub(super) fn format_nanos(value: u64) -> String {
    duration(Duration::from_nanos(value))
}

/// Formats milliseconds.
pub(super) fn format_millis(value: u64) -> String {
    duration(Duration::from_millis(value))
}

/// A time of the run in seconds, with the digits that steps of `step` nanoseconds need: `12.5`.
pub(super) fn format_seconds(ns: u64, step: u64) -> String {
    let digits = 9usize.saturating_sub(step.max(1).ilog10() as usize);
    format!("{:.digits$}", Duration::from_nanos(ns).as_secs_f64())
}

/// A time of the run in seconds, with one decimal.
fn format_tenths(ns: u64) -> String {
    format_seconds(ns, 100_000_000)
}

/// An interval in seconds: `12.3-15.0 s`; `12.3 s to the end` if the fault was never ended.
pub(super) fn format_span(started: u64, ended: Option<u64>) -> String {
    match ended {
        Some(ended) => format!("{}-{} s", format_tenths(started), format_tenths(ended)),
        None => format!("{} s to the end", format_tenths(started)),
    }
}

/// `1 fault`, `2 faults`.
pub(super) fn count_noun(number: usize, noun: &str) -> String {
    let s = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{s}")
}

/// The client of a process, as the lanes of the timeline number it: `5 (process 25)`.
///
/// A client takes a new process number after each operation of unknown outcome.
pub(super) fn client_name(process: Process, clients: u64) -> String {
    match process {
        Process::Client(number) => format!("{} (process {number})", number % clients.max(1)),
        Process::Nemesis => "nemesis".to_owned(),
    }
}

/// A fault's kind and target selector: `partition:leader`.
pub(super) fn fault_name(fault: &FaultRecord) -> String {
    if fault.variant.is_empty() {
        return fault.kind.clone();
    }
    format!("{}:{}", fault.kind, fault.variant)
}

/// The kinds of fault that were asked for, and what decided when they began.
pub(super) fn describe_nemesis(config: &Config) -> String {
    if config.nemesis.is_empty() || config.nemesis == ["none"] {
        return "none".to_owned();
    }
    format!("{}; {}", config.nemesis.join(", "), describe_pace(config))
}

/// What decided when faults began and how long they lasted.
pub(super) fn describe_pace(config: &Config) -> String {
    let pace = match &config.schedule {
        Some(file) => return format!("schedule {file}"),
        None => format!("pace {}", config.pace),
    };
    let every = config.interval_ms.map(|ms| format!("one about every {}", format_millis(ms)));
    let lasting = config.duration_ms.map(|ms| format!("of about {}", format_millis(ms)));
    std::iter::once(pace).chain(every).chain(lasting).collect::<Vec<_>>().join(", ")
}

/// The number of faults in each state: `7 faults: 6 confirmed, 1 skipped`.
pub(super) fn summarize_faults(faults: &[FaultRecord]) -> String {
    let states = [FaultState::Witnessed, FaultState::Unwitnessed, FaultState::Skipped];
    let parts = states.iter().filter_map(|state| {
        let number = faults.iter().filter(|fault| fault.state == *state).count();
        (number > 0).then(|| format!("{number} {}", state_name(*state)))
    });
    format!("{}: {}", count_noun(faults.len(), "fault"), parts.collect::<Vec<_>>().join(", "))
}

/// A row per kind of fault: its name, confirmed faults, overlapping operations, leader changes.
pub(super) fn coverage_rows(coverage: &Coverage) -> Vec<[String; 4]> {
    let row = |(name, kind): (&String, &KindCoverage)| {
        let functions = kind.operations.iter();
        let met = functions.map(|(function, n)| format!("{} {function}", n.ok + n.fail + n.info));
        [
            name.clone(),
            count_noun(kind.witnessed as usize, "fault"),
            met.collect::<Vec<_>>().join(", "),
            format!(
                "leader hit {}x, {}",
                kind.leader_hit,
                count_noun(kind.elections as usize, "election")
            ),
        ]
    };
    coverage.kinds.iter().map(row).collect()
}

/// The state of a fault as users read it.
pub(super) fn state_name(state: FaultState) -> &'static str {
    match state {
        FaultState::Witnessed => "confirmed",
        FaultState::Unwitnessed => "not confirmed",
        FaultState::Skipped => "skipped",
    }
}

/// The quantiles of latency in one line.
pub(super) fn format_latency(latency: &Latency) -> String {
    let Latency { p50_us, p95_us, p99_us, max_us } = *latency;
    let [p50, p95, p99, max] = [p50_us, p95_us, p99_us, max_us].map(format_micros);
    format!("p50 {p50}, p95 {p95}, p99 {p99}, max {max}")
}

/// Introduces the list of candidates after the longest consistent prefix.
pub(super) fn explain_dead_end(states: &[String]) -> [String; 2] {
    let states = states.join(" or ");
    [
        format!("No order explains it. After the longest consistent prefix the state is {states};"),
        "no remaining operation can come next:".to_owned(),
    ]
}

/// Escapes control and bidirectional formatting characters of foreign text; keeps line breaks.
pub fn escape_controls(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c != '\n' && (c.is_control() || is_bidi_control(c)) {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    out
}

/// Whether a character embeds, overrides or isolates a writing direction.
fn is_bidi_control(c: char) -> bool {
    let turns = ['\u{61c}', '\u{200e}', '\u{200f}'];
    turns.contains(&c)
        || ('\u{202a}'..='\u{202e}').contains(&c)
        || ('\u{2066}'..='\u{2069}').contains(&c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_durations_with_significant_digits() {
        let words = [0, 940, 1_000, 1_234, 9_960, 48_000, 999_600, 9_940_000, 95_400_000]
            .map(format_micros);
        let expected =
            ["0 ns", "940 us", "1 ms", "1.2 ms", "10 ms", "48 ms", "1.0 s", "9.9 s", "95 s"];
        assert_eq!(words, expected);
    }

    #[test]
    fn formats_times_with_the_digits_of_the_step() {
        let moments = [1_000_000_000, 500_000_000, 20_000_000]
            .map(|step| format_seconds(12_500_000_000, step));
        assert_eq!(moments, ["12", "12.5", "12.50"]);
    }

    #[test]
    fn formats_a_fault_that_never_ended() {
        assert_eq!(format_span(1_250_000_000, Some(3_000_000_000)), "1.2-3.0 s");
        assert_eq!(format_span(1_250_000_000, None), "1.2 s to the end");
    }

    #[test]
    fn escapes_control_characters_and_keeps_text() {
        assert_eq!(escape_controls("a\x1b[2Jb\u{202e}c\nשלום ✓"), "a\\u{1b}[2Jb\\u{202e}c\nשלום ✓");
    }
}
