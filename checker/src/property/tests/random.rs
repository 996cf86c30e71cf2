//! Generates small random histories, and compares the counts of checks on them.

use crate::check_by_name;
use crate::history::{Event, History, Kind, Operation, Process, Value};
use crate::verdict::{Limits, Validity};

/// A stream of random numbers.
pub(crate) struct RandomDraw(pub(crate) u64);

impl RandomDraw {
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.0 >> 33) % limit
    }
}

/// A function, its input, and its output if it is ok.
pub(crate) type DrawnCall = (&'static str, Value, Value);

/// Three clients make the calls that `next` draws, with random outcomes.
pub(crate) fn history(
    seed: u64,
    events: usize,
    next: &mut dyn FnMut(&mut RandomDraw) -> DrawnCall,
) -> History {
    let mut draw = RandomDraw(seed.wrapping_mul(7_919) + 1);
    let mut clients: Vec<(u64, Option<DrawnCall>)> = (0..3).map(|client| (client, None)).collect();
    let mut recorded = Vec::new();
    for index in 0..events as u64 {
        let place = draw.below(3) as usize;
        let (number, call) = &mut clients[place];
        let (kind, f, value) = match call.take() {
            None => {
                let fresh = next(&mut draw);
                *call = Some(fresh.clone());
                (Kind::Invoke, fresh.0, fresh.1)
            }
            Some((f, input, output)) => match draw.below(8) {
                0 => (Kind::Fail, f, input),
                1 => (Kind::Info, f, input),
                _ => (Kind::Ok, f, output),
            },
        };
        let process = Process::Client(*number);
        if kind == Kind::Info {
            *number += 3;
        }
        let (f, time) = (f.into(), index);
        recorded.push(Event { index, time, kind, process, f, value, node: None, error: None });
    }
    History::new(recorded).expect("clients take turns")
}

/// The number of cases of an anomaly that a check finds.
pub(crate) fn count(check: &str, history: &History, kind: &str) -> usize {
    let verdict = check_by_name(history, check, &Limits::default());
    let found = verdict.findings.iter().find(|finding| finding.name == kind);
    found.map_or(0, |finding| finding.count)
}

/// Compares counts over many seeds; each anomaly must occur sometimes.
#[track_caller]
pub(crate) fn compare(
    check: &str,
    kind: &str,
    next: &mut dyn FnMut(&mut RandomDraw) -> DrawnCall,
    expected: impl Fn(&[Operation]) -> usize,
) {
    let (mut met, mut missed) = (0, 0);
    for seed in 0..2000 {
        let history = history(seed, 4 + (seed % 20) as usize, next);
        let wanted = expected(history.operations());
        assert_eq!(
            count(check, &history, kind),
            wanted,
            "{check} {kind}, seed {seed}: {history:?}"
        );
        if wanted > 0 { met += 1 } else { missed += 1 }
    }
    assert!(met > 20 && missed > 20, "{check} {kind}: {met} with, {missed} without");
}

pub(crate) fn end(op: &Operation) -> u64 {
    op.completion.as_ref().filter(|_| op.is_ok()).map_or(u64::MAX, |events| events.at.index)
}

pub(crate) fn output(op: &Operation) -> &Value {
    &op.completion.as_ref().expect("it completed").output
}

pub(crate) fn items(op: &Operation) -> &[Value] {
    match output(op) {
        Value::List(items) => items,
        _ => &[],
    }
}

pub(crate) fn oks<'o>(ops: &'o [Operation], f: &str) -> Vec<&'o Operation> {
    ops.iter().filter(|op| op.f == f && op.is_ok()).collect()
}

/// Clients that take turns: each call completes before the next begins, except one in twelve.
pub(crate) fn chain(
    seed: u64,
    calls: usize,
    next: &mut dyn FnMut(&mut RandomDraw) -> DrawnCall,
) -> History {
    let mut draw = RandomDraw(seed.wrapping_mul(7_919) + 1);
    let mut events: Vec<Event> = Vec::new();
    for number in 0..calls as u64 {
        let (f, input, output) = next(&mut draw);
        let (kind, value) = match draw.below(8) {
            0 => (Kind::Fail, input.clone()),
            1 | 2 => (Kind::Info, input.clone()),
            _ => (Kind::Ok, output),
        };
        let process = Process::Client(number);
        let event = |kind, value| {
            let f = f.into();
            Event { index: 0, time: 0, kind, process, f, value, node: None, error: None }
        };
        // A call that begins before the last one completed is not part of a chain.
        let early = usize::from(!events.is_empty() && draw.below(12) == 0);
        events.insert(events.len() - early, event(Kind::Invoke, input));
        events.push(event(kind, value));
    }
    numbered(events)
}

/// Events in this order.
pub(crate) fn numbered(mut events: Vec<Event>) -> History {
    for (index, event) in (0..).zip(&mut events) {
        (event.index, event.time) = (index, index);
    }
    History::new(events).expect("clients take turns")
}

/// Compares verdicts over many seeds; each validity must occur sometimes.
#[track_caller]
pub(crate) fn compare_verdicts(
    check: &str,
    make: &mut dyn FnMut(u64) -> History,
    expected: impl Fn(&[Operation]) -> Validity,
    answers: &[Validity],
) {
    let mut met = vec![0; answers.len()];
    for seed in 0..3000 {
        let history = make(seed);
        let got = check_by_name(&history, check, &Limits::default());
        let wanted = expected(history.operations());
        assert_eq!(got.validity, wanted, "{check}, seed {seed}: {}\n{history:?}", got.message);
        let place = answers.iter().position(|answer| *answer == wanted);
        met[place.unwrap_or_else(|| panic!("seed {seed}: {wanted:?}"))] += 1;
    }
    assert!(met.iter().all(|times| *times > 50), "{check}: {answers:?} {met:?}");
}
