//! Checks that no two calls return the same identifier.

use rustc_hash::FxHashMap;

use super::op::{ObjectOps, Op, abbreviate, key_suffix, split_by_key};
use super::verdict_builder::{AnomalyCase, VerdictBuilder, unsupported_history};
use crate::history::{History, Value};
use crate::verdict::{Check, Limits, Verdict};

const NAME: &str = "unique-ids";

/// Identifiers are unique.
pub(crate) struct UniqueIds;

impl Check for UniqueIds {
    fn name(&self) -> &'static str {
        NAME
    }

    fn doc(&self) -> &'static str {
        "no two `generate` return the same identifier"
    }

    fn check(&self, history: &History, limits: &Limits<'_>) -> Verdict {
        check_history(history, limits).unwrap_or_else(|why| unsupported_history(NAME, why))
    }
}

fn check_history(history: &History, limits: &Limits<'_>) -> Result<Verdict, String> {
    let mut builder = VerdictBuilder::new(NAME, &["duplicate-id"]);
    for object in split_by_key(history, limits.keyed)? {
        check_object(&object, &mut builder)?;
    }
    let acknowledged = builder.stats.operations;
    if acknowledged == 0 {
        builder.add_unknown(|| "no generate completed".to_owned());
    }
    Ok(builder.build(&format!("all {acknowledged} identifiers are distinct")))
}

fn check_object(object: &ObjectOps<'_>, builder: &mut VerdictBuilder) -> Result<(), String> {
    let before = builder.case_count();
    let mut given: FxHashMap<&Value, &Op<'_>> = FxHashMap::default();
    for op in &object.ops {
        if op.f != "generate" {
            return Err(op.unknown_function("generate"));
        }
        let Some(id) = op.output else { continue };
        if *id == Value::Nil {
            return Err(op.invalid_output("expected an identifier, got nil"));
        }
        match given.get(id) {
            Some(first) => {
                builder.add_case("duplicate-id", || duplicate_case(object.key, id, first, op))
            }
            None => drop(given.insert(id, op)),
        }
    }
    builder.finish_object(object.ops.iter().filter(|op| op.output.is_some()).count(), before);
    Ok(())
}

fn duplicate_case(key: Option<&Value>, id: &Value, first: &Op<'_>, second: &Op<'_>) -> AnomalyCase {
    let id = abbreviate(id);
    AnomalyCase {
        message: format!(
            "identifier {id}{} was returned by {} and by {}",
            key_suffix(key),
            first.describe(),
            second.describe()
        ),
        steps: vec![first.step(second, "same", format!("both returned {id}"))],
        operations: vec![first.begin, second.begin],
    }
}
