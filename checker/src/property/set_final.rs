//! Judges that the last read of a set holds every acknowledged element and nothing from nowhere.

use rustc_hash::{FxHashMap, FxHashSet};

use super::objects::{Object, Op, brief, objects, of_key};
use super::tally::{Case, Tally, meaningless};
use crate::history::{History, Value};
use crate::verdict::{Check, Limits, Verdict};

const NAME: &str = "set-final";

/// The last read holds what was added.
pub(crate) struct SetFinal;

impl Check for SetFinal {
    fn name(&self) -> &'static str {
        NAME
    }

    fn doc(&self) -> &'static str {
        "the last `read` of a set holds every element whose `add` was acknowledged before it, and no \
         element that nobody added (Jepsen's set)"
    }

    fn check(&self, history: &History, limits: &Limits<'_>) -> Verdict {
        judge(history, limits).unwrap_or_else(|why| meaningless(NAME, why))
    }
}

fn judge(history: &History, limits: &Limits<'_>) -> Result<Verdict, String> {
    let mut tally = Tally::new(NAME, &["lost", "unexpected"]);
    for object in objects(history, limits.keyed)? {
        one(&object, &mut tally)?;
    }
    let adds = tally.stats.operations;
    Ok(tally.verdict(&format!("the last read holds what {adds} adds promised")))
}

/// Every way to ask for an element to be added, and the read that closes the matter.
pub(super) fn functions(op: &Op<'_>) -> Result<(), String> {
    match (op.f, op.output) {
        ("add", _) | ("read", None | Some(Value::List(_))) => Ok(()),
        ("read", Some(Value::Nil)) => Err(op.bad_output("a read of a set returned nothing")),
        ("read", Some(other)) => {
            Err(op.bad_output(&format!("a read of a set returned {}, no list", brief(other))))
        }
        _ => Err(op.unknown_function("add, read")),
    }
}

/// What a read of a set returned.
pub(super) fn shown<'h>(op: &Op<'h>) -> &'h [Value] {
    match op.output {
        Some(Value::List(items)) if op.f == "read" => items,
        _ => &[],
    }
}

fn one(object: &Object<'_>, tally: &mut Tally) -> Result<(), String> {
    object.ops.iter().try_for_each(functions)?;
    let before = tally.wrongs();
    let reads = object.ops.iter().filter(|op| op.f == "read" && op.output.is_some());
    let Some(last) = reads.max_by_key(|op| op.end) else {
        tally.doubt(|| format!("the set{} was never read", of_key(object.key)));
        return Ok(());
    };
    let adds: Vec<&Op<'_>> = object.ops.iter().filter(|op| op.f == "add").collect();
    let present: FxHashSet<&Value> = shown(last).iter().collect();
    let mut asked: FxHashMap<&Value, &Op<'_>> = FxHashMap::default();
    for op in adds.iter().filter(|op| op.possible() && op.begin < last.end) {
        asked.insert(op.input, op);
    }
    for op in adds.iter().filter(|op| op.end < last.begin && !present.contains(op.input)) {
        tally.found("lost", || lost(object.key, op, last));
    }
    for element in shown(last).iter().filter(|element| !asked.contains_key(element)) {
        tally.found("unexpected", || unexpected(object.key, element, last, &adds));
    }
    let unsure = |op: &&&Op<'_>| op.output.is_none() && op.possible() && present.contains(op.input);
    tally.add("recovered", adds.iter().filter(unsure).count());
    tally.add("acknowledged", adds.iter().filter(|op| op.output.is_some()).count());
    tally.add("attempted", adds.len());
    tally.add("repeated", shown(last).len() - present.len());
    tally.count(adds.len(), before);
    Ok(())
}

fn lost(key: Option<&Value>, add: &Op<'_>, read: &Op<'_>) -> Case {
    let element = brief(add.input);
    Case {
        message: format!(
            "element {element}{} is lost: {} was acknowledged, and {}, the last, does not show it",
            of_key(key),
            add.named(),
            read.named()
        ),
        steps: vec![add.step(read, "realtime", after(add, read))],
        operations: vec![add.begin, read.begin],
    }
}

/// Why one operation has to see another.
pub(super) fn after(earlier: &Op<'_>, later: &Op<'_>) -> String {
    format!(
        "{} was acknowledged at index {}, before {} began",
        earlier.named(),
        earlier.end,
        later.named()
    )
}

/// An element that nobody asked for, or only someone who was told that it was refused.
pub(super) fn unexpected(
    key: Option<&Value>,
    element: &Value,
    read: &Op<'_>,
    adds: &[&Op<'_>],
) -> Case {
    let refused = adds.iter().find(|add| add.input == element);
    let why = match refused {
        Some(add) if add.begin > read.end => format!("{} began later", add.named()),
        Some(add) => format!("{} had failed", add.named()),
        None => "nobody added it".to_owned(),
    };
    let name = brief(element);
    Case {
        message: format!("{} shows element {name}{}, but {why}", read.named(), of_key(key)),
        steps: refused.map(|add| add.step(read, "wr", why.clone())).into_iter().collect(),
        operations: refused.map(|add| add.begin).into_iter().chain([read.begin]).collect(),
    }
}
