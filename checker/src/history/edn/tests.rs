//! Checks how EDN is read, that errors carry their position, and that no input breaks the reader.

use super::{event_to_edn_line, parse, write};
use crate::history::{Event, History, Kind, Process, Value, jsonl};

fn refused(text: &str) -> String {
    parse(text).expect_err("it is no history").to_string()
}

fn events(text: &str) -> Vec<Event> {
    let parsed = parse(text).unwrap_or_else(|damage| panic!("{text}: {damage}"));
    assert_eq!(parsed.torn, None, "{text}");
    parsed.history.events().to_vec()
}

/// The value of one operation in its readable form.
fn value(text: &str) -> String {
    let op = format!("{{:type :invoke :process 1 :f :read :value {text}}}\n");
    events(&op)[0].value.to_string()
}

fn no_value(text: &str) -> String {
    refused(&format!("{{:type :invoke :process 1 :f :read :value {text}}}\n"))
}

#[test]
fn reads_every_shape_of_a_history() {
    let maps = "{:type :invoke, :process 0, :f :read}\n{:type :ok, :process 0, :f :read, :value 3}";
    let bare = events(maps);
    assert_eq!((bare[1].index, &bare[1].value, bare[1].kind), (1, &Value::Int(3), Kind::Ok));
    for shape in [
        format!("[{maps}]"),
        format!("; Knossos\n({maps})"),
        maps.replace("{:type", "#jepsen.history.Op{:type"),
        maps.replace("{:type", "#_{:type :nonsense} {:exception #object[x \"0x1\" {}], :type"),
        format!("#_ #_ 1 2 #jepsen.Op {}", maps.replace(' ', ",,")),
        format!("\u{feff}{}", maps.replace(":process", ":index nil :time -1 \"k\" [] :process")),
    ] {
        assert_eq!(events(&shape), bare, "{shape}");
    }
    assert_eq!(value("[1;]\n2;]\r3]"), "[1 2 3]");
    assert!(events("").is_empty() && events(" ; nothing\n[]").is_empty());
}

