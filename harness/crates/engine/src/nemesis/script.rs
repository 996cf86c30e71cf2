//! Writes a schedule as text and parses it: one fault per line, `at 3.2s partition leader|rest for
//! 2s`.
//!
//! Parsing restores exactly the schedule that was written. An invalid schedule is rejected with
//! line and column, what is wrong, why, and what to do about it. A schedule that was parsed can be
//! carried out on that many hosts.

use super::find_nemesis;
use super::schedule::{Schedule, ScheduledFault, When};
use std::fmt;

/// The file of a schedule in the directory of a run.
pub const FILE: &str = "schedule.txt";
/// How long a fault lasts whose line does not say.
const DEFAULT_MS: u64 = 2_000;
/// The word for operations of any function.
const ANY: &str = "operations";
/// Examples of a line.
const FORM: &str =
    "write `at 3.2s partition leader|rest for 2s` or `after 100 ok writes kill leader`";

/// The run that a schedule is parsed for.
pub struct ScriptContext<'a> {
    /// How many hosts it has.
    pub hosts: usize,
    /// How long its main phase lasts, in milliseconds.
    pub limit_ms: u64,
    /// What its clients call.
    pub functions: &'a [&'a str],
}

/// What is wrong with a schedule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{line}:{column}: {text}")]
pub struct ScriptError {
    line: usize,
    column: usize,
    text: String,
}

/// The schedule as text.
pub fn write_script(schedule: &Schedule) -> String {
    schedule.iter().map(|entry| format!("{entry}\n")).collect()
}

impl fmt::Display for ScheduledFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.when {
            When::At(ms) => write!(f, "at {}", format_span(*ms))?,
            When::After { count, function } => {
                write!(f, "after {count} ok {}", plural_name(function))?
            }
        }
        write!(f, " {} {} for {}", self.kind, self.aim, format_span(self.for_ms))
    }
}

fn plural_name(function: &Option<String>) -> String {
    match function {
        None => ANY.to_owned(),
        Some(function) if function.ends_with('s') => function.clone(),
        Some(function) => format!("{function}s"),
    }
}

/// Milliseconds in seconds, with as many decimals as they need.
fn format_span(ms: u64) -> String {
    let decimals = format!("{:03}", ms % 1_000);
    match decimals.trim_end_matches('0') {
        "" => format!("{}s", ms / 1_000),
        decimals => format!("{}.{decimals}s", ms / 1_000),
    }
}

/// Parses a schedule for such a run. Empty lines and what follows a `#` are ignored.
pub fn parse_script(text: &str, context: &ScriptContext<'_>) -> Result<Schedule, ScriptError> {
    let mut schedule = Schedule::new();
    let mut lines = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let words = split_words(line.split('#').next().unwrap_or_default());
        if let Some(first) = words.first() {
            lines.push((number, first.column));
            let end = line.chars().count() + 1;
            schedule.push(Line { number, words: &words, end, context }.parse_fault()?);
        }
    }
    match find_overlap(&schedule) {
        Some((first, second)) => {
            Err(overlap_error(&schedule[second], lines[first].0, lines[second]))
        }
        None => Ok(schedule),
    }
}

fn overlap_error(
    entry: &ScheduledFault,
    first: usize,
    (line, column): (usize, usize),
) -> ScriptError {
    let text = format!(
        "a {} begins during the one of line {first}, and two of a kind undo each other; \
         begin it later, or shorten the other",
        entry.kind
    );
    ScriptError { line, column, text }
}

/// Two faults of a kind that last at the same time, as far as their times are known: the later one
/// comes second.
fn find_overlap(schedule: &Schedule) -> Option<(usize, usize)> {
    let times = |entry: &ScheduledFault| match entry.when {
        When::At(at_ms) => Some((at_ms, at_ms + entry.for_ms)),
        When::After { .. } => None,
    };
    for (a, first) in schedule.iter().enumerate() {
        for (b, second) in schedule.iter().enumerate().filter(|(b, _)| *b != a) {
            let (Some((from, to)), Some((begin, _))) = (times(first), times(second)) else {
                continue;
            };
            let within = from <= begin && begin < to && (from != begin || a < b);
            if first.kind == second.kind && within {
                return Some((a, b));
            }
        }
    }
    None
}

/// A word and where it begins, in characters from 1.
struct Word<'a> {
    column: usize,
    text: &'a str,
}

/// The words of a line.
fn split_words(line: &str) -> Vec<Word<'_>> {
    let mut words = Vec::new();
    let mut rest = line;
    let mut column = 1;
    loop {
        let bare = rest.trim_start();
        column += rest.chars().count() - bare.chars().count();
        let length = bare.find(char::is_whitespace).unwrap_or(bare.len());
        if length == 0 {
            return words;
        }
        let (text, after) = bare.split_at(length);
        words.push(Word { column, text });
        column += text.chars().count();
        rest = after;
    }
}

/// A line that is not empty.
struct Line<'a> {
    number: usize,
    words: &'a [Word<'a>],
    /// The column behind its last character.
    end: usize,
    context: &'a ScriptContext<'a>,
}

