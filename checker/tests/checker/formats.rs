//! Feeds arbitrary bytes to the readers of histories: every input gets an answer, and written
//! histories read back equal. EDN forms are compared with another reader.

use checker::History;
use checker::history::{Event, Format, Kind, ParseError, Parsed, Process, Real, Value, edn, jsonl};
use clojure_reader::edn::{Edn, read_string};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

const FORMATS: [Format; 3] = [Format::Jsonl, Format::Edn, Format::Porcupine];

/// Real numbers that JSON keeps to the last bit.
fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Nil),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<i16>().prop_map(|number| Value::Real(Real(f64::from(number) / 8.0))),
        any::<String>().prop_map(Value::from),
        "[a-z:/-]{0,4}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        let entry = ("[a-z0-9 -]{0,3}", inner.clone());
        prop_oneof![vec(inner, 0..4).prop_map(Value::from), vec(entry, 0..4).prop_map(Value::map),]
    })
}

/// The next step of a process.
#[derive(Clone, Debug)]
struct Step {
    process: usize,
    kind: Kind,
    f: String,
    value: Value,
    error: Option<Value>,
    node: Option<String>,
    gap: u8,
}

fn step() -> impl Strategy<Value = Step> {
    let kind = prop_oneof![4 => Just(Kind::Ok), 1 => Just(Kind::Fail), 1 => Just(Kind::Info)];
    let f = prop_oneof![Just("txn".to_owned()), Just("cas".to_owned()), any::<String>()];
    let error = proptest::option::of(value().prop_filter("no error", |it| *it != Value::Nil));
    let node = proptest::option::of(any::<String>());
    (0..4_usize, kind, f, value(), error, node, any::<u8>()).prop_map(
        |(process, kind, f, value, error, node, gap)| Step {
            process,
            kind,
            f,
            value,
            error,
            node,
            gap,
        },
    )
}

/// Process 3 is the nemesis; a client that ended in `info` continues under a new number.
fn history() -> impl Strategy<Value = History> {
    (vec(step(), 0..24), vec(value(), 0..3)).prop_map(|(steps, initial)| {
        let mut clients = [(0, None), (1, None), (2, None)];
        let mut index = 0;
        let events = steps.into_iter().map(|step| {
            index += 1 + u64::from(step.gap / 32);
            let (process, kind, f) = match clients.get_mut(step.process) {
                None => (Process::Nemesis, Kind::Info, step.f),
                Some((number, open)) => next(number, open, step.kind, step.f),
            };
            let Step { value, node, error, gap, .. } = step;
            let (f, node) = (f.into(), node.map(Into::into));
            Event { index, time: u64::from(gap), kind, process, f, value, node, error }
        });
        History::new(events.collect()).expect("clients behave").with_initial(initial)
    })
}

fn next(
    number: &mut u64,
    open: &mut Option<String>,
    kind: Kind,
    f: String,
) -> (Process, Kind, String) {
    let process = Process::Client(*number);
    let Some(invoked) = open.take() else {
        *open = Some(f.clone());
        return (process, Kind::Invoke, f);
    };
    *number += if kind == Kind::Info { 3 } else { 0 };
    (process, kind, invoked)
}

/// A change to a text.
#[derive(Clone, Debug)]
enum Change {
    Delete(Index, u8),
    Insert(Index, Vec<u8>),
    Repeat(Index, u8, u8),
    Cut(Index),
}

fn change() -> impl Strategy<Value = Change> {
    let piece = prop_oneof![
        vec(any::<u8>(), 1..4),
        r#"[\[\](){}"\\#_:;,'^0-9aN./ \n-]{1,6}"#.prop_map(String::into_bytes),
    ];
    prop_oneof![
        (any::<Index>(), 1..9_u8).prop_map(|(at, length)| Change::Delete(at, length)),
        (any::<Index>(), piece).prop_map(|(at, bytes)| Change::Insert(at, bytes)),
        (any::<Index>(), 1..9_u8, any::<u8>()).prop_map(|(at, len, n)| Change::Repeat(at, len, n)),
        any::<Index>().prop_map(Change::Cut),
    ]
}

