//! Tests that invalid transactions are rejected with their index, and that no verdict is valid
//! without evidence.

use super::{history, lists, registers, registers_by, together};
use crate::history::{History, edn};
use crate::txn::{DataType, Inference, Options, check_transactions};
use crate::verdict::{Limits, Validity};

#[track_caller]
fn rejection(history: &History) -> String {
    let verdict = lists(history);
    assert_eq!(verdict.validity, Validity::Unknown, "{}", verdict.message);
    verdict.message
}

fn read(text: &str) -> History {
    edn::parse(text).expect("EDN").history
}

#[test]
fn malformed_transactions_are_rejected_with_their_index() {
    let one = |value: &str| {
        read(&format!(
            "{{:process 0 :type :invoke :value nil :index 4}} {{:process 0 :type :ok :value \
             {value} :index 7}}"
        ))
    };
    assert_eq!(rejection(&one("5")), "event index 7: expected a list of micro-operations");
    insta::assert_snapshot!(rejection(&one("[5]")), @"event index 7: 5 is not a micro-operation");
    assert_eq!(
        rejection(&one("[[:r 1]]")),
        "event index 7: [\"r\" 1] is not a micro-operation [function key value]"
    );
    assert_eq!(
        rejection(&one("[[:w 1 2]]")),
        "event index 7: unknown function \"w\", lists have \"r\" and \"append\""
    );
    assert_eq!(rejection(&one("[[:r 1 2]]")), "event index 7: reads 2, expected a list");
    assert_eq!(
        rejection(&one("[[:append 1 nil]]")),
        "event index 7: writes nil, which is also the initial state"
    );
    let lost = read("{:process 0 :f :read :type :invoke :value nil :index 4}");
    assert_eq!(
        rejection(&lost),
        "event index 4: expected a list of micro-operations (the function is \"read\", not \"txn\")"
    );
    let list = registers_by(&one("[[:append 1 2]]"), Inference::default());
    assert_eq!(
        list.message,
        "event index 7: unknown function \"append\", registers have \"r\" and \"w\""
    );
}

#[test]
fn an_element_written_twice_is_rejected() {
    assert_eq!(
        rejection(&together(&["ax1", "ax1"])),
        "event index 3: writes 1 to key \"x\", which the transaction invoked at index 0 also \
         writes: reads of it are ambiguous"
    );
    assert_eq!(
        rejection(&together(&["ax1,ax1"])),
        "event index 1: writes 1 to key \"x\", which the same transaction also writes: reads of \
         it are ambiguous"
    );
    let failed = history("0?ax1 0- 1?ax1 1!ax1");
    assert!(rejection(&failed).contains("index 0"));
    assert_eq!(registers_by(&registers(&failed), Inference::default()).validity, Validity::Unknown);
}

#[test]
fn a_completion_that_does_not_match_its_invocation_is_rejected() {
    for text in ["0?ax1 0!ax2", "0?ax1 0!ay1", "0?ax1 0!ax1,rx1", "0?ax1 0!rx"] {
        assert!(
            rejection(&history(text)).contains("index 1: the completion does not match"),
            "{text}"
        );
    }
}

#[test]
fn a_history_without_committed_transactions_is_unknown() {
    assert_eq!(rejection(&history("")), "no transaction committed, so there is nothing to check");
    assert_eq!(rejection(&history("0?ax1")), rejection(&history("0?ax1 0~")));
    let begun = together(&["ax1"]).with_initial(vec![5.into()]);
    assert!(rejection(&begun).contains("has an initial state"), "{}", rejection(&begun));
}

#[test]
fn an_exceeded_time_limit_is_unknown() {
    let limits = Limits { expired: &|| true, ..Limits::default() };
    let verdict = check_transactions(
        &together(&["rx,ay1", "ry,ax1"]),
        DataType::Lists,
        &Options::default(),
        &limits,
    );
    assert_eq!(verdict.validity, Validity::Unknown, "{}", verdict.message);
}
