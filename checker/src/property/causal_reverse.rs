//! Checks that no write is visible before another that was acknowledged before it began (Jepsen's
//! causal reverse).
//!
//! Strict serializability forbids this anomaly, serializability does not. A read returns all
//! visible writes, so it must return every write acknowledged before the last-invoked of them; one
//! count per read decides.

use rustc_hash::{FxHashMap, FxHashSet};

use super::op::{ObjectOps, Op, abbreviate, key_suffix, split_by_key};
use super::set_final::unexpected_element;
use super::verdict_builder::{AnomalyCase, VerdictBuilder, unsupported_history};
use crate::history::{History, Value};
use crate::verdict::{Check, Limits, Verdict};

const NAME: &str = "causal-reverse";

/// Writes become visible in real-time order.
pub(crate) struct CausalReverse;

impl Check for CausalReverse {
    fn name(&self) -> &'static str {
        NAME
    }

    fn doc(&self) -> &'static str {
        "a `read` that returns a `write` also returns each write acknowledged before it began \
         (Jepsen's causal-reverse)"
    }

    fn check(&self, history: &History, limits: &Limits<'_>) -> Verdict {
        check_history(history, limits).unwrap_or_else(|why| unsupported_history(NAME, why))
    }
}

fn check_history(history: &History, limits: &Limits<'_>) -> Result<Verdict, String> {
    let mut builder = VerdictBuilder::new(NAME, &["causal-reverse", "unexpected"]);
    let mut reads = 0;
    for object in split_by_key(history, limits.keyed)? {
        reads += check_object(&object, &mut builder)?;
    }
    if reads == 0 {
        builder.add_unknown(|| "no read completed".to_owned());
    }
    Ok(builder.build(&format!("in all {reads} reads writes are visible in real-time order")))
}

fn check_object(object: &ObjectOps<'_>, builder: &mut VerdictBuilder) -> Result<usize, String> {
    let before = builder.case_count();
    let writes = VisibleWrites::of(object)?;
    let mut reads = 0;
    for read in object.ops.iter().filter(|op| op.f == "read") {
        let shown = match read.output {
            None => continue,
            Some(Value::List(shown)) => shown,
            Some(other) => {
                return Err(
                    read.invalid_output(&format!("expected a list, got {}", abbreviate(other)))
                );
            }
        };
        reads += 1;
        writes.check_read(read, shown, builder);
    }
    builder.finish_object(object.ops.len(), before);
    Ok(reads)
}

struct VisibleWrites<'o, 'h> {
    key: Option<&'h Value>,
    by_value: FxHashMap<&'h Value, &'o Op<'h>>,
    /// The acknowledged writes, in order of acknowledgement.
    acknowledged: Vec<&'o Op<'h>>,
    all: Vec<&'o Op<'h>>,
}

impl<'o, 'h> VisibleWrites<'o, 'h> {
    fn of(object: &'o ObjectOps<'h>) -> Result<Self, String> {
        if let Some(op) = object.ops.iter().find(|op| !matches!(op.f, "write" | "read")) {
            return Err(op.unknown_function("read, write"));
        }
        let all: Vec<_> = object.ops.iter().filter(|op| op.f == "write").collect();
        let mut by_value: FxHashMap<&Value, &Op<'_>> = FxHashMap::default();
        for op in all.iter().filter(|op| op.may_have_happened()) {
            if let Some(first) = by_value.insert(op.input, op) {
                let why =
                    format!("values must be unique, but {} wrote the same one", first.describe());
                return Err(op.invalid_input(&why));
            }
        }
        let mut acknowledged: Vec<_> =
            all.iter().copied().filter(|op| op.output.is_some()).collect();
        acknowledged.sort_by_key(|op| op.end);
        Ok(Self { key: object.key, by_value, acknowledged, all })
    }

    fn check_read(&self, read: &Op<'h>, shown: &[Value], builder: &mut VerdictBuilder) {
        let mut seen: Vec<&Op<'_>> = Vec::with_capacity(shown.len());
        for value in shown {
            match self.by_value.get(value).filter(|write| write.begin < read.end) {
                Some(write) => seen.push(write),
                None => builder.add_case("unexpected", || {
                    unexpected_element(self.key, value, read, &self.all)
                }),
            }
        }
        seen.sort_unstable_by_key(|write| write.begin);
        seen.dedup_by_key(|write| write.begin);
        let Some(latest) = seen.last() else { return };
        let needed = self.acknowledged.partition_point(|write| write.end < latest.begin);
        if seen.iter().filter(|write| write.end < latest.begin).count() < needed {
            let seen: FxHashSet<u64> = seen.iter().map(|write| write.begin).collect();
            let hidden = self.acknowledged.iter().find(|write| !seen.contains(&write.begin));
            let hidden = hidden.expect("a write is missing");
            builder.add_case("causal-reverse", || self.reversed_case(read, hidden, latest));
        }
    }

    fn reversed_case(&self, read: &Op<'_>, hidden: &Op<'_>, shown: &Op<'_>) -> AnomalyCase {
        AnomalyCase {
            message: format!(
                "{}{} observed {} but not {}, which was acknowledged before the former began",
                read.describe(),
                key_suffix(self.key),
                shown.describe(),
                hidden.describe()
            ),
            steps: vec![
                hidden.step(shown, "realtime", hidden.acknowledged_before(shown)),
                shown.step(
                    read,
                    "wr",
                    format!("{} observed {}", read.describe(), shown.describe()),
                ),
                read.step(
                    hidden,
                    "rw",
                    format!(
                        "it did not observe {}, so it precedes that write: a contradiction",
                        hidden.describe()
                    ),
                ),
            ],
            operations: vec![hidden.begin, shown.begin, read.begin],
        }
    }
}
