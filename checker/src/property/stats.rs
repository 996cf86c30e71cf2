//! Judges whether a run says anything: each function that was called succeeded at least once.

use std::collections::BTreeMap;

use super::tally::Tally;
use crate::history::{History, Kind, Value};
use crate::verdict::{Check, Limits, Verdict};

const NAME: &str = "stats";

/// Jepsen's stats.
pub(crate) struct Stats;

impl Check for Stats {
    fn name(&self) -> &'static str {
        NAME
    }

    fn doc(&self) -> &'static str {
        "each function that was called succeeded at least once; a run in which one never did proves \
         nothing about it, and is unknown"
    }

    fn check(&self, history: &History, _limits: &Limits<'_>) -> Verdict {
        let mut tally = Tally::new(NAME, &[]);
        let counts = counts(history);
        for (f, count) in &counts {
            if count.ok == 0 {
                tally.doubt(|| format!("no {f} ever succeeded, in {} calls", count.all()));
            }
        }
        if counts.is_empty() {
            tally.doubt(|| "nothing was ever called".to_owned());
        }
        tally.stats.operations = history.operations().len();
        let by_f = counts.iter().map(|(f, count)| ((*f).to_owned(), count.told()));
        tally.measure("functions", Value::map(by_f));
        tally.verdict(&format!("each of {} functions succeeded", counts.len()))
    }
}

#[derive(Default)]
struct Count {
    ok: i64,
    fail: i64,
    info: i64,
}

impl Count {
    const fn all(&self) -> i64 {
        self.ok + self.fail + self.info
    }

    fn told(&self) -> Value {
        let numbers = [("ok", self.ok), ("fail", self.fail), ("info", self.info)];
        Value::map(numbers.map(|(name, number)| (name.to_owned(), Value::Int(number))))
    }
}

fn counts(history: &History) -> BTreeMap<&str, Count> {
    let mut counts: BTreeMap<&str, Count> = BTreeMap::new();
    for operation in history.operations() {
        let count = counts.entry(&operation.f).or_default();
        match operation.kind() {
            Kind::Ok => count.ok += 1,
            // A mismatch is an answer: the call went through and saw the state.
            Kind::Fail if operation.is_mismatch() => count.ok += 1,
            Kind::Fail => count.fail += 1,
            Kind::Invoke | Kind::Info => count.info += 1,
        }
    }
    counts
}
