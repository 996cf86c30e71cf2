//! Finds errors in a file that describes a system before anything starts, with line and column.
//! Pure.
//!
//! A template without its essential parameter would run for the whole test and prove nothing: a
//! write without the value, or replicas that all listen on one port. So each template must name
//! what it needs, and may only name what exists.

use super::description::{
    ClientProgram, LeaderQuery, LogPatterns, ReadinessCheck, RequestTemplate, StopRequest,
    SystemDescription, VariantTemplate,
};
use crate::spelling::nearest_word;
use regex_lite::Regex;
use std::ops::Range;
use toml::Spanned;
use workloads::Object;

/// The parameters of replica commands, peers, client programs and requests.
pub(super) const REPLICA: &[&str] = &["data", "dir", "id", "ip", "peer_port", "peers", "port"];
pub(super) const PEER: &[&str] = &["id", "ip", "port"];
pub(super) const CLIENT: &[&str] = &["dir", "id", "ip", "port"];

/// The functions that a file can describe, with known and required parameters of their templates.
pub(super) const FUNCTIONS: [(&str, &[&str]); 3] =
    [("read", &["key"]), ("write", &["key", "value"]), ("cas", &["key", "old", "new"])];

/// The signals that can ask a replica to exit; others pause or kill it.
const SIGNALS: [&str; 6] = ["SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM", "SIGUSR1", "SIGUSR2"];

const METHODS: [&str; 5] = ["GET", "PUT", "POST", "DELETE", "PATCH"];

/// Every object that a client program can offer.
const OBJECTS: [Object; 8] = [
    Object::Bank,
    Object::Counters,
    Object::Ids,
    Object::Locks,
    Object::Queue,
    Object::Registers,
    Object::Set,
    Object::Transactions,
];

/// An error, and its place if it has one.
#[derive(Debug)]
pub(super) struct DescriptionError {
    pub(super) at: Option<Range<usize>>,
    pub(super) why: String,
}

impl DescriptionError {
    fn at_place<T>(place: &Spanned<T>, why: impl Into<String>) -> Self {
        Self { at: Some(place.span()), why: why.into() }
    }

    fn without_place(why: impl Into<String>) -> Self {
        Self { at: None, why: why.into() }
    }
}

/// The first error.
pub(super) fn check_description(described: &SystemDescription) -> Result<(), DescriptionError> {
    let name = described.name.get_ref();
    if name.is_empty() || !name.chars().all(|it| it.is_ascii_alphanumeric() || it == '-') {
        let why = format!("name {name:?} must consist of letters, digits and hyphens");
        return Err(DescriptionError::at_place(&described.name, why));
    }
    check_replica(described)?;
    check_variants(&described.variant)?;
    check_logs(&described.replica.logs)?;
    check_patterns(&described.logs)?;
    described.ready.as_ref().map_or(Ok(()), check_ready)?;
    described.stop.as_ref().map_or(Ok(()), check_stop)?;
    described.leader.as_ref().map_or(Ok(()), check_leader)?;
    match &described.client {
        Some(client) => check_client(client),
        None => check_requests(described),
    }
}

fn check_replica(described: &SystemDescription) -> Result<(), DescriptionError> {
    let replica = &described.replica;
    let Some(program) = replica.command.first() else {
        return Err(DescriptionError::without_place(
            "replica.command is empty: give the program and its arguments",
        ));
    };
    let words = || replica.command.iter().chain(replica.env.values());
    words().try_for_each(|word| check_parameters(word, REPLICA))?;
    replica.peer.as_ref().map_or(Ok(()), |peer| check_parameters(peer, PEER))?;
    if !words().any(|word| parameter_names(word.get_ref()).contains(&"port")) {
        return Err(DescriptionError::at_place(
            program,
            "neither replica.command nor replica.env uses {port}, the port to listen on for \
             clients",
        ));
    }
    Ok(())
}

