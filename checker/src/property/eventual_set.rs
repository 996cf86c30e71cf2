//! Judges that every replica shows in the end everything that was added anywhere, and nothing that was not.
//!
//! A read in between may be of the past, so only the last read of each replica is asked for what it lacks, and only if
//! it is late ([`super::last_reads`]). What no client asked for is wrong in any read, as is an element shown twice.

use rustc_hash::{FxHashMap, FxHashSet};

use super::last_reads::{is_late, last_change, last_reads, on};
use super::objects::{Object, Op, brief, whole};
use super::tally::{Case, Tally, meaningless};
use crate::history::{History, Value};
use crate::verdict::{Check, Limits, Verdict};

const NAME: &str = "eventual-set";

/// A set, or a broadcast, that converges.
pub(crate) struct EventualSet;

impl Check for EventualSet {
    fn name(&self) -> &'static str {
        NAME
    }

    fn doc(&self) -> &'static str {
        "the last `read` of each replica, if 10 s or more after the last change, shows every element of an acknowledged \
         `add` or `broadcast`; no `read` shows one twice or one that nobody added"
    }

    fn check(&self, history: &History, _: &Limits<'_>) -> Verdict {
        judge(history).unwrap_or_else(|why| meaningless(NAME, why))
    }
}

const KINDS: &[&str] = &["undelivered", "unexpected", "duplicated"];

fn judge(history: &History) -> Result<Verdict, String> {
    let object = whole(history);
    object.ops.iter().try_for_each(functions)?;
    let mut tally = Tally::new(NAME, KINDS);
    shown_rightly(&object, &mut tally);
    let change = last_change(history, &object.ops);
    let reads = last_reads(&object.ops);
    let added: Vec<_> = object.ops.iter().filter(|op| adds(op) && op.output.is_some()).collect();
    reads.iter().for_each(|read| complete(read, &added, change, &mut tally));
    tally.count(object.ops.len(), 0);
    tally.measure("added", added.len() as i64);
    tally.measure("replicas_read", reads.len() as i64);
    if added.is_empty() || reads.is_empty() {
        tally.doubt(|| "nothing was added, or nothing was read".to_owned());
    }
    let (added, reads) = (added.len(), reads.len());
    Ok(tally.verdict(&format!("all {added} elements are in the last reads of {reads} replicas")))
}

fn adds(op: &Op<'_>) -> bool {
    matches!(op.f, "add" | "broadcast")
}

fn functions(op: &Op<'_>) -> Result<(), String> {
    match (op.f, op.output) {
        ("add" | "broadcast", _) | ("read", None | Some(Value::List(_))) => Ok(()),
        ("read", Some(other)) => {
            Err(op.bad_output(&format!("a read of a set returned {}, no list", brief(other))))
        }
        _ => Err(op.unknown_function("add, broadcast, read")),
    }
}

/// What a read of the set returned.
fn shown<'h>(op: &Op<'h>) -> &'h [Value] {
    match op.output {
        Some(Value::List(items)) if op.f == "read" => items,
        _ => &[],
    }
}

/// Nothing is shown twice, and nothing that nobody can have added by then.
fn shown_rightly(object: &Object<'_>, tally: &mut Tally) {
    let mut asked: FxHashMap<&Value, u64> = FxHashMap::default();
    for add in object.ops.iter().filter(|op| adds(op) && op.possible()) {
        asked.entry(add.input).or_insert(add.begin);
    }
    for read in &object.ops {
        let mut seen = FxHashSet::default();
        for element in shown(read) {
            if !seen.insert(element) {
                tally.found("duplicated", || case(read, element, "twice"));
            }
            if asked.get(element).is_none_or(|begin| *begin > read.end) {
                tally.found("unexpected", || case(read, element, "though nobody had added it"));
            }
        }
    }
}

fn case(read: &Op<'_>, element: &Value, how: &str) -> Case {
    Case {
        message: format!("{}{} shows {} {how}", read.named(), on(read), brief(element)),
        operations: vec![read.begin],
        ..Case::default()
    }
}

/// A replica's last read shows everything, unless it came too early to say.
fn complete(read: &Op<'_>, added: &[&Op<'_>], change: u64, tally: &mut Tally) {
    let there: FxHashSet<&Value> = shown(read).iter().collect();
    for add in added.iter().filter(|add| add.end < read.begin && !there.contains(add.input)) {
        if is_late(read, change) {
            tally.found("undelivered", || undelivered(read, add));
        } else {
            tally.doubt(|| {
                format!(
                    "the last read{} lacks {}, but it began less than 10 s after the last change",
                    on(read),
                    brief(add.input)
                )
            });
        }
    }
}

fn undelivered(read: &Op<'_>, add: &Op<'_>) -> Case {
    let seconds = read.asked_at().saturating_sub(add.told_at()) / 1_000_000_000;
    Case {
        message: format!(
            "{}{}, the last one there, lacks {}, which had been acknowledged{} {seconds} s before",
            read.named(),
            on(read),
            brief(add.input),
            on(add)
        ),
        steps: vec![add.step(read, "realtime", format!("acknowledged {seconds} s before"))],
        operations: vec![add.begin, read.begin],
    }
}
