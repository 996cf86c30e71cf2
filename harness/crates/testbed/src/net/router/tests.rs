//! Runs small shell programs over a router whose links are cut.

use super::message::Message;
use super::*;
use crate::host::process::Replica;
use crate::host::thread::Host;
use serde_json::Value;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::timeout;

/// Answers `init`, then forwards every line to n2 unchanged; n2 reports what arrives.
const RELAY: &str = r#"
read -r init
case "$init" in *'"node_id":"n1"'*) me=n1;; *) me=n2;; esac
echo "{\"src\":\"$me\",\"dest\":\"c0\",\"body\":{\"type\":\"init_ok\",\"in_reply_to\":1}}"
while read -r line; do
  case "$me" in
    n1) echo '{"src":"c1","dest":"n2","body":{"type":"relayed"}}';;
    n2) echo '{"src":"n2","dest":"c1","body":{"type":"arrived"}}';;
  esac
done
"#;

struct RouterFixture {
    router: Router,
    _replicas: Vec<(Replica, Host)>,
    _folder: tempfile::TempDir,
    answers: Lines<BufReader<OwnedReadHalf>>,
    output: OwnedWriteHalf,
}

impl RouterFixture {
    async fn start(script: &str) -> Self {
        Self::start_with(script, Routing::default()).await
    }

    async fn start_with(script: &str, routing: Routing) -> Self {
        let folder = tempfile::tempdir().expect("a directory");
        let path = folder.path().join(MESSAGES);
        let router =
            Router::build(2, &Rng::new(1), routing, &path).await.expect("the router starts");
        let start = |number: u8| {
            let host = Host::shared(&format!("n{}", number + 1)).expect("a thread");
            let args = ["-c".into(), script.into()];
            let log = folder.path().join("log");
            let (replica, pipes) =
                Replica::spawn_with_pipes(&host, Path::new("/bin/sh"), &args, &log)
                    .expect("it starts");
            router.attach_node(HostId(number), pipes).expect("its pipes can be read");
            (replica, host)
        };
        let replicas = vec![start(0), start(1)];
        let stream = TcpStream::connect(router.address()).await.expect("the listener is open");
        let (reader, output) = stream.into_split();
        let answers = BufReader::new(reader).lines();
        let mut fixture = Self { router, _replicas: replicas, _folder: folder, answers, output };
        assert_eq!(fixture.receive_message().await.expect("a greeting").dest, "c1");
        fixture
    }

    async fn send_line(&mut self, line: &str) {
        self.output.write_all(format!("{line}\n").as_bytes()).await.expect("it is sent");
    }

    async fn receive_message(&mut self) -> Option<Message> {
        let line = timeout(Duration::from_millis(700), self.answers.next_line()).await.ok()?;
        Some(Message::parse(line.expect("a line")?.as_bytes()).expect("a message"))
    }

    async fn wait_until_ready(&mut self) {
        for node in ["n1", "n2"] {
            for _ in 0..200 {
                self.send_line(&format!(
                    r#"{{"src":"","dest":"{node}","body":{{"type":"ready","msg_id":1}}}}"#
                ))
                .await;
                match self.receive_message().await {
                    Some(message) if message.kind() == "ready_ok" => break,
                    _ => sleep(Duration::from_millis(10)).await,
                }
            }
        }
    }
}

const ASK: &str = r#"{"src":"","dest":"n1","body":{"type":"go","msg_id":2}}"#;

#[tokio::test]
async fn a_cut_bites_by_the_node_that_emits_and_not_by_the_name_on_the_message() {
    let mut fixture = RouterFixture::start(RELAY).await;
    fixture.wait_until_ready().await;
    fixture.send_line(ASK).await;
    assert_eq!(fixture.receive_message().await.expect("it gets through").kind(), "arrived");
    fixture.router.apply_plan(&LinkPlan::with_cuts([(HostId(0), HostId(1))]));
    let mark = fixture.router.snapshot_traffic();
    fixture.send_line(ASK).await;
    assert_eq!(fixture.receive_message().await, None);
    let evidence = fixture.router.traffic_since(&mark);
    assert!(
        evidence[0].offered > 0
            && evidence[0].delivered == 0
            && evidence[0].dropped > evidence[0].offered
    );
    assert!(evidence[1].delivered > 0 && evidence[1].dropped == 0);
    fixture.router.apply_plan(&LinkPlan::healed());
    fixture.send_line(ASK).await;
    assert_eq!(fixture.receive_message().await.expect("it gets through again").kind(), "arrived");
}

