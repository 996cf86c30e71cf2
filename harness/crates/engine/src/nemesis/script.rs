//! Writes a schedule as text and reads it again: one fault per line, `at 3.2s partition leader|rest for 2s`.
//!
//! What is written reads back as the same schedule. What cannot be is refused with file, line and column, what is
//! wrong, why, and what to do about it; a schedule that was read can be carried out on that many hosts.

use super::named;
use super::schedule::{Entry, Schedule, When};
use std::fmt;

/// What a schedule is called in the directory of a run.
pub const FILE: &str = "schedule.txt";
/// How long a fault lasts that does not say.
const DEFAULT_MS: u64 = 2_000;
/// The word for operations of any function.
const ANY: &str = "operations";
/// How a line looks.
const FORM: &str =
    "write `at 3.2s partition leader|rest for 2s` or `after 100 ok writes kill leader`";

/// The run that a schedule is read for.
pub struct Setting<'a> {
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
pub struct Wrong {
    line: usize,
    column: usize,
    text: String,
}

/// The schedule as text.
pub fn write(schedule: &Schedule) -> String {
    schedule.iter().map(|entry| format!("{entry}\n")).collect()
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.when {
            When::At(ms) => write!(f, "at {}", span(*ms))?,
            When::After { count, function } => write!(f, "after {count} ok {}", plural(function))?,
        }
        write!(f, " {} {} for {}", self.kind, self.aim, span(self.for_ms))
    }
}

fn plural(function: &Option<String>) -> String {
    match function {
        None => ANY.to_owned(),
        Some(function) if function.ends_with('s') => function.clone(),
        Some(function) => format!("{function}s"),
    }
}

/// Milliseconds in seconds, with as many decimals as they need.
fn span(ms: u64) -> String {
    let decimals = format!("{:03}", ms % 1_000);
    match decimals.trim_end_matches('0') {
        "" => format!("{}s", ms / 1_000),
        decimals => format!("{}.{decimals}s", ms / 1_000),
    }
}

/// Reads a schedule for such a run. Empty lines mean nothing, nor does what follows a `#`.
pub fn parse(text: &str, setting: &Setting<'_>) -> Result<Schedule, Wrong> {
    let mut schedule = Schedule::new();
    let mut lines = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let words = words(line.split('#').next().unwrap_or_default());
        if let Some(first) = words.first() {
            lines.push((number, first.column));
            let end = line.chars().count() + 1;
            schedule.push(Line { number, words: &words, end, setting }.entry()?);
        }
    }
    match collision(&schedule) {
        Some((first, second)) => Err(overlap(&schedule[second], lines[first].0, lines[second])),
        None => Ok(schedule),
    }
}

fn overlap(entry: &Entry, first: usize, (line, column): (usize, usize)) -> Wrong {
    let text = format!(
        "a {} begins while the one of line {first} lasts, and two of a kind undo each other; \
         let it begin later, or shorten the other",
        entry.kind
    );
    Wrong { line, column, text }
}

/// Two faults of a kind that last at the same time, as far as their times are known: the later one comes second.
fn collision(schedule: &Schedule) -> Option<(usize, usize)> {
    let times = |entry: &Entry| match entry.when {
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
fn words(line: &str) -> Vec<Word<'_>> {
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

/// A line that says something.
struct Line<'a> {
    number: usize,
    words: &'a [Word<'a>],
    /// The column behind its last character.
    end: usize,
    setting: &'a Setting<'a>,
}

