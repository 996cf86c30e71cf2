//! Compares the online checks of transactions with the checks of whole histories, prefix by prefix.

use proptest::prelude::*;

use super::super::tests::brute_force::wrong;
use super::super::tests::{history, registers};
use crate::history::{Event, History, jsonl};
use crate::registry::start_online_check;
use crate::{Limits, Validity, check_by_name};

const LISTS: &str = "list-append";
const REGISTERS: &str = "rw-register-closed";

fn convicted_at(check: &str, events: &[Event]) -> Option<u64> {
    let mut online = start_online_check(check, Limits::default()).expect("it has an online form");
    events.iter().find_map(|event| online.add_event(event)).map(|anomaly| anomaly.index)
}

fn is_wrong(check: &str, events: &[Event]) -> bool {
    let history = History::new(events.to_vec()).expect("a prefix is well-formed");
    check_by_name(&history, check, &Limits::default()).validity == Validity::Invalid
}

/// The online check convicts at the first prefix that is wrong, and the whole history is wrong.
fn agrees(check: &str, history: &History) -> Result<bool, TestCaseError> {
    let events = history.events();
    let first = (1..=events.len()).find(|length| is_wrong(check, &events[..*length]));
    let (found, text) = (convicted_at(check, events), jsonl::write(history));
    prop_assert_eq!(found, first.map(|length| events[length - 1].index), "{}:\n{}", check, text);
    prop_assert!(found.is_none() || is_wrong(check, events), "{check} did not stand:\n{text}");
    Ok(found.is_some())
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        cases: 1000,
        ..ProptestConfig::default()
    })]

    #[test]
    fn an_online_check_agrees_with_the_check_of_every_prefix(
        seed: u64,
        transactions in 1_usize..9,
    ) {
        let lists = wrong(seed, transactions);
        agrees(LISTS, &lists)?;
        agrees(REGISTERS, &registers(&lists))?;
    }
}

#[test]
fn random_histories_are_convicted_and_acquitted() {
    let (mut convicted, mut acquitted) = ([0; 2], [0; 2]);
    for seed in 0..600 {
        let lists = wrong(seed, 2 + (seed % 7) as usize);
        for (place, (check, history)) in
            [(LISTS, &lists), (REGISTERS, &registers(&lists))].into_iter().enumerate()
        {
            match convicted_at(check, history.events()) {
                Some(_) => convicted[place] += 1,
                None => acquitted[place] += 1,
            }
        }
    }
    assert!(
        convicted.iter().chain(&acquitted).all(|times| *times > 60),
        "{convicted:?} {acquitted:?}"
    );
}

/// Each history, and the position of the first event that proves its violation.
#[test]
fn each_anomaly_is_found_at_the_event_that_proves_it() {
    let cases = [
        // The stale read of a completed append.
        (LISTS, "0?ax1 0! 1?rx 1!rx", 3),
        (REGISTERS, "0?wx1 0! 1?rx 1!rx", 3),
        // An append that is read, and then fails.
        (LISTS, "0?ax1 1?rx 1!rx1 0-", 3),
        (REGISTERS, "0?wx1 1?rx 1!rx1 0-", 3),
        // The effect of an indeterminate append disappears again.
        (LISTS, "0?ax1 0~ 1?rx 1!rx1 1?rx 1!rx", 5),
        // Two transactions observe each other.
        (LISTS, "0?ax1,ry 1?ay1,rx 0!ax1,ry1 1!ay1,rx1", 3),
        (REGISTERS, "0?wx1,ry 1?wy1,rx 0!wx1,ry1 1!wy1,rx1", 3),
        // Each misses the write of the other.
        (LISTS, "0?ax1,ry 1?ay1,rx 0!ax1,ry 1!ay1,rx", 3),
        (REGISTERS, "0?wx1,ry 1?wy1,rx 0!wx1,ry 1!wy1,rx", 3),
        // Two lists that are not prefixes of one list.
        (LISTS, "0?ax1 1?ax2 2?rx 3?rx 2!rx12 3!rx21", 5),
        (LISTS, "0?ax1 1?rx 1!rx11", 2),
        (LISTS, "0?ax1,ax2 1?rx 1!rx1", 2),
        (LISTS, "0?rx,ax1 0!rx1,ax1", 1),
        (LISTS, "0?ax1,rx 0!ax1,rx", 1),
        (REGISTERS, "0?rx,wx1 1?rx,wx2 0!rx,wx1 1!rx,wx2", 3),
        (REGISTERS, "0?rx 0!rx1", 1),
    ];
    for (check, text, position) in cases {
        let lists = history(text);
        let events = lists.events().to_vec();
        let read = if check == LISTS { lists } else { registers(&lists) };
        let index = events[position].index;
        assert_eq!(convicted_at(check, read.events()), Some(index), "{check}: {text}");
        assert!(is_wrong(check, &read.events()[..=position]), "{check}: {text}");
    }
}