fn changed(mut text: Vec<u8>, changes: &[Change]) -> Vec<u8> {
    for change in changes {
        let at = |index: &Index| index.index(text.len() + 1);
        match change {
            Change::Delete(index, length) => {
                let at = at(index);
                text.drain(at..text.len().min(at + usize::from(*length)));
            }
            Change::Insert(index, bytes) => {
                let at = at(index);
                text.splice(at..at, bytes.iter().copied());
            }
            Change::Repeat(index, length, times) => {
                let at = at(index);
                let piece = text[at..text.len().min(at + usize::from(*length))].to_vec();
                text.splice(at..at, piece.repeat(usize::from(*times)));
            }
            Change::Cut(index) => text.truncate(at(index)),
        }
    }
    text
}

/// Checks that a reader answers, and that errors have a position in the text.
fn answers(text: &[u8]) -> Result<(), TestCaseError> {
    for format in FORMATS.into_iter().chain(Format::detect(text)) {
        let Err(ParseError { line, column, why }) = format.parse(text) else { continue };
        let lines: Vec<&[u8]> = text.split(|byte| *byte == b'\n').collect();
        prop_assert!(line >= 1 && column >= 1 && !why.is_empty());
        prop_assert!(line <= lines.len(), "{format:?} line {line}: {why}");
        prop_assert!(column <= lines[line - 1].len() + 2, "{format:?} {line}:{column}: {why}");
    }
    Ok(())
}

fn events(parsed: &Parsed) -> &[Event] {
    parsed.history.events()
}

/// EDN forms as text, with everything that may stand between them.
fn form() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("nil".to_owned()),
        any::<bool>().prop_map(|truth| truth.to_string()),
        any::<i64>().prop_map(|number| number.to_string()),
        (any::<i16>(), 0..99_u8).prop_map(|(whole, part)| format!("{whole}.{part}")),
        (any::<i8>(), -9..9_i8).prop_map(|(whole, power)| format!("{whole}e{power}")),
        "[:]?[a-z][a-z*!?.-]{0,5}(/[a-z]{1,3})?",
        r#""([a-zé;,\[ ]|\\n|\\t|\\"|\\\\){0,6}""#,
        r"\\([a-z(\[]|newline|space|tab|return)",
    ];
    leaf.prop_recursive(4, 32, 5, |inner| {
        let gap = prop_oneof![
            4 => Just(" "),
            1 => Just(", "),
            1 => Just(" ; a ) comment\n"),
            1 => Just("\n#_[1 #_2] "),
        ];
        let items = (vec(inner.clone(), 0..5), gap);
        let entries = vec((any::<u8>(), inner.clone()), 0..4);
        prop_oneof![
            items.clone().prop_map(|(items, gap)| format!("[{}]", items.join(gap))),
            items.prop_map(|(items, gap)| format!("({gap}{})", items.join(gap))),
            vec(any::<u8>(), 0..4).prop_map(|items| format!("#{{{}}}", words(&items))),
            entries.prop_map(|entries| {
                let entries = entries.iter().map(|(key, value)| format!("{key} {value}"));
                format!("{{{}}}", entries.collect::<Vec<_>>().join(", "))
            }),
            inner.prop_map(|inner| format!("#my/tag {inner}")),
        ]
    })
}

