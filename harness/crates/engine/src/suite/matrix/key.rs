//! Names what a suite's file can say, and reads one value of it.

use super::Wrong;
use crate::spelling::nearest;
use records::suite::Expectation;
use std::ops::Range;
use toml::Spanned;
use toml::de::DeValue;

/// What a suite can say of its runs; a list makes one run of each.
#[derive(Clone, Debug)]
pub(super) struct Axes {
    pub(super) system: Vec<String>,
    pub(super) workload: Vec<String>,
    pub(super) nemesis: Vec<String>,
    pub(super) read: Vec<String>,
    pub(super) nodes: Vec<u8>,
    pub(super) seeds: Seeds,
    pub(super) time_limit_ms: u64,
    pub(super) concurrency: u64,
    pub(super) rate: u64,
    pub(super) net: String,
    pub(super) bugs: Vec<String>,
    pub(super) expect: Expectation,
    pub(super) fail_fast: bool,
}

/// More seeds than anybody waits for; so many cells are still held in memory.
const MOST_SEEDS: u64 = 10_000;

/// Which seeds.
#[derive(Clone, Debug)]
pub(super) enum Seeds {
    /// So many, from the first one on.
    Count(u64),
    /// These.
    These(Vec<u64>),
}

impl Default for Axes {
    /// What `harness test` does when nothing is said.
    fn default() -> Self {
        let one = |word: &str| vec![word.to_owned()];
        Self {
            system: one("raft"),
            workload: one("register"),
            nemesis: one("partition,kill"),
            read: one("linearizable"),
            nodes: vec![5],
            seeds: Seeds::Count(1),
            time_limit_ms: 30_000,
            concurrency: 10,
            rate: 200,
            net: "auto".to_owned(),
            bugs: Vec::new(),
            expect: Expectation::Valid,
            fail_fast: false,
        }
    }
}

/// Everything that [`Axes::set`] knows, in alphabetical order.
pub(super) const KEYS: [&str; 13] = [
    "concurrency",
    "expect",
    "fail-fast",
    "nemesis",
    "net",
    "nodes",
    "rate",
    "read",
    "seeds",
    "system",
    "time-limit",
    "unsafe",
    "workload",
];

type Value<'a> = Spanned<DeValue<'a>>;

impl Axes {
    /// Takes over what a key says; a key that is unknown is refused at its own place.
    pub(super) fn set(
        &mut self,
        (key, place): (&str, Range<usize>),
        value: &Value<'_>,
    ) -> Result<(), Wrong> {
        match key {
            "system" => self.system = words(value)?,
            "workload" => self.workload = words(value)?,
            "nemesis" => self.nemesis = words(value)?,
            "read" => self.read = words(value)?,
            "unsafe" => self.bugs = words(value)?,
            "net" => self.net = word(value)?,
            "nodes" => self.nodes = nodes(value)?,
            "seeds" => self.seeds = seeds(value)?,
            "time-limit" => self.time_limit_ms = duration_ms(value)?,
            "concurrency" => self.concurrency = number(value)?,
            "rate" => self.rate = number(value)?,
            "expect" => self.expect = expectation(value)?,
            "fail-fast" => self.fail_fast = truth(value)?,
            _ => return Err(Wrong::at(place, unknown(key, &KEYS))),
        }
        Ok(())
    }
}

/// That there is no such key, and which one was perhaps meant.
pub(super) fn unknown(key: &str, known: &[&str]) -> String {
    match nearest(key, known) {
        Some(near) => format!("no key {key:?}; did you mean {near:?}?"),
        None => format!("no key {key:?}; there are: {}", known.join(", ")),
    }
}

fn wrong(value: &Value<'_>, wanted: &str) -> Wrong {
    Wrong::at(value.span(), format!("this is to be {wanted}"))
}

fn word(value: &Value<'_>) -> Result<String, Wrong> {
    let word = value.get_ref().as_str();
    word.map(str::to_owned).ok_or_else(|| wrong(value, "a string"))
}

fn truth(value: &Value<'_>) -> Result<bool, Wrong> {
    value.get_ref().as_bool().ok_or_else(|| wrong(value, "true or false"))
}

/// A number of at least one.
fn number(value: &Value<'_>) -> Result<u64, Wrong> {
    whole(value).filter(|number| *number > 0).ok_or_else(|| wrong(value, "a whole number above 0"))
}

fn whole(value: &Value<'_>) -> Option<u64> {
    let integer = value.get_ref().as_integer()?;
    u64::from_str_radix(integer.as_str(), integer.radix()).ok()
}

/// A value of its own is a list of one.
fn each<T>(
    value: &Value<'_>,
    one: impl Fn(&Value<'_>) -> Result<T, Wrong>,
) -> Result<Vec<T>, Wrong> {
    match value.get_ref().as_array() {
        Some(list) if list.is_empty() => {
            Err(wrong(value, "a list with something in it, or nothing would run"))
        }
        Some(list) => list.iter().map(one).collect(),
        None => Ok(vec![one(value)?]),
    }
}

fn words(value: &Value<'_>) -> Result<Vec<String>, Wrong> {
    each(value, word)
}

fn nodes(value: &Value<'_>) -> Result<Vec<u8>, Wrong> {
    each(value, |one| {
        let few = number(one)?;
        u8::try_from(few).map_err(|_| wrong(one, "a number of replicas that a run can have"))
    })
}

fn seeds(value: &Value<'_>) -> Result<Seeds, Wrong> {
    if value.get_ref().as_array().is_none() {
        let count = number(value)?;
        if count > MOST_SEEDS {
            return Err(wrong(value, &format!("at most {MOST_SEEDS} seeds of one matrix")));
        }
        return Ok(Seeds::Count(count));
    }
    let seed =
        |one: &Value<'_>| whole(one).ok_or_else(|| wrong(one, "a seed: a whole number from 0 on"));
    Ok(Seeds::These(each(value, seed)?))
}

/// A duration in milliseconds.
pub(super) fn duration_ms(value: &Value<'_>) -> Result<u64, Wrong> {
    let text = word(value)?;
    let duration = crate::duration::parse(&text);
    let duration = duration.map_err(|why| Wrong::at(value.span(), why))?;
    Ok(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}

/// A word that names the suite or a file of it.
pub(super) fn name(value: &Value<'_>) -> Result<String, Wrong> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let name = word(value)?;
    if name.is_empty() || !name.chars().all(plain) {
        return Err(wrong(value, "a name of letters, digits and hyphens"));
    }
    Ok(name)
}

fn expectation(value: &Value<'_>) -> Result<Expectation, Wrong> {
    match word(value)?.as_str() {
        "valid" => Ok(Expectation::Valid),
        "invalid" => Ok(Expectation::Invalid),
        _ => Err(wrong(value, "\"valid\" or \"invalid\"")),
    }
}
