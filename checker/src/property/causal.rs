//! Checks a causal chain on each key: every read returns the last write of the chain.
//!
//! As in Jepsen, the operations on a key form a chain (`read-init`, `write`, `read`, `write`, …),
//! each causally after the previous one, from any process. An open write may take effect at any
//! later time, so a read may return it or the earlier value; once a read has returned it, it has
//! taken effect and cannot do so again.

use super::op::{ObjectOps, Op, abbreviate, key_suffix, split_by_key};
use super::verdict_builder::{AnomalyCase, VerdictBuilder, unsupported_history};
use crate::history::{History, Value};
use crate::verdict::{Check, Limits, Verdict};

const NAME: &str = "causal";

/// Jepsen's causal register.
pub(crate) struct Causal;

impl Check for Causal {
    fn name(&self) -> &'static str {
        NAME
    }

    fn doc(&self) -> &'static str {
        "in a causal chain of `read-init`, `write` and `read` on a key each read returns the last \
         write (Jepsen's causal register); clients of a chain take turns"
    }

    fn check(&self, history: &History, limits: &Limits<'_>) -> Verdict {
        check_history(history, limits).unwrap_or_else(|why| unsupported_history(NAME, why))
    }
}

fn check_history(history: &History, limits: &Limits<'_>) -> Result<Verdict, String> {
    let mut builder = VerdictBuilder::new(NAME, &["causal-violation"]);
    let mut reads = 0;
    for object in split_by_key(history, limits.keyed)? {
        let before = builder.case_count();
        let read = |op: &&Op<'_>| op.f != "write" && op.output.is_some();
        reads += object.ops.iter().filter(read).count();
        CausalChain::default().check_operations(&object, &mut builder)?;
        builder.finish_object(object.ops.len(), before);
    }
    if reads == 0 {
        builder.add_unknown(|| "no read completed".to_owned());
    }
    let operations = builder.stats.operations;
    Ok(builder.build(&format!(
        "every read in causal chains of {operations} operations returned the preceding write"
    )))
}

/// The state of the register, and the open writes that may still change it.
#[derive(Default)]
struct CausalChain<'o, 'h> {
    /// The write of the current value; `None` for the initial value.
    writer: Option<&'o Op<'h>>,
    open: Vec<&'o Op<'h>>,
    last: Option<&'o Op<'h>>,
}

impl<'o, 'h> CausalChain<'o, 'h> {
    fn check_operations(
        mut self,
        object: &'o ObjectOps<'h>,
        builder: &mut VerdictBuilder,
    ) -> Result<(), String> {
        for op in object.ops.iter().filter(|op| op.may_have_happened()) {
            if let Some(last) = self.last.filter(|last| last.end > op.begin) {
                let why =
                    format!("it overlaps {}, so the operations are not a chain", last.describe());
                return Err(op.invalid_input(&why));
            }
            match (op.f, op.output) {
                ("write", Some(_)) => self.writer = Some(op),
                ("write", None) => self.open.push(op),
                ("read" | "read-init", Some(read)) => {
                    self.check_read(object.key, op, read, builder)
                }
                ("read" | "read-init", None) => {}
                _ => return Err(op.unknown_function("read, read-init, write")),
            }
            if op.output.is_some() {
                self.last = Some(op);
            }
        }
        Ok(())
    }

    fn check_read(
        &mut self,
        key: Option<&Value>,
        op: &'o Op<'h>,
        read: &Value,
        builder: &mut VerdictBuilder,
    ) {
        let held = match self.writer {
            Some(write) => write.input == read,
            None => matches!(read, Value::Nil | Value::Int(0)),
        };
        if held {
            return;
        }
        match self.open.iter().position(|write| write.input == read) {
            Some(place) => self.writer = Some(self.open.swap_remove(place)),
            None => builder.add_case("causal-violation", || self.violation_case(key, op, read)),
        }
    }

    fn violation_case(&self, key: Option<&Value>, op: &Op<'_>, read: &Value) -> AnomalyCase {
        let writer = self.writer;
        let expected = writer.map_or_else(
            || "no write precedes it in the causal chain".to_owned(),
            |write| format!("{} precedes it in the causal chain", write.describe()),
        );
        AnomalyCase {
            message: format!(
                "{}{} returned {}, but {expected}",
                op.describe(),
                key_suffix(key),
                abbreviate(read)
            ),
            steps: writer
                .map(|write| write.step(op, "causal", expected.clone()))
                .into_iter()
                .collect(),
            operations: writer.map(|write| write.begin).into_iter().chain([op.begin]).collect(),
        }
    }
}