fn words(items: &[u8]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

/// The value that this crate reads from a form.
fn ours(form: &str) -> Result<Value, ParseError> {
    let op = format!("{{:type :invoke :process 0 :f :read :value {form}\n}}\n");
    edn::parse(op).map(|parsed| events(&parsed)[0].value.clone())
}

/// The value that the other reader gets.
fn theirs(form: &Edn<'_>) -> Value {
    match form {
        Edn::Vector(items) | Edn::List(items) => Value::List(items.iter().map(theirs).collect()),
        Edn::Set(items) => {
            let mut items: Vec<Value> = items.iter().map(theirs).collect();
            items.sort();
            Value::from(items)
        }
        Edn::Map(entries) => Value::map(entries.iter().map(|(key, value)| match theirs(key) {
            Value::Str(key) => (key.to_string(), theirs(value)),
            key => (key.to_string(), theirs(value)),
        })),
        Edn::Key(text) | Edn::Symbol(text) | Edn::Str(text) => Value::from(text.as_ref()),
        Edn::Int(number) => Value::Int(*number),
        Edn::Double(number) => Value::Real(Real(number.0)),
        Edn::Rational((upper, lower)) => Value::from(format!("{upper}/{lower}")),
        Edn::Char(char) => Value::from(char.to_string()),
        Edn::Bool(truth) => Value::Bool(*truth),
        Edn::Tagged(_, inner) => theirs(inner),
        _ => Value::Nil,
    }
}

/// Tokens of EDN in any order.
const EDN_TOKENS: &str = concat!(
    r##"(\{:type :ok|\{"|\[|#_|#\{|#|:f|:process|-?[0-9]{1,20}"##,
    r##"|[\](){}"\\;,^ \nNM/.e]|nil|é){0,60}"##
);

proptest! {
    #[test]
    fn any_bytes_get_an_answer(text in vec(any::<u8>(), 0..200)) {
        answers(&text)?;
    }

    #[test]
    fn any_edn_like_text_gets_an_answer(text in EDN_TOKENS) {
        answers(text.as_bytes())?;
    }

    #[test]
    fn changed_histories_get_an_answer(history in history(), changes in vec(change(), 1..5)) {
        for text in [edn::write(&history), jsonl::write(&history)] {
            answers(&changed(text.into_bytes(), &changes))?;
        }
    }

    #[test]
    fn written_histories_read_back_equal(history in history()) {
        let whole = Ok(Parsed { history: history.clone(), torn: None });
        prop_assert_eq!(edn::parse(edn::write(&history)), whole.clone());
        prop_assert_eq!(jsonl::parse(jsonl::write(&history)), whole);
    }

    #[test]
    fn a_crash_of_the_writer_loses_one_line(history in history(), at in any::<Index>()) {
        let history = history.with_initial(Vec::new());
        for text in [edn::write(&history), jsonl::write(&history)] {
            let cut = at.index(text.len() + 1);
            let whole = text.as_bytes()[..cut].iter().filter(|byte| **byte == b'\n').count();
            let ends = text[..].as_bytes()[..cut].last().is_none_or(|byte| *byte == b'\n')
                || text.as_bytes()[cut..].first() == Some(&b'\n');
            let format = Format::detect(text.as_bytes()).expect("a format");
            let parsed = format.parse(&text.as_bytes()[..cut]);
            let parsed = parsed.expect("a cut is no damage");
            prop_assert_eq!(parsed.torn.is_none(), ends);
            let kept = events(&parsed).len();
            prop_assert!(kept == whole || (ends && kept == whole + 1));
            prop_assert_eq!(events(&parsed), &history.events()[..kept]);
        }
    }

    #[test]
    fn edn_forms_agree_with_another_reader(form in form()) {
        match (ours(&form), read_string(&form)) {
            (Ok(ours), Ok(other)) => prop_assert_eq!(ours, theirs(&other)),
            (Err(damage), _) => prop_assert!(damage.why.contains("twice"), "{damage}"),
            (Ok(_), Err(error)) => prop_assert!(false, "only ours reads it: {error}"),
        }
    }

    #[test]
    fn changed_edn_forms_agree_or_are_rejected_by_one_reader(
        form in form(),
        changes in vec(change(), 1..4),
    ) {
        let form = String::from_utf8_lossy(&changed(form.into_bytes(), &changes)).into_owned();
        if let (Ok(ours), Ok(other)) = (ours(&form), read_string(&form)) {
            prop_assert_eq!(ours, theirs(&other), "{}", form);
        }
    }
}
