//! Compares the decisions with the definitions of the levels, by trying every commit order.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::super::options::DataType;
use super::super::table::{self, NONE};
use super::facts::Facts;
use super::{Isolation, IsolationLevel, LEVELS};
use crate::history::{Event, History, Kind, Process, Value};
use crate::verdict::{Check as _, Limits, Validity};

/// SplitMix64.
struct SplitMix(u64);

impl SplitMix {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % n
    }
}

/// A transaction of a process: micro-operations as `(is_write, key, value)`, nil is 0.
type TestTxn = (u64, Kind, Vec<(bool, i64, i64)>);

fn history(txns: &[TestTxn]) -> History {
    let mut events = Vec::new();
    for (process, kind, accesses) in txns {
        let describe = |answered: bool| {
            let access = |(write, key, value): &(bool, i64, i64)| {
                let value = match (*write || answered, value) {
                    (false, _) | (true, 0) => Value::Nil,
                    (true, value) => Value::Int(*value),
                };
                Value::from(vec![
                    Value::from(if *write { "w" } else { "r" }),
                    Value::Int(*key),
                    value,
                ])
            };
            Value::from(accesses.iter().map(access).collect::<Vec<_>>())
        };
        for (kind, value) in [(Kind::Invoke, describe(false)), (*kind, describe(*kind == Kind::Ok))]
        {
            let index = events.len() as u64;
            events.push(Event {
                index,
                time: index,
                kind,
                process: Process::Client(*process),
                f: "txn".into(),
                value,
                node: None,
                error: None,
            });
        }
    }
    History::new(events).expect("every process does one thing at a time")
}

/// Runs transactions serially or on old snapshots, with an occasional wrong read.
fn random(draw: &mut SplitMix) -> Vec<TestTxn> {
    let (sessions, keys) = (1 + draw.below(3), 1 + draw.below(3));
    let mut states: Vec<Vec<i64>> = vec![vec![0; keys as usize]];
    let mut retired = vec![false; sessions as usize];
    let mut txns = Vec::new();
    let mut fresh = 0;
    for _ in 0..1 + draw.below(5) {
        let process = draw.below(sessions);
        if retired[process as usize] {
            continue;
        }
        let old = draw.below(3).min(states.len() as u64 - 1);
        let mut view = states[states.len() - 1 - old as usize].clone();
        let mut now = states[states.len() - 1].clone();
        let kind = match draw.below(12) {
            0 => Kind::Fail,
            1 => Kind::Info,
            _ => Kind::Ok,
        };
        retired[process as usize] = kind == Kind::Info;
        let mut accesses = Vec::new();
        for _ in 0..1 + draw.below(3) {
            let key = draw.below(keys) as usize;
            if draw.below(2) == 0 {
                fresh += 1;
                (view[key], now[key]) = (fresh, fresh);
                accesses.push((true, key as i64, fresh));
            } else {
                let lie = draw.below(12) == 0;
                let seen = if lie { draw.below(fresh as u64 + 2) as i64 } else { view[key] };
                accesses.push((false, key as i64, seen));
            }
        }
        if kind != Kind::Fail {
            states.push(now);
        }
        txns.push((process, kind, accesses));
    }
    txns
}

/// Every order of `0..count`.
fn orders(count: usize) -> Vec<Vec<usize>> {
    if count == 0 {
        return vec![Vec::new()];
    }
    let shorter = orders(count - 1);
    let longer = shorter.iter().flat_map(|order| {
        (0..count).map(|place| {
            let mut order = order.clone();
            order.insert(place, count - 1);
            order
        })
    });
    longer.collect()
}

/// Whether the level holds by definition: some commit order violates nothing.
fn by_definition(facts: &Facts<'_, '_>, level: IsolationLevel) -> bool {
    match level {
        IsolationLevel::SnapshotIsolation => snapshots(facts),
        _ => orders(facts.len()).into_iter().any(|order| commits(facts, level, &order)),
    }
}

fn commits(facts: &Facts<'_, '_>, level: IsolationLevel, order: &[usize]) -> bool {
    let count = facts.len();
    let mut at = vec![0_i64; count + 1];
    order.iter().zip(1..).for_each(|(node, place)| at[*node] = place);
    let direct = |one: usize, other: usize| {
        facts.session[one] == facts.session[other] && facts.place[one] < facts.place[other]
            || facts.reads[other].iter().any(|read| read.source as usize == one)
    };
    let mut known = vec![vec![false; count]; count];
    for (one, row) in known.iter_mut().enumerate() {
        for (other, known) in row.iter_mut().enumerate() {
            *known = direct(one, other);
        }
    }
    if (0..count).any(|one| (0..count).any(|other| known[one][other] && at[one] >= at[other])) {
        return false;
    }
    for middle in 0..count {
        for one in 0..count {
            for other in 0..count {
                known[one][other] |= known[one][middle] && known[middle][other];
            }
        }
    }
    (0..count).all(|reader| {
        facts.reads[reader].iter().enumerate().all(|(place, read)| {
            (0..count).filter(|one| facts.wrote(*one as u32, read.key)).all(|one| {
                let earlier = || facts.reads[reader][..place].iter();
                let must = match level {
                    IsolationLevel::ReadCommitted => earlier().any(|it| it.source as usize == one),
                    IsolationLevel::ReadAtomic => direct(one, reader),
                    IsolationLevel::Causal => known[one][reader],
                    _ => at[one] < at[reader],
                };
                one == reader
                    || one == read.source as usize
                    || !must
                    || at[one] < at[read.source as usize]
            })
        })
    })
}

