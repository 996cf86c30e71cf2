//! Compares queues with every assignment of deliveries to enqueues.

use super::random::{RandomDraw, compare_verdicts, end, history, items, oks, output};
use crate::history::{Kind, Operation, Value};
use crate::verdict::Validity;

/// The deliveries, the last observation of an empty queue, and the number of indeterminate
/// dequeues.
struct QueueObservations<'o> {
    puts: Vec<&'o Operation>,
    given: Vec<(&'o Value, u64)>,
    emptied: u64,
    unknown: usize,
}

fn seen(ops: &[Operation]) -> QueueObservations<'_> {
    let puts = ops.iter().filter(|op| op.f == "enqueue" && op.kind() != Kind::Fail).collect();
    let one = oks(ops, "dequeue").into_iter().filter(|op| *output(op) != Value::Nil);
    let one = one.map(|op| (output(op), end(op)));
    let all = oks(ops, "drain").into_iter().flat_map(|op| items(op).iter().map(|it| (it, end(op))));
    let nothing = oks(ops, "dequeue").into_iter().filter(|op| *output(op) == Value::Nil);
    let emptied = nothing.chain(oks(ops, "drain")).map(|op| op.invoked.index).max();
    let open = |f: &str| ops.iter().filter(|op| op.f == f && op.kind() == Kind::Info).count();
    let unknown = open("dequeue") + if open("drain") > 0 { 1000 } else { 0 };
    QueueObservations {
        puts,
        given: one.chain(all).collect(),
        emptied: emptied.unwrap_or(0),
        unknown,
    }
}

/// The minimum number of provably lost elements, and then of elements of unknown fate, over all
/// assignments of deliveries to enqueues, each used once unless the queue may repeat. `None` if
/// there is no assignment.
fn fewest_gone(
    seen: &QueueObservations<'_>,
    taken: &mut Vec<usize>,
    repeats: bool,
) -> Option<(usize, usize)> {
    let Some((element, until)) = seen.given.get(taken.len()) else {
        let left = |place: &usize| !taken.contains(place) && seen.puts[*place].is_ok();
        let left: Vec<usize> = (0..seen.puts.len()).filter(left).collect();
        let gone = left.iter().filter(|place| end(seen.puts[**place]) < seen.emptied).count();
        return Some((gone, left.len() - gone));
    };
    let fits = |put: &Operation| put.input == **element && put.invoked.index < *until;
    let mut best = None;
    for place in (0..seen.puts.len()).filter(|place| fits(seen.puts[*place])) {
        if !taken.contains(&place) || repeats {
            taken.push(place);
            let found = fewest_gone(seen, taken, repeats);
            best = [best, found].into_iter().flatten().min();
            taken.pop();
        }
    }
    best
}

fn judged(ops: &[Operation], repeats: bool) -> Validity {
    let seen = seen(ops);
    let observed = !oks(ops, "dequeue").is_empty() || !oks(ops, "drain").is_empty();
    match fewest_gone(&seen, &mut Vec::new(), repeats) {
        Some((gone, 0)) if gone <= seen.unknown && observed => Validity::Valid,
        Some((gone, _)) if gone <= seen.unknown => Validity::Unknown,
        _ => Validity::Invalid,
    }
}

/// Compares verdicts for distinct elements or for only two different ones.
fn compare(check: &str, repeats: bool, distinct: bool) {
    let mut put = 0;
    let mut calls = |draw: &mut RandomDraw| match draw.below(8) {
        0..=2 => {
            put = if distinct { put + 1 } else { 1 + draw.below(2) as i64 };
            ("enqueue", Value::Int(put), Value::Int(put))
        }
        3..=5 if put > 0 => ("dequeue", Value::Nil, Value::Int(1.max(put - draw.below(2) as i64))),
        6 if draw.below(2) == 0 => {
            let some = (1..=put).filter(|_| draw.below(3) == 0).map(Value::Int).take(2);
            ("drain", Value::Nil, Value::List(some.collect()))
        }
        _ => ("dequeue", Value::Nil, Value::Nil),
    };
    let mut make = |seed| history(seed, 3 + (seed % 13) as usize, &mut calls);
    let answers = [Validity::Valid, Validity::Unknown, Validity::Invalid];
    compare_verdicts(check, &mut make, |ops| judged(ops, repeats), &answers);
}

#[test]
fn queue_agrees_with_all_assignments_of_deliveries() {
    compare("queue", false, true);
    compare("queue", false, false);
}

#[test]
fn total_queue_agrees_with_all_assignments_of_deliveries() {
    compare("total-queue", true, true);
}

#[test]
fn equal_elements_are_matched_with_the_earliest_enqueue() {
    // The open enqueue may take effect later, so no element is lost.
    let late = "0:enqueue 1; 1:enqueue 1 => 1; 2:dequeue => 1; 2:dequeue => nil; 0:ok 1";
    super::unknown("queue", late, "never dequeued");
    let early = "0:enqueue 1; 1:enqueue 1 => 1; 2:dequeue => 1; 0:ok 1; 2:dequeue => nil";
    super::wrong("queue", early, "lost");
    // The delivery before the second enqueue can only be of the first.
    let gone = "0:enqueue 1; 0:info; 1:dequeue => 1; 2:enqueue 1 => 1; 2:dequeue => nil";
    super::wrong("queue", gone, "lost");
    let taken = "0:enqueue 1; 0:info; 2:enqueue 1 => 1; 1:dequeue => 1; 2:dequeue => nil";
    super::valid("queue", taken);
}
