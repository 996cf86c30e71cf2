//! Calls a described system through the user's client program: one line of JSON in, one out.
//!
//! The program reads `{"type":"invoke","f":"write","value":["k1",5]}`. It prints `{"type":"ok"}`,
//! `{"type":"fail","error":"…"}` or `{"type":"info","error":"…"}`, with a `value` where the call
//! returns one (null if a read finds nothing). If it exceeds its time, prints anything else or
//! exits, the outcome is unknown, and the next call starts the program again.

use super::super::client::{Client, Leadership};
use super::description::{ClientProgram, SystemDescription};
use super::file::fill_template;
use super::http;
use super::ready::ReadinessProbe;
use anyhow::Result;
use checker::history::Value as HistoryValue;
use futures_util::future::BoxFuture;
use serde::Deserialize;
use serde_json::json;
use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;
use testbed::net::plan::HostId;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::Mutex;
use tokio::time::timeout;
use workloads::{Call, Object, Reply};

const CALL_TIMEOUT: Duration = Duration::from_millis(2_000);

/// A client that calls the replica on that host through the program.
pub(super) fn make_client(
    speaker: &ClientProgram,
    described: &'static SystemDescription,
    (host, address): (HostId, SocketAddr),
    patience: Option<Duration>,
) -> Result<Arc<dyn Client>> {
    let values = [
        ("id", host.to_string()),
        ("ip", address.ip().to_string()),
        ("port", address.port().to_string()),
        ("dir", described.folder()),
    ];
    let command =
        speaker.command.iter().map(|word| fill_template(word.get_ref(), &values)).collect();
    let leader = http::make_client(described, (host, address), patience)?;
    let objects = described.objects();
    let probe =
        described.ready.as_ref().map(|ready| ReadinessProbe::new(ready, address)).transpose()?;
    let (running, leader) = (Mutex::new(None), Some(leader));
    let patience = patience.unwrap_or(CALL_TIMEOUT);
    Ok(Arc::new(ProgramClient { command, objects, running, probe, leader, patience }))
}

struct ProgramClient {
    command: Vec<String>,
    /// The objects that it offers.
    objects: Vec<Object>,
    running: Mutex<Option<RunningProgram>>,
    probe: Option<ReadinessProbe>,
    /// Reports the leader.
    leader: Option<Arc<dyn Client>>,
    /// How long it waits for an answer of the program.
    patience: Duration,
}

struct RunningProgram {
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    /// Killed when this is dropped.
    _child: Child,
}

/// A response of the program.
#[derive(Deserialize)]
struct ProgramResponse {
    #[serde(rename = "type")]
    kind: String,
    /// A missing value differs from null.
    #[serde(default, deserialize_with = "some_value")]
    value: Option<HistoryValue>,
    #[serde(default)]
    error: Option<String>,
}

fn some_value<'de, D: serde::Deserializer<'de>>(
    value: D,
) -> Result<Option<HistoryValue>, D::Error> {
    HistoryValue::deserialize(value).map(Some)
}

impl ProgramClient {
    fn start_program(&self) -> std::io::Result<RunningProgram> {
        let (program, args) = self.command.split_first().ok_or(std::io::ErrorKind::InvalidInput)?;
        let mut child = Command::new(program)
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        let pipes = child.stdin.take().zip(child.stdout.take());
        let (input, output) = pipes.ok_or(std::io::ErrorKind::BrokenPipe)?;
        Ok(RunningProgram { input, output: BufReader::new(output), _child: child })
    }
}

impl RunningProgram {
    async fn send_request(&mut self, call: &Call) -> std::io::Result<String> {
        let (function, value) = (call.function_name(), call.invocation_value());
        let line = json!({ "type": "invoke", "f": function, "value": value });
        self.input.write_all(format!("{line}\n").as_bytes()).await?;
        self.input.flush().await?;
        let mut answer = String::new();
        self.output.read_line(&mut answer).await?;
        Ok(answer)
    }
}

