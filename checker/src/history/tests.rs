//! Checks that malformed histories are rejected with their position, and that valid ones are read.

use super::{
    Format, Kind, Operation, Process, Value, jsonl, notation, porcupine_log, session_text,
};

fn refused(text: &str) -> String {
    jsonl::parse(text).expect_err("it is no history").to_string()
}

fn line(index: u64, kind: &str, process: u64, f: &str) -> String {
    format!("{{\"index\":{index},\"type\":\"{kind}\",\"process\":{process},\"f\":\"{f}\"}}\n")
}

#[test]
fn rejects_events_that_no_sequential_clients_produce() {
    let busy = line(0, "invoke", 4, "read") + &line(1, "invoke", 4, "read");
    insta::assert_snapshot!(
        refused(&busy),
        @"line 2, column 1: index 1: process 4 invokes while its operation invoked at index 0 is \
          open"
    );
    insta::assert_snapshot!(
        refused(&line(0, "ok", 4, "read")),
        @"line 1, column 1: index 0: process 4 completes an operation that it never invoked"
    );
    let other = line(0, "invoke", 4, "read") + "\n" + &line(1, "ok", 4, "write");
    insta::assert_snapshot!(
        refused(&other),
        @"line 3, column 1: index 1: process 4 completes \"write\" but had invoked \"read\""
    );
    let retired =
        line(0, "invoke", 4, "read") + &line(1, "info", 4, "read") + &line(9, "invoke", 4, "read");
    insta::assert_snapshot!(
        refused(&retired),
        @"line 3, column 1: index 9: process 4 was retired by the info at index 1 and cannot go \
          on; use a new number"
    );
    let disordered = line(5, "invoke", 4, "read") + &line(5, "ok", 4, "read");
    insta::assert_snapshot!(
        refused(&disordered),
        @"line 2, column 1: index 5: its index does not come after 5, the index before it"
    );
}

#[test]
fn reports_the_position_of_a_malformed_line() {
    let good = line(0, "invoke", 4, "read");
    insta::assert_snapshot!(
        refused(&(good.clone() + "{\"index\":1,\n")),
        @"line 2, column 11: EOF while parsing a value"
    );
    insta::assert_snapshot!(refused("not json\n"), @"line 1, column 2: expected ident");
    insta::assert_snapshot!(
        refused(&line(0, "done", 4, "read")),
        @"line 1, column 24: unknown variant `done`, expected one of `invoke`, `ok`, `fail`, \
          `info`"
    );
    insta::assert_snapshot!(
        refused("{\"type\":\"ok\",\"process\":-4,\"f\":\"read\"}\n"),
        @"line 1, column 25: process -4 is neither a client's number nor \"nemesis\""
    );
    let named = "{\"type\":\"invoke\",\"process\":0,\"f\":\"r\"}";
    let nameless = "{\"type\":\"ok\",\"f\":\"r\"}";
    insta::assert_snapshot!(
        refused(&format!("{named}\n{nameless}\n")),
        @"line 2, column 1: missing field `process`"
    );
    insta::assert_snapshot!(
        refused(&format!("[{named},{nameless}]")),
        @"line 1, column 40: missing field `process`"
    );
    insta::assert_snapshot!(
        refused(&format!("{nameless}\n")),
        @"line 1, column 1: index 0: process 0 completes an operation that it never invoked"
    );
    insta::assert_snapshot!(
        refused("{\"initial\":[]}\n"),
        @"line 1, column 1: \"initial\" lists no initial state"
    );
    let huge =
        "{\"type\":\"invoke\",\"process\":1,\"f\":\"write\",\"value\":18446744073709551615}\n";
    insta::assert_snapshot!(
        refused(huge),
        @"line 1, column 69: integer 18446744073709551615 does not fit 64 bits"
    );
    for next in ["18446744073709551616", "-9223372036854775809", "1e300"] {
        let rounded = huge.replace("18446744073709551615", next);
        assert!(refused(&rounded).contains("is too large to be told from"), "{next}");
    }
    insta::assert_snapshot!(
        refused("{\"type\":\"ok\",\"process\":\"c1\",\"f\":\"read\"}\n"),
        @"line 1, column 27: process \"c1\" is neither a client's number nor \"nemesis\""
    );
    insta::assert_snapshot!(
        refused(&("{\"initial\":[1]}\n{\"initial\":[1]}\n".to_owned() + &good)),
        @"line 2, column 15: missing field `type`"
    );
}

