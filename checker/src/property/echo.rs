//! Checks that each echo returns its input.

use super::op::{Op, abbreviate, single_object};
use super::verdict_builder::{AnomalyCase, VerdictBuilder, unsupported_history};
use crate::history::History;
use crate::verdict::{Check, Limits, Verdict};

const NAME: &str = "echo";

/// Maelstrom's echo.
pub(crate) struct Echo;

impl Check for Echo {
    fn name(&self) -> &'static str {
        NAME
    }

    fn doc(&self) -> &'static str {
        "each `echo` returns its input"
    }

    fn check(&self, history: &History, _: &Limits<'_>) -> Verdict {
        check_history(history).unwrap_or_else(|why| unsupported_history(NAME, why))
    }
}

fn check_history(history: &History) -> Result<Verdict, String> {
    let mut builder = VerdictBuilder::new(NAME, &["altered"]);
    let object = single_object(history);
    for op in &object.ops {
        if op.f != NAME {
            return Err(op.unknown_function(NAME));
        }
        if op.output.is_some_and(|output| output != op.input) {
            builder.add_case("altered", || altered_case(op));
        }
    }
    let answered = object.ops.iter().filter(|op| op.output.is_some()).count();
    builder.finish_object(answered, 0);
    if answered == 0 {
        builder.add_unknown(|| "no echo completed".to_owned());
    }
    Ok(builder.build(&format!("all {answered} echoes returned their input")))
}

fn altered_case(op: &Op<'_>) -> AnomalyCase {
    let output = op.output.map_or_else(String::new, abbreviate);
    AnomalyCase {
        message: format!("{} returned {output}", op.describe()),
        operations: vec![op.begin],
        ..AnomalyCase::default()
    }
}