impl Line<'_> {
    fn parse_fault(&self) -> Result<ScheduledFault, ScriptError> {
        let (when, next) = match self.word_at(0) {
            Some("at") => (self.parse_time()?, 2),
            Some("after") => (self.parse_trigger()?, 4),
            _ => {
                return Err(self.error_at(0, format!("a line begins with `at` or `after`; {FORM}")));
            }
        };
        let kind = self.parse_kind(next)?;
        let last = self.words.iter().rposition(|word| word.text == "for");
        let last = last.filter(|last| *last > next).unwrap_or(self.words.len());
        let aim = self.parse_aim(&kind, next + 1, last)?;
        let for_ms =
            if last < self.words.len() { self.parse_length(last + 1)? } else { DEFAULT_MS };
        let entry = ScheduledFault { when, kind, aim, for_ms };
        self.check_end(&entry).map(|()| entry)
    }

    fn parse_time(&self) -> Result<When, ScriptError> {
        let ms = self.parse_span(1)?;
        if ms >= self.context.limit_ms {
            let limit = format_span(self.context.limit_ms);
            return Err(self.error_at(
                1,
                format!(
                    "the main phase is over after {limit}; \
                     begin earlier, or make it longer with --time-limit"
                ),
            ));
        }
        Ok(When::At(ms))
    }

    fn parse_trigger(&self) -> Result<When, ScriptError> {
        let count = self.word_at(1).and_then(|word| word.parse().ok()).filter(|count| *count > 0);
        let Some(count) = count else {
            return Err(self.error_at(1, format!("the number of operations is missing; {FORM}")));
        };
        if self.word_at(2) != Some("ok") {
            return Err(self.error_at(
                2,
                format!("`ok` is missing: only operations that succeeded are counted; {FORM}"),
            ));
        }
        let functions = self.context.functions;
        let known = |word: &&str| plural_name(&Some((*word).to_owned()));
        match self.word_at(3) {
            Some(ANY) => Ok(When::After { count, function: None }),
            word => match functions
                .iter()
                .find(|name| word.is_some_and(|word| word == **name || word == known(name)))
            {
                Some(name) => Ok(When::After { count, function: Some((*name).to_owned()) }),
                None => {
                    let names: Vec<String> = functions.iter().map(known).collect();
                    let names = names.join(", ");
                    Err(self.error_at(
                        3,
                        format!("this workload has no such operation; count {names} or {ANY}"),
                    ))
                }
            },
        }
    }

    fn parse_kind(&self, place: usize) -> Result<String, ScriptError> {
        let known: Vec<&str> = super::NEMESES
            .iter()
            .map(|nemesis| nemesis.name())
            .filter(|name| *name != "none")
            .collect();
        match self.word_at(place) {
            Some(kind) if known.contains(&kind) => Ok(kind.to_owned()),
            word => {
                let word = word.unwrap_or("nothing");
                Err(self.error_at(
                    place,
                    format!("{word:?} is no fault; there are: {}", known.join(", ")),
                ))
            }
        }
    }

    fn parse_aim(&self, kind: &str, from: usize, to: usize) -> Result<String, ScriptError> {
        let words: Vec<&str> = self.words[from..to].iter().map(|word| word.text).collect();
        let aim = normalize_aim(&words.join(" "));
        let refusal =
            find_nemesis(kind).and_then(|nemesis| nemesis.reject_aim(&aim, self.context.hosts));
        match refusal {
            Some(why) => Err(self.error_at(from, why)),
            None => Ok(aim),
        }
    }

    fn parse_length(&self, place: usize) -> Result<u64, ScriptError> {
        let ms = self.parse_span(place)?;
        if let Some(word) = self.words.get(place + 1) {
            let text = format!("{:?} is more than a line can have; {FORM}", word.text);
            return Err(self.error_at(place + 1, text));
        }
        if ms == 0 {
            return Err(self.error_at(
                place,
                "a fault of no duration does nothing; give it 1ms at least".to_owned(),
            ));
        }
        Ok(ms)
    }

    fn check_end(&self, entry: &ScheduledFault) -> Result<(), ScriptError> {
        let limit_ms = self.context.limit_ms;
        match entry.when {
            When::At(at_ms) if at_ms.saturating_add(entry.for_ms) > limit_ms => {
                let text = format!(
                    "this fault would end after the main phase, which lasts {}; \
                     shorten it, or make the main phase longer with --time-limit",
                    format_span(limit_ms)
                );
                Err(self.error_at(0, text))
            }
            _ => Ok(()),
        }
    }

    fn parse_span(&self, place: usize) -> Result<u64, ScriptError> {
        let word = self.word_at(place).unwrap_or("nothing");
        parse_ms(word).ok_or_else(|| {
            self.error_at(
                place,
                format!("{word:?} is no duration; write for example 3.2s, 700ms or 1m"),
            )
        })
    }

    fn word_at(&self, place: usize) -> Option<&str> {
        self.words.get(place).map(|word| word.text)
    }

    fn error_at(&self, place: usize, text: String) -> ScriptError {
        let column = self.words.get(place).map_or(self.end, |word| word.column);
        ScriptError { line: self.number, column, text }
    }
}

/// One spelling for each aim: `n1 | n2` becomes `n1|n2`.
fn normalize_aim(aim: &str) -> String {
    aim.split('|').map(str::trim).collect::<Vec<_>>().join("|")
}

/// Parses `3.2s`, `700ms` or `1m`, exact to the millisecond.
fn parse_ms(word: &str) -> Option<u64> {
    let digits = word.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (number, unit) = word.split_at(digits);
    let unit_ms = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        _ => return None,
    };
    let (whole, decimals) = number.split_once('.').unwrap_or((number, "0"));
    let tenths = 10_u64.checked_pow(u32::try_from(decimals.len()).ok()?)?;
    let scaled = whole.parse::<u64>().ok()?.checked_mul(tenths)?;
    let scaled = scaled.checked_add(decimals.parse().ok()?)?.checked_mul(unit_ms)?;
    // A time that is finer than a millisecond is rejected rather than rounded.
    scaled.is_multiple_of(tenths).then(|| scaled / tenths).filter(|ms| *ms <= MAX_MS)
}

/// The longest time that is accepted: a year.
const MAX_MS: u64 = 366 * 86_400_000;

#[cfg(test)]
mod tests;
