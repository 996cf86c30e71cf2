//! Checks a history while it is recorded, and stops at the first violation.
//!
//! [`OnlineChecker`] takes one event at a time. A violation is final, so a test can end the run as
//! soon as one is found. The past is forgotten where it can no longer matter.

use checker::history::{Event, History, notation};
use checker::{Limits, OnlineChecker, model};

/// The events of a run, as a client library would deliver them one by one: two writes, and a read
/// of the first value after the second write completed.
fn recorded_events() -> Vec<Event> {
    let history: History =
        notation::parse("w1 ok; 1:w2; 1:ok; r2 ok; r1 ok; w3 ok").expect("steps");
    history.events().to_vec()
}

/// Feeds the events one by one, and stops at the first violation.
pub(crate) fn check_run() -> String {
    let register = model::find_model("register").expect("a built-in model");
    let mut checker = OnlineChecker::new(register, Limits::default());
    for event in recorded_events() {
        let anomaly = checker.feed(&event).expect("clients are sequential");
        if let Some(anomaly) = anomaly {
            return format!("violation at event {}: {}\n", anomaly.index, anomaly.message);
        }
    }
    format!("{}\n", checker.finish().message)
}

fn main() {
    print!("{}", check_run());
}
