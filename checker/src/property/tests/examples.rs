//! Tests each check with small histories: valid, invalid and unknown.

use super::{history, unknown, valid, verdict, wrong};
use crate::history::Value;
use crate::model;
use crate::property::availability::{self, Interval};
use crate::property::bank::{self, BankRules};
use crate::property::errors;
use crate::property::monotonic::{self, MonotonicScope};
use crate::registry::CHECKS;
use crate::verdict::{Limits, Validity};

#[test]
fn check_names_are_sorted_unique_kebab_case_documented_and_not_models() {
    let names: Vec<&str> = CHECKS.iter().map(|check| check.name()).collect();
    assert!(names.windows(2).all(|pair| pair[0] < pair[1]), "{names:?}");
    for check in CHECKS {
        assert!(check.name().chars().all(|c| c.is_ascii_lowercase() || c == '-'));
        assert!(check.doc().len() > 20, "{} lacks a description", check.name());
        assert!(model::find_model(check.name()).is_none(), "{} is a model", check.name());
    }
}

#[test]
fn every_check_reports_unsupported_histories_as_unknown() {
    for check in CHECKS.iter().map(|check| check.name()).filter(|name| *name != "stats") {
        unknown(check, "0:frobnicate 1 => 1", "");
    }
    for check in CHECKS.iter().map(|check| check.name()) {
        let empty = verdict(check, "");
        assert_ne!(empty.validity, Validity::Invalid, "{check}");
        for f in [
            "read", "add", "write", "transfer", "acquire", "enqueue", "send", "poll", "drain",
            "txn",
        ] {
            for value in
                ["nil", "1", "\"x\"", "[1 2]", "[[1 2] 3]", "{:a nil}", "[[:r 1]]", "[[:w]]"]
            {
                let _ = verdict(check, &format!("0:{f} {value} => {value}; 1:{f} {value}; 1:info"));
            }
        }
    }
}

#[test]
fn set_final_checks_the_last_read() {
    let check = "set-final";
    valid(check, "0:add 1 => 1; 1:add 2; 1:info; 0:add 3; 0:fail; 0:read => [1]");
    valid(check, "0:add 1 => 1; 1:add 2; 1:info; 0:read => [2 1]");
    valid(check, "0:read; 1:add 1 => 1; 0:ok []");
    wrong(check, "0:add 1 => 1; 0:read => [1]; 0:read => []", "lost");
    wrong(check, "0:add 1; 0:fail; 0:read => [1]", "unexpected");
    wrong(check, "0:read => [7]", "unexpected");
    wrong(
        check,
        "0:add [:a 1] => [:a 1]; 0:add [:b 1] => [:b 1]; 0:read [:a nil] => [:a []]; 0:read [:b \
         nil] => [:b [1]]",
        "lost",
    );
    unknown(check, "0:add 1 => 1", "no read of the set completed");
    unknown(check, "0:add 1 => 1; 0:read => 7", "event index 3");
}

#[test]
fn set_full_checks_every_read() {
    for check in ["set-full", "set-full-linearizable"] {
        valid(
            check,
            "0:add 1 => 1; 0:read => [1]; 1:add 2; 0:read => [1 2]; 1:info; 0:read => [2 1]",
        );
        valid(check, "0:add 1; 1:read => []; 0:ok 1; 1:read => [1]");
        wrong(check, "0:add 1 => 1; 0:read => [1]; 0:read => []", "lost");
        wrong(check, "0:add 1 => 1; 0:read => []", "lost");
        wrong(check, "0:add 1; 1:read => [1]; 1:read => []", "lost");
        wrong(check, "0:add 1 => 1; 0:read => [1 1]", "duplicated");
        wrong(check, "0:read => [1]; 0:add 1 => 1; 0:read => [1]", "unexpected");
        unknown(check, "0:add 1 => 1", "no read returned an element");
    }
    let stale = "0:add 1 => 1; 0:read => []; 0:read => [1]";
    valid("set-full", stale);
    wrong("set-full-linearizable", stale, "stale");
    // The element is not yet known, because the read that returns it is still open.
    valid("set-full-linearizable", "0:add 1; 1:read; 2:read => []; 1:ok [1]");
}

