//! Calls ZooKeeper in its own wire protocol only.
//!
//! A register is a node `/k`, an element of the set a node `/s-ELEMENT`. A linearizable read sends
//! `sync` first; a stale one does not. A compare-and-set reads a node this way, then sets it on the
//! condition that its version has not changed. Members reach each other at one address, so each
//! needs a host of its own.

mod jute;
mod session;

use self::jute::{ANY_VERSION, Frame, OpCode, ResponseReader};
use self::session::{SessionFailure, Sessions};
use super::adapter::{Feature, Launch, Program, System};
use super::client::{Client, ClientOptions, Leadership, ReplicaStatus};
use super::values::parse_int;
use anyhow::Result;
use checker::history::Value as HistoryValue;
use futures_util::future::BoxFuture;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use testbed::net::plan::HostId;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use workloads::{Call, Object, ReadConsistency, Reply};

/// Where Debian puts it.
const JAR: &str = "/usr/share/java/zookeeper.jar";
/// How long a question about leadership may take.
const STATUS_TIMEOUT: Duration = Duration::from_millis(200);
/// A node that was made or not in between is asked for again so often.
const ATTEMPTS: usize = 3;

/// Writes the configuration, then executes the server: `$1` data, `$2` configuration, `$3` number,
/// `$4` jar.
const START: &str = r#"mkdir -p "$1" && printf '%s' "$2" >"$1/zoo.cfg" &&
printf '%s' "$3" >"$1/myid" &&
exec java -Xmx256m -Dzookeeper.admin.enableServer=false -cp "$4" \
org.apache.zookeeper.server.quorum.QuorumPeerMain "$1/zoo.cfg""#;

/// ZooKeeper, as Debian packages it or as given.
pub(crate) struct ZooKeeper;

impl System for ZooKeeper {
    fn name(&self) -> &'static str {
        "zookeeper"
    }

    fn doc(&self) -> &'static str {
        "ZooKeeper 3.8 from Debian's package, or the jar given by --bin; `--read local` leaves out \
         the sync before a read"
    }

    fn objects(&self) -> &'static [Object] {
        &[Object::Registers, Object::Set]
    }

    fn read_consistencies(&self) -> &'static [ReadConsistency] {
        &[ReadConsistency::Linearizable, ReadConsistency::Stale]
    }

    fn missing_dependency(&self, bin: Option<&Path>) -> Option<String> {
        if super::executable::find_on_path("java").is_none() {
            return Some(
                "no java on PATH; install it (Debian: apt-get install default-jre-headless)"
                    .to_owned(),
            );
        }
        let there = bin.is_some() || Path::new(JAR).is_file();
        (!there).then(|| {
            format!(
                "no {JAR}; install it (Debian: apt-get install zookeeper), or give a jar with --bin"
            )
        })
    }

    fn features(&self) -> &'static [Feature] {
        &[Feature::ReportsLeader, Feature::SeparateHosts]
    }

    fn replica_program(&self, launch: &Launch) -> Program {
        let jar = launch.bin.clone().unwrap_or_else(|| JAR.into());
        let number = (launch.host.0 + 1).to_string();
        let args = vec![
            launch.data.clone().into(),
            server_config(launch).into(),
            number.into(),
            jar.into(),
        ];
        Program::from_script(START, self.name(), args)
    }

    fn make_client(
        &self,
        host: HostId,
        address: SocketAddr,
        options: ClientOptions,
    ) -> Result<Arc<dyn Client>> {
        let local = options.consistency == ReadConsistency::Stale;
        let sessions = Sessions::new(address, options.patience);
        Ok(Arc::new(ZooKeeperClient { sessions, address, host, local }))
    }
}

/// The contents of `zoo.cfg`. The election port is ten above the quorum port, because the ports
/// between are in use.
fn server_config(launch: &Launch) -> String {
    let (client, data) = (launch.listen_client, launch.data.display());
    let mut lines = vec![
        "tickTime=1000".to_owned(),
        "initLimit=10".to_owned(),
        "syncLimit=5".to_owned(),
        "maxClientCnxns=0".to_owned(),
        "4lw.commands.whitelist=srvr".to_owned(),
        format!("dataDir={data}"),
        format!("clientPort={}", client.port()),
        format!("clientPortAddress={}", client.ip()),
    ];
    lines.extend(launch.peers.iter().map(|(host, at)| {
        let election = at.port().wrapping_add(10);
        format!("server.{}={}:{}:{election}", host.0 + 1, at.ip(), at.port())
    }));
    lines.join("\n") + "\n"
}

