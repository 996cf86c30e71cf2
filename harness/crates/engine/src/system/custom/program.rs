//! Asks a described system through a program of the user's: one line of JSON in, one out.
//!
//! `{"type":"invoke","f":"write","value":["k1",5]}` goes in; `{"type":"ok"}`, `{"type":"fail","error":"…"}` or
//! `{"type":"info","error":"…"}` comes out, with a `value` where the call asks for one (null, where a read finds
//! nothing). A program that is silent for too long, says something else or dies is started anew for the next call; what became of this one nobody knows.

use super::super::client::{Client, Leadership};
use super::description::{Described, Speaker};
use super::file::filled;
use super::http;
use super::ready::Probe;
use anyhow::Result;
use checker::history::Value as Seen;
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

const PATIENCE: Duration = Duration::from_millis(2_000);

/// Someone who asks the replica on that host through the program.
pub(super) fn client(
    speaker: &Speaker,
    described: &'static Described,
    host: HostId,
    address: SocketAddr,
) -> Result<Arc<dyn Client>> {
    let values = [
        ("id", host.to_string()),
        ("ip", address.ip().to_string()),
        ("port", address.port().to_string()),
        ("dir", described.folder()),
    ];
    let command = speaker.command.iter().map(|word| filled(word.get_ref(), &values)).collect();
    let leader = http::client(described, host, address)?;
    let objects = described.objects();
    let probe = described.ready.as_ref().map(|ready| Probe::new(ready, address)).transpose()?;
    let (running, leader) = (Mutex::new(None), Some(leader));
    Ok(Arc::new(Asker { command, objects, running, probe, leader }))
}

struct Asker {
    command: Vec<String>,
    /// What it can be asked about.
    objects: Vec<Object>,
    running: Mutex<Option<Running>>,
    probe: Option<Probe>,
    /// Who knows whether the replica leads.
    leader: Option<Arc<dyn Client>>,
}

struct Running {
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    /// Killed when this is dropped.
    _child: Child,
}

/// What a program answers.
#[derive(Deserialize)]
struct Answer {
    #[serde(rename = "type")]
    kind: String,
    /// Nothing said is not the same as null.
    #[serde(default, deserialize_with = "said")]
    value: Option<Seen>,
    #[serde(default)]
    error: Option<String>,
}

fn said<'de, D: serde::Deserializer<'de>>(value: D) -> Result<Option<Seen>, D::Error> {
    Seen::deserialize(value).map(Some)
}

impl Asker {
    fn start(&self) -> std::io::Result<Running> {
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
        Ok(Running { input, output: BufReader::new(output), _child: child })
    }
}

impl Running {
    async fn ask(&mut self, call: &Call) -> std::io::Result<String> {
        let line =
            json!({ "type": "invoke", "f": call.function(), "value": call.invocation_value() });
        self.input.write_all(format!("{line}\n").as_bytes()).await?;
        self.input.flush().await?;
        let mut answer = String::new();
        self.output.read_line(&mut answer).await?;
        Ok(answer)
    }
}

impl Client for Asker {
    fn call<'a>(&'a self, call: &'a Call) -> BoxFuture<'a, Reply> {
        Box::pin(async move {
            let mut running = self.running.lock().await;
            let mut program = match running.take().map_or_else(|| self.start(), Ok) {
                Ok(program) => program,
                // Nobody was asked.
                Err(why) => {
                    return Reply::fail(format!("the client program cannot be started: {why}"));
                }
            };
            let answer = match timeout(PATIENCE, program.ask(call)).await {
                Ok(Ok(answer)) => answer,
                Ok(Err(why)) => return Reply::info(format!("the client program broke off: {why}")),
                Err(_) => return Reply::info("timeout"),
            };
            let reply = understand(call, &answer);
            if let Some(reply) = &reply {
                *running = Some(program);
                return reply.clone();
            }
            Reply::info(format!("the client program said {:?}", answer.trim()))
        })
    }

    fn ready(&self) -> BoxFuture<'_, Reply> {
        Box::pin(async {
            if let Some(probe) = &self.probe
                && let Some(why) = probe.unready().await
            {
                return why;
            }
            for call in super::first_calls::first_calls(&self.objects) {
                if let Some(why) = super::first_calls::unready(&call, &self.call(&call).await) {
                    return why;
                }
            }
            Reply::ok()
        })
    }

    fn leadership(&self) -> BoxFuture<'_, Option<Leadership>> {
        Box::pin(async { self.leader.as_ref()?.leadership().await })
    }
}

/// What a line says, if it says anything.
fn understand(call: &Call, line: &str) -> Option<Reply> {
    let answer: Answer = serde_json::from_str(line).ok()?;
    let error = answer.error.unwrap_or_default();
    Some(match answer.kind.as_str() {
        "fail" => Reply::fail(error),
        "info" => Reply::info(error),
        "ok" => match answer.value {
            Some(value) => unkeyed(call, value)?,
            None => Reply::ok(),
        },
        _ => return None,
    })
}

/// A read may be answered with the key, as it was asked. What is said of another key answers some other call.
fn unkeyed(call: &Call, value: Seen) -> Option<Reply> {
    match (call, value.as_pair()) {
        (Call::Read { key }, Some((Seen::Str(answered), value))) => {
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
    async fn a_program_is_asked_and_one_that_dies_is_started_again() {
        let script = r#"read line; echo '{"type":"ok","value":["k1",5]}'; read line; echo nonsense; read line"#;
        let command = ["sh", "-c", script].map(str::to_owned).to_vec();
        let asker = |command| Asker {
            command,
            objects: Vec::new(),
            running: Mutex::new(None),
            probe: None,
            leader: None,
        };
        let (nobody, asker) = (asker(vec!["/nowhere".to_owned()]), asker(command));
        let read = Call::Read { key: "k1".to_owned() };
        assert_eq!(asker.call(&read).await, Reply::read(Some(5)));
        assert_eq!(asker.call(&read).await.outcome, Outcome::Info);
        assert_eq!(asker.call(&read).await, Reply::read(Some(5)));
        assert_eq!(nobody.call(&read).await.outcome, Outcome::Fail);
    }

    #[test]
    fn lines_mean_what_they_say() {
        let write = Call::Write { key: "k1".to_owned(), value: 1 };
        assert_eq!(
            understand(&write, r#"{"type":"ok","value":["k1",1]}"#).map(|it| it.outcome),
            Some(Outcome::Ok)
        );
        assert_eq!(
            understand(&write, r#"{"type":"fail","error":"mismatch"}"#),
            Some(Reply::mismatch())
        );
        let read = Call::Read { key: "k1".to_owned() };
        assert_eq!(
            understand(&read, r#"{"type":"ok","value":["k1",null]}"#),
            Some(Reply::read(None))
        );
        assert_eq!(understand(&read, r#"{"type":"ok","value":null}"#), Some(Reply::read(None)));
        // It said that there was something to tell, and did not tell it: manners make that unknown.
        assert_eq!(understand(&read, r#"{"type":"ok"}"#), Some(Reply::ok()));
        assert_eq!(understand(&write, r#"{"type":"invoke"}"#), None);
        assert_eq!(understand(&write, ""), None);
        assert_eq!(understand(&read, r#"{"type":"ok","value":["k2",5]}"#), None, "that is of k2");
    }
}
