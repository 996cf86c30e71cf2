//! Compares checks of single operations with their definitions.

use super::brute_force::set_calls;
use super::random::{
    DrawnCall, RandomDraw, chain, compare, compare_verdicts, end, history, items, oks, output,
};
use crate::history::{Kind, Operation, Value};
use crate::verdict::Validity;

/// Balances of two accounts with a total of 2, sometimes 3.
fn bank_calls(draw: &mut RandomDraw) -> DrawnCall {
    let accounts = |a: i64, b: i64| {
        Value::map([("a".to_owned(), Value::Int(a)), ("b".to_owned(), Value::Int(b))])
    };
    let field = |(name, value): (&str, i64)| (name.to_owned(), Value::Int(value));
    match draw.below(3) {
        0 => {
            let fields = [("from", 0), ("to", 1), ("amount", 1)].map(field);
            ("transfer", Value::map(fields), Value::Nil)
        }
        _ => {
            let (moved, made) = (draw.below(12).min(3) as i64 % 3, draw.below(6) / 5);
            let moved = if draw.below(12) == 0 { 3 } else { moved };
            ("read", Value::Nil, accounts(2 - moved + made as i64, moved))
        }
    }
}

fn balances(op: &Operation) -> Vec<i64> {
    let Value::Map(entries) = output(op) else { return Vec::new() };
    let number = |(_, value): &(String, Value)| match value {
        Value::Int(number) => *number,
        _ => 0,
    };
    entries.iter().map(number).collect()
}

#[test]
fn bank_agrees_with_its_definition() {
    let explained = |ops: &[Operation]| {
        let reads: Vec<Vec<i64>> = oks(ops, "read").into_iter().map(balances).collect();
        let fits = |total: i64| reads.iter().all(|read| read.iter().sum::<i64>() == total);
        match reads.as_slice() {
            [] => Validity::Unknown,
            _ if (-10..10).any(fits) && reads.iter().flatten().all(|it| *it >= 0) => {
                Validity::Valid
            }
            _ => Validity::Invalid,
        }
    };
    let mut make = |seed| history(seed, 2 + (seed % 14) as usize, &mut bank_calls);
    let answers = [Validity::Valid, Validity::Unknown, Validity::Invalid];
    compare_verdicts("bank", &mut make, explained, &answers);
    compare("bank", "negative-balance", &mut bank_calls, |ops| {
        oks(ops, "read").into_iter().flat_map(balances).filter(|balance| *balance < 0).count()
    });
    compare("bank", "wrong-total", &mut bank_calls, |ops| {
        let totals: Vec<i64> =
            oks(ops, "read").into_iter().map(|op| balances(op).iter().sum()).collect();
        totals.iter().filter(|total| **total != totals[0]).count()
    });
}

#[test]
fn the_last_read_of_a_set_agrees_with_its_definition() {
    fn last(ops: &[Operation]) -> Option<&Operation> {
        oks(ops, "read").into_iter().max_by_key(|op| end(op))
    }
    compare("set-final", "lost", &mut set_calls, |ops| {
        let Some(read) = last(ops) else { return 0 };
        let lost =
            |add: &&&Operation| end(add) < read.invoked.index && !items(read).contains(&add.input);
        oks(ops, "add").iter().filter(lost).count()
    });
    compare("set-final", "unexpected", &mut set_calls, |ops| {
        let Some(read) = last(ops) else { return 0 };
        let from_nowhere = |element: &&Value| {
            !ops.iter().any(|op| {
                op.f == "add"
                    && op.kind() != Kind::Fail
                    && op.input == **element
                    && op.invoked.index < end(read)
            })
        };
        items(read).iter().filter(from_nowhere).count()
    });
}

#[test]
fn unique_ids_agree_with_a_comparison_of_all_pairs() {
    let mut calls =
        |draw: &mut RandomDraw| ("generate", Value::Nil, Value::Int(draw.below(20) as i64));
    compare("unique-ids", "duplicate-id", &mut calls, |ops| {
        let given = oks(ops, "generate");
        let again = |place: &usize| {
            given[..*place].iter().any(|other| output(other) == output(given[*place]))
        };
        (0..given.len()).filter(again).count()
    });
}

#[test]
fn stats_agrees_with_its_definition() {
    let mut calls = |draw: &mut RandomDraw| {
        let f = ["read", "write", "cas"][draw.below(3) as usize];
        (f, Value::Nil, Value::Nil)
    };
    let mut make = |seed| history(seed, 2 + (seed % 20) as usize, &mut calls);
    let said = |ops: &[Operation]| {
        let all = ops.iter().all(|op| ops.iter().any(|other| other.f == op.f && other.is_ok()));
        if all { Validity::Valid } else { Validity::Unknown }
    };
    compare_verdicts("stats", &mut make, said, &[Validity::Valid, Validity::Unknown]);
}

/// Whether the rest of a chain is possible, with each open write taking effect at some time or
/// never.
fn follows(ops: &[&Operation], held: Option<&Value>, open: &[&Value]) -> bool {
    let Some((op, rest)) = ops.split_first() else { return true };
    let late = (0..open.len()).any(|place| {
        let mut left = open.to_vec();
        let written = left.remove(place);
        follows(ops, Some(written), &left)
    });
    let now = || match (op.f.as_str(), op.is_ok()) {
        ("write", true) => follows(rest, Some(&op.input), open),
        ("write", false) => follows(rest, held, &[open, &[&op.input]].concat()),
        (_, true) => {
            let fits = match held {
                Some(held) => output(op) == held,
                None => [Value::Nil, Value::Int(0)].contains(output(op)),
            };
            fits && follows(rest, held, open)
        }
        (_, false) => follows(rest, held, open),
    };
    late || now()
}

#[test]
fn causal_agrees_with_every_placement_of_open_writes() {
    let mut held = 0;
    let mut calls = |draw: &mut RandomDraw| match draw.below(5) {
        0 | 1 => {
            held = 1 + draw.below(3) as i64;
            ("write", Value::Int(held), Value::Int(held))
        }
        it => {
            let observed = if draw.below(4) == 0 { draw.below(4) as i64 } else { held };
            (["read", "read-init"][usize::from(it == 2)], Value::Nil, Value::Int(observed))
        }
    };
    let mut make = |seed| chain(seed, 1 + (seed % 9) as usize, &mut calls);
    let explained = |ops: &[Operation]| {
        let possible: Vec<&Operation> = ops.iter().filter(|op| op.kind() != Kind::Fail).collect();
        let overlap = (0..possible.len()).any(|place| {
            possible[..place].iter().any(|op| op.is_ok() && end(op) > possible[place].invoked.index)
        });
        let observed = possible.iter().any(|op| op.is_ok() && op.f != "write");
        match (overlap, follows(&possible, None, &[])) {
            (true, _) => Validity::Unknown,
            (false, true) if observed => Validity::Valid,
            (false, true) => Validity::Unknown,
            (false, false) => Validity::Invalid,
        }
    };
    let answers = [Validity::Valid, Validity::Unknown, Validity::Invalid];
    compare_verdicts("causal", &mut make, explained, &answers);
}
