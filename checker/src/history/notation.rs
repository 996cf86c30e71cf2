//! Reads histories in a one-line notation, for tests and documentation.
//!
//! Steps are separated by `;` and happen in order. A *call* is `w1` (write), `r1` or `r` (read),
//! `a"x"` (append) or `cas[1 2]`, followed by `@key` if it is on a key. Then comes its completion:
//! `ok`, `fail`, `info` or `mismatch`.
//!
//! ```text
//! w1 ok; w9 info; cas[1 2] mismatch; r1 ok        one after the other
//! 0:w1; 1:r1 ok; 0:ok                             process 1 reads while process 0 writes
//! w1@x ok; r@y ok                                 two keys
//! ```
//!
//! `0:` names the process; without it the lowest idle process is used. A call without a completion
//! stays open until a later `0:ok`. Values are integers, `nil`, `true`, `false`, words and quoted
//! text. A read carries its result in the call; the completion returns it.

use super::event::{Event, Kind, MISMATCH, Process};
use super::pairing::History;
use super::value::Value;

/// Text that is not in the notation.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("step {step} ({text:?}): {why}")]
pub struct NotationError {
    /// Which step, from 1.
    pub step: usize,
    /// The text of the step.
    pub text: String,
    /// What is wrong.
    pub why: String,
}

/// Reads the notation.
pub fn parse(text: &str) -> Result<History, NotationError> {
    let mut script = Script::default();
    let steps: Vec<&str> = text.split(';').map(str::trim).collect();
    let mut origin = Vec::new();
    for (number, step) in steps.iter().enumerate().filter(|(_, step)| !step.is_empty()) {
        script.run_step(step).map_err(|why| notation_error(number, step, why))?;
        origin.resize(script.events.len(), number);
    }
    History::new(script.events).map_err(|malformed| {
        let number = origin[malformed.position];
        notation_error(number, steps[number], malformed.violation.to_string())
    })
}

fn notation_error(number: usize, step: &str, why: String) -> NotationError {
    NotationError { step: number + 1, text: step.to_owned(), why }
}

#[derive(Default)]
struct Script {
    events: Vec<Event>,
    clients: Vec<ScriptedClient>,
}

/// What a process is doing: nothing, a call with its future output, or nothing after an info.
#[derive(Clone, Default)]
enum ScriptedClient {
    #[default]
    Idle,
    Calling(ScriptedCall),
    Retired,
}

#[derive(Clone)]
struct ScriptedCall {
    f: &'static str,
    input: Value,
    output: Value,
}

impl Script {
    fn run_step(&mut self, step: &str) -> Result<(), String> {
        let (process, rest) = match step.split_once(':') {
            Some((number, rest)) if number.bytes().all(|byte| byte.is_ascii_digit()) => {
                (number.parse::<usize>().map_err(|error| error.to_string())?, rest.trim())
            }
            _ => (self.lowest_idle(), step),
        };
        if process > 1000 {
            return Err(format!("process {process} is too many"));
        }
        if process >= self.clients.len() {
            self.clients.resize(process + 1, ScriptedClient::Idle);
        }
        if let Some(end) = StepEnd::from_word(rest) {
            return self.complete(process, end);
        }
        let (call, end) = match rest.rsplit_once(' ') {
            Some((call, last)) if StepEnd::from_word(last).is_some() => {
                (call, StepEnd::from_word(last))
            }
            _ => (rest, None),
        };
        self.invoke(process, self::parse_call(call.trim())?);
        end.map_or(Ok(()), |end| self.complete(process, end))
    }

    fn lowest_idle(&self) -> usize {
        let idle = self.clients.iter().position(|client| matches!(client, ScriptedClient::Idle));
        idle.unwrap_or(self.clients.len())
    }

    fn invoke(&mut self, process: usize, call: ScriptedCall) {
        self.push_event(process, Kind::Invoke, &call, None);
        self.clients[process] = ScriptedClient::Calling(call);
    }

    fn complete(&mut self, process: usize, end: StepEnd) -> Result<(), String> {
        let next =
            if end.kind == Kind::Info { ScriptedClient::Retired } else { ScriptedClient::Idle };
        match std::mem::replace(&mut self.clients[process], next) {
            ScriptedClient::Calling(call) => {
                self.push_event(process, end.kind, &call, end.error);
                Ok(())
            }
            ScriptedClient::Idle | ScriptedClient::Retired => {
                Err(format!("process {process} has nothing open"))
            }
        }
    }

    fn push_event(
        &mut self,
        process: usize,
        kind: Kind,
        call: &ScriptedCall,
        error: Option<Value>,
    ) {
        let index = self.events.len() as u64;
        let value = if kind == Kind::Ok { call.output.clone() } else { call.input.clone() };
        self.events.push(Event {
            index,
            time: index * 1_000_000,
            kind,
            process: Process::Client(process as u64),
            f: call.f.into(),
            value,
            node: None,
            error,
        });
    }
}

struct StepEnd {
    kind: Kind,
    error: Option<Value>,
}

impl StepEnd {
    fn from_word(word: &str) -> Option<Self> {
        let (kind, error) = match word {
            "ok" => (Kind::Ok, None),
            "fail" => (Kind::Fail, None),
            "info" => (Kind::Info, None),
            MISMATCH => (Kind::Fail, Some(Value::from(MISMATCH))),
            _ => return None,
        };
        Some(Self { kind, error })
    }
}

fn parse_call(text: &str) -> Result<ScriptedCall, String> {
    let (text, key) = match text.rsplit_once('@') {
        Some((call, key)) => (call.trim(), Some(parse_value(key)?)),
        None => (text, None),
    };
    let (f, input, output) = parse_plain_call(text)?;
    let keyed = |value| match &key {
        Some(key) => Value::pair(key.clone(), value),
        None => value,
    };
    Ok(ScriptedCall { f, input: keyed(input), output: keyed(output) })
}

fn parse_plain_call(text: &str) -> Result<(&'static str, Value, Value), String> {
    if let Some(pair) = text.strip_prefix("cas") {
        let inner = pair.trim().strip_prefix('[').and_then(|pair| pair.strip_suffix(']'));
        let (old, new) = inner
            .and_then(|pair| pair.trim().split_once(' '))
            .ok_or_else(|| "cas wants [old new]".to_owned())?;
        let pair = Value::pair(parse_value(old.trim())?, parse_value(new.trim())?);
        return Ok(("cas", pair.clone(), pair));
    }
    if text == "r" {
        return Ok(("read", Value::Nil, Value::Nil));
    }
    if let Some(read) = text.strip_prefix('r') {
        return Ok(("read", Value::Nil, parse_value(read)?));
    }
    for (prefix, f) in [('w', "write"), ('a', "append")] {
        if let Some(argument) = text.strip_prefix(prefix) {
            let argument = parse_value(argument)?;
            return Ok((f, argument.clone(), argument));
        }
    }
    Err("not a call: want w, r, a or cas, or ok, fail, info or mismatch after a process".to_owned())
}

fn parse_value(text: &str) -> Result<Value, String> {
    match text.trim() {
        "" => Err("a value is missing".to_owned()),
        "nil" => Ok(Value::Nil),
        "true" => Ok(Value::Bool(true)),
        "false" => Ok(Value::Bool(false)),
        text => match text.strip_prefix('"') {
            Some(rest) => rest
                .strip_suffix('"')
                .map(Value::from)
                .ok_or_else(|| format!("{text} has no closing quote")),
            None => Ok(text.parse().map_or_else(|_| Value::from(text), Value::Int)),
        },
    }
}