#[tokio::test]
async fn counts_and_reports_malformed_and_undeliverable_messages() {
    let script = r#"
read -r init; echo hello; echo '{"src":"n1","dest":"n9","body":{}}'
echo "{\"src\":\"n1\",\"dest\":\"c0\",\"body\":{\"type\":\"init_ok\",\"in_reply_to\":1}}"
read -r rest"#;
    let mut fixture = RouterFixture::start(script).await;
    fixture.wait_until_ready().await;
    let told = fixture.router.protocol_error().expect("there is one");
    assert!(told.contains("no messages: 2, the first of n") && told.contains("hello"), "{told}");
    let told = fixture.router.network_error().expect("there is some");
    assert!(told.contains("2 messages were for \"n9\""), "{told}");
}

#[tokio::test]
async fn a_line_cut_off_when_its_program_exits_is_no_protocol_error() {
    let mut fixture = RouterFixture::start(r#"read -r init; printf '{"src":"n1"'; exit 0"#).await;
    fixture.send_line(ASK).await;
    sleep(Duration::from_millis(300)).await;
    assert_eq!(fixture.router.protocol_error(), None);
}

#[tokio::test]
async fn what_chance_takes_is_lost_between_nodes_only_and_told() {
    let mut fixture =
        RouterFixture::start_with(RELAY, Routing { loss: 900, ..Routing::default() }).await;
    fixture.wait_until_ready().await;
    for _ in 0..200 {
        fixture.send_line(ASK).await;
    }
    let mut arrived = 0;
    while fixture.receive_message().await.is_some_and(|message| message.kind() == "arrived") {
        arrived += 1;
    }
    assert!((5..50).contains(&arrived), "{arrived} of 200");
    let told = fixture.router.network_error().expect("losses are reported");
    assert_eq!(told, format!("{} of 200 messages between nodes were lost (--loss)", 200 - arrived));
}

#[tokio::test]
async fn a_line_of_any_usual_length_passes() {
    let script = r#"
read -r init
case "$init" in *'"node_id":"n1"'*) me=n1;; *) me=n2;; esac
echo "{\"src\":\"$me\",\"dest\":\"c0\",\"body\":{\"type\":\"init_ok\",\"in_reply_to\":1}}"
while read -r line; do
  case "$me" in
    n1) printf '{"src":"n1","dest":"n2","body":{"type":"long","text":"%0200000d"}}\n' 0;;
    n2) echo "{\"src\":\"n2\",\"dest\":\"c1\",\"body\":{\"type\":\"read\",\"length\":${#line}}}";;
  esac
done
"#;
    let mut fixture = RouterFixture::start(script).await;
    fixture.wait_until_ready().await;
    fixture.send_line(ASK).await;
    let heard = loop {
        if let Some(message) = fixture.receive_message().await {
            break message;
        }
    };
    let length = heard.body["length"].as_u64().expect("a number");
    assert!((200_000..200_100).contains(&length), "{length}");
    assert_eq!(fixture.router.network_error(), None);
}

#[tokio::test]
async fn a_node_that_has_ended_refuses_definitely() {
    let mut fixture = RouterFixture::start("read -r init; exit 0").await;
    let mut told = Value::Null;
    for _ in 0..100 {
        fixture.send_line(ASK).await;
        let refusal = fixture.receive_message().await.expect("a refusal");
        assert_eq!((refusal.kind(), refusal.body["code"].as_u64()), ("error", Some(1)));
        told = refusal.body["text"].clone();
        if told == "n1 does not run" {
            return;
        }
        sleep(Duration::from_millis(10)).await;
    }
    panic!("{told}");
}
