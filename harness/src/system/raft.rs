//! Speaks to the key-value store that comes with this tool, over its public HTTP interface and nothing else.

use super::{Client, Launch, Leadership, Program, System, errors};
use crate::net::plan::HostId;
use anyhow::{Context as _, Result, bail};
use futures_util::future::BoxFuture;
use reqwest::{RequestBuilder, StatusCode};
use serde_json::{Value, json};
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use workloads::{Call, Reply};

/// How long a client waits for an answer.
const CLIENT_PATIENCE: Duration = Duration::from_millis(1_000);
/// How long the server may try: less, so that it can still say what it knows.
const SERVER_PATIENCE_MS: u32 = 800;
/// How long a question about leadership may take.
const STATUS_PATIENCE: Duration = Duration::from_millis(200);

/// The built-in Raft-replicated key-value store.
pub(crate) struct RaftKv;

impl System for RaftKv {
    fn name(&self) -> &'static str {
        "raft"
    }

    fn doc(&self) -> &'static str {
        "the Raft-replicated key-value store in this binary (`harness node`), or another build of it (--bin)"
    }

    fn functions(&self) -> &'static [&'static str] {
        &["cas", "read", "write"]
    }

    fn bugs(&self, bin: Option<&PathBuf>) -> Result<Vec<(String, String)>> {
        let Program { path, mut args } = replica(bin);
        args.push("--list-unsafe".into());
        let output = std::process::Command::new(&path).args(&args).output();
        let output = output.with_context(|| format!("{} cannot be executed", path.display()))?;
        if !output.status.success() {
            bail!(
                "{} does not know --list-unsafe: it is not a replica of this store",
                path.display()
            );
        }
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let pair =
            |line: &str| line.split_once('\t').map(|(name, doc)| (name.to_owned(), doc.to_owned()));
        Ok(text.lines().filter_map(pair).collect())
    }

    fn program(&self, launch: &Launch) -> Program {
        let Program { path, mut args } = replica(launch.bin.as_ref());
        let peers: Vec<String> =
            launch.peers.iter().map(|(host, address)| format!("{host}={address}")).collect();
        let mut flag = |name: &str, value: OsString| args.extend([name.into(), value]);
        flag("--id", launch.host.to_string().into());
        flag("--data", launch.data.clone().into());
        flag("--peers", peers.join(",").into());
        flag("--listen-client", launch.listen_client.to_string().into());
        flag("--listen-peer", launch.listen_peer.to_string().into());
        flag("--seed", launch.seed.to_string().into());
        if !launch.bugs.is_empty() {
            flag("--unsafe", launch.bugs.join(",").into());
        }
        Program { path, args }
    }

    fn client(&self, address: SocketAddr) -> Result<Arc<dyn Client>> {
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .timeout(CLIENT_PATIENCE)
            .tcp_nodelay(true)
            .build()
            .context("the HTTP client cannot be built")?;
        Ok(Arc::new(HttpClient { http, base: format!("http://{address}") }))
    }
}

/// A replica is this very binary, unless another one was named.
fn replica(bin: Option<&PathBuf>) -> Program {
    match bin {
        Some(path) => Program { path: path.clone(), args: Vec::new() },
        None => {
            // The file that runs, whatever stands under its name by now: a rebuild must not change the system under test.
            Program { path: "/proc/self/exe".into(), args: vec!["node".into()] }
        }
    }
}

struct HttpClient {
    http: reqwest::Client,
    base: String,
}

impl HttpClient {
    fn request(&self, call: &Call) -> RequestBuilder {
        let cas = if matches!(call, Call::Cas { .. }) { "/cas" } else { "" };
        // Keys are the workload's own names and need no escaping.
        let address =
            format!("{}/kv/{}{cas}?timeout_ms={SERVER_PATIENCE_MS}", self.base, call.key());
        match call {
            Call::Read { .. } => self.http.get(address),
            Call::Write { value, .. } => {
                self.http.put(address).json(&json!({ "value": value.to_string() }))
            }
            Call::Cas { old, new, .. } => self
                .http
                .post(address)
                .json(&json!({ "old": old.to_string(), "new": new.to_string() })),
        }
    }
}

