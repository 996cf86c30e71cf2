//! Checks a log against a specification of its own, in twenty lines.
//!
//! The object is a bounded counter: `Add` fails above the limit and `Get` returns the value.

use checker::history::TimedOperation;
use checker::{Limits, Spec, check_spec};

struct BoundedCounter;

#[derive(Debug, PartialEq)]
enum Input {
    Add(u32),
    Get,
}

const LIMIT: u32 = 10;

impl Spec for BoundedCounter {
    type State = u32;
    type Input = Input;
    type Output = Result<u32, &'static str>;

    fn initial(&self) -> u32 {
        0
    }

    fn step(&self, held: &u32, input: &Input, output: Option<&Self::Output>) -> Option<u32> {
        let (expected, after) = match input {
            Input::Get => (Ok(*held), *held),
            Input::Add(n) if held + n > LIMIT => (Err("full"), *held),
            Input::Add(n) => (Ok(held + n), held + n),
        };
        output.is_none_or(|got| *got == expected).then_some(after)
    }
}

/// Checks three operations, and draws the reason where they are not linearizable.
pub(crate) fn check_log() -> String {
    let completed = TimedOperation::completed;
    let log = [
        completed(0, 0, Input::Add(7), 10, Ok(7)),
        completed(1, 5, Input::Add(5), 15, Err("full")),
        completed(2, 20, Input::Get, 30, Ok(5)),
    ];
    let verdict = check_spec(&BoundedCounter, &log, &Limits::default()).expect("a valid log");
    let drawing = verdict.witness.map(|window| checker::linear::lanes::render(&window, 80));
    format!("{:?}: {}\n{}", verdict.validity, verdict.message, drawing.unwrap_or_default())
}

fn main() {
    print!("{}", check_log());
}