/// Variants are chosen by name, so their names must differ, and each must change something.
fn check_variants(variants: &[VariantTemplate]) -> Result<(), DescriptionError> {
    let mut seen = Vec::new();
    for variant in variants {
        let name = variant.name.get_ref();
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
        if name.is_empty() || !name.chars().all(plain) || seen.contains(&name) {
            let why = format!(
                "variant {name:?} needs a name of letters, digits and hyphens that no other has"
            );
            return Err(DescriptionError::at_place(&variant.name, why));
        }
        if variant.args.is_empty() && variant.env.is_empty() {
            let why = format!("variant {name:?} changes nothing: give it args or env");
            return Err(DescriptionError::at_place(&variant.name, why));
        }
        let mut words = variant.args.iter().chain(variant.env.values());
        words.try_for_each(|word| check_parameters(word, REPLICA))?;
        seen.push(name);
    }
    Ok(())
}

fn check_patterns(logs: &LogPatterns) -> Result<(), DescriptionError> {
    logs.convict.iter().chain(&logs.allow).try_for_each(|pattern| {
        Regex::new(pattern.get_ref()).map(drop).map_err(|error| {
            let why = format!("{:?} is no regular expression: {error}", pattern.get_ref());
            DescriptionError::at_place(pattern, why)
        })
    })
}

/// Logs are kept as `n1-NAME`, so their names must differ.
fn check_logs(logs: &[Spanned<String>]) -> Result<(), DescriptionError> {
    let mut seen = Vec::new();
    for log in logs {
        check_parameters(log, REPLICA)?;
        let text = log.get_ref();
        if !parameter_names(text).iter().any(|name| ["data", "id"].contains(name)) {
            let why = format!(
                "the log {text:?} uses neither {{data}} nor {{id}}: all replicas would share a file"
            );
            return Err(DescriptionError::at_place(log, why));
        }
        let name = text.rsplit('/').next().unwrap_or_default();
        if name.is_empty() || seen.contains(&name) {
            let why = format!("the log {text:?} must end in a file name that no other log has");
            return Err(DescriptionError::at_place(log, why));
        }
        seen.push(name);
    }
    Ok(())
}

fn check_ready(ready: &ReadinessCheck) -> Result<(), DescriptionError> {
    if !ready.get.get_ref().starts_with('/') {
        return Err(DescriptionError::at_place(
            &ready.get,
            "ready.get must be a path, as in \"/health\"",
        ));
    }
    check_parameters(&ready.get, &[])?;
    if ready.ok.is_empty() {
        let why = "ready.ok is empty: give the HTTP status of a ready replica, as in ok = [200]";
        return Err(DescriptionError::at_place(&ready.get, why));
    }
    Ok(())
}

fn check_stop(stop: &StopRequest) -> Result<(), DescriptionError> {
    let signal = stop.signal.get_ref().as_str();
    if SIGNALS.contains(&signal) {
        return Ok(());
    }
    let guess = nearest_word(signal, &SIGNALS).map(|it| format!("did you mean {it}? "));
    let why = format!(
        "unsupported signal {signal:?}; {}supported: {}",
        guess.unwrap_or_default(),
        SIGNALS.join(", ")
    );
    Err(DescriptionError::at_place(&stop.signal, why))
}

fn check_leader(leader: &LeaderQuery) -> Result<(), DescriptionError> {
    if !leader.get.get_ref().starts_with('/') {
        return Err(DescriptionError::at_place(
            &leader.get,
            "leader.get must be a path, as in \"/status\"",
        ));
    }
    check_parameters(&leader.get, &[])?;
    check_pointer(&leader.role)?;
    leader.term.as_ref().map_or(Ok(()), check_pointer)
}

fn check_client(client: &ClientProgram) -> Result<(), DescriptionError> {
    if client.command.is_empty() {
        return Err(DescriptionError::without_place(
            "client.command is empty: give the program and its arguments",
        ));
    }
    client.command.iter().try_for_each(|word| check_parameters(word, CLIENT))?;
    if client.objects.is_empty() {
        return Err(DescriptionError::without_place(format!(
            "client.objects is empty; known: {}",
            object_names()
        )));
    }
    client.objects.iter().try_for_each(|name| {
        let none = || format!("unknown object {:?}; known: {}", name.get_ref(), object_names());
        find_object(name.get_ref())
            .map(drop)
            .ok_or_else(|| DescriptionError::at_place(name, none()))
    })
}

fn object_names() -> String {
    OBJECTS.map(Object::name).join(", ")
}

