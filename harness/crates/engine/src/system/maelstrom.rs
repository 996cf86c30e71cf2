//! Runs any program that implements Maelstrom's protocol: lines of JSON on standard input and
//! output.
//!
//! The program is the user's (`--bin`), and the [router](testbed::net::router) is its network. A
//! client is one of Maelstrom's clients: it has one request in flight and ignores late responses to
//! earlier ones. An error is definite only if the protocol defines it so.

mod calls;

use self::calls::{decode_response, encode_commit, encode_request};
use super::adapter::{Feature, Launch, Program, System};
use super::client::{Client, ClientOptions, Leadership};
use anyhow::Result;
use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use std::ffi::OsString;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use testbed::net::plan::HostId;
use testbed::net::router::message::{Body, Message, to_body};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout_at};
use workloads::{Call, Object, ReadConsistency, Reply, Workload};

/// The time limit for the router's greeting.
const GREETING_TIMEOUT: Duration = Duration::from_secs(2);

/// Programs written for Maelstrom.
pub(crate) struct Maelstrom;

/// Functions that the protocol does not define.
const UNDEFINED_FUNCTIONS: &[&str] = &["inc"];

impl System for Maelstrom {
    fn name(&self) -> &'static str {
        "maelstrom"
    }

    fn doc(&self) -> &'static str {
        "any program that implements Maelstrom's protocol on standard input and output (--bin \
         ./node.py); --latency, --latency-dist"
    }

    fn objects(&self) -> &'static [Object] {
        &[
            Object::Broadcast,
            Object::Counters,
            Object::Echo,
            Object::Ids,
            Object::Logs,
            Object::Registers,
            Object::Set,
            Object::Transactions,
        ]
    }

    fn unsupported_workload(&self, workload: &dyn Workload) -> Option<String> {
        let unknown = workload
            .function_names()
            .iter()
            .find(|function| UNDEFINED_FUNCTIONS.contains(function))?;
        Some(format!(
            "Maelstrom's protocol defines no {unknown}, which workload {} calls",
            workload.name()
        ))
    }

    fn read_consistencies(&self) -> &'static [ReadConsistency] {
        &[ReadConsistency::Linearizable]
    }

    /// A single node that answers for all others is a correct `lin-kv` in Maelstrom.
    fn no_failover_reason(&self) -> Option<&'static str> {
        Some("Maelstrom requires programs to be correct, not available")
    }

    fn features(&self) -> &'static [Feature] {
        &[Feature::ExtraArguments, Feature::StandardIo]
    }

    fn replica_program(&self, launch: &Launch) -> Program {
        let path = launch.bin.clone().unwrap_or_default();
        // A bare name is a file here, not a command to be searched for.
        let path = std::path::absolute(&path).unwrap_or(path);
        Program { path, args: launch.args.iter().map(OsString::from).collect() }
    }

    fn make_client(
        &self,
        host: HostId,
        address: SocketAddr,
        options: ClientOptions,
    ) -> Result<Arc<dyn Client>> {
        Ok(Arc::new(MaelstromClient {
            node: host.to_string(),
            address,
            patience: options.patience,
            connection: Mutex::new(None),
        }))
    }
}

/// A client of one node.
struct MaelstromClient {
    node: String,
    address: SocketAddr,
    /// How long it waits for an answer, if not as long as the router says.
    patience: Option<Duration>,
    connection: Mutex<Option<RouterConnection>>,
}

/// A connection to the router.
struct RouterConnection {
    name: String,
    patience: Duration,
    answers: Lines<BufReader<OwnedReadHalf>>,
    output: OwnedWriteHalf,
    /// The number of the latest request.
    latest: u64,
}

/// Why there is no response.
enum RouterFailure {
    /// The request was not sent.
    Unsent(String),
    /// The request may have been sent; its outcome is unknown.
    Unknown(String),
}

impl RouterConnection {
    async fn open(address: SocketAddr, own: Option<Duration>) -> Result<Self, String> {
        let deadline = Instant::now() + GREETING_TIMEOUT;
        let stream = TcpStream::connect(address).await.map_err(|error| error.to_string())?;
        let (reader, output) = stream.into_split();
        let mut answers = BufReader::new(reader).lines();
        let greeting = timeout_at(deadline, answers.next_line()).await;
        let line = greeting.ok().and_then(Result::ok).flatten().ok_or("the router is silent")?;
        let greeting = Message::parse(line.as_bytes())?;
        let patience = greeting.body.get("patience_ms").and_then(Value::as_u64);
        let patience = Duration::from_millis(patience.ok_or("the router does not greet")?);
        let patience = own.unwrap_or(patience);
        Ok(Self { name: greeting.dest, patience, answers, output, latest: 0 })
    }