struct ZooKeeperClient {
    sessions: Sessions,
    address: SocketAddr,
    host: HostId,
    local: bool,
}

const NO_NODE: i32 = -101;
const BAD_VERSION: i32 = -103;
const NODE_EXISTS: i32 = -110;

/// Errors of requests without effect. The outcome of any other error is unknown.
const DEFINITE: &[(i32, &str)] = &[
    (NO_NODE, "the node does not exist"),
    (BAD_VERSION, "another client changed the node"),
    (NODE_EXISTS, "the node exists already"),
];

/// What a failure says of a request that would change something.
fn write_failure(failure: SessionFailure) -> Reply {
    match failure {
        SessionFailure::Unsent(why) => Reply::fail(why),
        SessionFailure::Unknown(why) => Reply::info(why),
        SessionFailure::Refused(code) => match DEFINITE.iter().find(|(known, _)| *known == code) {
            Some((_, why)) => Reply::fail(*why),
            None => Reply::info(format!("ZooKeeper's error {code}")),
        },
    }
}

/// What a failure says of a request that only looks: whatever became of it, it did nothing.
fn read_failure(failure: SessionFailure) -> Reply {
    Reply::fail(write_failure(failure).error.unwrap_or_default())
}

impl ZooKeeperClient {
    /// Lets the server catch up with the leader, if reads shall be fresh.
    async fn sync_if_linearizable(&self, path: &str) -> Result<(), Reply> {
        if !self.local {
            self.sessions
                .send_request(OpCode::Sync, path, |frame| frame)
                .await
                .map_err(read_failure)?;
        }
        Ok(())
    }

    /// What a node holds and in which version, if there is one.
    async fn read_node(&self, path: &str) -> Result<Option<(String, i32)>, Reply> {
        self.sync_if_linearizable(path).await?;
        match self.sessions.send_request(OpCode::Get, path, |frame| frame.put_byte(0)).await {
            Ok(body) => ResponseReader(&body)
                .read_node_data()
                .map(Some)
                .ok_or_else(|| Reply::fail("no answer to a read")),
            Err(SessionFailure::Refused(NO_NODE)) => Ok(None),
            Err(failure) => Err(read_failure(failure)),
        }
    }

    async fn set_node(&self, path: &str, value: i64, version: i32) -> Result<(), SessionFailure> {
        let data = value.to_string();
        let rest = |frame: Frame| frame.put_bytes(data.as_bytes()).put_int(version);
        self.sessions.send_request(OpCode::Set, path, rest).await.map(drop)
    }

    async fn create_node(&self, path: &str, data: &str) -> Result<(), SessionFailure> {
        self.sessions
            .send_request(OpCode::Create, path, |frame| frame.put_open_node(data))
            .await
            .map(drop)
    }

    /// Sets a node, or makes it.
    async fn write_node(&self, path: &str, value: i64) -> Result<Reply, Reply> {
        for _ in 0..ATTEMPTS {
            match self.set_node(path, value, ANY_VERSION).await {
                Err(SessionFailure::Refused(NO_NODE)) => {}
                done => return done.map(|()| Reply::ok()).map_err(write_failure),
            }
            match self.create_node(path, &value.to_string()).await {
                Err(SessionFailure::Refused(NODE_EXISTS)) => {}
                done => return done.map(|()| Reply::ok()).map_err(write_failure),
            }
        }
        Err(Reply::fail("the server cannot tell whether there is such a node"))
    }

    async fn compare_and_set(&self, path: &str, old: i64, new: i64) -> Result<Reply, Reply> {
        match self.read_node(path).await? {
            Some((held, version)) if held == old.to_string() => {
                self.set_node(path, new, version).await.map(|()| Reply::ok()).map_err(write_failure)
            }
            _ => Ok(Reply::mismatch()),
        }
    }

    async fn read_elements(&self) -> Result<Reply, Reply> {
        self.sync_if_linearizable("/").await?;
        let asked =
            self.sessions.send_request(OpCode::Children, "/", |frame| frame.put_byte(0)).await;
        let body = asked.map_err(read_failure)?;
        let names = ResponseReader(&body)
            .read_strings()
            .ok_or_else(|| Reply::fail("no answer to a read"))?;
        let elements = names.iter().filter_map(|name| name.strip_prefix("s-")).map(parse_int);
        Ok(Reply::returned(HistoryValue::List(elements.collect())))
    }

