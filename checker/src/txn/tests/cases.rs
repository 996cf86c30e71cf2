//! Tests the smallest history with each anomaly, and the most similar one without it.

use super::{ALL, history, lists, lists_at, names, registers, registers_by, together};
use crate::history::History;
use crate::txn::{Inference, RwRegister, UnknownWriters};
use crate::verdict::{Check, Limits, Validity};

/// Checks that the first history has exactly these anomalies, and the second none.
#[track_caller]
fn only(anomalies: &str, with: &History, without: &History) {
    let verdict = lists(with);
    assert_eq!(
        (names(&verdict).as_str(), verdict.validity),
        (anomalies, Validity::Invalid),
        "{}",
        verdict.message
    );
    for finding in &verdict.findings {
        assert!(!finding.operations.is_empty() && !finding.message.is_empty());
        if let Some(last) = finding.steps.last() {
            assert!(last.message.ends_with("a contradiction!"), "{}", last.message);
            assert_eq!(last.to, finding.steps[0].from);
        }
    }
    let verdict = lists(without);
    assert_eq!(
        (names(&verdict).as_str(), verdict.validity),
        ("", Validity::Valid),
        "{}",
        verdict.message
    );
}

#[test]
fn g0() {
    only(
        "G0",
        &together(&["ax1,ay1", "ax2,ay2", "rx12", "ry21"]),
        &together(&["ax1,ay1", "ax2,ay2", "rx12", "ry12"]),
    );
}

#[test]
fn g0_with_process_and_real_time_edges() {
    let process = history("0?ax1 0!ax1 0?ax2 0!ax2 1?rx 1!rx21");
    only("G0-process G0-realtime", &process, &history("0?ax1 0!ax1 0?ax2 0!ax2 1?rx 1!rx12"));
    let realtime = history("0?ax1 0!ax1 1?ax2 1!ax2 2?rx 2!rx21");
    only("G0-realtime", &realtime, &history("0?ax1 1?ax2 0!ax1 1!ax2 2?rx 2!rx21"));
}

#[test]
fn a_process_edge_names_the_client_where_the_concurrency_is_known() {
    let process = history("5?ax1 5!ax1 5?ax2 5!ax2 1?rx 1!rx21");
    let reason = |history: &History| {
        let verdict = lists(history);
        let steps = verdict.findings.iter().flat_map(|finding| &finding.steps);
        let step = steps.into_iter().find(|step| step.relation == "process").expect("a step");
        step.message.clone()
    };
    let message = reason(&process);
    assert!(message.contains("process 5 completed T1 before T2"), "{message}");
    let message = reason(&process.with_concurrency(3));
    assert!(message.contains("client 2 completed T1 before T2"), "{message}");
}

#[test]
fn g1a() {
    let aborted = history("0?ax1 0- 1?rx 1!rx1");
    only("G1a", &aborted, &history("0?ax1 0~ 1?rx 1!rx1"));
}

#[test]
fn g1b() {
    only("G-single G1b", &together(&["ax1,ax2", "rx1", "rx12"]), &together(&["ax1,ax2", "rx12"]));
}

#[test]
fn g1c() {
    only("G1c", &together(&["ax1,ry1", "ay1,rx1"]), &together(&["ax1,ry1", "ay1,rx"]));
    let back = history("0?rx 0!rx1 0?ax1 0!ax1");
    only("G1c-process G1c-realtime", &back, &history("0?rx 1?ax1 0!rx1 1!ax1"));
    only("G1c-realtime", &history("0?rx 0!rx1 1?ax1 1!ax1"), &history("0?rx 1?ax1 0!rx1 1!ax1"));
}

#[test]
fn internal() {
    only("internal", &together(&["ax1,rx"]), &together(&["ax1,rx1"]));
    only("G-single internal", &together(&["rx,rx1", "ax1"]), &together(&["rx1,rx1", "ax1"]));
    let lost = together(&["rx1,ax2,rx2", "ax1"]);
    assert!(names(&lists(&lost)).contains("internal"));
}

#[test]
fn future_read() {
    only("future-read", &together(&["rx1,ax1"]), &together(&["rx,ax1"]));
    let beneath = together(&["rx12,ax1", "ax2"]);
    assert!(names(&lists(&beneath)).contains("future-read"), "{}", names(&lists(&beneath)));
}

#[test]
fn dirty_update() {
    let dirty = history("0?ax1 0- 1?ax2 1!ax2 2?rx 2!rx12");
    only("G1a dirty-update", &dirty, &history("0?ax1 0~ 1?ax2 1!ax2 2?rx 2!rx12"));
}

