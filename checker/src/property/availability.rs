//! Checks availability: the rate of successful operations in each interval of a run.

use super::verdict_builder::{AnomalyCase, VerdictBuilder};
use crate::history::{History, Kind, Real, Value};
use crate::verdict::Verdict;

/// An interval of a run and its required availability.
#[derive(Clone, Debug, PartialEq)]
pub struct Interval {
    /// Its name, such as `before` or `partition 3`.
    pub name: String,
    /// Its start, in nanoseconds since the run began.
    pub from: u64,
    /// Its end.
    pub to: u64,
    /// The required number of successful operations per second.
    pub per_second: f64,
    /// The required fraction of successful operations among those that completed in it.
    pub part: f64,
}

/// The counts of an interval.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Served {
    /// Successful operations, mismatches included.
    pub ok: usize,
    /// Other operations.
    pub not: usize,
    /// Successful operations per second.
    pub per_second: f64,
}

/// Checks each interval. Operations count in the interval in which they complete.
pub fn check_availability(history: &History, intervals: &[Interval]) -> Verdict {
    let mut builder = VerdictBuilder::new("availability", &["unavailable"]);
    let ends = completions(history);
    let mut measured = Vec::new();
    for interval in intervals {
        let served = count_served(&ends, interval);
        measured.push(interval_row(interval, served));
        let all = (served.ok + served.not).max(1) as f64;
        if served.per_second < interval.per_second || (served.ok as f64) < interval.part * all {
            builder.add_case("unavailable", || unavailable_case(interval, served));
        }
    }
    if intervals.is_empty() {
        builder.add_unknown(|| "no interval was given".to_owned());
    }
    builder.stats.operations = ends.len();
    builder.set_measure("stretches", measured);
    builder.build(&format!("all {} intervals were available", intervals.len()))
}

/// The completion time of each operation and whether it succeeded, in order of time.
fn completions(history: &History) -> Vec<(u64, bool)> {
    let ended = history.operations().iter().filter_map(|operation| {
        let good = operation.kind() == Kind::Ok || operation.is_mismatch();
        operation.completion.as_ref().map(|completion| (completion.at.time, good))
    });
    let mut ends: Vec<_> = ended.collect();
    ends.sort_unstable();
    ends
}

fn count_served(ends: &[(u64, bool)], interval: &Interval) -> Served {
    let from = ends.partition_point(|(time, _)| *time < interval.from);
    let to = ends.partition_point(|(time, _)| *time < interval.to).max(from);
    let ok = ends[from..to].iter().filter(|(_, good)| *good).count();
    let seconds = interval.to.saturating_sub(interval.from).max(1) as f64 / 1e9;
    Served { ok, not: to - from - ok, per_second: ok as f64 / seconds }
}

fn interval_row(interval: &Interval, served: Served) -> Value {
    Value::map([
        ("name".to_owned(), Value::from(interval.name.as_str())),
        ("ok".to_owned(), Value::Int(served.ok as i64)),
        ("not_ok".to_owned(), Value::Int(served.not as i64)),
        ("per_second".to_owned(), Value::Real(Real(served.per_second))),
        ("floor_per_second".to_owned(), Value::Real(Real(interval.per_second))),
    ])
}

fn unavailable_case(interval: &Interval, served: Served) -> AnomalyCase {
    let Served { ok, not, per_second } = served;
    AnomalyCase {
        message: format!(
            "{}: {ok} of {} operations succeeded ({per_second:.1} per second), but {:.1} per \
             second and {:.0} % are required",
            interval.name,
            ok + not,
            interval.per_second,
            interval.part * 100.0
        ),
        ..AnomalyCase::default()
    }
}