#[test]
fn reads_every_field_of_an_operation() {
    let text = "{:process :nemesis, :type :info, :f :start, :value {\"n1\" #{\"n3\" \"n2\"}}}
                {:index 7 :time 9, :process 4, :type :invoke, :f :r, :key \"k\", :value nil}
                {:process 4, :type :info, :f :r, :key \"k\", :node n, :error \"é\"}
                {:process 5, :type :invoke, :value [[:r 1 nil]], :error nil}";
    let lines: Vec<String> = events(text).iter().map(jsonl::event_to_json_line).collect();
    insta::assert_snapshot!(lines.join("\n"), @r#"
    {"index":0,"time":0,"type":"info","process":"nemesis","f":"start","value":{"n1":["n2","n3"]}}
    {"index":7,"time":9,"type":"invoke","process":4,"f":"r","value":["k",null]}
    {"index":8,"time":0,"type":"info","process":4,"f":"r","value":["k",null],"node":"n","error":"é"}
    {"index":9,"time":0,"type":"invoke","process":5,"f":"txn","value":[["r",1,null]]}
    "#);
}

#[test]
fn forms_are_read_as_values() {
    let read = [
        "nil",
        "true",
        "[0 -7 +7 12N]",
        "(1 (2))",
        "#{3 1 2}",
        "[1.5 -2e3 1.0M ##Inf ##-Inf]",
        "[0.100000000000000M 1.000000000000001M -2E20M]",
        "[1/2 -3/4]",
        ":append",
        ":a.b/c",
        "sym",
        r"[\a \newline \u0041 \( \,]",
        r#""a\"\\\n\t\u00e9\ud83d\ude00;""#,
        "{:b 1, 0 2, \"c\" 3, nil 4}",
        "#inst \"2026\"",
        "#a/b{:c #d [1]}",
        "#:db{:id 1, :x/y 2, 3 4}",
        "#jepsen.independent.Tuple [1 2]",
        "#jepsen.independent.Tuple{:key 1, :value 2}",
        "0x1f",
        "##NaN",
    ]
    .map(|text| format!("{text:<45} {}", value(text)));
    insta::assert_snapshot!(read.join("\n"), @r#"
    nil                                           nil
    true                                          true
    [0 -7 +7 12N]                                 [0 -7 7 12]
    (1 (2))                                       [1 [2]]
    #{3 1 2}                                      [1 2 3]
    [1.5 -2e3 1.0M ##Inf ##-Inf]                  [1.5 -2000 1 inf -inf]
    [0.100000000000000M 1.000000000000001M -2E20M] [0.1 "1.000000000000001" -200000000000000000000]
    [1/2 -3/4]                                    ["1/2" "-3/4"]
    :append                                       "append"
    :a.b/c                                        "a.b/c"
    sym                                           "sym"
    [\a \newline \u0041 \( \,]                    ["a" "\n" "A" "(" ","]
    "a\"\\\n\t\u00e9\ud83d\ude00;"                "a\"\\\n\té😀;"
    {:b 1, 0 2, "c" 3, nil 4}                     {"0" 2, "b" 1, "c" 3, "nil" 4}
    #inst "2026"                                  "2026"
    #a/b{:c #d [1]}                               {"c" [1]}
    #:db{:id 1, :x/y 2, 3 4}                      {"3" 4, "db/id" 1, "x/y" 2}
    #jepsen.independent.Tuple [1 2]               [1 2]
    #jepsen.independent.Tuple{:key 1, :value 2}   [1 2]
    0x1f                                          31
    ##NaN                                         NaN
    "#);
}

/// Text after a well-formed operation that is not one.
const MALFORMED_OPERATIONS: [&str; 27] = [
    "x",
    "[{:type :invoke}",
    "{:type :ok :process 1 :f :read]\n",
    "{:type :done :process 1}\n",
    "{:process 1 :f :read}\n",
    "{:type :ok, :f :read}\n",
    "{:type :ok, :process -1}\n",
    "{:type :ok, :process nil}\n",
    "{:type :ok, :process :c1}\n",
    "{:type 1}\n",
    "{:f [1]}\n",
    "{:type :ok, :type :ok}\n",
    "{:type}\n",
    "{:time 1.5}\n",
    "[[{:type :ok}]]",
    "#{1}\n",
    "#_\n",
    "]",
    "{} }",
    "{:type :ok, :process 1}\n",
    "{:type :invoke, :process 0}\n",
    "[1 2]",
    "{:x #<Foo>}\n",
    "{:x ^y}\n",
    "{:x #\n",
    "{:x \\\n",
    "{:x \"\n",
];

#[test]
fn reports_the_position_of_a_malformed_operation() {
    let good = "{:type :invoke, :process 0, :f :read}\n";
    let told = MALFORMED_OPERATIONS
        .map(|text| format!("{}\n  => {}", text.trim_end(), refused(&format!("{good}{text}"))));
    insta::assert_snapshot!(told.join("\n"), @r#"
    x
      => line 2, column 1: this is neither an operation's map nor a vector or list of such maps
    [{:type :invoke}
      => line 2, column 2: this operation has no :process
    {:type :ok :process 1 :f :read]
      => line 2, column 31: ] stands where } should close
    {:type :done :process 1}
      => line 2, column 8: type "done" is none of :invoke :ok :fail :info
    {:process 1 :f :read}
      => line 2, column 1: this operation has no :type
    {:type :ok, :f :read}
      => line 2, column 1: this operation has no :process
    {:type :ok, :process -1}
      => line 2, column 22: process -1 is neither a client's number nor :nemesis
    {:type :ok, :process nil}
      => line 2, column 22: process nil is neither a client's number nor :nemesis
    {:type :ok, :process :c1}
      => line 2, column 22: process "c1" is neither a client's number nor :nemesis
    {:type 1}
      => line 2, column 8: 1 is not a name
    {:f [1]}
      => line 2, column 5: [1] is not a name
    {:type :ok, :type :ok}
      => line 2, column 13: duplicate key in the operation
    {:type}
      => line 2, column 7: a form is missing before this bracket
    {:time 1.5}
      => line 2, column 8: 1.5 is not a number of this kind
    [[{:type :ok}]]
      => line 2, column 2: this is neither an operation's map nor a vector or list of such maps
    #{1}
      => line 2, column 1: this is neither an operation's map nor a vector or list of such maps
    #_
      => line 3, column 1: the text ends where a form should be
    ]
      => line 2, column 1: this bracket closes what was never opened
    {} }
      => line 2, column 1: this operation has no :type
    {:type :ok, :process 1}
      => line 2, column 1: index 1: process 1 completes an operation that it never invoked
    {:type :invoke, :process 0}
      => line 2, column 1: index 1: process 0 invokes while its operation invoked at index 0 is open
    [1 2]
      => line 2, column 2: this is neither an operation's map nor a vector or list of such maps
    {:x #<Foo>}
      => line 2, column 5: # and then '<' begins no EDN form
    {:x ^y}
      => line 2, column 5: '^' begins no EDN form
    {:x #
      => line 2, column 5: # and then '\n' begins no EDN form
    {:x \
      => line 2, column 1: this bracket is never closed
    {:x "
      => line 2, column 5: this text is never closed
    "#);
}

#[test]
fn rejects_bad_initial_states_and_bytes_that_are_not_utf8() {
    insta::assert_snapshot!(
        refused("#_{:initial []}"),
        @"line 1, column 15: :initial lists no initial state"
    );
    insta::assert_snapshot!(
        refused("#_{:initial [3] 4}"),
        @"line 1, column 16: :initial lists no initial state"
    );
    insta::assert_snapshot!(
        parse(b"{:f\n\"\xff\"}").expect_err("no UTF-8"),
        @"line 2, column 2: this is not UTF-8"
    );
}

/// Forms that no value represents.
const INVALID_VALUES: [&str; 21] = [
    "9223372036854775808",
    "99999999999999999999999999999999999999999999999999N",
    "007",
    "1x",
    "1.2.3",
    "1/",
    "1/2/3",
    "0x",
    ":",
    r"\nope",
    r"\u00",
    r#""\q""#,
    r#""\ud83d""#,
    r#""\u12""#,
    "##Big",
    "#{1 1}",
    "{1 2 1 3}",
    "{1}",
    "@x",
    "#\"re\"",
    "(1]",
];

#[test]
fn reports_the_position_of_an_invalid_value() {
    let told = INVALID_VALUES.map(|text| format!("{text}\n  => {}", no_value(text)));
    insta::assert_snapshot!(told.join("\n"), @r#"
    9223372036854775808
      => line 1, column 43: integer 9223372036854775808 does not fit 64 bits
    99999999999999999999999999999999999999999999999999N
      => line 1, column 43: integer 999999999999999999999999999999… (50 bytes) does not fit 64 bits
    007
      => line 1, column 43: 007 is not a number
    1x
      => line 1, column 43: 1x is not a number
    1.2.3
      => line 1, column 43: 1.2.3 is not a number
    1/
      => line 1, column 43: 1/ is not a number
    1/2/3
      => line 1, column 43: 1/2/3 is not a number
    0x
      => line 1, column 43: 0x is not a number
    :
      => line 1, column 43: a keyword has no name
    \nope
      => line 1, column 43: \nope is not a character
    \u00
      => line 1, column 43: \u00 is not a character
    "\q"
      => line 1, column 44: \q is not an escape
    "\ud83d"
      => line 1, column 44: \ud83d is not a character
    "\u12"
      => line 1, column 44: \u12 is not a character
    ##Big
      => line 1, column 43: ##Big is not a number
    #{1 1}
      => line 1, column 44: 1 is twice in this set
    {1 2 1 3}
      => line 1, column 43: key 1 is twice in this map
    {1}
      => line 1, column 45: a form is missing before this bracket
    @x
      => line 1, column 43: '@' begins no EDN form
    #"re"
      => line 1, column 43: # and then '"' begins no EDN form
    (1]
      => line 1, column 45: ] stands where ) should close
    "#);
}

#[test]
fn bounds_the_nesting_depth() {
    for (open, close) in
        [("[", "]"), ("{1 ", "}"), ("#{", "}"), ("#a ", ""), ("#_ ", ""), ("(", ")")]
    {
        let deep = open.repeat(100_000) + "\n";
        let why = no_value(&deep);
        assert!(why.ends_with("forms nest more than 128 deep"), "{open}: {why}");
        let skipped = refused(&format!("{{:other {deep}"));
        assert!(skipped.ends_with("forms nest more than 128 deep"), "{open}: {skipped}");
        let fine = format!("{}1{}", open.repeat(100), close.repeat(100));
        assert!(open == "#_ " || !value(&fine).is_empty());
    }
}

#[test]
fn only_an_incomplete_last_line_is_tolerated() {
    let first = "{:type :invoke, :process 0, :f :read}\n";
    let second = "{:type :ok, :process 0, :f :read, :value {\"é\" [1 \\a 2.5]}}";
    for cut in 1..second.len() {
        let text = [first.as_bytes(), &second.as_bytes()[..cut]].concat();
        let parsed = parse(&text).unwrap_or_else(|damage| panic!("{cut}: {damage}"));
        assert_eq!(parsed.history.events().len(), 1);
        let torn = parsed.torn.expect("it was torn");
        assert_eq!((torn.line, torn.bytes), (2, cut));
        assert!(parse([&text, b"\n".as_slice()].concat()).is_err(), "{cut}");
    }
    assert_eq!(events(&format!("{first}{second}")).len(), 2);
    assert!(parse(format!("{first}{{:type :done, :process 0}}")).is_err());
    assert!(parse(format!("[{first}{{:type :ok,")).is_err());
}

#[test]
fn writes_edn_that_other_tools_read() {
    let event = |f: &str, value| Event {
        index: 3,
        time: 5,
        kind: Kind::Ok,
        process: Process::Client(2),
        f: f.into(),
        value,
        node: None,
        error: None,
    };
    let pair = |one: &str, other| Value::pair(one, other);
    let txn = Value::from(vec![Value::from(vec!["append".into(), 3.into(), "x".into()])]);
    let map = Value::map([("0".to_owned(), 1.into()), ("a b".to_owned(), Value::Nil)]);
    let lines = [
        event("read", pair("append", 1)),
        event("txn", txn),
        event("read", vec![vec!["r".into(), 3.into(), Value::Nil].into()].into()),
        Event { process: Process::Nemesis, kind: Kind::Info, ..event("cut links", map) },
        Event { error: Some("mismatch".into()), ..event("cas", "\"\\\n\u{1}".into()) },
        Event {
            node: Some("n1".into()),
            error: Some("2 words".into()),
            ..event("read", Value::Real(crate::history::Real(1e40)))
        },
    ]
    .map(|event| event_to_edn_line(&event));
    insta::assert_snapshot!(lines.join("\n"), @r#"
    {:index 3, :time 5, :type :ok, :process 2, :f :read, :value ["append" 1]}
    {:index 3, :time 5, :type :ok, :process 2, :f :txn, :value [[:append 3 "x"]]}
    {:index 3, :time 5, :type :ok, :process 2, :f :read, :value [[:r 3 nil]]}
    {:index 3, :time 5, :type :info, :process :nemesis, :f "cut links", :value {0 1, "a b" nil}}
    {:index 3, :time 5, :type :ok, :process 2, :f :cas, :value "\"\\\n\u0001", :error :mismatch}
    {:index 3, :time 5, :type :ok, :process 2, :f :read, :value 1e40, :node "n1", :error "2 words"}
    "#);
    let started = History::default().with_initial(vec![3.into(), Value::pair("x", 4)]);
    insta::assert_snapshot!(write(&started), @r#"#_{:initial [3 ["x" 4]]}"#);
    assert_eq!(parse(write(&started)).expect("it is EDN").history, started);
}