#[test]
fn set_full_measures_latencies() {
    let got = verdict("set-full", "0:add 1 => 1; 0:read => []; 0:read => [1]");
    let Value::Map(latency) = &got.measured["stable_latency_ms"] else { panic!("{got:?}") };
    // Known at 1 ms (index 1), and still missing in the read at 2 ms.
    assert_eq!(latency[1].0, "max");
    assert!(
        latency[1].1.to_string().starts_with('2') || latency[1].1.to_string().starts_with('1'),
        "{latency:?}"
    );
    assert_eq!(got.measured["stale"], Value::Int(1));
}

#[test]
fn bank_preserves_the_total() {
    valid(
        "bank",
        "0:read => {0 5, 1 5}; 0:transfer {:from 0 :to 1 :amount 5} => nil; 0:read => {0 0, 1 10}",
    );
    wrong("bank", "0:read => {0 5, 1 5}; 0:read => {0 5, 1 4}", "wrong-total");
    wrong("bank", "0:read => {0 5, 1 5}; 0:read => {0 -1, 1 11}", "negative-balance");
    wrong("bank", "0:read => {0 nil, 1 5}", "missing-balance");
    unknown("bank", "0:transfer {:from 0} => nil", "lacks to");
    unknown("bank", "0:read => {0 :x}", "event index 1");
    unknown("bank", "0:read", "no read completed");
    let given =
        BankRules { total: Some(11), accounts: Some(vec!["0".to_owned()]), overdraft: true };
    let got = bank::check_bank(
        &history("0:read => {0 5, 1 5}; 0:read => {0 12 1 -1}"),
        &Limits::default(),
        &given,
    );
    let names: Vec<_> =
        got.findings.iter().map(|finding| (finding.name.as_str(), finding.count)).collect();
    assert_eq!(names, [("wrong-total", 1), ("unexpected-account", 2)]);
}

#[test]
fn counter_bounds() {
    let check = "counter-bounds";
    valid(check, "0:add 1 => 1; 1:add 2; 1:info; 0:read => 3; 0:read => 1");
    valid(check, "0:read; 1:add 5 => 5; 2:add -3; 0:ok -3");
    wrong(check, "0:add 1 => 1; 0:read => 0", "out-of-bounds");
    wrong(check, "0:add 1; 0:fail; 0:read => 1", "out-of-bounds");
    wrong(check, "0:add -1 => -1; 0:add 4; 1:read => -2; 1:read => 4", "out-of-bounds*2");
    unknown(check, "0:read => :x", "event index 1");
}

#[test]
fn queues_deliver_each_element() {
    for check in ["queue", "total-queue"] {
        valid(check, "0:enqueue 1 => 1; 1:dequeue => 1; 0:drain => []");
        valid(check, "0:enqueue 1; 1:dequeue => 1; 0:info; 1:drain => []");
        wrong(check, "0:enqueue 1 => 1; 0:drain => []", "lost");
        wrong(check, "0:enqueue 1 => 1; 0:dequeue => nil", "lost");
        wrong(check, "0:dequeue => 2; 0:enqueue 1 => 1; 0:drain => [1]", "unexpected");
        // A delivery before the enqueue is not of its element, so that element is lost.
        wrong(check, "0:dequeue => 1; 0:enqueue 1 => 1; 0:drain => []", "lost unexpected");
        wrong(check, "0:enqueue 1; 0:fail; 1:dequeue => 1", "unexpected");
        // An indeterminate dequeue may have removed one of the two, so the other one is lost.
        valid(check, "0:enqueue 1 => 1; 1:dequeue; 1:info; 0:drain => []");
        wrong(
            check,
            "0:enqueue 1 => 1; 0:enqueue 2 => 2; 1:dequeue; 1:info; 0:drain => []",
            "lost",
        );
        valid(check, "0:enqueue 1 => 1; 0:enqueue 2 => 2; 1:drain; 1:info; 0:drain => []");
        unknown(check, "0:enqueue 1 => 1", "never dequeued");
        unknown(check, "0:enqueue 1; 0:fail; 1:dequeue; 1:fail", "no dequeue or drain");
        valid(check, "0:dequeue => nil");
        unknown(check, "0:drain => 3", "event index 1");
    }
    let twice = "0:enqueue 1 => 1; 1:dequeue => 1; 0:drain => [1]";
    valid("total-queue", twice);
    wrong("queue", twice, "duplicated");
    valid("queue", "0:enqueue 1 => 1; 0:enqueue 1 => 1; 1:dequeue => 1; 0:drain => [1]");
}

