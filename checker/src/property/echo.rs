//! Judges that each echo is what was called.

use super::objects::{Op, brief, whole};
use super::tally::{Case, Tally, meaningless};
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
        "each `echo` returned what it was called with"
    }

    fn check(&self, history: &History, _: &Limits<'_>) -> Verdict {
        judge(history).unwrap_or_else(|why| meaningless(NAME, why))
    }
}

fn judge(history: &History) -> Result<Verdict, String> {
    let mut tally = Tally::new(NAME, &["altered"]);
    let object = whole(history);
    for op in &object.ops {
        if op.f != NAME {
            return Err(op.unknown_function(NAME));
        }
        if op.output.is_some_and(|output| output != op.input) {
            tally.found("altered", || altered(op));
        }
    }
    let answered = object.ops.iter().filter(|op| op.output.is_some()).count();
    tally.count(answered, 0);
    if answered == 0 {
        tally.doubt(|| "nothing was ever echoed".to_owned());
    }
    Ok(tally.verdict(&format!("all {answered} echoes are what was called")))
}

fn altered(op: &Op<'_>) -> Case {
    let told = op.output.map_or_else(String::new, brief);
    Case {
        message: format!("{} returned {told}", op.named()),
        operations: vec![op.begin],
        ..Case::default()
    }
}