    async fn execute_call(&self, call: &Call) -> Result<Reply, Reply> {
        match call {
            Call::Read { key } => {
                let held = self.read_node(&node_path(key)).await?;
                Ok(held.map_or(Reply::read(None), |(data, _)| Reply::returned(parse_int(&data))))
            }
            Call::Write { key, value } => self.write_node(&node_path(key), *value).await,
            Call::Cas { key, old, new } => self.compare_and_set(&node_path(key), *old, *new).await,
            Call::Insert { element } => {
                let made = self.create_node(&format!("/s-{element}"), "").await;
                made.map(|()| Reply::ok()).map_err(write_failure)
            }
            Call::ReadSet => self.read_elements().await,
            // The system declares no object of theirs, so none is ever asked.
            other => {
                Err(Reply::fail(format!("ZooKeeper keeps nothing for {}", other.function_name())))
            }
        }
    }

    /// Asks the server for its status.
    async fn request_status(&self) -> std::io::Result<String> {
        let mut stream = TcpStream::connect(self.address).await?;
        stream.write_all(b"srvr").await?;
        let mut said = String::new();
        stream.read_to_string(&mut said).await?;
        Ok(said)
    }
}

fn node_path(key: &str) -> String {
    format!("/{key}")
}

/// Parses the answer of a server. Its last transaction is its epoch and a number within that.
fn parse_status(host: HostId, said: &str) -> Option<ReplicaStatus> {
    let field = |name: &str| said.lines().find_map(|line| line.strip_prefix(name));
    let role = field("Mode: ")?.trim();
    let last = u64::from_str_radix(field("Zxid: 0x")?.trim(), 16).ok()?;
    Some(ReplicaStatus {
        role: Some(role.to_owned()),
        leader: (role == "leader").then_some(host),
        term: Some(last >> 32),
        commit: None,
        applied: Some(last & u64::from(u32::MAX)),
    })
}

impl Client for ZooKeeperClient {
    fn call<'a>(&'a self, call: &'a Call) -> BoxFuture<'a, Reply> {
        Box::pin(async move { self.execute_call(call).await.unwrap_or_else(|reply| reply) })
    }

    fn fetch_leadership(&self) -> BoxFuture<'_, Option<Leadership>> {
        Box::pin(async move { self.fetch_status().await?.leadership() })
    }

    fn fetch_status(&self) -> BoxFuture<'_, Option<ReplicaStatus>> {
        Box::pin(async move {
            let said =
                tokio::time::timeout(STATUS_TIMEOUT, self.request_status()).await.ok()?.ok()?;
            parse_status(self.host, &said)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use workloads::Outcome;

    #[test]
    fn only_errors_of_the_table_and_requests_never_sent_are_definite() {
        assert_eq!(write_failure(SessionFailure::Refused(BAD_VERSION)).outcome, Outcome::Fail);
        assert_eq!(write_failure(SessionFailure::Refused(-4)).outcome, Outcome::Info);
        assert_eq!(write_failure(SessionFailure::Refused(1)).outcome, Outcome::Info);
        assert_eq!(
            write_failure(SessionFailure::Unknown("timeout".to_owned())).outcome,
            Outcome::Info
        );
        assert_eq!(
            write_failure(SessionFailure::Unsent("refused".to_owned())).outcome,
            Outcome::Fail
        );
        assert_eq!(
            read_failure(SessionFailure::Unknown("timeout".to_owned())).outcome,
            Outcome::Fail
        );
    }

    #[test]
    fn only_a_leader_says_who_leads() {
        let said = |mode| format!("Zookeeper version: 3.8.0\nZxid: 0x300000007\nMode: {mode}\n");
        let parse = |said: &str| parse_status(HostId(1), said);
        let leader = parse(&said("leader")).expect("it is understood");
        assert_eq!(leader.leadership(), Some(Leadership { leader: HostId(1), term: 3 }));
        assert_eq!(leader.applied, Some(7));
        let follower = parse(&said("follower")).expect("it is understood");
        assert_eq!((follower.role.as_deref(), follower.leadership()), (Some("follower"), None));
        assert_eq!(parse("This ZooKeeper instance is not currently serving requests"), None);
    }
}
