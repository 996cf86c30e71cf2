//! Checks each model against histories that it must accept and histories that it must reject.
//!
//! A step is `[process:] [f argument [= result]] [end]`, values as JSON; see
//! [`crate::history::notation`] for overlapping operations.

use crate::check_linearizable;
use crate::history::{Event, History, Kind, MISMATCH, Process, Value};
use crate::linear::online::OnlineChecker;
use crate::verdict::{Keyed, Limits, Validity};

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{text:?}: {error}"))
}

/// The open call of a process: the function, the argument and the result to come.
type OpenCall = (String, Value, Value);

fn history(text: &str) -> History {
    let mut open: Vec<Option<OpenCall>> = Vec::new();
    let mut events: Vec<Event> = Vec::new();
    for step in text.split(';').map(str::trim) {
        let (process, rest) = match step.split_once(':') {
            Some((process, rest)) => (process.parse().expect("a process"), rest.trim()),
            None => (open.iter().position(Option::is_none).unwrap_or(open.len()), step),
        };
        open.resize(open.len().max(process + 1), None);
        let (call, end) = match rest.rsplit_once(' ').unwrap_or(("", rest)) {
            (call, end @ ("ok" | "info" | "mismatch")) => (call, end),
            _ => (rest, ""),
        };
        let mut push = |kind, f: &str, value: &Value, error| {
            let (index, value) = (events.len() as u64, value.clone());
            let (f, process) = (f.into(), Process::Client(process as u64));
            events.push(Event { index, time: index, kind, process, f, value, node: None, error });
        };
        if !call.is_empty() {
            let (f, values) = call.split_once(' ').expect("a function and its argument");
            let (input, output) = values.split_once('=').unwrap_or((values, values));
            let (input, output) = (json(input), json(output));
            push(Kind::Invoke, f, &input, None);
            open[process] = Some((f.into(), input, output));
        }
        // After an info the process stays open.
        match (end, open[process].clone().expect("a call")) {
            ("ok", (f, _, output)) => push(Kind::Ok, &f, &output, None),
            ("mismatch", (f, input, _)) => push(Kind::Fail, &f, &input, Some(MISMATCH.into())),
            _ => continue,
        }
        open[process] = None;
    }
    History::new(events).unwrap_or_else(|malformed| panic!("{text}: {malformed}"))
}

#[track_caller]
fn judge(model: &str, texts: &[&str], expected: Validity) {
    for text in texts {
        let verdict = check_linearizable(&history(text), model, &Limits::default());
        assert_eq!(verdict.validity, expected, "{model}: {text}: {}", verdict.message);
    }
}

#[track_caller]
fn accepts(model: &str, texts: &[&str]) {
    judge(model, texts, Validity::Valid);
}

#[track_caller]
fn rejects(model: &str, texts: &[&str]) {
    judge(model, texts, Validity::Invalid);
}

#[test]
fn append_lists() {
    let model = "append-list";
    accepts(model, &["read null ok; append 1 ok; append 2 info; read null = [1, 2] ok"]);
    accepts(model, &["0:append 1; 1:append 2; read null = [2, 1] ok; 0:ok; 1:ok"]);
    rejects(model, &["append 1 ok; append 2 ok; read null = [2, 1] ok"]);
    rejects(model, &["append 1 info; read null = [1] ok; read null = [] ok"]);
}

#[test]
fn counters() {
    let model = "counter";
    accepts(model, &["add 2 ok; add 3 info; read null = 2 ok; read null = 5 ok"]);
    accepts(model, &["0:add 1; 1:add -1; read null = -1 ok; read null = 0 ok; 0:ok; 1:ok"]);
    rejects(
        model,
        &["add 2 ok; read null = 3 ok", "add 1 info; read null = 1 ok; read null = 0 ok"],
    );
}

#[test]
fn fifo_queues() {
    let model = "fifo-queue";
    accepts(model, &["enqueue 1 ok; enqueue 2 ok; dequeue null = 1 ok; dequeue null = 2 ok"]);
    accepts(
        model,
        &["dequeue null ok; enqueue 1 info; dequeue null = 1 ok; dequeue null mismatch"],
    );
    // The dequeue of unknown outcome may have taken 1.
    accepts(model, &["enqueue 1 ok; enqueue 2 ok; dequeue null info; dequeue null = 2 ok"]);
    rejects(model, &["enqueue 1 ok; enqueue 2 ok; dequeue null = 2 ok"]);
    rejects(model, &["enqueue 1 ok; dequeue null mismatch", "enqueue 1 ok; dequeue null ok"]);
    rejects(model, &["enqueue 1 ok; dequeue null = 1 ok; dequeue null = 1 ok"]);
    rejects(
        model,
        &["enqueue 1 ok; dequeue null info; dequeue null mismatch; dequeue null = 1 ok"],
    );
}