#[test]
fn duplicate_elements() {
    only("duplicate-elements", &together(&["ax1", "rx11"]), &together(&["ax1", "rx1"]));
}

#[test]
fn incompatible_order() {
    only(
        "incompatible-order",
        &together(&["ax1", "ax2", "rx1", "rx2"]),
        &together(&["ax1", "ax2", "rx1", "rx12"]),
    );
}

#[test]
fn incompatible_order_of_appends_of_one_transaction() {
    only(
        "G1b incompatible-order",
        &together(&["ax1,ax2", "rx21"]),
        &together(&["ax1,ax2", "rx12"]),
    );
    only(
        "G-single incompatible-order",
        &together(&["ax1,ax2", "rx2"]),
        &together(&["ax1,ax2", "rx"]),
    );
}

#[test]
fn unwritten_read() {
    only("unwritten-read", &together(&["rx1"]), &together(&["ax1", "rx1"]));
}

#[test]
fn lost_update() {
    let lost = together(&["rx,ax1", "rx,ax2"]);
    let verdict = lists(&lost);
    assert_eq!(
        (names(&verdict).as_str(), verdict.validity),
        ("G2-item lost-update", Validity::Invalid)
    );
    only(
        "G-single lost-update",
        &together(&["rx,ax1", "rx,ax2", "rx12"]),
        &together(&["rx,ax1", "rx1,ax2", "rx12"]),
    );
}

#[test]
fn g_single() {
    only("G-single", &together(&["ax1,ay1", "rx1,ry"]), &together(&["ax1,ay1", "rx1,ry1"]));
    let session = history("0?ax1 0!ax1 0?rx 0!rx");
    only("G-single-process G-single-realtime", &session, &history("0?ax1 0!ax1 0?rx 0!rx1"));
    let stale = history("0?ax1 0!ax1 1?rx 1!rx");
    only("G-single-realtime", &stale, &history("0?ax1 1?rx 1!rx 0!ax1"));
}

#[test]
fn g_nonadjacent() {
    // Long fork: each of two readers observed one write and missed the other.
    only(
        "G-nonadjacent",
        &together(&["ax1", "ay1", "rx1,ry", "rx,ry1"]),
        &together(&["ax1", "ay1", "rx1,ry1", "rx,ry1"]),
    );
    let process = history("0?ax1 1?ay1 3?rx,ry 2?rx 2!rx1 2?ry 2!ry 3!rx,ry1 0!ax1 1!ay1");
    only(
        "G-nonadjacent-process G-nonadjacent-realtime",
        &process,
        &history("0?ax1 1?ay1 3?rx,ry 2?rx 2!rx1 2?ry 2!ry1 3!rx,ry1 0!ax1 1!ay1"),
    );
    let time = history("0?ax1 1?ay1 3?rx,ry 2?rx 2!rx1 4?ry 4!ry 3!rx,ry1 0!ax1 1!ay1");
    only(
        "G-nonadjacent-realtime",
        &time,
        &history("0?ax1 1?ay1 3?rx,ry 2?rx 4?ry 2!rx1 4!ry 3!rx,ry1 0!ax1 1!ay1"),
    );
}

#[test]
fn g2_item() {
    only("G2-item", &together(&["rx,ay1", "ry,ax1"]), &together(&["rx,ay1", "ry1,ax1"]));
    // Write skew closed by process order, and by real-time order.
    let process = history("0?rx,ay1 1?ax1 1!ax1 1?ry 1!ry 0!rx,ay1");
    only(
        "G2-item-process G2-item-realtime",
        &process,
        &history("0?rx,ay1 1?ax1 1!ax1 1?ry 1!ry1 0!rx,ay1"),
    );
    let time = history("0?rx,ay1 1?ax1 1!ax1 2?ry 2!ry 0!rx,ay1");
    only("G2-item-realtime", &time, &history("0?rx,ay1 1?ax1 2?ry 2!ry 1!ax1 0!rx,ay1"));
}

#[test]
fn an_anomaly_violates_only_levels_that_forbid_it() {
    let skew = together(&["rx,ay1", "ry,ax1"]);
    for (level, validity) in [
        ("snapshot-isolation", Validity::Valid),
        ("PL-SI", Validity::Valid),
        ("repeatable-read", Validity::Invalid),
        ("serializable", Validity::Invalid),
        ("read-committed", Validity::Valid),
    ] {
        let verdict = lists_at(&skew, level);
        assert_eq!(verdict.validity, validity, "{level}: {}", verdict.message);
        assert_eq!(names(&verdict), "G2-item");
    }
    let unknown = lists_at(&skew, "eventual");
    assert_eq!(unknown.validity, Validity::Unknown);
    assert!(unknown.message.contains("read-committed"), "{}", unknown.message);
}

