//! Judges that no identifier was given to two clients.

use rustc_hash::FxHashMap;

use super::objects::{Object, Op, brief, objects, of_key};
use super::tally::{Case, Tally, meaningless};
use crate::history::{History, Value};
use crate::verdict::{Check, Limits, Verdict};

const NAME: &str = "unique-ids";

/// No identifier was given twice.
pub(crate) struct UniqueIds;

impl Check for UniqueIds {
    fn name(&self) -> &'static str {
        NAME
    }

    fn doc(&self) -> &'static str {
        "no two `generate` returned the same identifier"
    }

    fn check(&self, history: &History, limits: &Limits<'_>) -> Verdict {
        judge(history, limits).unwrap_or_else(|why| meaningless(NAME, why))
    }
}

fn judge(history: &History, limits: &Limits<'_>) -> Result<Verdict, String> {
    let mut tally = Tally::new(NAME, &["duplicate-id"]);
    for object in objects(history, limits.keyed)? {
        one(&object, &mut tally)?;
    }
    let acknowledged = tally.stats.operations;
    if acknowledged == 0 {
        tally.doubt(|| "no identifier was ever given".to_owned());
    }
    Ok(tally.verdict(&format!("all {acknowledged} identifiers are distinct")))
}

fn one(object: &Object<'_>, tally: &mut Tally) -> Result<(), String> {
    let before = tally.wrongs();
    let mut given: FxHashMap<&Value, &Op<'_>> = FxHashMap::default();
    for op in &object.ops {
        if op.f != "generate" {
            return Err(op.unknown_function("generate"));
        }
        let Some(id) = op.output else { continue };
        if *id == Value::Nil {
            return Err(op.bad_output("it returned no identifier"));
        }
        match given.get(id) {
            Some(first) => tally.found("duplicate-id", || twice(object.key, id, first, op)),
            None => drop(given.insert(id, op)),
        }
    }
    tally.count(object.ops.iter().filter(|op| op.output.is_some()).count(), before);
    Ok(())
}

fn twice(key: Option<&Value>, id: &Value, first: &Op<'_>, second: &Op<'_>) -> Case {
    let id = brief(id);
    Case {
        message: format!(
            "identifier {id}{} was given to {} and to {}",
            of_key(key),
            first.named(),
            second.named()
        ),
        steps: vec![first.step(second, "same", format!("both were told {id}"))],
        operations: vec![first.begin, second.begin],
    }
}
