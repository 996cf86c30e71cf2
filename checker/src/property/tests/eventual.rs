//! Tries what is promised in the end, in histories whose every step takes ten seconds.

use std::collections::BTreeSet;

use super::history;
use crate::check_by_name;
use crate::history::{Event, History, Kind, Process, Value};
use crate::verdict::{Limits, Validity, Verdict};

const STEP: u64 = 10_000_000_000;

fn slow(text: &str) -> History {
    let events = history(text).events().to_vec();
    let later = |event: Event| Event { time: event.index * STEP, ..event };
    History::new(events.into_iter().map(later).collect()).expect("it was one before")
}

fn verdict(check: &str, text: &str) -> Verdict {
    check_by_name(&slow(text), check, &Limits::default())
}

#[track_caller]
fn told(check: &str, text: &str, validity: Validity, word: &str) {
    let got = verdict(check, text);
    assert_eq!(got.validity, validity, "{text}: {}", got.message);
    assert!(got.message.contains(word), "{text}: {}", got.message);
}

#[test]
fn an_echo_is_what_was_called() {
    told("echo", "0:echo 1 => 1; 0:echo [1 2] => [1 2]; 1:echo 3; 1:info", Validity::Valid, "2");
    told("echo", "0:echo 1 => 1; 0:echo 1 => \"1\"", Validity::Invalid, "altered");
    told("echo", "0:echo 1; 0:fail", Validity::Unknown, "nothing");
}

#[test]
fn every_replica_shows_every_element_in_the_end() {
    let check = "eventual-set";
    let added = "0@n1:broadcast 1 => nil; 1@n2:broadcast 2; 1:info; ";
    let case = |reads: &str| [added, reads].concat();
    told(check, &case("0@n1:read => [1]; 4@n2:read => [2 1]"), Validity::Valid, "2 replicas");
    told(check, &case("4@n2:read => []; 4@n2:read => [1]"), Validity::Valid, "1 replicas");
    told(check, &case("0@n1:read => [1]; 4@n2:read => [2]"), Validity::Invalid, "undelivered");
    told(check, &case("0@n1:read => [1 3]"), Validity::Invalid, "unexpected");
    told(check, &case("0@n1:read => [1 1]"), Validity::Invalid, "duplicated");
    let early = "1@n2:read; 0@n1:broadcast 1 => nil; 1:ok []";
    told(check, early, Validity::Valid, "");
    told(check, "0@n1:add 2; 0:fail; 0@n1:read => []", Validity::Unknown, "nothing was added");
    told(check, &case("0@n1:read => 7"), Validity::Unknown, "no list");
}

#[test]
fn a_read_too_soon_after_a_change_proves_nothing_by_what_it_lacks() {
    for (check, text) in [
        ("eventual-set", "0@n1:add 1 => nil; 4@n2:read => []"),
        ("eventual-counter", "0@n1:add 1 => nil; 4@n2:read => 0"),
    ] {
        let at_once = check_by_name(&history(text), check, &Limits::default());
        assert_eq!(at_once.validity, Validity::Unknown, "{}", at_once.message);
        assert_eq!(verdict(check, text).validity, Validity::Invalid);
        // Something of the nemesis in between: the same read is too soon now.
        let mut events = slow(text).events().to_vec();
        let read = events[2].clone();
        let (process, f) = (Process::Nemesis, "end".into());
        let fault = Event { process, f, kind: Kind::Info, value: Value::Nil, node: None, ..read };
        events.insert(2, fault);
        (0..).zip(&mut events).for_each(|(index, event)| event.index = index);
        let healed =
            check_by_name(&History::new(events).expect("it is one"), check, &Limits::default());
        assert_eq!(healed.validity, Validity::Unknown, "{check}: {}", healed.message);
    }
}

#[test]
fn every_replica_tells_a_sum_that_can_be_in_the_end() {
    let check = "eventual-counter";
    let added = "0@n1:add 5 => nil; 1@n2:add -2; 1:info; 2@n1:add 7; 2:fail; ";
    let case = |reads: &str| [added, reads].concat();
    told(check, &case("0@n1:read => 5; 4@n2:read => 3"), Validity::Valid, "2 reads");
    told(check, &case("0@n1:read => 0; 0@n1:read => 5"), Validity::Valid, "");
    told(check, &case("0@n1:read => 4"), Validity::Invalid, "wrong-sum");
    told(check, &case("0@n1:read => 0"), Validity::Invalid, "makes 5 (3 to 5");
    told(check, &case("0@n1:read => 12; 0@n1:read => 5"), Validity::Invalid, "out-of-bounds");
    told(check, "0@n1:read => 1; 0@n1:add 1 => nil; 0@n1:read => 1", Validity::Invalid, "0 to 0");
    told(check, "0@n1:add 1 => nil", Validity::Unknown, "nothing was read");
}

/// Which last reads of a counter are no sum: found by trying every choice of what is unknown.
#[test]
fn sums_of_the_unknown_are_those_of_every_choice() {
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
    assert_eq!(met.len(), 2, "both happen");
}