impl Client for HttpClient {
    fn call<'a>(&'a self, call: &'a Call) -> BoxFuture<'a, Reply> {
        Box::pin(async move {
            let response = match self.request(call).send().await {
                Ok(response) => response,
                Err(error) => return errors::reply(&error),
            };
            let status = response.status();
            match response.bytes().await {
                Ok(body) => reply(call, status, &body),
                Err(error) => errors::reply(&error),
            }
        })
    }

    fn leadership(&self) -> BoxFuture<'_, Option<Leadership>> {
        Box::pin(async move {
            let asked =
                self.http.get(format!("{}/status", self.base)).timeout(STATUS_PATIENCE).send();
            let status: Value = asked.await.ok()?.json().await.ok()?;
            let leader = status.get("leader")?.as_str()?.strip_prefix('n')?.parse::<u8>().ok()?;
            Some(Leadership {
                leader: HostId(leader.checked_sub(1)?),
                term: status.get("term")?.as_u64()?,
            })
        })
    }
}

/// What an answer says. One that is not in the store's own words says nothing, so nobody knows.
fn reply(call: &Call, status: StatusCode, body: &[u8]) -> Reply {
    let Ok(body) = serde_json::from_slice::<Value>(body) else {
        return Reply::info(format!("HTTP {status} without a readable answer"));
    };
    if status == StatusCode::OK {
        return done(call, &body);
    }
    let error = body.get("error").and_then(Value::as_str).unwrap_or("error");
    let definite = body.get("definite") == Some(&Value::Bool(true));
    match (call, error) {
        (Call::Read { .. }, "not-found") => Reply::read(None),
        (Call::Cas { .. }, "mismatch") => Reply::mismatch(),
        // Nobody compared anything: this is the answer to some other call, and says nothing of this one.
        (_, "mismatch" | "not-found") => {
            Reply::info(format!("a {} was answered {error}", call.function()))
        }
        _ if definite => Reply::fail(error),
        _ => Reply::info(error),
    }
}

fn done(call: &Call, body: &Value) -> Reply {
    if !matches!(call, Call::Read { .. }) {
        return Reply::ok();
    }
    match body.get("value").and_then(Value::as_str) {
        Some(text) => {
            text.parse().map_or_else(|_| Reply::read_text(text), |value| Reply::read(Some(value)))
        }
        None => Reply::info("the answer carries no value"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(call: &Call, status: u16, body: &str) -> Reply {
        reply(call, StatusCode::from_u16(status).expect("a status"), body.as_bytes())
    }

    #[test]
    fn answers_mean_what_they_say() {
        let read = Call::Read { key: "x".to_owned() };
        let write = Call::Write { key: "x".to_owned(), value: 1 };
        let cas = Call::Cas { key: "x".to_owned(), old: 1, new: 2 };
        assert_eq!(told(&read, 200, r#"{"value":"7"}"#), Reply::read(Some(7)));
        assert_eq!(told(&read, 200, r#"{"value":"junk"}"#), Reply::read_text("junk"));
        assert_eq!(told(&read, 404, r#"{"error":"not-found","definite":true}"#), Reply::read(None));
        assert_eq!(told(&write, 200, r#"{"index":4}"#), Reply::ok());
        assert_eq!(told(&cas, 409, r#"{"error":"mismatch","definite":true}"#), Reply::mismatch());
        assert_eq!(
            told(&write, 503, r#"{"error":"no-leader","definite":true}"#),
            Reply::fail("no-leader")
        );
        assert_eq!(
            told(&write, 504, r#"{"error":"timeout","definite":false}"#),
            Reply::info("timeout")
        );
    }

    #[test]
    fn an_answer_in_foreign_words_says_nothing() {
        let write = Call::Write { key: "x".to_owned(), value: 1 };
        assert_eq!(told(&write, 500, "oops").outcome, workloads::Outcome::Info);
        assert_eq!(told(&write, 404, "{}"), Reply::info("error"));
        let mismatch = r#"{"error":"mismatch","definite":true}"#;
        assert_eq!(told(&write, 409, mismatch), Reply::info("a write was answered mismatch"));
        let read = Call::Read { key: "x".to_owned() };
        assert_eq!(told(&read, 404, "{}").outcome, workloads::Outcome::Info);
        assert_eq!(told(&read, 200, r#"{"value":null}"#).outcome, workloads::Outcome::Info);
    }
}
