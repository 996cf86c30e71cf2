//! What is no history of transactions is refused with its place, and never passes.

use super::{history, lists, registers, registers_by, together};
use crate::history::{History, edn};
use crate::txn::{DataType, Inference, Options, check_transactions};
use crate::verdict::{Limits, Validity};

#[track_caller]
fn refused(history: &History) -> String {
    let verdict = lists(history);
    assert_eq!(verdict.validity, Validity::Unknown, "{}", verdict.message);
    verdict.message
}

fn read(text: &str) -> History {
    edn::parse(text).expect("EDN").history
}

#[test]
fn shapes_are_refused_with_their_place() {
    let one = |value: &str| {
        read(&format!(
            "{{:process 0 :type :invoke :value nil :index 4}} {{:process 0 :type :ok :value {value} :index 7}}"
        ))
    };
    insta::assert_snapshot!(refused(&one("5")), @"the event with index 7: is no list of micro-operations");
    insta::assert_snapshot!(refused(&one("[5]")), @"the event with index 7: 5 is no micro-operation");
    insta::assert_snapshot!(refused(&one("[[:r 1]]")), @r#"the event with index 7: ["r" 1] is no micro-operation of a function, a key and a value"#);
    insta::assert_snapshot!(refused(&one("[[:w 1 2]]")), @r#"the event with index 7: "w" is neither "r" nor "append", which lists have"#);
    insta::assert_snapshot!(refused(&one("[[:r 1 2]]")), @"the event with index 7: reads 2, which is no list");
    insta::assert_snapshot!(refused(&one("[[:append 1 nil]]")), @"the event with index 7: writes nil, which cannot be told from the initial state");
    let lost = read("{:process 0 :f :read :type :invoke :value nil :index 4}");
    insta::assert_snapshot!(refused(&lost), @r#"the event with index 4: is no list of micro-operations (its function is "read", not "txn")"#);
    let list = registers_by(&one("[[:append 1 2]]"), Inference::default());
    insta::assert_snapshot!(list.message, @r#"the event with index 7: "append" is neither "r" nor "w", which registers have"#);
}

#[test]
fn what_is_written_twice_is_refused() {
    insta::assert_snapshot!(refused(&together(&["ax1", "ax1"])), @r#"the event with index 3: writes 1 to key "x", and so does the transaction invoked at index 0: nobody could say which was read"#);
    insta::assert_snapshot!(refused(&together(&["ax1,ax1"])), @r#"the event with index 1: writes 1 to key "x", and it did so before: nobody could say which was read"#);
    let failed = history("0?ax1 0- 1?ax1 1!ax1");
    assert!(refused(&failed).contains("index 0"));
    assert_eq!(registers_by(&registers(&failed), Inference::default()).validity, Validity::Unknown);
}

#[test]
fn an_answer_to_another_question_is_refused() {
    for text in ["0?ax1 0!ax2", "0?ax1 0!ay1", "0?ax1 0!ax1,rx1", "0?ax1 0!rx"] {
        assert!(refused(&history(text)).contains("index 1: does not answer"), "{text}");
    }
}

#[test]
fn nothing_is_no_proof() {
    assert_eq!(
        refused(&history("")),
        "no transaction is known to have taken place: there is nothing to judge"
    );
    assert_eq!(refused(&history("0?ax1")), refused(&history("0?ax1 0~")));
    let begun = together(&["ax1"]).with_initial(vec![5.into()]);
    assert!(refused(&begun).contains("state it began"), "{}", refused(&begun));
}

#[test]
fn when_time_is_up_nobody_knows() {
    let limits = Limits { expired: &|| true, ..Limits::default() };
    let verdict = check_transactions(
        &together(&["rx,ay1", "ry,ax1"]),
        DataType::Lists,
        &Options::default(),
        &limits,
    );
    assert_eq!(verdict.validity, Validity::Unknown, "{}", verdict.message);
}