#[test]
fn unordered_queues() {
    let model = "unordered-queue";
    accepts(model, &["enqueue 1 ok; enqueue 2 ok; dequeue null = 2 ok; dequeue null = 1 ok"]);
    // The dequeue of unknown outcome may have taken either.
    accepts(model, &["enqueue 1 ok; enqueue 2 ok; dequeue null info; dequeue null = 2 ok"]);
    accepts(model, &["enqueue 1 ok; enqueue 2 ok; dequeue null info; dequeue null = 1 ok"]);
    accepts(model, &["enqueue 1 ok; dequeue null info; dequeue null mismatch"]);
    rejects(model, &["enqueue 1 ok; enqueue 2 ok; dequeue null info; dequeue null mismatch"]);
    rejects(model, &["enqueue 1 ok; dequeue null = 2 ok", "enqueue 1 ok; dequeue null ok"]);
    rejects(
        model,
        &["enqueue 1 ok; dequeue null info; dequeue null mismatch; dequeue null = 1 ok"],
    );
}

#[test]
fn stacks() {
    let model = "stack";
    accepts(model, &["push 1 ok; push 2 ok; pop null = 2 ok; pop null = 1 ok; pop null mismatch"]);
    accepts(model, &["pop null ok; push 1 info; push 2 ok; pop null = 2 ok; pop null = 1 ok"]);
    accepts(model, &["push 1 ok; push 2 ok; pop null info; pop null = 1 ok"]);
    rejects(model, &["push 1 ok; push 2 ok; pop null = 1 ok", "push 1 info; pop null = 2 ok"]);
    rejects(model, &["push 1 ok; pop null ok; pop null = 1 ok", "push 1 ok; pop null mismatch"]);
}

#[test]
fn locks() {
    let model = "lock";
    accepts(model, &["acquire null ok; acquire null mismatch; release null ok; acquire null ok"]);
    accepts(model, &["acquire null info; acquire null mismatch", "acquire 1 ok; release 1 ok"]);
    accepts(model, &["acquire null ok; release null info; acquire null ok"]);
    rejects(model, &["acquire null ok; acquire null ok", "release null ok"]);
    rejects(
        model,
        &["acquire null mismatch", "acquire null ok; release null ok; acquire null mismatch"],
    );
    rejects(model, &["acquire 1 ok; release 2 ok", "acquire 1 ok; release 1 mismatch"]);
}

#[test]
fn semaphores() {
    let model = "semaphore";
    accepts(model, &["acquire null ok; acquire 1 mismatch; release 2 ok; acquire 2 ok"]);
    accepts(model, &["acquire null info; acquire null mismatch"]);
    rejects(model, &["acquire 2 ok", "acquire null ok; acquire null ok", "acquire 1 mismatch"]);
    let two = history("acquire null ok; acquire null ok").with_initial(vec![2.into()]);
    assert_eq!(check_linearizable(&two, model, &Limits::default()).validity, Validity::Valid);
}

#[test]
fn sets() {
    let model = "set";
    accepts(
        model,
        &["add 2 ok; add 1 info; read null = [2, 1] ok; remove 2 ok; read null = [1] ok"],
    );
    accepts(model, &["contains 1 = false ok; add 1 ok; contains 1 = true ok; add 1 mismatch"]);
    accepts(
        model,
        &["remove 1 mismatch; add 1 ok; add 1 ok; remove 1 info; contains 1 = false ok"],
    );
    rejects(model, &["add 1 ok; read null = [] ok", "add 1 ok; read null = [1, 1] ok"]);
    rejects(model, &["add 1 ok; remove 1 ok; contains 1 = true ok", "add 1 mismatch"]);
    rejects(model, &["add 1 ok; remove 1 mismatch", "add 1 info; read null = [2] ok"]);
}