#[test]
fn unique_ids_are_distinct() {
    valid("unique-ids", "0:generate => 1; 0:generate => 2; 1:generate; 1:info");
    valid("unique-ids", "0:generate [:a nil] => [:a 1]; 0:generate [:b nil] => [:b 1]");
    wrong("unique-ids", "0:generate => 1; 1:generate => 1; 1:generate => 1", "duplicate-id*2");
    unknown("unique-ids", "0:generate; 0:info", "no generate completed");
    unknown("unique-ids", "0:generate => nil", "event index 1");
}

#[test]
fn long_fork_reads_agree_on_an_order() {
    let check = "long-fork";
    let writes = "0:write [[:w 1 1]] => [[:w 1 1]]; 0:write [[:w 2 1]] => [[:w 2 1]]; ";
    let read =
        |one, two| format!("1:read [[:r 1 nil] [:r 2 nil]] => [[:r 1 {one}] [:r 2 {two}]]; ");
    valid(check, &[writes, &read("1", "nil"), &read("1", "1"), &read("nil", "nil")].concat());
    wrong(check, &[writes, &read("1", "nil"), &read("nil", "1")].concat(), "long-fork");
    wrong(check, &[writes, &read("1", "nil"), &read("7", "1")].concat(), "unwritten-value");
    unknown(check, &[writes, writes].concat(), "written once");
    unknown(check, &[read("1", "nil"), read("2", "nil")].concat(), "two values");
    unknown(check, &read("1", "nil"), "at least two");
    let alone = "0:read [] => []; 0:read [] => []; 1:read [[:r 1 nil]] => [[:r 1 nil]]; ";
    unknown(check, &[alone, alone].concat(), "0 reads of several keys");
    unknown(check, "0:read 7 => 7", "event index 1");
}

#[test]
fn causal_reads_return_the_preceding_write() {
    valid("causal", "0:read-init => 0; 0:write 1 => 1; 0:read => 1; 0:write 2 => 2; 0:read => 2");
    valid("causal", "0:write 1; 0:info; 1:read => 0; 1:write 2 => 2; 1:read => 2; 1:read => 1");
    wrong("causal", "0:read-init => 0; 0:write 1 => 1; 0:read => 0", "causal-violation");
    wrong(
        "causal",
        "0:write 1; 0:info; 1:read => 1; 1:write 2 => 2; 1:read => 1",
        "causal-violation",
    );
    wrong("causal", "0:write 1; 0:fail; 0:read => 1", "causal-violation");
    wrong(
        "causal",
        "0:write [:a 1] => [:a 1]; 0:read [:a nil] => [:a nil]; 0:read [:b nil] => [:b nil]",
        "causal-violation",
    );
    unknown("causal", "0:write 1; 1:read => 1; 0:ok 1", "overlaps");
    unknown("causal", "0:write 1 => 1; 0:write 2 => 2", "no read completed");
}