#[test]
fn a_verdict_names_the_weakest_violated_models_and_all_stronger_ones() {
    let verdict = lists(&together(&["ax1,ay1", "rx1,ry"]));
    let models = |what: &str| verdict.measured[what].to_string();
    assert_eq!(
        models("not"),
        "[\"consistent-view\" \"parallel-snapshot-isolation\" \"repeatable-read\"]"
    );
    assert_eq!(
        models("also-not"),
        "[\"forward-consistent-view\" \"serializable\" \"snapshot-isolation\" \
         \"strict-serializable\" \"strong-session-serializable\" \
         \"strong-session-snapshot-isolation\" \"strong-snapshot-isolation\" \
         \"update-serializable\"]"
    );
}

#[test]
fn a_cycle_is_explained_edge_by_edge() {
    let verdict = lists(&together(&["ax1,ay1", "ax2", "rx12,ry"]));
    let finding = &verdict.findings[0];
    assert_eq!(
        finding.message,
        "T1 < T2 < T3 < T1, where T1 = [append \"x\" 1, append \"y\" 1] (index 0); T2 = [append \
         \"x\" 2] (index 1); T3 = [r \"x\" [1 2], r \"y\" []] (index 2)"
    );
    let steps: Vec<_> =
        finding.steps.iter().map(|step| format!("{} {}", step.relation, step.message)).collect();
    assert_eq!(
        steps,
        [
            "ww T1 < T2, because T2 appended 2 to key \"x\" after T1 appended 1",
            "wr T2 < T3, because T3 observed T2's append of 2 to key \"x\"",
            "rw However, T3 < T1, because T3 observed the initial state of key \"y\", which T1 \
             changed to 1: a contradiction!",
        ]
    );
    insta::assert_snapshot!(crate::txn::dot(finding), @r#"
    digraph {
        0 [ label = "T1 (index 0)" ]
        1 [ label = "T2 (index 1)" ]
        2 [ label = "T3 (index 2)" ]
        0 -> 1 [ label = "ww" ]
        1 -> 2 [ label = "wr" ]
        2 -> 0 [ label = "rw" ]
    }
    "#);
}

#[test]
fn an_indeterminate_transaction_counts_only_if_it_was_observed() {
    // Unobserved, it may not have committed. Observed, it did, so its write to y must be visible,
    // too.
    assert_eq!(names(&lists(&history("0?ax1,ay1 0~ 1?rx,ry 1!rx,ry"))), "");
    assert_eq!(names(&lists(&history("0?ax1,ay1 0~ 1?rx,ry 1!rx1,ry"))), "G-single");
    assert_eq!(names(&lists(&history("0?ax1,ay1 1?rx,ry 1!rx1,ry"))), "G-single");
}

#[test]
fn register_anomalies_without_inference() {
    let register = |history: &History, rules| names(&registers_by(&registers(history), rules));
    let none = Inference { initial_first: false, ..Inference::default() };
    let circular = together(&["ax1,ry1", "ay1,rx1"]);
    assert_eq!(register(&circular, none), "G1c");
    assert_eq!(register(&history("0?ax1 0- 1?rx 1!rx1"), none), "G1a");
    assert_eq!(register(&together(&["ax1,ax2", "rx1"]), none), "G1b");
    assert_eq!(register(&together(&["ax1,rx2", "ax2"]), none), "internal");
    assert_eq!(register(&together(&["rx1,ax1"]), none), "future-read");
    assert_eq!(register(&together(&["rx,ax1", "rx,ax2"]), none), "lost-update");
}

#[test]
fn each_inference_rule_finds_more_register_anomalies() {
    let register = |history: &History, rules| names(&registers_by(&registers(history), rules));
    let none = Inference { initial_first: false, ..Inference::default() };
    let fracture = together(&["ax1,ay1", "rx1,ry"]);
    assert_eq!(register(&fracture, none), "");
    assert_eq!(register(&fracture, Inference::default()), "G-single");
    let follows = Inference { writes_follow_reads: true, ..none };
    let chain = together(&["ax1,ay1", "rx1,ax2,ry1", "rx2,ry1,ay3", "rx1,ry3"]);
    assert_eq!(register(&chain, none), "");
    assert_eq!(register(&chain, follows), "G-single");
    let sequential = Inference { sequential_keys: true, ..none };
    let session = history("0?ax1,ay1 0!ax1,ay1 0?ax2,ay2 0!ax2,ay2 1?rx,ry 1!rx2,ry1");
    assert_eq!(register(&session, none), "");
    assert_eq!(register(&session, sequential), "G-single");
    let linearizable = Inference { linearizable_keys: true, ..none };
    let stale = history("0?ax1 0!ax1 1?ax2 1!ax2 2?rx 2!rx1");
    assert_eq!(register(&stale, none), "");
    assert!(register(&stale, linearizable).contains("cyclic-versions"));
    assert!(register(&stale, ALL).contains("cyclic-versions"));
}

#[test]
fn an_unwritten_read_is_an_anomaly_only_without_unknown_writers() {
    let history = registers(&history("0?wx2 0! 1?rx 1!rx3"));
    let closed = RwRegister(UnknownWriters::Forbidden).check(&history, &Limits::default());
    assert_eq!((closed.validity, names(&closed)), (Validity::Invalid, "unwritten-read".to_owned()));
    let open = RwRegister(UnknownWriters::Allowed).check(&history, &Limits::default());
    assert_eq!(open.validity, Validity::Valid, "{}", open.message);
}

#[test]
fn the_order_implied_by_strict_serializability_violates_only_that_model() {
    let judge = |text: &str, consistency| {
        let limits = Limits { consistency, ..Limits::default() };
        RwRegister(UnknownWriters::Forbidden).check(&registers(&history(text)), &limits)
    };
    let stale = "0?wx1 0! 1?wx2 1! 2?rx 2!rx1";
    let verdict = judge(stale, None);
    assert_eq!(verdict.validity, Validity::Invalid);
    assert_eq!(verdict.measured["not"].to_string(), "[\"strict-serializable\"]");
    assert_eq!(judge(stale, Some("serializable")).validity, Validity::Valid);
    let overlapping = "0?wx1 1?wx2 2?rx 0! 1! 2!rx1";
    assert_eq!(judge(overlapping, None).validity, Validity::Valid);
}

/// The verdict begins with an example about clients, and names the anomaly.
#[test]
fn a_verdict_begins_with_an_example() {
    let told =
        |verdict: crate::Verdict| verdict.message.split("; not strict").next().map(str::to_owned);
    let cases = [
        (
            "0?ax1 0! 1?rx 1!rx",
            "process 1 read x = [] after process 0 had appended 1 to it: G-single-realtime",
            "process 1 read x = nil after process 0 had overwritten it with 1: G-single-realtime",
        ),
        (
            "0?ax1,ry 1?ay1,rx 0!ax1,ry 1!ay1,rx",
            "process 0 read y = [] without 1, which process 1 appended, and process 1 read x = [] \
             without 1, which process 0 appended: G2-item",
            "process 0 read y = nil, which process 1 overwrote with 1, and process 1 read x = nil, \
             which process 0 overwrote with 1: G2-item",
        ),
        (
            "0?ax1,ry 1?ay1,rx 0!ax1,ry1 1!ay1,rx1",
            "process 1 read x = [1], where process 0 appended 1, and process 0 read y = [1], where \
             process 1 appended 1: G1c",
            "process 1 read x = 1, which process 0 wrote, and process 0 read y = 1, which process \
             1 wrote: G1c",
        ),
        (
            "0?ax1 1?rx 1!rx1 0-",
            "process 1 observed 1 in key \"x\", which process 0 wrote, but process 0 failed: \
             aborted read (G1a)",
            "process 1 observed 1 in key \"x\", which process 0 wrote, but process 0 failed: \
             aborted read (G1a)",
        ),
    ];
    for (text, of_lists, of_registers) in cases {
        let lists_history = history(text);
        assert_eq!(told(lists(&lists_history)).as_deref(), Some(of_lists));
        let registers = registers_by(&registers(&lists_history), Inference::default());
        assert_eq!(told(registers).as_deref(), Some(of_registers));
    }
    let long = lists(&history("0?rx,ay1 1?ry,az1 2?rz,ax1 0!rx,ay1 1!ry,az1 2!rz,ax1"));
    assert!(long.message.contains("and 2 further dependencies lead back: G"), "{}", long.message);
    assert!(long.message.contains("; not strict-serializable (1 × "), "{}", long.message);
    let client = lists(&history("0?ax1 0! 4?rx 4!rx").with_concurrency(3));
    assert!(
        client.message.starts_with("client 1 read x = [] after client 0"),
        "{}",
        client.message
    );
    let cyclic = registers_by(&registers(&history("0?wx1 0! 1?rx 1!rx")), ALL);
    let told =
        "the order of transactions puts 1 of process 0 before nil before 1 again in key \"x\"";
    assert!(cyclic.message.starts_with(told), "{}", cyclic.message);
}