/// Whether the read and write points have an order in which every transaction reads the latest
/// writes, and no other one writes its keys between its two points.
fn snapshots(facts: &Facts<'_, '_>) -> bool {
    let count = facts.len();
    orders(2 * count).into_iter().any(|order| {
        let mut at = vec![0; 2 * count];
        order.iter().zip(1..).for_each(|(point, place)| at[*point] = place);
        let (reads, writes) = (|node: usize| at[2 * node], |node: usize| at[2 * node + 1]);
        (0..count).all(|node| {
            let before = facts.before[node];
            let sane = reads(node) < writes(node)
                && (before == NONE || writes(before as usize) < reads(node));
            let alone = facts.writes[node].iter().all(|key| {
                (0..count)
                    .filter(|other| *other != node && facts.wrote(*other as u32, *key))
                    .all(|other| writes(other) < reads(node) || writes(other) > writes(node))
            });
            let right = facts.reads[node].iter().all(|read| {
                let seen = (0..count)
                    .filter(|other| {
                        facts.wrote(*other as u32, read.key) && writes(*other) < reads(node)
                    })
                    .max_by_key(|other| writes(*other));
                seen.map_or(facts.start(), |node| node as u32) == read.source
            });
            sane && alone && right
        })
    })
}

#[test]
fn every_level_agrees_with_its_definition() {
    let mut seen = [[0_usize; 2]; LEVELS.len()];
    for seed in 0..6000 {
        let txns = random(&mut SplitMix(seed));
        let history = history(&txns);
        let table = table::read_transactions(history.operations(), DataType::Registers, &|| false);
        let Ok(Some(table)) = table else { continue };
        let (facts, wrong) = Facts::of(&table, history.operations());
        if facts.len() == 0 {
            continue;
        }
        for (number, (level, name)) in LEVELS.iter().enumerate() {
            if *level == IsolationLevel::SnapshotIsolation && facts.len() > 3 {
                continue;
            }
            let limits = Limits { consistency: Some(name), ..Limits::default() };
            let got = Isolation.check(&history, &limits);
            if got.validity == Validity::Unknown {
                continue; // No transaction committed.
            }
            let obvious = wrong.is_empty() && by_definition(&facts, *level);
            assert_eq!(
                got.validity == Validity::Valid,
                obvious,
                "seed {seed}, {name}: {}\n{txns:?}",
                got.message
            );
            seen[number][usize::from(obvious)] += 1;
        }
    }
    assert!(seen.iter().flatten().all(|count| *count > 300), "{seen:?}");
}

fn describe(txns: &[TestTxn]) -> Vec<(&'static str, Validity)> {
    let history = history(txns);
    let ask = |(_, name): &(IsolationLevel, &'static str)| {
        let limits = Limits { consistency: Some(name), ..Limits::default() };
        (*name, Isolation.check(&history, &limits).validity)
    };
    LEVELS.iter().map(ask).collect()
}

/// The levels that hold.
fn holds(txns: &[TestTxn]) -> String {
    let valid = describe(txns).into_iter().filter(|(_, validity)| *validity == Validity::Valid);
    valid.map(|(name, _)| name).collect::<Vec<_>>().join(" ")
}

const R: bool = false;
const W: bool = true;

#[test]
fn each_level_forbids_a_smallest_history_that_the_weaker_ones_allow() {
    let ok = |process, accesses: &[(bool, i64, i64)]| (process, Kind::Ok, accesses.to_vec());
    let both = ok(0, &[(W, 1, 1), (W, 2, 2)]);
    // Fractured read: one of two writes is observed, and the other is missed.
    assert_eq!(holds(&[both.clone(), ok(1, &[(R, 1, 1), (R, 2, 0)])]), "");
    assert_eq!(holds(&[both.clone(), ok(1, &[(R, 2, 0), (R, 1, 1)])]), "read-committed");
    // Causality violation: an effect is observed without its cause.
    let answer = ok(1, &[(R, 1, 1), (W, 2, 2)]);
    let blind = ok(2, &[(R, 2, 2), (R, 1, 0)]);
    assert_eq!(holds(&[ok(0, &[(W, 1, 1)]), answer, blind]), "read-committed read-atomic");
    // Lost update.
    let update = |process, value| ok(process, &[(R, 1, 0), (W, 1, value)]);
    assert_eq!(holds(&[update(0, 1), update(1, 2)]), "read-committed read-atomic causal");
    // Write skew.
    let skew = [ok(0, &[(R, 1, 0), (W, 2, 1)]), ok(1, &[(R, 2, 0), (W, 1, 2)])];
    assert_eq!(holds(&skew), "read-committed read-atomic causal snapshot-isolation");
    assert_eq!(holds(&[skew[0].clone(), ok(1, &[(R, 2, 1), (W, 1, 2)])]).split(' ').count(), 5);
}

