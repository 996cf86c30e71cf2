//! Checks that the last read of a set returns every acknowledged element, and no other one.

use rustc_hash::{FxHashMap, FxHashSet};

use super::op::{ObjectOps, Op, abbreviate, key_suffix, split_by_key};
use super::verdict_builder::{AnomalyCase, VerdictBuilder, unsupported_history};
use crate::history::{History, Value};
use crate::verdict::{Check, Limits, Verdict};

const NAME: &str = "set-final";

/// Jepsen's set: only the last read is checked.
pub(crate) struct SetFinal;

impl Check for SetFinal {
    fn name(&self) -> &'static str {
        NAME
    }

    fn doc(&self) -> &'static str {
        "the last `read` of a set returns every element whose `add` was acknowledged before it, \
         and no element that was never added (Jepsen's set)"
    }

    fn check(&self, history: &History, limits: &Limits<'_>) -> Verdict {
        check_history(history, limits).unwrap_or_else(|why| unsupported_history(NAME, why))
    }
}

fn check_history(history: &History, limits: &Limits<'_>) -> Result<Verdict, String> {
    let mut builder = VerdictBuilder::new(NAME, &["lost", "unexpected"]);
    for object in split_by_key(history, limits.keyed)? {
        check_object(&object, &mut builder)?;
    }
    let adds = builder.stats.operations;
    Ok(builder.build(&format!("the last read returned every acknowledged element ({adds} adds)")))
}

/// Rejects functions and outputs that a set does not have.
pub(super) fn validate_functions(op: &Op<'_>) -> Result<(), String> {
    match (op.f, op.output) {
        ("add", _) | ("read", None | Some(Value::List(_))) => Ok(()),
        ("read", Some(Value::Nil)) => Err(op.invalid_output("expected a list, got nil")),
        ("read", Some(other)) => {
            Err(op.invalid_output(&format!("expected a list, got {}", abbreviate(other))))
        }
        _ => Err(op.unknown_function("add, read")),
    }
}

/// The elements that a read returned.
pub(super) fn returned_elements<'h>(op: &Op<'h>) -> &'h [Value] {
    match op.output {
        Some(Value::List(items)) if op.f == "read" => items,
        _ => &[],
    }
}

fn check_object(object: &ObjectOps<'_>, builder: &mut VerdictBuilder) -> Result<(), String> {
    object.ops.iter().try_for_each(validate_functions)?;
    let before = builder.case_count();
    let reads = object.ops.iter().filter(|op| op.f == "read" && op.output.is_some());
    let Some(last) = reads.max_by_key(|op| op.end) else {
        builder.add_unknown(|| format!("no read of the set{} completed", key_suffix(object.key)));
        return Ok(());
    };
    let adds: Vec<&Op<'_>> = object.ops.iter().filter(|op| op.f == "add").collect();
    let present: FxHashSet<&Value> = returned_elements(last).iter().collect();
    let mut asked: FxHashMap<&Value, &Op<'_>> = FxHashMap::default();
    for op in adds.iter().filter(|op| op.may_have_happened() && op.begin < last.end) {
        asked.insert(op.input, op);
    }
    for op in adds.iter().filter(|op| op.end < last.begin && !present.contains(op.input)) {
        builder.add_case("lost", || lost_case(object.key, op, last));
    }
    for element in returned_elements(last).iter().filter(|element| !asked.contains_key(element)) {
        builder.add_case("unexpected", || unexpected_element(object.key, element, last, &adds));
    }
    let unsure =
        |op: &&&Op<'_>| op.output.is_none() && op.may_have_happened() && present.contains(op.input);
    builder.add_to_measure("recovered", adds.iter().filter(unsure).count());
    builder.add_to_measure("acknowledged", adds.iter().filter(|op| op.output.is_some()).count());
    builder.add_to_measure("attempted", adds.len());
    builder.add_to_measure("repeated", returned_elements(last).len() - present.len());
    builder.finish_object(adds.len(), before);
    Ok(())
}

fn lost_case(key: Option<&Value>, add: &Op<'_>, read: &Op<'_>) -> AnomalyCase {
    let element = abbreviate(add.input);
    AnomalyCase {
        message: format!(
            "element {element}{} is lost: {} was acknowledged, but {}, the last read, does not \
             return it",
            key_suffix(key),
            add.describe(),
            read.describe()
        ),
        steps: vec![add.step(read, "realtime", add.acknowledged_before(read))],
        operations: vec![add.begin, read.begin],
    }
}

/// The case of an element that was never added, or only by a failed or later add.
pub(super) fn unexpected_element(
    key: Option<&Value>,
    element: &Value,
    read: &Op<'_>,
    adds: &[&Op<'_>],
) -> AnomalyCase {
    let refused = adds.iter().find(|add| add.input == element);
    let why = match refused {
        Some(add) if add.begin > read.end => format!("{} began later", add.describe()),
        Some(add) => format!("{} failed", add.describe()),
        None => "it was never added".to_owned(),
    };
    let name = abbreviate(element);
    AnomalyCase {
        message: format!(
            "{} returned element {name}{}, but {why}",
            read.describe(),
            key_suffix(key)
        ),
        steps: refused.map(|add| add.step(read, "wr", why.clone())).into_iter().collect(),
        operations: refused.map(|add| add.begin).into_iter().chain([read.begin]).collect(),
    }
}