impl Client for ProgramClient {
    fn call<'a>(&'a self, call: &'a Call) -> BoxFuture<'a, Reply> {
        Box::pin(async move {
            let mut running = self.running.lock().await;
            let mut program = match running.take().map_or_else(|| self.start_program(), Ok) {
                Ok(program) => program,
                // The program received no request.
                Err(why) => {
                    return Reply::fail(format!("cannot start the client program: {why}"));
                }
            };
            let answer = match timeout(self.patience, program.send_request(call)).await {
                Ok(Ok(answer)) => answer,
                Ok(Err(why)) => return Reply::info(format!("the client program failed: {why}")),
                Err(_) => return Reply::info("timeout"),
            };
            let reply = decode_response(call, &answer);
            if let Some(reply) = &reply {
                *running = Some(program);
                return reply.clone();
            }
            Reply::info(format!("the client program printed {:?}", answer.trim()))
        })
    }

    fn check_ready(&self) -> BoxFuture<'_, Reply> {
        Box::pin(async {
            if let Some(probe) = &self.probe
                && let Some(why) = probe.explain_unready().await
            {
                return why;
            }
            for call in super::first_calls::readiness_calls(&self.objects) {
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
        Box::pin(async { self.leader.as_ref()?.fetch_leadership().await })
    }
}

/// Decodes a line; `None` if it is not a valid response.
fn decode_response(call: &Call, line: &str) -> Option<Reply> {
    let answer: ProgramResponse = serde_json::from_str(line).ok()?;
    let error = answer.error.unwrap_or_default();
    Some(match answer.kind.as_str() {
        "fail" => Reply::fail(error),
        "info" => Reply::info(error),
        "ok" => match answer.value {
            Some(value) => remove_key(call, value)?,
            None => Reply::ok(),
        },
        _ => return None,
    })
}

/// A read may return its key as well. Another key belongs to another call.
fn remove_key(call: &Call, value: HistoryValue) -> Option<Reply> {
    match (call, value.as_pair()) {
        (Call::Read { key }, Some((HistoryValue::Str(answered), value))) => {
            (*answered == key.as_str()).then(|| Reply::returned(value.clone()))
        }
        _ => Some(Reply::returned(value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use workloads::Outcome;

    #[tokio::test]
    async fn restarts_a_program_that_exits() {
        let script = "read line; echo '{\"type\":\"ok\",\"value\":[\"k1\",5]}'; \
                      read line; echo nonsense; read line";
        let command = ["sh", "-c", script].map(str::to_owned).to_vec();
        let asker = |command| ProgramClient {
            patience: CALL_TIMEOUT,
            command,
            objects: Vec::new(),
            running: Mutex::new(None),
            probe: None,
            leader: None,
        };
        let (missing, asker) = (asker(vec!["/nowhere".to_owned()]), asker(command));
        let read = Call::Read { key: "k1".to_owned() };
        assert_eq!(asker.call(&read).await, Reply::read(Some(5)));
        assert_eq!(asker.call(&read).await.outcome, Outcome::Info);
        assert_eq!(asker.call(&read).await, Reply::read(Some(5)));
        assert_eq!(missing.call(&read).await.outcome, Outcome::Fail);
    }

    #[test]
    fn decodes_responses() {
        let write = Call::Write { key: "k1".to_owned(), value: 1 };
        assert_eq!(
            decode_response(&write, r#"{"type":"ok","value":["k1",1]}"#).map(|it| it.outcome),
            Some(Outcome::Ok)
        );
        assert_eq!(
            decode_response(&write, r#"{"type":"fail","error":"mismatch"}"#),
            Some(Reply::mismatch())
        );
        let read = Call::Read { key: "k1".to_owned() };
        assert_eq!(
            decode_response(&read, r#"{"type":"ok","value":["k1",null]}"#),
            Some(Reply::read(None))
        );
        assert_eq!(
            decode_response(&read, r#"{"type":"ok","value":null}"#),
            Some(Reply::read(None))
        );
        // A read without a value: validation turns it into an unknown outcome.
        assert_eq!(decode_response(&read, r#"{"type":"ok"}"#), Some(Reply::ok()));
        assert_eq!(decode_response(&write, r#"{"type":"invoke"}"#), None);
        assert_eq!(decode_response(&write, ""), None);
        assert_eq!(
            decode_response(&read, r#"{"type":"ok","value":["k2",5]}"#),
            None,
            "that is of k2"
        );
    }
}
