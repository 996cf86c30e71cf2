//! Judges that all reads of a group of keys agree on the order in which the keys were written.
//!
//! Each key is written once, so of two reads of the same keys one shows everything the other does. Sorted by how
//! much they show, each read need only be compared with the next.

use rustc_hash::FxHashMap;
use std::collections::BTreeMap;

use super::micro::{Micro, micros};
use super::objects::{Op, brief, whole};
use super::tally::{Case, Tally, meaningless};
use crate::history::{History, Value};
use crate::verdict::{Check, Limits, Verdict};

const NAME: &str = "long-fork";

/// No two reads disagree on which of two writes came first.
pub(crate) struct LongFork;

impl Check for LongFork {
    fn name(&self) -> &'static str {
        NAME
    }

    fn doc(&self) -> &'static str {
        "no two reads of the same keys disagree on which of two writes came first; keys are written once \
         (Jepsen's long-fork, the anomaly of parallel snapshot isolation)"
    }

    fn check(&self, history: &History, _limits: &Limits<'_>) -> Verdict {
        judge(history).unwrap_or_else(|why| meaningless(NAME, why))
    }
}

/// What a read of a group showed, by key.
struct Read<'o, 'h> {
    op: &'o Op<'h>,
    values: BTreeMap<&'h Value, &'h Value>,
}

impl Read<'_, '_> {
    fn shown(&self) -> usize {
        self.values.values().filter(|value| ***value != Value::Nil).count()
    }
}

fn judge(history: &History) -> Result<Verdict, String> {
    let object = whole(history);
    let mut tally = Tally::new(NAME, &["long-fork", "unwritten-value"]);
    let mut groups: BTreeMap<Vec<&Value>, Vec<Read<'_, '_>>> = BTreeMap::new();
    let (mut writes, mut asked) = (Writes::default(), false);
    for op in &object.ops {
        match part(op)? {
            Part::Write(key, value) => {
                asked = true;
                write(&mut writes, op, (key, value))?;
            }
            Part::Reads(values) if op.output.is_some() => {
                groups
                    .entry(values.keys().copied().collect())
                    .or_default()
                    .push(Read { op, values });
            }
            Part::Reads(_) => {}
        }
    }
    let mut reads = 0;
    for (keys, group) in &mut groups {
        // Of fewer than two keys there is no order to disagree on.
        reads += if keys.len() < 2 { 0 } else { group.len() };
        group.sort_by_key(Read::shown);
        group.windows(2).for_each(|pair| compare(&pair[0], &pair[1], &mut tally));
        // Without any write the history tells nothing of where values come from.
        if asked {
            group.iter().for_each(|read| sources(read, &writes, &mut tally));
        }
    }
    tally.measure("groups", groups.len() as i64);
    tally.stats.operations = object.ops.len();
    tally.stats.keys = 1;
    if reads < 2 {
        tally.doubt(|| {
            format!("{reads} reads of several keys returned, and it takes two to disagree")
        });
    }
    Ok(tally.verdict(&format!("all {reads} reads agree on one order of the writes")))
}

enum Part<'h> {
    Write(&'h Value, &'h Value),
    Reads(BTreeMap<&'h Value, &'h Value>),
}

fn part<'h>(op: &Op<'h>) -> Result<Part<'h>, String> {
    let micros = micros(op)?;
    if let [Micro::Write { key, value }] = micros.as_slice() {
        return Ok(Part::Write(key, value));
    }
    let mut values = BTreeMap::new();
    for micro in micros {
        let Micro::Read { key, value } = micro else {
            return Err(op.bad_input("a transaction is one write, or reads only"));
        };
        if values.insert(key, value).is_some_and(|earlier| earlier != value) {
            return Err(op.bad_output(&format!("it reads key {key} twice, differently")));
        }
    }
    Ok(Part::Reads(values))
}

type Writes<'o, 'h> = FxHashMap<&'h Value, (&'o Op<'h>, &'h Value)>;

fn write<'o, 'h>(
    writes: &mut Writes<'o, 'h>,
    op: &'o Op<'h>,
    (key, value): (&'h Value, &'h Value),
) -> Result<(), String> {
    if !op.possible() {
        return Ok(());
    }
    match writes.insert(key, (op, value)) {
        Some((first, _)) => Err(op.bad_input(&format!(
            "keys must be written once, and {} writes key {key} too",
            first.named()
        ))),
        None => Ok(()),
    }
}

/// Compares two reads of which the second shows no less than the first.
fn compare(less: &Read<'_, '_>, more: &Read<'_, '_>, tally: &mut Tally) {
    let hidden = less
        .values
        .iter()
        .find(|(key, value)| ***value != Value::Nil && *more.values[*key] == Value::Nil);
    let differs = less.values.iter().find(|(key, value)| {
        let other = more.values[*key];
        ***value != Value::Nil && *other != Value::Nil && **value != other
    });
    if let Some((key, _)) = differs {
        let (one, other) = (less.op.named(), more.op.named());
        tally.doubt(|| {
            format!("{one} and {other} show two values of key {key}: keys must be written once")
        });
    }
    let Some((only_first, _)) = hidden else { return };
    let only_second = more
        .values
        .iter()
        .find(|(key, value)| ***value != Value::Nil && *less.values[*key] == Value::Nil);
    // The second shows as much and hides a key, so it shows another one.
    if let Some((only_second, _)) = only_second {
        tally.found("long-fork", || fork(less.op, more.op, only_first, only_second));
    }
}

fn fork(one: &Op<'_>, other: &Op<'_>, only_one: &Value, only_other: &Value) -> Case {
    let (a, b) = (brief(only_one), brief(only_other));
    let (first, second) = (one.named(), other.named());
    Case {
        message: format!(
            "{first} shows key {a} written and {b} not, {second} shows {b} written and {a} not: they saw \
             the two writes in opposite orders"
        ),
        steps: vec![
            one.step(
                other,
                "rw",
                format!("{first} shows {a} and not {b}, so {a} was written before {b}"),
            ),
            other.step(
                one,
                "rw",
                format!(
                    "{second} shows {b} and not {a}, so {b} was written before {a}: a contradiction"
                ),
            ),
        ],
        operations: vec![one.begin, other.begin],
    }
}

/// Convicts a value that nobody may have written.
fn sources(read: &Read<'_, '_>, writes: &Writes<'_, '_>, tally: &mut Tally) {
    for (key, value) in read.values.iter().filter(|(_, value)| ***value != Value::Nil) {
        let from = writes.get(key);
        if from.is_none_or(|(op, written)| written != value || op.begin > read.op.end) {
            tally.found("unwritten-value", || Case {
                message: format!(
                    "{} shows {} at key {}, which nobody had begun to write",
                    read.op.named(),
                    brief(value),
                    brief(key)
                ),
                operations: vec![read.op.begin],
                ..Case::default()
            });
        }
    }
}