#[test]
fn tolerates_an_incomplete_last_line() {
    let text = line(0, "invoke", 4, "read") + &line(1, "ok", 4, "read");
    let parsed = jsonl::parse(&text[..text.len() - 9]).expect("a torn line is no damage");
    assert_eq!(parsed.history.events().len(), 1);
    insta::assert_snapshot!(
        parsed.torn.expect("it was torn"),
        @"line 2 was cut short after 38 bytes and is ignored"
    );
    let whole = jsonl::parse(text.trim_end()).expect("only the newline is gone");
    assert_eq!((whole.history.events().len(), whole.torn), (2, None));
}

#[test]
fn rejects_a_complete_but_malformed_last_line() {
    let good = line(0, "invoke", 4, "read");
    insta::assert_snapshot!(
        refused(&(good.clone() + line(1, "done", 4, "read").trim_end())),
        @"line 2, column 24: unknown variant `done`, expected one of `invoke`, `ok`, `fail`, \
          `info`"
    );
    insta::assert_snapshot!(refused(&(good + "hello")), @"line 2, column 1: expected value");
}

#[test]
fn an_array_of_events_is_a_history() {
    let (one, two) = (line(0, "invoke", 4, "read"), line(1, "ok", 4, "read"));
    let lines = jsonl::parse(one.clone() + &two).expect("two lines");
    assert_eq!(jsonl::parse(format!("[{one},\n{two}]\n")), Ok(lines));
    assert_eq!(jsonl::parse(" []").map(|parsed| parsed.history.events().len()), Ok(0));
    for text in ["[", "[1]", "[{}]", "[] 1", "[{\n\"type\": 3}]"] {
        assert!(jsonl::parse(text).is_err(), "{text}");
    }
    insta::assert_snapshot!(refused(&format!("[{one}")), @"line 2, column 1: , or ] is missing");
    insta::assert_snapshot!(refused(&format!("[{one},")), @"line 2, column 2: an event is missing");
    insta::assert_snapshot!(
        refused(&format!("[{one}\n, {}]", two.replace("ok", "done"))),
        @"line 3, column 26: unknown variant `done`, expected one of `invoke`, `ok`, `fail`, \
          `info`"
    );
    insta::assert_snapshot!(
        refused(&format!("[{one}, {}]", one.replace('0', "7"))),
        @"line 2, column 3: index 7: process 4 invokes while its operation invoked at index 0 is \
          open"
    );
}

#[test]
fn detects_the_format_from_the_text() {
    let told = |text: &str| Format::detect(text.as_bytes());
    for text in ["", "\n", "{\"index\":0}", " [ {\"index\":0}]", "\u{feff}{ \"a"] {
        assert_eq!(told(text), Some(Format::Jsonl), "{text}");
    }
    for text in ["{:type", "[{:type", "({}", "; a comment", "#_{:initial", "#jepsen.Op{", "{", "[]"]
    {
        assert_eq!(told(text), Some(Format::Edn), "{text}");
    }
    for text in ["INFO  jepsen.core - hello", "2015-05-01 INFO  jepsen.util - 4"] {
        assert_eq!(told(text), Some(Format::Porcupine), "{text}");
    }
    assert_eq!((told("hello"), told("<html>")), (None, None));
    let kv = "{:process 0, :type :invoke, :f :get, :key \"0\", :value nil}\n";
    assert_eq!(Format::Porcupine.parse(kv.as_bytes()), Format::Edn.parse(kv.as_bytes()));
    let log = Format::Porcupine.parse(b"INFO  jepsen.util - 0 :invoke :read nil\n").expect("a log");
    assert_eq!(log.history.operations().len(), 1);
    assert!(Format::Porcupine.parse(b"INFO \xff").is_err());
}

#[test]
fn jepsens_keys_are_read_and_written() {
    let nemesis = concat!(
        r#"{"index":0,"time":5,"type":"info","process":"nemesis","f":"cut","#,
        r#""value":{"b":0.5,"a":[null,true]}}"#
    );
    let cas = concat!(
        r#"{"index":3,"time":6,"type":"invoke","process":3,"f":"cas","#,
        r#""value":["x",[1,2]],"node":"n2"}"#
    );
    let end = concat!(
        r#"{"index":4,"time":7,"type":"fail","process":3,"f":"cas","#,
        r#""value":["x",[1,2]],"node":"n2","error":"mismatch"}"#
    );
    let parsed = jsonl::parse([nemesis, cas, end].join("\n")).expect("it is a history");
    let [operation] = parsed.history.operations() else { panic!("one client called once") };
    assert!(operation.is_mismatch());
    assert_eq!(parsed.history.events()[0].process, Process::Nemesis);
    let written: Vec<String> =
        parsed.history.events().iter().map(jsonl::event_to_json_line).collect();
    assert_eq!(written[1..], [cas, end]);
    insta::assert_snapshot!(
        written[0],
        @"{\"index\":0,\"time\":5,\"type\":\"info\",\"process\":\"nemesis\",\
          \"f\":\"cut\",\"value\":{\"a\":[null,true],\"b\":0.5}}"
    );
}

