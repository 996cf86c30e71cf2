//! Tests transaction checks with small histories, against a brute-force check, and by invariants.

pub(super) mod brute_force;
mod cases;
mod invalid_txns;
mod laws;

use super::{DataType, Inference, Options, check_transactions};
use crate::history::{Event, History, Kind, Process, Value};
use crate::verdict::{Limits, Verdict};

/// Parses a history of lists or registers, one event a word: a process, the event type, and
/// micro-operations with the keys `x`, `y`, `z` and single-digit values. `0?ax1,ry` invokes,
/// `0!ax1,ry12` is ok and read `[1 2]` from y (for registers, the last digit), `0-` fails, `0~` is
/// indeterminate. A completion without micro-operations repeats the invocation.
pub(super) fn history(text: &str) -> History {
    let mut asked: Vec<(u64, Value)> = Vec::new();
    let mut events = Vec::new();
    for word in text.split_whitespace() {
        let place = word.find(|char: char| !char.is_ascii_digit()).expect("a process and a kind");
        let process = word[..place].parse().expect("a process");
        let (kind, steps) = word[place..].split_at(1);
        let kind = match kind {
            "?" => Kind::Invoke,
            "!" => Kind::Ok,
            "-" => Kind::Fail,
            _ => Kind::Info,
        };
        let before = asked.iter().rev().find(|(who, _)| *who == process);
        let value = match before {
            Some((_, value)) if steps.is_empty() && kind != Kind::Invoke => value.clone(),
            _ => Value::List(steps.split(',').map(|step| micro(step, kind)).collect()),
        };
        asked.push((process, value.clone()));
        let index = events.len() as u64;
        let (process, f) = (Process::Client(process), "txn".into());
        events.push(Event { index, time: index, kind, process, f, value, node: None, error: None });
    }
    History::new(events).expect("well-formed")
}

/// A history of lists whose transactions are all concurrent.
fn together(steps: &[&str]) -> History {
    let asked = |steps: &str| -> String {
        let bare =
            |step: &str| if step.starts_with('r') { step[..2].to_owned() } else { step.to_owned() };
        steps.split(',').map(bare).collect::<Vec<_>>().join(",")
    };
    let begun =
        steps.iter().enumerate().map(|(process, steps)| format!("{process}?{}", asked(steps)));
    let done = steps.iter().enumerate().map(|(process, steps)| format!("{process}!{steps}"));
    history(&begun.chain(done).collect::<Vec<_>>().join(" "))
}

fn micro(step: &str, kind: Kind) -> Value {
    let (f, rest) = step.split_at(1);
    let (key, digits) = rest.split_at(1);
    let numbers = || digits.bytes().map(|digit| Value::Int(i64::from(digit - b'0')));
    let (f, value) = match f {
        "a" => ("append", numbers().next().expect("an element")),
        "w" => ("w", numbers().next().expect("a value")),
        "r" if kind == Kind::Invoke => ("r", Value::Nil),
        _ => ("r", Value::List(numbers().collect())),
    };
    Value::from(vec![Value::from(f), Value::from(key), value])
}

fn register(step: &Value) -> Value {
    let Value::List(parts) = step else { return step.clone() };
    match &**parts {
        [Value::Str(f), key, value] if f == "append" => {
            Value::from(vec![Value::from("w"), key.clone(), value.clone()])
        }
        [f, key, Value::List(items)] => {
            let last = items.last().cloned().unwrap_or_default();
            Value::from(vec![f.clone(), key.clone(), last])
        }
        _ => step.clone(),
    }
}

/// The same history with registers: a list that was read becomes its last item.
pub(super) fn registers(history: &History) -> History {
    let mut events = history.events().to_vec();
    for event in &mut events {
        let Value::List(steps) = &event.value else { continue };
        event.value = Value::List(steps.iter().map(register).collect());
    }
    History::new(events).expect("well-formed")
}

fn lists_at(history: &History, level: &str) -> Verdict {
    check_transactions(
        history,
        DataType::Lists,
        &Options { level, ..Options::default() },
        &Limits::default(),
    )
}

fn lists(history: &History) -> Verdict {
    lists_at(history, "strict-serializable")
}

/// Every inference rule.
const ALL: Inference = Inference {
    initial_first: true,
    writes_follow_reads: true,
    sequential_keys: true,
    linearizable_keys: true,
};

fn registers_by(history: &History, inference: Inference) -> Verdict {
    let options = Options { inference, ..Options::default() };
    check_transactions(history, DataType::Registers, &options, &Limits::default())
}

/// The names of the findings, sorted.
fn names(verdict: &Verdict) -> String {
    let mut names: Vec<_> = verdict.findings.iter().map(|finding| finding.name.as_str()).collect();
    names.sort_unstable();
    names.join(" ")
}