#[test]
fn causal_reverse_writes_become_visible_in_order() {
    let check = "causal-reverse";
    valid(check, "0:write 1 => 1; 0:write 2 => 2; 1:read => [1]; 1:read => [2 1]; 1:read => []");
    valid(check, "0:write 1; 1:write 2 => 2; 1:read => [2]; 0:ok 1");
    wrong(check, "0:write 1 => 1; 0:write 2 => 2; 1:read => [2]", "causal-reverse");
    wrong(check, "0:write 1; 0:fail; 1:read => [1]", "unexpected");
    unknown(check, "0:write 1 => 1; 0:write 1 => 1", "values must be unique");
}

#[test]
fn fenced_locks_have_one_holder_and_growing_tokens() {
    let check = "fenced-lock";
    valid(check, "0:acquire => 1; 1:acquire; 0:release => nil; 1:ok 2; 1:release; 1:info");
    valid(check, "0:acquire; 0:info; 1:acquire => 1; 1:release; 2:acquire => 2");
    wrong(check, "0:acquire => nil; 1:acquire => nil", "two-holders");
    wrong(check, "0:acquire => 2; 0:release => nil; 1:acquire => 1", "token-order");
    wrong(
        check,
        "0:acquire => {:token 2}; 0:release => nil; 1:acquire => {:token 2}",
        "token-reused",
    );
    // The holder is the argument, whichever process makes the call.
    valid(check, "0:acquire 7 => 7; 1:release 7 => 7; 1:acquire 8 => 8");
    wrong(check, "0:acquire 7 => 7; 1:release 8 => 8; 1:acquire 8 => 8", "two-holders");
    wrong(
        check,
        "0:acquire [:a 7] => [:a 1]; 1:acquire [:b 8] => [:b 1]; 1:acquire [:a 8] => [:a 2]",
        "two-holders",
    );
    unknown(check, "0:acquire => \"x\"", "fencing token");
    unknown(
        check,
        "0:acquire; 0:fail; 0:release => nil; 1:acquire; 1:info",
        "no acquire succeeded",
    );
}

#[test]
fn monotonic_values_never_decrease() {
    let check = "monotonic";
    valid(check, "0:inc => nil; 0:read => 1; 1:read; 0:read => 2; 1:ok 1");
    wrong(check, "0:read => 2; 0:read => 1", "non-monotonic-session");
    wrong(check, "0:read => 2; 1:read => 1", "non-monotonic-realtime");
    wrong(check, "0:read => {:x 2 :y 1}; 1:read => {:x 1 :y 1}", "non-monotonic-realtime");
    let own = monotonic::check_monotonic(
        &history("0:read => 2; 1:read => 1"),
        &Limits::default(),
        MonotonicScope::OwnReads,
    );
    assert_eq!(own.validity, Validity::Valid);
    let add = |val: i64, sts: i64| format!("0:add nil => {{:val {val} :sts {sts}}}; ");
    valid(
        check,
        &[add(1, 10), add(2, 20), "0:read => [{:val 2 :sts 20} [1 10]]".to_owned()].concat(),
    );
    wrong(
        check,
        &[add(1, 20), add(2, 10), "0:read => [[1 20] [2 10]]".to_owned()].concat(),
        "off-order",
    );
    // Two rows with the same timestamp are unordered.
    valid(check, &[add(1, 10), add(2, 10), "0:read => [[2 10] [1 10]]".to_owned()].concat());
    // A retry failed, but the indeterminate first attempt may have taken effect.
    valid(check, "0:add 1; 0:info; 1:add 1; 1:fail; 1:read => [[1 10]]");
    wrong(check, &[add(1, 10), "0:read => []".to_owned()].concat(), "lost");
    wrong(check, "0:read => [[1 10] [1 11]]", "duplicated");
    wrong(check, "0:add 1; 0:fail; 0:read => [[1 10]]", "unexpected");
    unknown(check, "0:read => [7]", "not a row");
}

