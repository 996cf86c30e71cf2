//! Judges a causal chain on each key: every read returns the last write of the chain.
//!
//! As in Jepsen, the operations on a key follow each other (`read-init`, `write`, `read`, `write`, …), each having
//! seen the one before, whoever carries them out. A write of unknown end may happen at any later time, so a read
//! may return it or what was there; once a read has returned it, it has happened and cannot again.

use super::objects::{Object, Op, brief, objects, of_key};
use super::tally::{Case, Tally, meaningless};
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
        "in a causal chain of `read-init`, `write` and `read` on a key each read returns the last write \
         (Jepsen's causal register); clients of a chain take turns"
    }

    fn check(&self, history: &History, limits: &Limits<'_>) -> Verdict {
        judge(history, limits).unwrap_or_else(|why| meaningless(NAME, why))
    }
}

fn judge(history: &History, limits: &Limits<'_>) -> Result<Verdict, String> {
    let mut tally = Tally::new(NAME, &["causal-violation"]);
    let mut reads = 0;
    for object in objects(history, limits.keyed)? {
        let before = tally.wrongs();
        let read = |op: &&Op<'_>| op.f != "write" && op.output.is_some();
        reads += object.ops.iter().filter(read).count();
        Chain::default().run(&object, &mut tally)?;
        tally.count(object.ops.len(), before);
    }
    if reads == 0 {
        tally.doubt(|| "nothing was ever read".to_owned());
    }
    let operations = tally.stats.operations;
    Ok(tally
        .verdict(&format!("every read in chains of {operations} operations saw what came before")))
}

/// What the register holds, and which writes of unknown end may still change that.
#[derive(Default)]
struct Chain<'o, 'h> {
    /// Who wrote what it holds; nobody: it is as it began.
    writer: Option<&'o Op<'h>>,
    open: Vec<&'o Op<'h>>,
    last: Option<&'o Op<'h>>,
}

impl<'o, 'h> Chain<'o, 'h> {
    fn run(mut self, object: &'o Object<'h>, tally: &mut Tally) -> Result<(), String> {
        for op in object.ops.iter().filter(|op| op.possible()) {
            if let Some(last) = self.last.filter(|last| last.end > op.begin) {
                let why = format!("it overlaps {}, so there is no chain", last.named());
                return Err(op.bad_input(&why));
            }
            match (op.f, op.output) {
                ("write", Some(_)) => self.writer = Some(op),
                ("write", None) => self.open.push(op),
                ("read" | "read-init", Some(read)) => self.read(object.key, op, read, tally),
                ("read" | "read-init", None) => {}
                _ => return Err(op.unknown_function("read, read-init, write")),
            }
            if op.output.is_some() {
                self.last = Some(op);
            }
        }
        Ok(())
    }

    fn read(&mut self, key: Option<&Value>, op: &'o Op<'h>, read: &Value, tally: &mut Tally) {
        let held = match self.writer {
            Some(write) => write.input == read,
            None => matches!(read, Value::Nil | Value::Int(0)),
        };
        if held {
            return;
        }
        match self.open.iter().position(|write| write.input == read) {
            Some(place) => self.writer = Some(self.open.swap_remove(place)),
            None => tally.found("causal-violation", || self.violation(key, op, read)),
        }
    }

    fn violation(&self, key: Option<&Value>, op: &Op<'_>, read: &Value) -> Case {
        let writer = self.writer;
        let expected = writer.map_or_else(
            || "nothing had been written yet".to_owned(),
            |write| format!("{} came before it in the chain", write.named()),
        );
        Case {
            message: format!(
                "{}{} returned {}, but {expected}",
                op.named(),
                of_key(key),
                brief(read)
            ),
            steps: writer
                .map(|write| write.step(op, "causal", expected.clone()))
                .into_iter()
                .collect(),
            operations: writer.map(|write| write.begin).into_iter().chain([op.begin]).collect(),
        }
    }
}
