//! Compares each fast check with a brute-force implementation on small random histories.

use super::random::{DrawnCall, RandomDraw, compare, count, end, history, items, oks, output};
use crate::history::{Kind, Operation, Value};

/// Some numbers below a limit, in order.
fn some(draw: &mut RandomDraw, limit: i64) -> Value {
    Value::List((0..limit).filter(|_| draw.below(3) > 0).map(Value::Int).collect())
}

pub(super) fn set_calls(draw: &mut RandomDraw) -> DrawnCall {
    let element = Value::Int(draw.below(3) as i64);
    match draw.below(2) {
        0 => ("add", element.clone(), element),
        _ => ("read", Value::Nil, some(draw, 3)),
    }
}

fn elements() -> Vec<Value> {
    (0..3).map(Value::Int).collect()
}

/// The index at which an element is first known.
fn known(ops: &[Operation], element: &Value) -> Option<u64> {
    let adds = oks(ops, "add").into_iter().filter(|op| op.input == *element);
    let reads = oks(ops, "read").into_iter().filter(|op| items(op).contains(element));
    adds.chain(reads).map(end).min()
}

/// Whether an element is lost (or stale, if a later read returns it again).
fn missed(ops: &[Operation], element: &Value, lost: bool) -> bool {
    let Some(known) = known(ops, element) else { return false };
    let reads = oks(ops, "read");
    let misses: Vec<_> = reads
        .iter()
        .filter(|op| !items(op).contains(element) && op.invoked.index > known)
        .collect();
    let shows: Vec<_> = reads.iter().filter(|op| items(op).contains(element)).collect();
    let is_lost = misses.iter().any(|miss| shows.iter().all(|show| end(show) < miss.invoked.index));
    if lost { is_lost } else { !misses.is_empty() && !is_lost && !shows.is_empty() }
}

#[test]
fn set_full_agrees_with_its_definition() {
    let lost = |ops: &[Operation]| elements().iter().filter(|e| missed(ops, e, true)).count();
    compare("set-full", "lost", &mut set_calls, lost);
    let stale = |ops: &[Operation]| elements().iter().filter(|e| missed(ops, e, false)).count();
    compare("set-full-linearizable", "stale", &mut set_calls, stale);
    compare("set-full", "unexpected", &mut set_calls, |ops| {
        let early = |element: &&Value| {
            let possible = ops.iter().filter(|op| op.f == "add" && op.kind() != Kind::Fail);
            let asked =
                possible.filter(|op| op.input == **element).map(|op| op.invoked.index).min();
            let mut shows = oks(ops, "read").into_iter().filter(|op| items(op).contains(element));
            shows.any(|op| asked.is_none_or(|asked| end(op) < asked))
        };
        elements().iter().filter(early).count()
    });
}

#[test]
fn causal_reverse_agrees_with_its_definition() {
    let mut written = 0;
    let mut calls = |draw: &mut RandomDraw| {
        if draw.below(2) == 0 {
            written += 1;
            let value = Value::Int(written);
            return ("write", value.clone(), value);
        }
        let recent = (1..=written).filter(|_| draw.below(4) > 0).map(Value::Int).collect();
        ("read", Value::Nil, Value::List(recent))
    };
    compare("causal-reverse", "causal-reverse", &mut calls, |ops| {
        let write = |value: &Value| {
            ops.iter().find(|op| op.f == "write" && op.input == *value && op.kind() != Kind::Fail)
        };
        let reversed = |read: &&&Operation| {
            let shown: Vec<_> = items(read)
                .iter()
                .filter_map(write)
                .filter(|write| write.invoked.index < end(read))
                .collect();
            oks(ops, "write").into_iter().any(|first| {
                !shown.contains(&first)
                    && shown.iter().any(|second| end(first) < second.invoked.index)
            })
        };
        oks(ops, "read").iter().filter(reversed).count()
    });
}

#[test]
fn counter_bounds_agree_with_every_subset_of_open_adds() {
    let mut calls = |draw: &mut RandomDraw| match draw.below(2) {
        0 => ("add", Value::Int(draw.below(7) as i64 - 3), Value::Nil),
        _ => ("read", Value::Nil, Value::Int(draw.below(12) as i64 - 6)),
    };
    compare("counter-bounds", "out-of-bounds", &mut calls, |ops| {
        let number = |value: &Value| match value {
            Value::Int(number) => *number,
            _ => 0,
        };
        let out = |read: &&&Operation| {
            let adds: Vec<_> =
                ops.iter().filter(|op| op.f == "add" && op.kind() != Kind::Fail).collect();
            let done = adds.iter().filter(|op| end(op) < read.invoked.index);
            let base: i64 = done.map(|op| number(&op.input)).sum();
            let open: Vec<i64> = adds
                .iter()
                .filter(|op| end(op) > read.invoked.index && op.invoked.index < end(read))
                .map(|op| number(&op.input))
                .collect();
            let sums = (0..1_u32 << open.len()).map(|subset| {
                let chosen = open.iter().enumerate().filter(|(i, _)| subset >> i & 1 == 1);
                base + chosen.map(|(_, number)| number).sum::<i64>()
            });
            let (least, most) = (sums.clone().min(), sums.max());
            let read = number(output(read));
            !(least <= Some(read) && Some(read) <= most)
        };
        oks(ops, "read").iter().filter(out).count()
    });
}

