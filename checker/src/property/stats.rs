//! Checks that each function that was called succeeded at least once.

use std::collections::BTreeMap;

use super::verdict_builder::VerdictBuilder;
use crate::history::{History, Kind, Value};
use crate::verdict::{Check, Limits, Verdict};

const NAME: &str = "stats";

/// Jepsen's stats.
pub(crate) struct FunctionStats;

impl Check for FunctionStats {
    fn name(&self) -> &'static str {
        NAME
    }

    fn doc(&self) -> &'static str {
        "each function that was called succeeded at least once; a run in which one never did \
         proves nothing about it, and is unknown"
    }

    fn check(&self, history: &History, _limits: &Limits<'_>) -> Verdict {
        let mut builder = VerdictBuilder::new(NAME, &[]);
        let counts = count_outcomes(history);
        for (f, count) in &counts {
            if count.ok == 0 {
                builder.add_unknown(|| format!("none of {} calls of {f} succeeded", count.total()));
            }
        }
        if counts.is_empty() {
            builder.add_unknown(|| "no function was called".to_owned());
        }
        builder.stats.operations = history.operations().len();
        let by_f = counts.iter().map(|(f, count)| ((*f).to_owned(), count.to_value()));
        builder.set_measure("functions", Value::map(by_f));
        builder.build(&format!("each of {} functions succeeded at least once", counts.len()))
    }
}

#[derive(Default)]
struct Count {
    ok: i64,
    fail: i64,
    info: i64,
}

impl Count {
    const fn total(&self) -> i64 {
        self.ok + self.fail + self.info
    }

    fn to_value(&self) -> Value {
        let numbers = [("ok", self.ok), ("fail", self.fail), ("info", self.info)];
        Value::map(numbers.map(|(name, number)| (name.to_owned(), Value::Int(number))))
    }
}

fn count_outcomes(history: &History) -> BTreeMap<&str, Count> {
    let mut counts: BTreeMap<&str, Count> = BTreeMap::new();
    for operation in history.operations() {
        let count = counts.entry(&operation.f).or_default();
        match operation.kind() {
            Kind::Ok => count.ok += 1,
            // A mismatch is a definite reply: the call observed the state.
            Kind::Fail if operation.is_mismatch() => count.ok += 1,
            Kind::Fail => count.fail += 1,
            Kind::Invoke | Kind::Info => count.info += 1,
        }
    }
    counts
}
