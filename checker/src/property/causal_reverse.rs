//! Judges that no write is visible before one that was acknowledged before it began.
//!
//! Strict serializability forbids it, serializability alone does not. A read shows everything that is visible, so
//! it must show every write acknowledged before the last-begun of those that it shows; one count per read decides.

use rustc_hash::{FxHashMap, FxHashSet};

use super::objects::{Object, Op, brief, objects, of_key};
use super::set_final::{after, unexpected};
use super::tally::{Case, Tally, meaningless};
use crate::history::{History, Value};
use crate::verdict::{Check, Limits, Verdict};

const NAME: &str = "causal-reverse";

/// Writes become visible in the order in which they were acknowledged.
pub(crate) struct CausalReverse;

impl Check for CausalReverse {
    fn name(&self) -> &'static str {
        NAME
    }

    fn doc(&self) -> &'static str {
        "no `read` of everything shows a `write` without each one acknowledged before it began \
         (Jepsen's causal-reverse)"
    }

    fn check(&self, history: &History, limits: &Limits<'_>) -> Verdict {
        judge(history, limits).unwrap_or_else(|why| meaningless(NAME, why))
    }
}

fn judge(history: &History, limits: &Limits<'_>) -> Result<Verdict, String> {
    let mut tally = Tally::new(NAME, &["causal-reverse", "unexpected"]);
    let mut reads = 0;
    for object in objects(history, limits.keyed)? {
        reads += one(&object, &mut tally)?;
    }
    if reads == 0 {
        tally.doubt(|| "nothing was ever read".to_owned());
    }
    Ok(tally.verdict(&format!("in all {reads} reads writes became visible in order")))
}

fn one(object: &Object<'_>, tally: &mut Tally) -> Result<usize, String> {
    let before = tally.wrongs();
    let writes = Writes::of(object)?;
    let mut reads = 0;
    for read in object.ops.iter().filter(|op| op.f == "read") {
        let shown = match read.output {
            None => continue,
            Some(Value::List(shown)) => shown,
            Some(other) => {
                return Err(read.bad_output(&format!("it returned {}, no list", brief(other))));
            }
        };
        reads += 1;
        writes.read(read, shown, tally);
    }
    tally.count(object.ops.len(), before);
    Ok(reads)
}

struct Writes<'o, 'h> {
    key: Option<&'h Value>,
    by_value: FxHashMap<&'h Value, &'o Op<'h>>,
    /// The acknowledged ones, in order of acknowledgement.
    acknowledged: Vec<&'o Op<'h>>,
    all: Vec<&'o Op<'h>>,
}

impl<'o, 'h> Writes<'o, 'h> {
    fn of(object: &'o Object<'h>) -> Result<Self, String> {
        if let Some(op) = object.ops.iter().find(|op| !matches!(op.f, "write" | "read")) {
            return Err(op.unknown_function("read, write"));
        }
        let all: Vec<_> = object.ops.iter().filter(|op| op.f == "write").collect();
        let mut by_value: FxHashMap<&Value, &Op<'_>> = FxHashMap::default();
        for op in all.iter().filter(|op| op.possible()) {
            if let Some(first) = by_value.insert(op.input, op) {
                let why = format!("values must differ, and {} wrote this one too", first.named());
                return Err(op.bad_input(&why));
            }
        }
        let mut acknowledged: Vec<_> =
            all.iter().copied().filter(|op| op.output.is_some()).collect();
        acknowledged.sort_by_key(|op| op.end);
        Ok(Self { key: object.key, by_value, acknowledged, all })
    }

    fn read(&self, read: &Op<'h>, shown: &[Value], tally: &mut Tally) {
        let mut seen: Vec<&Op<'_>> = Vec::with_capacity(shown.len());
        for value in shown {
            match self.by_value.get(value).filter(|write| write.begin < read.end) {
                Some(write) => seen.push(write),
                None => tally.found("unexpected", || unexpected(self.key, value, read, &self.all)),
            }
        }
        seen.sort_unstable_by_key(|write| write.begin);
        seen.dedup_by_key(|write| write.begin);
        let Some(latest) = seen.last() else { return };
        let needed = self.acknowledged.partition_point(|write| write.end < latest.begin);
        if seen.iter().filter(|write| write.end < latest.begin).count() < needed {
            let seen: FxHashSet<u64> = seen.iter().map(|write| write.begin).collect();
            let hidden = self.acknowledged.iter().find(|write| !seen.contains(&write.begin));
            let hidden = hidden.expect("fewer are seen than there are");
            tally.found("causal-reverse", || self.reversed(read, hidden, latest));
        }
    }

    fn reversed(&self, read: &Op<'_>, hidden: &Op<'_>, shown: &Op<'_>) -> Case {
        Case {
            message: format!(
                "{}{} shows {} and not {}, though the latter was acknowledged before the former began",
                read.named(),
                of_key(self.key),
                shown.named(),
                hidden.named()
            ),
            steps: vec![
                hidden.step(shown, "realtime", after(hidden, shown)),
                shown.step(read, "wr", format!("{} shows {}", read.named(), shown.named())),
                read.step(
                    hidden,
                    "rw",
                    format!(
                        "it does not show {}, so it came before that: a contradiction",
                        hidden.named()
                    ),
                ),
            ],
            operations: vec![hidden.begin, shown.begin, read.begin],
        }
    }
}
