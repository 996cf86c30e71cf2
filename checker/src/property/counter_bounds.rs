//! Judges that each read of a counter lies between what must and what may have been added.
//!
//! An add acknowledged before a read began counts; one that was open or of unknown end while the read was open may
//! count or not. The bounds are kept as running sums, one step an event. This is necessary, not sufficient; the
//! model `counter` decides linearizability.

use std::collections::BTreeMap;

use super::objects::{Object, Op, objects, of_key};
use super::tally::{Case, Tally, meaningless};
use crate::history::{History, Value};
use crate::verdict::{Check, Limits, Verdict};

const NAME: &str = "counter-bounds";

/// Jepsen's counter.
pub(crate) struct CounterBounds;

impl Check for CounterBounds {
    fn name(&self) -> &'static str {
        NAME
    }

    fn doc(&self) -> &'static str {
        "each `read` of a counter lies between the sum of what was certainly added before it and of \
         what may have been by its end (Jepsen's counter)"
    }

    fn check(&self, history: &History, limits: &Limits<'_>) -> Verdict {
        judge(history, limits).unwrap_or_else(|why| meaningless(NAME, why))
    }
}

fn judge(history: &History, limits: &Limits<'_>) -> Result<Verdict, String> {
    let mut tally = Tally::new(NAME, &["out-of-bounds"]);
    for object in objects(history, limits.keyed)? {
        one(&object, &mut tally)?;
    }
    let operations = tally.stats.operations;
    Ok(tally.verdict(&format!("every read among {operations} operations is within its bounds")))
}

/// What an operation does to the sums.
enum Effect {
    Add(i128),
    Read(i128),
    Nothing,
}

fn effect(op: &Op<'_>) -> Result<Effect, String> {
    match (op.f, op.input, op.output) {
        ("add" | "inc", Value::Int(more), _) => {
            Ok(if op.possible() { Effect::Add(i128::from(*more)) } else { Effect::Nothing })
        }
        ("add" | "inc", other, _) => Err(op.bad_input(&format!("it adds {other}, no integer"))),
        ("read", _, Some(Value::Int(read))) => Ok(Effect::Read(i128::from(*read))),
        ("read", _, None) => Ok(Effect::Nothing),
        ("read", _, Some(other)) => Err(op.bad_output(&format!("it read {other}, no integer"))),
        _ => Err(op.unknown_function("add, read")),
    }
}

/// Adds above and below zero, summed apart.
#[derive(Clone, Copy, Default)]
struct Sums {
    above: i128,
    below: i128,
}

impl Sums {
    const fn add(&mut self, more: i128) {
        if more > 0 {
            self.above += more;
        } else {
            self.below += more;
        }
    }
}

fn one(object: &Object<'_>, tally: &mut Tally) -> Result<(), String> {
    let before = tally.wrongs();
    let (mut asked, mut done) = (Sums::default(), Sums::default());
    let mut events = BTreeMap::new();
    for (place, op) in object.ops.iter().enumerate() {
        let effect = effect(op)?;
        events.insert(op.begin, (place, true));
        if op.output.is_some() && !matches!(effect, Effect::Nothing) {
            events.insert(op.end, (place, false));
        }
    }
    let mut at_begin = vec![Sums::default(); object.ops.len()];
    for (place, begins) in events.into_values() {
        let op = &object.ops[place];
        match (effect(op)?, begins) {
            (Effect::Add(more), true) => asked.add(more),
            (Effect::Add(more), false) => done.add(more),
            (Effect::Read(_), true) => at_begin[place] = done,
            (Effect::Read(read), false) => {
                let bounds = bounds(at_begin[place], asked);
                if !(bounds.0..=bounds.1).contains(&read) {
                    tally.found("out-of-bounds", || out(object, op, read, bounds));
                }
            }
            (Effect::Nothing, _) => {}
        }
    }
    tally.count(object.ops.len(), before);
    Ok(())
}

/// What a read may see, if this was done before it began and that was asked for by its end.
const fn bounds(done: Sums, asked: Sums) -> (i128, i128) {
    (done.above + asked.below, asked.above + done.below)
}

fn out(object: &Object<'_>, op: &Op<'_>, read: i128, (least, most): (i128, i128)) -> Case {
    Case {
        message: format!(
            "{} returned {read}{}, but whatever became of the open adds it had to be between {least} and {most}",
            op.named(),
            of_key(object.key)
        ),
        operations: vec![op.begin],
        ..Case::default()
    }
}
