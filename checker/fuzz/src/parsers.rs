//! Feeds arbitrary bytes to every parser. Each text is read or rejected with a position inside of
//! it, without a panic and within bounded memory. A history that was read can be written, read
//! again and checked.

use bolero::check;
use cap::Cap;
use checker::history::{Format, History, ParseError, edn, jsonl, notation};
use checker::{Limits, Validity, check_by_name};
use std::alloc::System;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A larger allocation ends the process, which is what a runaway parser deserves.
#[global_allocator]
static MEMORY: Cap<System> = Cap::new(System, 256 << 20);

/// Checks that an error has a reason and a position in the text.
fn assert_error_has_position(damage: &ParseError, text: &[u8]) {
    assert!(!damage.why.is_empty(), "{damage}");
    let lines = text.iter().filter(|byte| **byte == b'\n').count() + 1;
    assert!(damage.line >= 1 && damage.line <= lines + 1, "{damage}: of {lines} lines");
}

/// The history of a text, if it is one.
fn read(format: Format, text: &[u8]) -> Option<History> {
    match format.parse(text) {
        Ok(parsed) => Some(parsed.history),
        Err(damage) => {
            assert_error_has_position(&damage, text);
            None
        }
    }
}

/// Checks that a history survives both formats that can be written.
fn assert_round_trip(history: &History) {
    let again = jsonl::parse(jsonl::write(history)).expect("we read what we write");
    assert_eq!(again.history.events(), history.events());
    if history.initial().is_none() {
        let again = edn::parse(edn::write(history)).expect("we read what we write");
        assert_eq!(again.history.events(), history.events());
    }
}

/// Checks the history within a small budget; any answer will do.
fn assert_check_terminates(history: &History) {
    let asked = AtomicUsize::new(0);
    let expired = || asked.fetch_add(1, Ordering::Relaxed) > 1000;
    let limits = Limits { memory_bytes: 16 << 20, expired: &expired, ..Limits::default() };
    for model in ["register", "cas-register", "kv", "fifo-queue", "set", "bank", "list-append"] {
        let verdict = check_by_name(history, model, &limits);
        assert!(verdict.validity == Validity::Valid || !verdict.message.is_empty());
    }
}

fn assert_answered(format: Format, text: &[u8]) {
    if let Some(history) = read(format, text) {
        assert_round_trip(&history);
        assert_check_terminates(&history);
    }
}

/// Words to compose texts of a format from, so that random bytes get beyond the first token.
fn words(words: &[&str], picks: &[u8]) -> Vec<u8> {
    picks.iter().flat_map(|pick| words[usize::from(*pick) % words.len()].bytes()).collect()
}

#[test]
fn jsonl_never_panics() {
    check!().for_each(|bytes| assert_answered(Format::Jsonl, bytes));
}

#[test]
fn edn_never_panics() {
    check!().for_each(|bytes| assert_answered(Format::Edn, bytes));
}

#[test]
fn porcupine_logs_never_panic() {
    check!().for_each(|bytes| assert_answered(Format::Porcupine, bytes));
}

#[test]
fn sessions_never_panic() {
    check!().for_each(|bytes| assert_answered(Format::Sessions, bytes));
}

#[test]
fn any_detected_format_never_panics() {
    check!().for_each(|bytes| {
        if let Some(format) = Format::detect(bytes) {
            assert_answered(format, bytes);
        }
    });
}

#[test]
fn the_notation_never_panics() {
    check!().for_each(|bytes| {
        if let Ok(history) = notation::parse(&String::from_utf8_lossy(bytes)) {
            assert_round_trip(&history);
        }
    });
}

#[test]
fn jsonl_built_from_tokens_never_panics() {
    let parts = [
        "{\"type\":\"invoke\",\"process\":0,\"f\":\"write\",\"value\":1}\n",
        "{\"type\":\"ok\",\"process\":0,\"f\":\"write\",\"value\":1}\n",
        "{\"type\":\"invoke\",\"process\":1,\"f\":\"read\",\"value\":null}\n",
        "{\"type\":\"ok\",\"process\":1,\"f\":\"read\",\"value\":[1,[\"r\",2,null]]}\n",
        "{\"type\":\"info\",\"process\":\"nemesis\",\"f\":\"kill\"}\n",
        "{\"initial\":[3]}\n",
        "{",
        "}",
        "[",
        "]",
        "\"",
        "\\u",
        "1e999",
        "-9223372036854775809",
        ",",
        ":",
        "\r\n",
        "\n",
        "\u{feff}",
        "\"index\":18446744073709551615,",
        "\"time\":-1,",
        "é",
    ];
    check!().for_each(|picks| assert_answered(Format::Jsonl, &words(&parts, picks)));
}

#[test]
fn edn_built_from_tokens_never_panics() {
    let parts = [
        "{:type :invoke, :process 0, :f :cas, :value [1 2]}\n",
        "{:type :ok, :process 0, :f :cas, :value [1 2]}\n",
        "{:type :info, :process :nemesis, :f :start, :value nil}\n",
        "{:type :invoke :process 1 :f :txn :value [[:append 1 2] [:r 1 nil]]}\n",
        "#jepsen.history.Op",
        "#_",
        "#{",
        "{",
        "}",
        "[",
        "]",
        "(",
        ")",
        ":",
        "\\newline",
        "\\",
        "\"",
        ";",
        "\n",
        "1N",
        "2.5M",
        "nil",
        "#inst \"2026-11-24\"",
        "-0",
        "99999999999999999999",
        "é",
        ",",
        " ",
    ];
    check!().for_each(|picks| assert_answered(Format::Edn, &words(&parts, picks)));
}

#[test]
fn logs_and_sessions_built_from_tokens_never_panic() {
    let parts = [
        "INFO  jepsen.util - 0\t:invoke\t:write\t1\n",
        "INFO  jepsen.util - 0\t:ok\t:write\t1\n",
        "INFO  jepsen.util - 1\t:invoke\t:cas\t[1 2]\n",
        "INFO  jepsen.util - 1\t:info\t:cas\t:timed-out\n",
        "{:process 0, :type :invoke, :f :put, :key \"x\", :value \"y\"}\n",
        "[\"start\",",
        "[\"r\",1,2]",
        "r 1 0\n",
        "w 1 2\n",
        "-----\n",
        "=====\n",
        "r",
        "w",
        "abort\n",
        "0",
        "18446744073709551616",
        "-1",
        "\n",
        "\t",
        " ",
        "é",
    ];
    check!().for_each(|picks| {
        let text = words(&parts, picks);
        assert_answered(Format::Porcupine, &text);
        assert_answered(Format::Sessions, &text);
    });
}