impl Line<'_> {
    fn entry(&self) -> Result<Entry, Wrong> {
        let (when, next) = match self.text(0) {
            Some("at") => (self.at()?, 2),
            Some("after") => (self.after()?, 4),
            _ => return Err(self.wrong(0, format!("a line begins with `at` or `after`; {FORM}"))),
        };
        let kind = self.kind(next)?;
        let last = self.words.iter().rposition(|word| word.text == "for");
        let last = last.filter(|last| *last > next).unwrap_or(self.words.len());
        let aim = self.aim(&kind, next + 1, last)?;
        let for_ms = if last < self.words.len() { self.length(last + 1)? } else { DEFAULT_MS };
        let entry = Entry { when, kind, aim, for_ms };
        self.ends_in_time(&entry).map(|()| entry)
    }

    fn at(&self) -> Result<When, Wrong> {
        let ms = self.span(1)?;
        if ms >= self.setting.limit_ms {
            let limit = span(self.setting.limit_ms);
            return Err(self.wrong(
                1,
                format!("the main phase is over after {limit}; begin earlier, or give it more with --time-limit"),
            ));
        }
        Ok(When::At(ms))
    }

    fn after(&self) -> Result<When, Wrong> {
        let count = self.text(1).and_then(|word| word.parse().ok()).filter(|count| *count > 0);
        let Some(count) = count else {
            return Err(self.wrong(1, format!("after how many operations? {FORM}")));
        };
        if self.text(2) != Some("ok") {
            return Err(
                self.wrong(2, format!("only operations that succeeded are counted; {FORM}"))
            );
        }
        let functions = self.setting.functions;
        let known = |word: &&str| plural(&Some((*word).to_owned()));
        match self.text(3) {
            Some(ANY) => Ok(When::After { count, function: None }),
            word => match functions
                .iter()
                .find(|name| word.is_some_and(|word| word == **name || word == known(name)))
            {
                Some(name) => Ok(When::After { count, function: Some((*name).to_owned()) }),
                None => {
                    let names: Vec<String> = functions.iter().map(known).collect();
                    let names = names.join(", ");
                    Err(self.wrong(
                        3,
                        format!(
                            "clients of this workload do none of these; count {names} or {ANY}"
                        ),
                    ))
                }
            },
        }
    }

    fn kind(&self, place: usize) -> Result<String, Wrong> {
        let known: Vec<&str> = super::NEMESES
            .iter()
            .map(|nemesis| nemesis.name())
            .filter(|name| *name != "none")
            .collect();
        match self.text(place) {
            Some(kind) if known.contains(&kind) => Ok(kind.to_owned()),
            word => {
                let word = word.unwrap_or("nothing");
                Err(self
                    .wrong(place, format!("{word:?} is no fault; there are: {}", known.join(", "))))
            }
        }
    }

    fn aim(&self, kind: &str, from: usize, to: usize) -> Result<String, Wrong> {
        let words: Vec<&str> = self.words[from..to].iter().map(|word| word.text).collect();
        let aim = tidy(&words.join(" "));
        let refusal = named(kind).and_then(|nemesis| nemesis.refuses(&aim, self.setting.hosts));
        match refusal {
            Some(why) => Err(self.wrong(from, why)),
            None => Ok(aim),
        }
    }

    fn length(&self, place: usize) -> Result<u64, Wrong> {
        let ms = self.span(place)?;
        if let Some(word) = self.words.get(place + 1) {
            let text = format!("{:?} says more than a line can; {FORM}", word.text);
            return Err(self.wrong(place + 1, text));
        }
        if ms == 0 {
            return Err(self.wrong(
                place,
                "a fault that does not last does nothing; give it 1ms at least".to_owned(),
            ));
        }
        Ok(ms)
    }

    fn ends_in_time(&self, entry: &Entry) -> Result<(), Wrong> {
        let limit_ms = self.setting.limit_ms;
        match entry.when {
            When::At(at_ms) if at_ms.saturating_add(entry.for_ms) > limit_ms => {
                let text = format!(
                    "this fault would end after the main phase, which lasts {}; \
                     shorten it, or give more with --time-limit",
                    span(limit_ms)
                );
                Err(self.wrong(0, text))
            }
            _ => Ok(()),
        }
    }

    fn span(&self, place: usize) -> Result<u64, Wrong> {
        let word = self.text(place).unwrap_or("nothing");
        milliseconds(word).ok_or_else(|| {
            self.wrong(
                place,
                format!("{word:?} is no duration; write for example 3.2s, 700ms or 1m"),
            )
        })
    }

    fn text(&self, place: usize) -> Option<&str> {
        self.words.get(place).map(|word| word.text)
    }

    fn wrong(&self, place: usize, text: String) -> Wrong {
        let column = self.words.get(place).map_or(self.end, |word| word.column);
        Wrong { line: self.number, column, text }
    }
}

/// One spelling for each aim: `n1 | n2` and `n1|n2` are the same.
fn tidy(aim: &str) -> String {
    aim.split('|').map(str::trim).collect::<Vec<_>>().join("|")
}

/// Reads `3.2s`, `700ms` or `1m`, exact to the millisecond.
fn milliseconds(word: &str) -> Option<u64> {
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
    // More decimals than there are milliseconds would be rounded behind somebody's back.
    scaled.is_multiple_of(tenths).then(|| scaled / tenths).filter(|ms| *ms <= MOST_MS)
}

/// The longest time that is read: nobody waits a year.
const MOST_MS: u64 = 366 * 86_400_000;

#[cfg(test)]
mod tests;
