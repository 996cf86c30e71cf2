//! Judges whether a system went on answering: a floor for each stretch of a run.

use super::tally::{Case, Tally};
use crate::history::{History, Kind, Real, Value};
use crate::verdict::Verdict;

/// A stretch of a run and what is demanded of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Stretch {
    /// What it is: `before`, `partition 3`.
    pub name: String,
    /// Where it begins, in nanoseconds since the run began.
    pub from: u64,
    /// Where it ends.
    pub to: u64,
    /// How many operations a second have to succeed.
    pub per_second: f64,
    /// Which part of the operations that ended in it has to succeed.
    pub part: f64,
}

/// What was counted in a stretch.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Served {
    /// Operations that ended well, mismatches included.
    pub ok: usize,
    /// Operations that ended otherwise.
    pub not: usize,
    /// How many a second ended well.
    pub per_second: f64,
}

/// Judges each stretch against its floor. Operations count where they end.
pub fn judge(history: &History, stretches: &[Stretch]) -> Verdict {
    let mut tally = Tally::new("availability", &["unavailable"]);
    let ends = ends(history);
    let mut measured = Vec::new();
    for stretch in stretches {
        let served = served(&ends, stretch);
        measured.push(told(stretch, served));
        let all = (served.ok + served.not).max(1) as f64;
        if served.per_second < stretch.per_second || (served.ok as f64) < stretch.part * all {
            tally.found("unavailable", || short(stretch, served));
        }
    }
    if stretches.is_empty() {
        tally.doubt(|| "there is no stretch of time to judge".to_owned());
    }
    tally.stats.operations = ends.len();
    tally.measure("stretches", measured);
    tally.verdict(&format!("all {} stretches were served", stretches.len()))
}

/// When operations ended and whether well, in order of time.
fn ends(history: &History) -> Vec<(u64, bool)> {
    let ended = history.operations().iter().filter_map(|operation| {
        let good = operation.kind() == Kind::Ok || operation.is_mismatch();
        operation.completion.as_ref().map(|completion| (completion.at.time, good))
    });
    let mut ends: Vec<_> = ended.collect();
    ends.sort_unstable();
    ends
}

fn served(ends: &[(u64, bool)], stretch: &Stretch) -> Served {
    let from = ends.partition_point(|(time, _)| *time < stretch.from);
    let to = ends.partition_point(|(time, _)| *time < stretch.to).max(from);
    let ok = ends[from..to].iter().filter(|(_, good)| *good).count();
    let seconds = stretch.to.saturating_sub(stretch.from).max(1) as f64 / 1e9;
    Served { ok, not: to - from - ok, per_second: ok as f64 / seconds }
}

fn told(stretch: &Stretch, served: Served) -> Value {
    Value::map([
        ("name".to_owned(), Value::from(stretch.name.as_str())),
        ("ok".to_owned(), Value::Int(served.ok as i64)),
        ("not_ok".to_owned(), Value::Int(served.not as i64)),
        ("per_second".to_owned(), Value::Real(Real(served.per_second))),
        ("floor_per_second".to_owned(), Value::Real(Real(stretch.per_second))),
    ])
}

fn short(stretch: &Stretch, served: Served) -> Case {
    let Served { ok, not, per_second } = served;
    Case {
        message: format!(
            "{}: {ok} of {} operations succeeded, {per_second:.1} a second; wanted {:.1} a second and \
             {:.0} %",
            stretch.name,
            ok + not,
            stretch.per_second,
            stretch.part * 100.0
        ),
        ..Case::default()
    }
}
