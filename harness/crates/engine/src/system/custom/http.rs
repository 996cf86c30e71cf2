//! Calls a described system over HTTP.

use super::super::client::{Client, Leadership};
use super::super::errors;
use super::super::http::build_http_client;
use super::super::values::parse_int;
use super::description::{LeaderQuery, RequestTemplate, SystemDescription};
use super::file::fill_template;
use super::ready::ReadinessProbe;
use anyhow::{Context as _, Result};
use checker::history::Value as HistoryValue;
use futures_util::future::BoxFuture;
use reqwest::Method;
use serde_json::Value;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use testbed::net::plan::HostId;
use workloads::{Call, Object, Reply};

const CALL_TIMEOUT: Duration = Duration::from_millis(1_000);
/// How much of an undescribed response an error quotes.
const MAX_QUOTED_CHARS: usize = 80;
const LEADER_TIMEOUT: Duration = Duration::from_millis(200);

/// A client of the replica on that host.
pub(super) fn make_client(
    described: &'static SystemDescription,
    (host, address): (HostId, SocketAddr),
    patience: Option<Duration>,
) -> Result<Arc<dyn Client>> {
    let http = build_http_client(patience.unwrap_or(CALL_TIMEOUT))
        .context("cannot build the HTTP client")?;
    let probe =
        described.ready.as_ref().map(|ready| ReadinessProbe::new(ready, address)).transpose()?;
    Ok(Arc::new(TemplateClient { http, probe, base: format!("http://{address}"), host, described }))
}

struct TemplateClient {
    http: reqwest::Client,
    probe: Option<ReadinessProbe>,
    base: String,
    host: HostId,
    described: &'static SystemDescription,
}

impl Client for TemplateClient {
    fn call<'a>(&'a self, call: &'a Call) -> BoxFuture<'a, Reply> {
        Box::pin(async move {
            let Some(request) = self.described.find_request(call.function_name()) else {
                return Reply::fail(format!("the file describes no {}", call.function_name()));
            };
            let values = call_parameters(call);
            let (method, path) = request.request.get_ref().split_once(' ').unwrap_or(("GET", "/"));
            let method = Method::from_bytes(method.as_bytes()).unwrap_or(Method::GET);
            let mut sent =
                self.http.request(method, format!("{}{}", self.base, fill_template(path, &values)));
            if let Some(body) = &request.body {
                let kind = reqwest::header::CONTENT_TYPE;
                sent = sent
                    .header(kind, "application/json")
                    .body(fill_template(body.get_ref(), &values));
            }
            let response = match sent.send().await {
                Ok(response) => response,
                Err(error) => return errors::classify_error(&error),
            };
            let status = response.status().as_u16();
            match response.text().await {
                Ok(text) => decode_response(call, request, status, &text),
                Err(error) => errors::classify_error(&error),
            }
        })
    }

    fn check_ready(&self) -> BoxFuture<'_, Reply> {
        Box::pin(async {
            if let Some(probe) = &self.probe
                && let Some(why) = probe.explain_unready().await
            {
                return why;
            }
            let calls = super::first_calls::readiness_calls(&[Object::Registers]).into_iter();
            for call in
                calls.filter(|call| self.described.find_request(call.function_name()).is_some())
            {
                if let Some(why) =
                    super::first_calls::explain_unready(&call, &self.call(&call).await)
                {
                    return why;
                }
            }
            Reply::ok()
        })
    }

    fn fetch_leadership(&self) -> BoxFuture<'_, Option<Leadership>> {
        Box::pin(async move {
            let leader = self.described.leader.as_ref()?;
            let asked = self
                .http
                .get(format!("{}{}", self.base, leader.get.get_ref()))
                .timeout(LEADER_TIMEOUT);
            parse_leadership(leader, self.host, &asked.send().await.ok()?.json().await.ok()?)
        })
    }
}