#[test]
fn indeterminate_writes_may_be_read_and_failed_ones_must_not() {
    let write = |kind| (0, kind, vec![(W, 1, 1)]);
    let read = |value| (1, Kind::Ok, vec![(R, 1, value)]);
    assert_eq!(holds(&[write(Kind::Info), read(1)]).split(' ').count(), 5);
    assert_eq!(holds(&[write(Kind::Info), read(0)]).split(' ').count(), 5);
    assert_eq!(holds(&[write(Kind::Fail), read(0)]).split(' ').count(), 5);
    assert_eq!(holds(&[write(Kind::Fail), read(1)]), "");
}

#[test]
fn a_value_written_twice_is_unknown() {
    let write = |process| (process, Kind::Ok, vec![(W, 1, 1)]);
    assert!(
        describe(&[write(0), write(1)]).iter().all(|(_, validity)| *validity == Validity::Unknown)
    );
}

fn validities(txns: &[TestTxn]) -> Vec<Validity> {
    describe(txns).into_iter().map(|(_, validity)| validity).collect()
}

#[test]
fn fewer_reads_violate_nothing_and_names_do_not_matter() {
    for seed in 0..1500 {
        let txns = random(&mut SplitMix(seed));
        let wanted = validities(&txns);
        let mut renamed = txns.clone();
        for (_, _, accesses) in &mut renamed {
            for (_, key, value) in accesses {
                (*key, *value) = (100 - *key, *value * 7);
            }
        }
        assert_eq!(validities(&renamed), wanted, "seed {seed}: {txns:?}");
        for (place, (_, kind, accesses)) in txns.iter().enumerate() {
            let Some(read) = accesses.iter().position(|(write, ..)| !write) else { continue };
            if *kind != Kind::Ok || accesses.len() == 1 {
                continue;
            }
            let mut fewer = txns.clone();
            fewer[place].2.remove(read);
            for (before, after) in wanted.iter().zip(validities(&fewer)) {
                assert!(
                    *before != Validity::Valid || after == Validity::Valid,
                    "seed {seed}: {txns:?} without {place}.{read}"
                );
            }
        }
    }
}

/// The orders of ten thousand writers of one key exceed the memory budget, which is detected in
/// advance.
#[test]
fn an_exhausted_budget_is_unknown() {
    let write = |value| (value as u64, Kind::Ok, vec![(W, 1, value)]);
    let many: Vec<TestTxn> = (1..10_000).map(write).collect();
    let history = history(&many);
    let ask = |level, limits: Limits<'_>| {
        Isolation.check(&history, &Limits { consistency: Some(level), ..limits })
    };
    for level in ["snapshot-isolation", "serializable"] {
        let small = Limits { memory_bytes: 64 << 20, ..Limits::default() };
        let got = ask(level, small);
        assert_eq!(got.validity, Validity::Unknown, "{}", got.message);
        assert!(got.message.contains("MB"), "{}", got.message);
    }
    let late = ask("serializable", Limits { expired: &|| true, ..Limits::default() });
    assert_eq!(late.validity, Validity::Unknown, "{}", late.message);
    assert_eq!(ask("causal", Limits::default()).validity, Validity::Valid);
}

/// The first guess is right for a serial history: no two writers of a key overlap.
#[test]
fn blind_writes_are_ordered_by_the_first_guess() {
    let writes = (1..=40).map(|value| (value as u64, Kind::Ok, vec![(W, 1, value)]));
    let reads =
        (1..=160).map(|reader| (1000 + reader as u64, Kind::Ok, vec![(R, 1, 1 + reader % 40)]));
    let history = history(&writes.chain(reads).collect::<Vec<TestTxn>>());
    for level in ["snapshot-isolation", "serializable"] {
        let asked = AtomicUsize::new(0);
        let expired = || asked.fetch_add(1, Ordering::Relaxed) > 20;
        let limits = Limits { consistency: Some(level), expired: &expired, ..Limits::default() };
        let got = Isolation.check(&history, &limits);
        assert_eq!(got.validity, Validity::Valid, "{level}: {}", got.message);
    }
}

#[test]
fn transactions_are_named_with_their_authors() {
    let lost =
        [(5, Kind::Ok, vec![(R, 1, 0), (W, 1, 1)]), (1, Kind::Ok, vec![(R, 1, 0), (W, 1, 2)])];
    let limits = Limits { consistency: Some("serializable"), ..Limits::default() };
    let text = |history: &History| {
        let verdict = Isolation.check(history, &limits);
        let findings = verdict.findings.iter().map(|finding| finding.message.clone());
        findings.collect::<Vec<_>>().join("\n") + &verdict.message
    };
    let history = history(&lost);
    let message = text(&history);
    assert!(message.contains(" by process 5") && !message.contains("process process"), "{message}");
    let message = text(&history.with_concurrency(3));
    assert!(message.contains(" by client 2") && message.contains(" by client 1"), "{message}");
}