#[test]
fn kafka_logs_keep_sent_messages() {
    let check = "kafka";
    let send = |value: i64, offset: i64| {
        format!("0:send [[:send 0 {value}]] => [[:send 0 [{offset} {value}]]]; ")
    };
    let poll = |messages: &str| format!("1:poll [[:poll]] => [[:poll {{0 [{messages}]}}]]; ");
    let three = [send(10, 0), send(11, 1), send(12, 2)].concat();
    valid(check, &[three.clone(), poll("[0 10] [1 11]"), poll("[2 12]")].concat());
    // No consumer passed the last message, so it is unseen rather than lost.
    valid(check, &[three.clone(), poll("[0 10] [1 11]")].concat());
    wrong(check, &[three.clone(), poll("[0 10] [2 12]")].concat(), "lost-write");
    valid(
        check,
        &[three.clone(), poll("[0 10]"), "1:assign [0] => [0];".to_owned(), poll("[2 12]")]
            .concat(),
    );
    let skipped = "2:poll [[:poll]] => [[:poll {0 [[1 11]]}]]; ".to_owned();
    wrong(check, &[three.clone(), skipped, poll("[0 10]"), poll("[2 12]")].concat(), "poll-skip");
    wrong(check, &[three.clone(), poll("[1 11] [0 10]")].concat(), "nonmonotonic-poll");
    wrong(check, &[three.clone(), poll("[0 11]")].concat(), "inconsistent-offsets");
    wrong(check, &[send(10, 0), poll("[5 10]")].concat(), "duplicate");
    wrong(check, &[send(10, 1), send(11, 0)].concat(), "nonmonotonic-send");
    wrong(check, &poll("[0 10]"), "unexpected");
    wrong(
        check,
        &["0:send [[:send 0 10]]; 0:fail;", poll("[0 10]").as_str()].concat(),
        "aborted-read",
    );
    unknown(check, "0:poll [[:pull]] => [[:pull]]", "event index 1");
}

#[test]
fn stats_is_unknown_if_a_function_never_succeeded() {
    valid("stats", "0:read => 1; 0:write 1; 0:fail; 0:write 1 => 1");
    unknown("stats", "0:read => 1; 0:write 1; 0:fail", "none of 1 calls of write succeeded");
    unknown("stats", "", "no function was called");
}

#[test]
fn availability_is_required_in_each_interval() {
    let history = history("0:read => 1; 0:read => 1; 0:read; 0:fail");
    let interval = |name: &str, from, to| Interval {
        name: name.to_owned(),
        from,
        to,
        per_second: 1.0,
        part: 0.6,
    };
    let before = interval("before", 0, 4_000_000);
    let during = interval("during", 4_000_000, 9_000_000);
    let got = availability::check_availability(&history, &[before.clone(), during]);
    assert_eq!((got.validity, got.findings[0].count), (Validity::Invalid, 1));
    assert!(got.message.contains("during: 0 of 1"), "{}", got.message);
    assert_eq!(availability::check_availability(&history, &[before]).validity, Validity::Valid);
    assert_eq!(availability::check_availability(&history, &[]).validity, Validity::Unknown);
}

#[test]
fn unexpected_errors_are_reported() {
    let text = "{:process 0 :type :invoke :f :r} {:process 0 :type :info :f :r :error [:timeout 3]}
                {:process 1 :type :invoke :f :r} {:process 1 :type :fail :f :r :error \"refused\"}";
    let history = crate::history::edn::parse(text).expect("EDN").history;
    let kinds = errors::find_unhandled_errors(&history, &["refused"]);
    assert_eq!((kinds.len(), kinds[0].error.as_str(), kinds[0].count), (1, "timeout", 1));
    assert_eq!(errors::check_errors(&history, &["refused"]).validity, Validity::Unknown);
    assert_eq!(errors::check_errors(&history, &["refused", "timeout"]).validity, Validity::Valid);
}