#[test]
fn fenced_lock_agrees_with_a_comparison_of_all_pairs() {
    let mut token = 0;
    let mut calls = |draw: &mut RandomDraw| {
        token += draw.below(3) as i64 - 1;
        match draw.below(3) {
            0 => ("acquire", Value::Nil, Value::Int(token)),
            _ => ("release", Value::Nil, Value::Nil),
        }
    };
    let holds = |ops: &[Operation]| -> Vec<(u64, u64)> {
        let acquires = oks(ops, "acquire").into_iter();
        let until = |op: &Operation| {
            let mut releases = ops.iter().filter(|other| {
                other.f == "release" && other.process == op.process && other.invoked.index > end(op)
            });
            // The next release is not of this hold if the client acquired again in between.
            let again = oks(ops, "acquire")
                .into_iter()
                .find(|next| next.process == op.process && next.invoked.index > op.invoked.index);
            let release = releases.next().map_or(u64::MAX, |release| release.invoked.index);
            match again {
                Some(again) if again.invoked.index < release => u64::MAX,
                _ => release,
            }
        };
        let mut holds: Vec<_> = acquires.map(|op| (end(op), until(op))).collect();
        holds.sort_unstable();
        holds
    };
    compare("fenced-lock", "two-holders", &mut calls, |ops| {
        let holds = holds(ops);
        let taken = |place: &usize| holds[..*place].iter().any(|other| other.1 > holds[*place].0);
        (0..holds.len()).filter(taken).count()
    });
    compare("fenced-lock", "token-order", &mut calls, |ops| {
        let acquires = oks(ops, "acquire");
        let wrong = |op: &&&Operation| {
            acquires.iter().any(|other| end(other) < op.invoked.index && output(other) > output(op))
        };
        acquires.iter().filter(wrong).count()
    });
}

#[test]
fn monotonic_agrees_with_a_comparison_of_all_pairs() {
    let mut held = 0;
    let mut calls = |draw: &mut RandomDraw| {
        held += draw.below(3) as i64;
        ("read", Value::Nil, Value::Int(held - draw.below(3) as i64))
    };
    let back = |ops: &[Operation], own: bool| {
        let reads = oks(ops, "read");
        let wrong = |op: &&&Operation| {
            let before = reads
                .iter()
                .filter(|other| end(other) < op.invoked.index && output(other) > output(op));
            let (mine, theirs) = before
                .copied()
                .partition::<Vec<&Operation>, _>(|other| other.process == op.process);
            if own { !mine.is_empty() } else { mine.is_empty() && !theirs.is_empty() }
        };
        reads.iter().filter(wrong).count()
    };
    compare("monotonic", "non-monotonic-session", &mut calls, |ops| back(ops, true));
    compare("monotonic", "non-monotonic-realtime", &mut calls, |ops| back(ops, false));
}

#[test]
fn long_fork_agrees_with_a_comparison_of_all_pairs() {
    let group = |values: &[u64]| {
        let micro = |(key, value): (usize, &u64)| {
            let value = if *value == 0 { Value::Nil } else { Value::Int(1) };
            Value::from(vec![Value::from("r"), Value::Int(key as i64), value])
        };
        Value::List(values.iter().enumerate().map(micro).collect())
    };
    let mut calls = |draw: &mut RandomDraw| {
        let shown = [draw.below(2), draw.below(4).min(1), draw.below(4).min(1)];
        ("read", group(&[0, 0, 0]), group(&shown))
    };
    let mut met = 0;
    for seed in 0..2000 {
        let history = history(seed, 4 + (seed % 12) as usize, &mut calls);
        let reads = oks(history.operations(), "read");
        let set = |op: &Operation| -> Vec<bool> {
            items(op).iter().map(|micro| micro.to_string().ends_with("1]")).collect()
        };
        let within = |one: &[bool], other: &[bool]| one.iter().zip(other).all(|(a, b)| !a || *b);
        let fork = reads.iter().any(|one| {
            let one = set(one);
            reads.iter().any(|other| {
                let other = set(other);
                !within(&one, &other) && !within(&other, &one)
            })
        });
        assert_eq!(count("long-fork", &history, "long-fork") > 0, fork, "seed {seed}: {history:?}");
        met += usize::from(fork);
    }
    assert!((100..1900).contains(&met), "{met}");
}
