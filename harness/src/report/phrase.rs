//! Puts times and counts into words, and makes foreign text safe to show.

use std::time::Duration;

/// A duration with two or three digits that matter: `0.8 ms`, `48 ms`, `1.2 s`, `95 s`.
pub(super) fn duration(value: Duration) -> String {
    let ms = value.as_secs_f64() * 1e3;
    match ms {
        _ if ms < 0.95 => format!("{:.0} µs", ms * 1e3),
        _ if ms < 9.95 => format!("{ms:.1} ms"),
        _ if ms < 999.5 => format!("{ms:.0} ms"),
        _ if ms < 9_950.0 => format!("{:.1} s", ms / 1e3),
        _ => format!("{:.0} s", ms / 1e3),
    }
}

/// A number of microseconds in words.
pub(super) fn micros(value: u64) -> String {
    duration(Duration::from_micros(value))
}

/// A moment of the run in seconds: `12.3`.
pub(super) fn moment(ns: u64) -> String {
    format!("{:.1}", Duration::from_nanos(ns).as_secs_f64())
}

/// From when to when, in seconds: `12.3–15.0 s`; `12.3 s to the end` where it was never undone.
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

/// Foreign text with everything in it that steers a terminal or turns the writing direction spelled out.
/// Line breaks stay.
pub(super) fn visible(text: &str) -> String {
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
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_keep_the_digits_that_matter() {
        let words = [0, 940, 950, 1_234, 9_960, 48_000, 999_600, 9_940_000, 95_400_000].map(micros);
        let expected =
            ["0 µs", "940 µs", "0.9 ms", "1.2 ms", "10 ms", "48 ms", "1.0 s", "9.9 s", "95 s"];
        assert_eq!(words, expected);
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