fn parse_leadership(leader: &LeaderQuery, host: HostId, told: &Value) -> Option<Leadership> {
    let term =
        leader.term.as_ref().map_or(Some(0), |term| told.pointer(term.get_ref())?.as_u64())?;
    (told.pointer(leader.role.get_ref())? == &leader.is)
        .then_some(Leadership { leader: host, term })
}

/// The parameters of a call's templates.
fn call_parameters(call: &Call) -> Vec<(&'static str, String)> {
    match call {
        Call::Read { key } => vec![("key", key.clone())],
        Call::Write { key, value } => vec![("key", key.clone()), ("value", value.to_string())],
        Call::Cas { key, old, new } => {
            vec![("key", key.clone()), ("old", old.to_string()), ("new", new.to_string())]
        }
        _ => Vec::new(),
    }
}

/// Decodes a response. Without a matching rule the outcome of the call is unknown.
fn decode_response(call: &Call, request: &RequestTemplate, status: u16, text: &str) -> Reply {
    let any = |rules: &[super::description::ResponseRule]| {
        rules.iter().any(|rule| rule.matches_response(status, text))
    };
    if any(&request.mismatch) {
        return Reply::mismatch();
    }
    if any(&request.fail) {
        return Reply::fail(format!("HTTP {status}"));
    }
    let reads = matches!(call, Call::Read { .. });
    if reads && any(&request.absent) {
        return Reply::read(None);
    }
    if !any(&request.ok) {
        let start: String = text.trim().chars().take(MAX_QUOTED_CHARS).collect();
        return Reply::info(format!("HTTP {status}, which the file does not describe: {start:?}"));
    }
    if !reads {
        return Reply::ok();
    }
    match decode_value(request, text) {
        Some(value) => Reply::returned(value),
        None => {
            let start: String = text.trim().chars().take(MAX_QUOTED_CHARS).collect();
            Reply::info(format!("the response has no value where the file says: {start:?}"))
        }
    }
}

fn decode_value(request: &RequestTemplate, text: &str) -> Option<HistoryValue> {
    let word = |text: &str| parse_int(text.trim());
    let Some(pointer) = &request.value else { return Some(word(text)) };
    match serde_json::from_str::<Value>(text).ok()?.pointer(pointer.get_ref())? {
        Value::Null => Some(HistoryValue::Nil),
        Value::String(text) => Some(word(text)),
        other => serde_json::from_value(other.clone()).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use workloads::Outcome;

    #[test]
    fn answers_mean_what_the_file_says_and_nothing_else() {
        let text = super::super::STARTER.replace("# fail = [503]", "fail = [503]");
        let described: SystemDescription = toml::from_str(&text).expect("it parses");
        let said = |call: &Call, status, text: &str| {
            let request = described.find_request(call.function_name()).expect("it is described");
            decode_response(call, request, status, text)
        };
        let key = || "k1".to_owned();
        let read = Call::Read { key: key() };
        assert_eq!(said(&read, 200, r#"{"value": 5}"#), Reply::read(Some(5)));
        assert_eq!(said(&read, 200, r#"{"value": "5"}"#), Reply::read(Some(5)));
        let mangled = said(&read, 200, r#"{"value": "+5"}"#);
        assert_eq!(mangled, Reply::returned(HistoryValue::from("+5")), "no client wrote that");
        assert_eq!(said(&read, 200, r#"{"value": null}"#), Reply::read(None));
        assert_eq!(said(&read, 200, "oops").outcome, Outcome::Info);
        assert_eq!(said(&read, 404, ""), Reply::read(None));
        assert_eq!(said(&read, 500, "").outcome, Outcome::Info);
        let cas = Call::Cas { key: key(), old: 1, new: 2 };
        assert_eq!(said(&cas, 200, ""), Reply::ok());
        assert_eq!(said(&cas, 409, ""), Reply::mismatch());
        assert_eq!(said(&cas, 404, "").outcome, Outcome::Info);
        assert_eq!(said(&Call::Write { key: key(), value: 1 }, 503, "").outcome, Outcome::Fail);
    }
}