    /// Asks, and waits for the answer to just that.
    async fn send_request(&mut self, node: &str, mut request: Body) -> Result<Body, String> {
        self.latest += 1;
        request.insert("msg_id".to_owned(), json!(self.latest));
        let deadline = Instant::now() + self.patience;
        let line = Message::new(&self.name, node, request).to_line();
        let sent = self.output.write_all(line.as_bytes()).await;
        sent.map_err(|error| error.to_string())?;
        loop {
            let heard = timeout_at(deadline, self.answers.next_line()).await;
            let heard = heard.map_err(|_| "timeout".to_owned())?;
            let line = heard.map_err(|error| error.to_string())?.ok_or("the router has gone")?;
            let message = Message::parse(line.as_bytes())?;
            if message.in_reply_to() == Some(self.latest) {
                return Ok(message.body);
            }
        }
    }
}

impl MaelstromClient {
    async fn send_request(&self, request: Body) -> Result<Body, RouterFailure> {
        let mut held = self.connection.lock().await;
        let mut line = match held.take() {
            Some(line) => line,
            None => RouterConnection::open(self.address, self.patience)
                .await
                .map_err(RouterFailure::Unsent)?,
        };
        let answer = line.send_request(&self.node, request).await;
        *held = Some(line);
        answer.map_err(RouterFailure::Unknown)
    }
}

impl Client for MaelstromClient {
    fn call<'a>(&'a self, call: &'a Call) -> BoxFuture<'a, Reply> {
        Box::pin(async move {
            let reply = match self.send_request(encode_request(call)).await {
                Ok(answer) => decode_response(call, &answer),
                Err(RouterFailure::Unsent(why)) => Reply::fail(why),
                // A read-only request changes nothing, so its failure is definite.
                Err(RouterFailure::Unknown(why)) if calls::is_read_only(call) => Reply::fail(why),
                Err(RouterFailure::Unknown(why)) => Reply::info(why),
            };
            if let Some(request) = encode_commit(call, &reply) {
                // If the commit of an offset is lost, `assign` only returns an older one.
                drop(self.send_request(request).await);
            }
            reply
        })
    }

    fn check_ready(&self) -> BoxFuture<'_, Reply> {
        Box::pin(async move {
            match self.send_request(to_body(json!({ "type": "ready" }))).await {
                Ok(answer) if answer.get("type") == Some(&json!("ready_ok")) => Reply::ok(),
                Ok(answer) => {
                    Reply::fail(answer.get("text").map(Value::to_string).unwrap_or_default())
                }
                Err(RouterFailure::Unsent(why) | RouterFailure::Unknown(why)) => Reply::fail(why),
            }
        })
    }

    fn fetch_leadership(&self) -> BoxFuture<'_, Option<Leadership>> {
        Box::pin(async { None })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;
    use workloads::Outcome;

    /// Greets, then answers each request with the previous response and, from the second on, with
    /// its own.
    async fn serve_late_answers(listener: TcpListener) {
        let (stream, _) = listener.accept().await.expect("a client");
        let (reader, mut output) = stream.into_split();
        let mut asked = BufReader::new(reader).lines();
        let greeting = json!({ "type": "welcome", "patience_ms": 100 });
        let greeting = Message::new("c0", "c1", to_body(greeting)).to_line();
        output.write_all(greeting.as_bytes()).await.expect("it listens");
        let mut before: Option<Message> = None;
        while let Ok(Some(line)) = asked.next_line().await {
            let request = Message::parse(line.as_bytes()).expect("a request");
            assert_ne!(request.body["msg_id"], json!(0), "some programs take 0 for none");
            let of = |request: &Message, value: i64| {
                request.reply_with(to_body(json!({ "type": "read_ok", "value": value }))).to_line()
            };
            if let Some(before) = &before {
                let lines = of(before, 1) + &of(&request, 2);
                output.write_all(lines.as_bytes()).await.expect("it listens");
            }
            before = Some(request);
        }
    }

    #[tokio::test]
    async fn an_answer_that_comes_late_is_not_taken_for_the_next() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let router = tokio::spawn(serve_late_answers(listener));
        let client =
            Maelstrom.make_client(HostId(0), address, ClientOptions::default()).expect("a client");
        let read = Call::Read { key: "k1".to_owned() };
        assert_eq!(client.call(&read).await.outcome, Outcome::Fail, "no response in time");
        assert_eq!(client.call(&read).await, Reply::read(Some(2)));
        router.abort();
    }
}
