//! Puts times and counts into words, and makes foreign text safe to show.

use records::record::{Coverage, FaultRecord, FaultState, KindCoverage, Latency};
use std::time::Duration;

/// A duration with the digits that matter: `940 us`, `1.2 ms`, `48 ms`, `1.2 s`, `95 s`.
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

/// A number of microseconds in words.
fn micros(value: u64) -> String {
    duration(Duration::from_micros(value))
}

/// A number of nanoseconds in words.
pub(super) fn nanos(value: u64) -> String {
    duration(Duration::from_nanos(value))
}

/// A number of milliseconds in words.
pub(super) fn millis(value: u64) -> String {
    duration(Duration::from_millis(value))
}

/// A moment of the run in seconds, with the digits that steps of `step` nanoseconds need: `12.5`.
pub(super) fn seconds(ns: u64, step: u64) -> String {
    let digits = 9usize.saturating_sub(step.max(1).ilog10() as usize);
    format!("{:.digits$}", Duration::from_nanos(ns).as_secs_f64())
}

/// A moment of the run in seconds, to a tenth.
fn moment(ns: u64) -> String {
    seconds(ns, 100_000_000)
}

/// From when to when, in seconds: `12.3-15.0 s`; `12.3 s to the end` where it was never undone.
pub(super) fn span(started: u64, ended: Option<u64>) -> String {
    match ended {
        Some(ended) => format!("{}-{} s", moment(started), moment(ended)),
        None => format!("{} s to the end", moment(started)),
    }
}

/// `1 fault`, `2 faults`.
pub(super) fn count(number: usize, noun: &str) -> String {
    let s = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{s}")
}

/// A fault's kind and how it aimed: `partition:leader`.
pub(super) fn fault(fault: &FaultRecord) -> String {
    if fault.variant.is_empty() {
        return fault.kind.clone();
    }
    format!("{}:{}", fault.kind, fault.variant)
}

/// How many faults there were and what was seen of them: `7 faults: 6 witnessed, 1 skipped`.
pub(super) fn faults(faults: &[FaultRecord]) -> String {
    let states = [FaultState::Witnessed, FaultState::Unwitnessed, FaultState::Skipped];
    let parts = states.iter().filter_map(|state| {
        let number = faults.iter().filter(|fault| fault.state == *state).count();
        (number > 0).then(|| format!("{number} {}", seen(*state)))
    });
    format!("{}: {}", count(faults.len(), "fault"), parts.collect::<Vec<_>>().join(", "))
}

/// What each kind of fault met: its name, how often it bit, which operations it met and what became of leaders.
pub(super) fn coverage(coverage: &Coverage) -> Vec<[String; 4]> {
    let row = |(name, kind): (&String, &KindCoverage)| {
        let functions = kind.operations.iter();
        let met = functions.map(|(function, n)| format!("{} {function}", n.ok + n.fail + n.info));
        [
            name.clone(),
            count(kind.witnessed as usize, "fault"),
            met.collect::<Vec<_>>().join(", "),
            format!(
                "leader hit {}x, {}",
                kind.leader_hit,
                count(kind.elections as usize, "election")
            ),
        ]
    };
    coverage.kinds.iter().map(row).collect()
}

/// Whether a fault was seen, in two words at most.
pub(super) fn seen(state: FaultState) -> &'static str {
    match state {
        FaultState::Witnessed => "witnessed",
        FaultState::Unwitnessed => "not witnessed",
        FaultState::Skipped => "skipped",
    }
}

/// The quantiles of latency.
pub(super) fn latency(latency: &Latency) -> String {
    let Latency { p50_us, p95_us, p99_us, max_us } = *latency;
    let [p50, p95, p99, max] = [p50_us, p95_us, p99_us, max_us].map(micros);
    format!("p50 {p50}, p95 {p95}, p99 {p99}, max {max}")
}

/// The sentence that introduces the operations that could come next but explain nothing.
pub(super) fn stuck(states: &[String]) -> String {
    let states = states.join(" or ");
    format!(
        "No order explains it. After the longest one that fits the state is {states}, and none of these leads on:"
    )
}

/// Foreign text with everything spelled out that steers a terminal or turns the writing direction.
/// Line breaks stay.
pub fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c != '\n' && (c.is_control() || turns_writing(c)) {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    out
}

/// The characters that embed, override or isolate a writing direction.
fn turns_writing(c: char) -> bool {
    let turns = ['\u{61c}', '\u{200e}', '\u{200f}'];
    turns.contains(&c)
        || ('\u{202a}'..='\u{202e}').contains(&c)
        || ('\u{2066}'..='\u{2069}').contains(&c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_keep_the_digits_that_matter() {
        let words =
            [0, 940, 1_000, 1_234, 9_960, 48_000, 999_600, 9_940_000, 95_400_000].map(micros);
        let expected =
            ["0 ns", "940 us", "1 ms", "1.2 ms", "10 ms", "48 ms", "1.0 s", "9.9 s", "95 s"];
        assert_eq!(words, expected);
    }

    #[test]
    fn moments_have_the_digits_that_tell_steps_apart() {
        let moments =
            [1_000_000_000, 500_000_000, 20_000_000].map(|step| seconds(12_500_000_000, step));
        assert_eq!(moments, ["12", "12.5", "12.50"]);
    }

    #[test]
    fn a_fault_that_was_never_undone_lasts_to_the_end() {
        assert_eq!(span(1_250_000_000, Some(3_000_000_000)), "1.2-3.0 s");
        assert_eq!(span(1_250_000_000, None), "1.2 s to the end");
    }

    #[test]
    fn what_steers_is_spelled_out_and_what_is_written_stays() {
        assert_eq!(visible("a\x1b[2Jb\u{202e}c\nשלום ✓"), "a\\u{1b}[2Jb\\u{202e}c\nשלום ✓");
    }
}
