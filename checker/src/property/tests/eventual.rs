//! Tests eventual consistency with histories in which every step takes ten seconds.

use std::collections::BTreeSet;

use super::history;
use crate::check_by_name;
use crate::history::{Event, History, Kind, Process, Value};
use crate::verdict::{Limits, Validity, Verdict};

const STEP: u64 = 10_000_000_000;

fn slow(text: &str) -> History {
    let events = history(text).events().to_vec();
    let later = |event: Event| Event { time: event.index * STEP, ..event };
    History::new(events.into_iter().map(later).collect()).expect("a well-formed history")
}

fn verdict(check: &str, text: &str) -> Verdict {
    check_by_name(&slow(text), check, &Limits::default())
}

#[track_caller]
fn expect_verdict(check: &str, text: &str, validity: Validity, word: &str) {
    let got = verdict(check, text);
    assert_eq!(got.validity, validity, "{text}: {}", got.message);
    assert!(got.message.contains(word), "{text}: {}", got.message);
}

#[test]
fn echo_returns_its_input() {
    expect_verdict(
        "echo",
        "0:echo 1 => 1; 0:echo [1 2] => [1 2]; 1:echo 3; 1:info",
        Validity::Valid,
        "2",
    );
    expect_verdict("echo", "0:echo 1 => 1; 0:echo 1 => \"1\"", Validity::Invalid, "altered");
    expect_verdict("echo", "0:echo 1; 0:fail", Validity::Unknown, "no echo completed");
}

#[test]
fn eventual_set_converges_on_every_replica() {
    let check = "eventual-set";
    let added = "0@n1:broadcast 1 => nil; 1@n2:broadcast 2; 1:info; ";
    let case = |reads: &str| [added, reads].concat();
    expect_verdict(
        check,
        &case("0@n1:read => [1]; 4@n2:read => [2 1]"),
        Validity::Valid,
        "2 replicas",
    );
    expect_verdict(
        check,
        &case("4@n2:read => []; 4@n2:read => [1]"),
        Validity::Valid,
        "1 replicas",
    );
    expect_verdict(
        check,
        &case("0@n1:read => [1]; 4@n2:read => [2]"),
        Validity::Invalid,
        "undelivered",
    );
    expect_verdict(check, &case("0@n1:read => [1 3]"), Validity::Invalid, "unexpected");
    expect_verdict(check, &case("0@n1:read => [1 1]"), Validity::Invalid, "duplicated");
    let early = "1@n2:read; 0@n1:broadcast 1 => nil; 1:ok []";
    expect_verdict(check, early, Validity::Valid, "");
    expect_verdict(
        check,
        "0@n1:add 2; 0:fail; 0@n1:read => []",
        Validity::Unknown,
        "no add or no read completed",
    );
    expect_verdict(check, &case("0@n1:read => 7"), Validity::Unknown, "expected a list");
}

#[test]
fn a_read_before_the_quiet_period_is_unknown() {
    for (check, text) in [
        ("eventual-set", "0@n1:add 1 => nil; 4@n2:read => []"),
        ("eventual-counter", "0@n1:add 1 => nil; 4@n2:read => 0"),
    ] {
        let at_once = check_by_name(&history(text), check, &Limits::default());
        assert_eq!(at_once.validity, Validity::Unknown, "{}", at_once.message);
        assert_eq!(verdict(check, text).validity, Validity::Invalid);
        // With a nemesis event in between, the same read is before the quiet period.
        let mut events = slow(text).events().to_vec();
        let read = events[2].clone();
        let (process, f) = (Process::Nemesis, "end".into());
        let fault = Event { process, f, kind: Kind::Info, value: Value::Nil, node: None, ..read };
        events.insert(2, fault);
        (0..).zip(&mut events).for_each(|(index, event)| event.index = index);
        let healed = check_by_name(
            &History::new(events).expect("a well-formed history"),
            check,
            &Limits::default(),
        );
        assert_eq!(healed.validity, Validity::Unknown, "{check}: {}", healed.message);
    }
}

#[test]
fn eventual_counter_converges_to_a_possible_sum() {
    let check = "eventual-counter";
    let added = "0@n1:add 5 => nil; 1@n2:add -2; 1:info; 2@n1:add 7; 2:fail; ";
    let case = |reads: &str| [added, reads].concat();
    expect_verdict(check, &case("0@n1:read => 5; 4@n2:read => 3"), Validity::Valid, "2 reads");
    expect_verdict(check, &case("0@n1:read => 0; 0@n1:read => 5"), Validity::Valid, "");
    expect_verdict(check, &case("0@n1:read => 4"), Validity::Invalid, "wrong-sum");
    expect_verdict(check, &case("0@n1:read => 0"), Validity::Invalid, "sum to 5 (3 to 5");
    expect_verdict(
        check,
        &case("0@n1:read => 12; 0@n1:read => 5"),
        Validity::Invalid,
        "out-of-bounds",
    );
    expect_verdict(
        check,
        "0@n1:read => 1; 0@n1:add 1 => nil; 0@n1:read => 1",
        Validity::Invalid,
        "0 to 0",
    );
    expect_verdict(check, "0@n1:add 1 => nil", Validity::Unknown, "no read completed");
}

/// Compares the possible sums with those of every subset of the indeterminate additions.
#[test]
fn possible_sums_agree_with_all_subsets_of_indeterminate_adds() {
    let mut met = BTreeSet::new();
    for seed in 0..400_i64 {
        let amounts: Vec<i64> = (0..4).map(|place| (seed * (place + 3)) % 7 - 2).collect();
        let open = (seed % 4) as usize;
        let mut text = String::new();
        for (place, amount) in amounts.iter().enumerate() {
            let end =
                if place < open { format!("{place}:info") } else { format!("{place}:ok nil") };
            text += &format!("{place}@n1:add {amount}; {end}; ");
        }
        let read = seed % 11 - 4;
        text += &format!("9@n1:read => {read}");
        let certain: i64 = amounts[open..].iter().sum();
        let possible = (0..1_usize << open).any(|choice| {
            let some = (0..open).filter(|place| choice >> place & 1 == 1).map(|it| amounts[it]);
            certain + some.sum::<i64>() == read
        });
        let got = verdict("eventual-counter", &text);
        assert_eq!(got.validity == Validity::Valid, possible, "{text}: {}", got.message);
        met.insert(possible);
    }
    assert_eq!(met.len(), 2, "both outcomes occur");
}