#[test]
fn maps_delete() {
    accepts("kv", &[r#"put ["k", 1] ok; delete ["k", null] ok; get ["k", null] ok"#]);
    accepts("kv", &[r#"delete ["k", null] mismatch; put ["k", 1] ok; delete ["k", null] info"#]);
    rejects("kv", &[r#"put ["k", 1] ok; delete ["k", null] mismatch"#]);
    rejects("kv", &[r#"put ["k", 1] ok; delete ["k", null] ok; get ["k", null] = ["k", 1] ok"#]);
}

#[test]
fn multi_registers() {
    let model = "multi-register";
    let write = r#"txn [["write", "x", 1], ["w", "y", 2]]"#;
    let reads = |x, y| {
        let asked = r#"[["read", "x", null], ["r", "y", null]]"#;
        format!(r#"txn {asked} = [["read", "x", {x}], ["r", "y", {y}]] ok"#)
    };
    accepts(model, &[&format!("{} ; {write} info; {}", reads("null", "null"), reads("1", "2"))]);
    rejects(model, &[&format!("{write} ok; {}", reads("1", "null"))]);
    rejects(model, &[&format!("{write} info; {}", reads("null", "2"))]);
    let own = r#"txn [["w", "x", 1], ["r", "x", null]] = [["w", "x", 1], ["r", "x", 1]] ok"#;
    accepts(model, &[own]);
}

#[test]
fn versioned_registers() {
    let model = "versioned-register";
    accepts(model, &["read [null, null] = [0, null] ok; write [null, 5] = [1, 5] ok"]);
    // The write of unknown outcome made version 2.
    accepts(
        model,
        &["write [null, 5] = [1, 5] ok; write [null, 6] info; read [null, null] = [2, 6] ok"],
    );
    accepts(
        model,
        &["write [null, 5] ok; cas [null, [5, 7]] = [2, [5, 7]] ok; cas [null, [5, 8]] mismatch"],
    );
    rejects(model, &["write [null, 5] = [2, 5] ok", "write [null, 5] ok; read null = [2, 5] ok"]);
    rejects(model, &["write [null, 5] ok; cas [null, [5, 8]] mismatch"]);
    // A version was skipped, and one unknown outcome explains one version only.
    rejects(
        model,
        &["write [null, 5] info; write [null, 6] = [3, 6] ok; read [null, null] = [3, 6] ok"],
    );
}

/// Initial states are converted to the form of the model, and impossible ones are rejected.
#[test]
fn initial_states_are_converted_or_rejected() {
    let judged = |model: &str, text: &str, state: &str| {
        let state: Value = serde_json::from_str(state).expect("it is JSON");
        let history = history(text).with_initial(vec![state]);
        let limits = Limits { keyed: Keyed::No, ..Limits::default() };
        let verdict = check_linearizable(&history, model, &limits);
        let mut online = OnlineChecker::new(super::find_model(model).expect("it is one"), limits)
            .with_initial(history.initial().expect("it begins").to_vec());
        for event in history.events() {
            online.feed(event).expect("clients behave");
        }
        assert_eq!(online.finish().validity, verdict.validity, "{model}: {text}");
        (verdict.validity, verdict.message)
    };
    for (model, text, state) in [
        ("set", "read null = [1, 2, 3] ok; contains 3 = true ok; remove 1 ok", "[3, 1, 2]"),
        ("kv", r#"get ["y", null] = ["y", 2] ok; put ["x", 3] ok"#, r#"[["y", 2], ["x", 1]]"#),
        ("unordered-queue", "enqueue 1 ok; dequeue null = 3 ok; dequeue null = 1 ok", "[3, 2]"),
        ("lock", "release 7 ok; acquire 8 ok", "[7]"),
        ("stack", "pop null = 2 ok", "[1, 2]"),
        ("counter", "read null = -4 ok", "-4"),
        ("versioned-register", "read null = [3, 5] ok", "[3, 5]"),
    ] {
        let (validity, message) = judged(model, text, state);
        assert_eq!(validity, Validity::Valid, "{model} {state}: {message}");
    }
    for (model, text, state) in [
        ("set", "read null = [1] ok", "1"),
        ("kv", r#"get ["x", null] = ["x", 1] ok"#, r#"{"x": 1}"#),
        ("kv", r#"get ["x", null] = ["x", 1] ok"#, r#"["x", 1]"#),
        ("kv", r#"get ["x", null] = ["x", 1] ok"#, r#"[["x", 1], ["x", 2]]"#),
        ("multi-register", r#"txn [["r", "x", null]] = [["r", "x", 1]] ok"#, r#"{"x": 1}"#),
        ("fifo-queue", "dequeue null = 1 ok", "1"),
        ("unordered-queue", "dequeue null = 1 ok", r#"{"any": []}"#),
        ("append-list", "read null = [] ok", "7"),
        ("lock", "acquire 1 ok", r#""y""#),
        ("lock", "acquire 1 ok", "[1, 2]"),
        ("counter", "read null = 0 ok", "null"),
        ("semaphore", "acquire null ok", "-1"),
        ("versioned-register", "read null = [0, 1] ok", "[1]"),
    ] {
        let (validity, message) = judged(model, text, state);
        assert_eq!(validity, Validity::Unknown, "{model} {state}: {message}");
        assert!(message.contains("it began"), "{model} {state}: {message}");
    }
}

/// A counter may pass 64 bits and come back, though no read can return the sum meanwhile.
#[test]
fn counters_pass_64_bits() {
    let most = i64::MAX;
    accepts(
        "counter",
        &[&format!("add {most} ok; add 2 ok; add -5 ok; read null = {} ok", most - 3)],
    );
    rejects("counter", &[&format!("add {most} ok; add 1 ok; read null = {most} ok")]);
}