#[test]
fn an_open_operation_counts_as_info() {
    let history = notation::parse("0:w1; 1:r1 ok").expect("it is in the notation");
    assert_eq!(history.operations()[0].kind(), Kind::Info);
    assert!(history.operations()[1].is_ok());
}

#[test]
fn the_notation_rejects_unknown_steps() {
    let refused = |text| notation::parse(text).expect_err("it is not in the notation").to_string();
    insta::assert_snapshot!(
        refused("w1 ok; x7"),
        @"step 2 (\"x7\"): not a call: want w, r, a or cas, or ok, fail, info or mismatch after a \
          process"
    );
    insta::assert_snapshot!(refused("0:ok"), @r#"step 1 ("0:ok"): process 0 has nothing open"#);
    insta::assert_snapshot!(
        refused("0:w1; 0:w2 ok"),
        @"step 2 (\"0:w2 ok\"): process 0 invokes while its operation invoked at index 0 is open"
    );
    insta::assert_snapshot!(refused("cas[1] ok"), @r#"step 1 ("cas[1] ok"): cas wants [old new]"#);
    insta::assert_snapshot!(refused("w ok"), @r#"step 1 ("w ok"): a value is missing"#);
    insta::assert_snapshot!(
        refused("99999999999999999999:w1"),
        @"step 1 (\"99999999999999999999:w1\"): number too large to fit in target type"
    );
}

#[test]
fn reads_porcupine_logs() {
    let log = "INFO  jepsen.core - hello\nINFO  jepsen.util - 4\t:invoke\t:cas\t[2 4]\n\
               INFO  jepsen.util - 4   :fail :cas    [2 4]\n\
               INFO  jepsen.util - 1 :invoke :read nil\n\
               INFO  jepsen.util - 1 :fail :read :timed-out\n";
    let history = porcupine_log::parse(log).expect("it is a log");
    assert_eq!(history.operations()[0].input, Value::pair(2, 4));
    assert!(history.operations()[0].is_mismatch());
    assert!(!history.operations()[1].is_mismatch());
}

#[test]
fn rejects_malformed_logs() {
    let refused = |text| porcupine_log::parse(text).expect_err("it is no log").to_string();
    insta::assert_snapshot!(
        refused("INFO  jepsen.util - 4 :done :cas [2 4]"),
        @"line 1, column 21: \":done\" is none of :invoke :ok :fail :info"
    );
    insta::assert_snapshot!(
        refused("\nINFO  jepsen.util - 4 :ok :cas"),
        @"line 2, column 21: a value is missing"
    );
    insta::assert_snapshot!(
        refused("INFO  jepsen.util - 4 :invoke :write x"),
        @"line 1, column 21: \"x\" is not a value"
    );
    insta::assert_snapshot!(
        refused("INFO  jepsen.util - 4 :ok :write 1"),
        @"line 1, column 1: process 4 completes an operation that it never invoked"
    );
}

#[test]
fn reads_sessions_without_times_and_reports_malformed_lines() {
    let text = "w 1 1\n-----\nr 1 1\nw 2 5\n=====\nr 2 5\n";
    let parsed = Format::detect(text.as_bytes()).map(|format| format.parse(text.as_bytes()));
    let history = parsed.expect("a format").expect("a sound text").history;
    assert!(!history.has_real_time());
    let of = |operation: &Operation| (operation.process, operation.input.to_string());
    let all: Vec<_> = history.operations().iter().map(of).collect();
    let told = |process, text: &str| (Process::Client(process), text.to_owned());
    assert_eq!(
        all,
        [
            told(0, r#"[["w" 1 1]]"#),
            told(0, r#"[["r" 1 nil] ["w" 2 5]]"#),
            told(1, r#"[["r" 2 nil]]"#)
        ]
    );
    for name in crate::registry::known_names() {
        let verdict = crate::check_by_name(&history, name, &crate::Limits::default());
        let known = verdict.validity != crate::Validity::Unknown;
        assert_eq!(known, name == "isolation", "{name}: {}", verdict.message);
    }
    assert!(crate::linearize(&history, "register", &crate::Limits::default()).is_err());
    let damage = session_text::parse("w 1 1\nx 2 3\n").expect_err("there is no x");
    assert_eq!((damage.line, damage.column), (2, 1));
    assert!(damage.why.contains("none of"), "{}", damage.why);
}