/// The object of that name.
pub(super) fn find_object(name: &str) -> Option<Object> {
    OBJECTS.into_iter().find(|object| object.name() == name)
}

fn check_requests(described: &SystemDescription) -> Result<(), DescriptionError> {
    for (name, needed) in FUNCTIONS {
        match described.find_request(name) {
            Some(asked) => check_request(name, needed, asked)?,
            None if name == "cas" => {}
            None => {
                return Err(DescriptionError::without_place(format!(
                    "[{name}] is missing: without a [client] program, [read] and [write] are needed"
                )));
            }
        }
    }
    Ok(())
}

fn check_request(
    name: &str,
    needed: &[&str],
    asked: &RequestTemplate,
) -> Result<(), DescriptionError> {
    let wrong = |why: String| Err(DescriptionError::at_place(&asked.request, why));
    match asked.request.get_ref().split_once(' ') {
        Some((method, path)) if METHODS.contains(&method) && path.starts_with('/') => {}
        _ => {
            let all = METHODS.join(", ");
            let text = asked.request.get_ref();
            return wrong(format!(
                "{name}.request {text:?} must be a method ({all}) and path: \"GET /kv/{{key}}\""
            ));
        }
    }
    check_parameters(&asked.request, needed)?;
    let said = |what: &&&str| {
        let texts = [Some(&asked.request), asked.body.as_ref()];
        texts.into_iter().flatten().any(|text| parameter_names(text.get_ref()).contains(what))
    };
    if let Some(what) = needed.iter().find(|what| !said(what)) {
        return wrong(format!("neither {name}.request nor {name}.body uses {{{what}}}"));
    }
    if asked.ok.is_empty() {
        return wrong(format!(
            "{name}.ok is missing: give the HTTP status of a success, as in ok = [200]"
        ));
    }
    if name != "cas" && !asked.mismatch.is_empty() {
        return wrong(format!(
            "{name}.mismatch: a {name} does not compare; only [cas] has mismatch"
        ));
    }
    if name != "read" && !asked.absent.is_empty() {
        return wrong(format!(
            "{name}.absent: only a read finds nothing; a {name} of a missing key is a {}",
            if name == "cas" { "mismatch" } else { "fail" }
        ));
    }
    asked.value.as_ref().map_or(Ok(()), check_pointer)
}

fn check_pointer(text: &Spanned<String>) -> Result<(), DescriptionError> {
    if text.get_ref().starts_with('/') {
        return Ok(());
    }
    let why = format!(
        "{:?} must be a JSON pointer: \"/value\" is the field value, \
         \"/a/0\" the first element of a",
        text.get_ref()
    );
    Err(DescriptionError::at_place(text, why))
}

/// Checks that a template uses only known parameters.
fn check_parameters(template: &Spanned<String>, known: &[&str]) -> Result<(), DescriptionError> {
    let unknown =
        parameter_names(template.get_ref()).into_iter().find(|name| !known.contains(name));
    unknown.map_or(Ok(()), |name| {
        let all: Vec<String> = known.iter().map(|name| format!("{{{name}}}")).collect();
        if all.is_empty() {
            return Err(DescriptionError::at_place(
                template,
                format!("this text is no template, so {{{name}}} would stay as it is"),
            ));
        }
        let guess = nearest_word(name, known).map(|it| format!("did you mean {{{it}}}? "));
        let why = format!("unknown parameter {{{name}}}; {}known: ", guess.unwrap_or_default());
        Err(DescriptionError::at_place(template, why + &all.join(", ")))
    })
}

/// The names in braces; other braces stay, because bodies are often JSON.
fn parameter_names(template: &str) -> Vec<&str> {
    let inner = template.split('{').skip(1).filter_map(|rest| rest.split_once('}'));
    let word = |name: &&str| {
        !name.is_empty() && name.chars().all(|it| it.is_ascii_alphabetic() || it == '_')
    };
    inner.map(|(name, _)| name).filter(word).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_words_in_braces_are_names() {
        assert_eq!(
            parameter_names(r#"{"{key}": {value}, "x": {}, "y": {"z": 1}}"#),
            ["key", "value"]
        );
        assert_eq!(parameter_names("--peers={peers}:{peer_port}"), ["peers", "peer_port"]);
    }
}
