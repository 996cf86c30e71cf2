//! Speaks to Redis under Sentinel: a server and a sentinel on each host, the first host's server the first primary.
//!
//! Clients do as Sentinel's do: each asks the sentinel of its own host who the primary is, and talks to that. A stale read
//! asks the server of the host itself. Servers reach each other at one address, so each needs a host of its own.
//! Redis replicates behind the client's back, so a primary that is cut off goes on acknowledging what will be lost:
//! `--node-arg=--min-replicas-to-write --node-arg=1` narrows that, and does not close it.

mod resp;

use self::resp::{Answer, Connections, Failure};
use super::{Client, Launch, Leadership, Program, System, on_path};
use crate::net::plan::HostId;
use anyhow::Result;
use checker::history::Value as Seen;
use futures_util::future::BoxFuture;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use workloads::{Call, Freshness, Object, Reply};

/// How long a primary is silent before a sentinel takes it for gone, and how long one try to replace it may take.
const DOWN_MS: u32 = 1_000;
const FAILOVER_MS: u32 = 3_000;
/// How long a question about leadership may take.
const STATUS_PATIENCE: Duration = Duration::from_millis(200);
/// What sentinels call the primary.
const NAME: &str = "main";
/// The key of the one set.
const SET: &str = "set";

/// Writes both configurations unless they are there (each program keeps its own up to date), then becomes both: `$1` data,
/// `$2` and `$3` the configurations, `$4` the server; what follows is for the server.
const START: &str = r#"mkdir -p "$1" && cd "$1" && data=$1 server=$4 &&
{ [ -f redis.conf ] || printf '%s' "$2" >redis.conf; } &&
{ [ -f sentinel.conf ] || printf '%s' "$3" >sentinel.conf; } && shift 4 &&
{ "$server" redis.conf "$@" & } && exec "$server" sentinel.conf --sentinel"#;

/// Sets a key to another value if it has the expected one.
const CAS: &str = "if redis.call('GET',KEYS[1])==ARGV[1] then redis.call('SET',KEYS[1],ARGV[2]) return 1 end return 0";

/// The errors that say that the request did nothing. Whatever is not in this table may have happened.
const DEFINITE: &[(&str, &str)] = &[
    ("LOADING", "the server still reads its data and takes no requests"),
    ("MASTERDOWN", "the replica has lost its primary and serves nothing"),
    ("NOREPLICAS", "the primary has too few replicas to take writes"),
    ("READONLY", "the server is a replica and takes no writes"),
];

/// Redis with Sentinel, as Debian packages them or as given.
pub(crate) struct RedisSentinel;

impl System for RedisSentinel {
    fn name(&self) -> &'static str {
        "redis-sentinel"
    }

    fn doc(&self) -> &'static str {
        "Redis 7 with a sentinel on each host, found on PATH or by --bin; `--read stale` asks the host's own server"
    }

    fn objects(&self) -> &'static [Object] {
        &[Object::Registers, Object::Set]
    }

    fn freshness(&self) -> &'static [Freshness] {
        &[Freshness::Linearizable, Freshness::Stale]
    }

    fn missing(&self, bin: Option<&Path>) -> Option<String> {
        let there = bin.is_some() || on_path("redis-server").is_some();
        (!there).then(|| {
            "there is no redis-server on PATH; install it (Debian: apt-get install redis-server), or name it with --bin"
                .to_owned()
        })
    }

    fn needs_hosts(&self) -> bool {
        true
    }

    fn takes_arguments(&self) -> bool {
        true
    }

    fn bugs(&self, _: Option<&PathBuf>) -> Result<Vec<(String, String)>> {
        Ok(Vec::new())
    }

    fn program(&self, launch: &Launch) -> Program {
        let server = launch.bin.clone().or_else(|| on_path("redis-server"));
        let mut args = vec![
            "-c".into(),
            START.into(),
            "redis".into(),
            launch.data.clone().into(),
            server_settings(launch).into(),
            sentinel_settings(launch).into(),
            server.unwrap_or_else(|| "redis-server".into()).into(),
        ];
        args.extend(launch.args.iter().map(std::ffi::OsString::from));
        Program { path: "/bin/sh".into(), args }
    }

    fn client(
        &self,
        host: HostId,
        address: SocketAddr,
        freshness: Freshness,
    ) -> Result<Arc<dyn Client>> {
        let stale = freshness == Freshness::Stale;
        Ok(Arc::new(Speaker { connections: Connections::default(), address, host, stale }))
    }
}

/// The port of a host's sentinel: the one after its server's.
fn sentinel_port(server: u16) -> u16 {
    server.wrapping_add(1)
}

/// Where the first primary runs.
fn first(launch: &Launch) -> Option<IpAddr> {
    launch.peers.iter().find(|(host, _)| *host == HostId(0)).map(|(_, at)| at.ip())
}

fn server_settings(launch: &Launch) -> String {
    let (ip, port) = (launch.listen_client.ip(), launch.listen_client.port());
    let mut lines = format!(
        "bind {ip}\nport {port}\ndir .\nprotected-mode no\nappendonly yes\nappendfsync always\nsave \"\"\n\
         repl-diskless-sync-delay 0\nrepl-timeout 10\n"
    );
    if let Some(primary) = first(launch).filter(|primary| *primary != ip) {
        lines += &format!("replicaof {primary} {port}\n");
    }
    lines
}

fn sentinel_settings(launch: &Launch) -> String {
    let (ip, port) = (launch.listen_client.ip(), launch.listen_client.port());
    let (primary, quorum) = (first(launch).unwrap_or(ip), launch.peers.len() / 2 + 1);
    format!(
        "bind {ip}\nport {}\ndir .\nprotected-mode no\nsentinel monitor {NAME} {primary} {port} {quorum}\n\
         sentinel down-after-milliseconds {NAME} {DOWN_MS}\nsentinel failover-timeout {NAME} {FAILOVER_MS}\n\
         sentinel parallel-syncs {NAME} 5\n",
        sentinel_port(port)
    )
}

struct Speaker {
    connections: Connections,
    address: SocketAddr,
    host: HostId,
    stale: bool,
}

/// What a failure says of a request that would change something.
fn changed(failure: Failure) -> Reply {
    match failure {
        Failure::Unsent(why) => Reply::fail(why),
        Failure::Unknown(why) => Reply::info(why),
    }
}

/// What an answer says that carries no result.
fn refused(answer: &Answer) -> Reply {
    let Answer::Error(said) = answer else { return Reply::info("an answer to some other request") };
    let name = said.split_whitespace().next().unwrap_or_default();
    match DEFINITE.iter().find(|(known, _)| *known == name) {
        Some((_, why)) => Reply::fail(*why),
        None => Reply::info(said.clone()),
    }
}

/// The same of a request that only looks: whatever became of it, it did nothing.
fn looked(reply: Reply) -> Reply {
    Reply::fail(reply.error.unwrap_or_default())
}

impl Speaker {
    fn sentinel(&self) -> SocketAddr {
        SocketAddr::new(self.address.ip(), sentinel_port(self.address.port()))
    }

    /// Where the primary is, as the sentinel of this host has it.
    async fn primary(&self) -> Result<SocketAddr, Reply> {
        let words = ["SENTINEL", "GET-MASTER-ADDR-BY-NAME", NAME];
        let told = self.connections.ask(self.sentinel(), &words).await;
        let told = told.map_err(|failure| looked(changed(failure)))?;
        let Answer::Texts(parts) = &told else { return Err(looked(refused(&told))) };
        let address = parts.join(":").parse();
        address.map_err(|_| Reply::fail(format!("the sentinel names {parts:?} as the primary")))
    }

    async fn change(&self, words: &[&str]) -> Result<Answer, Reply> {
        let primary = self.primary().await?;
        self.connections.ask(primary, words).await.map_err(changed)
    }

    async fn look(&self, words: &[&str]) -> Result<Answer, Reply> {
        let place = if self.stale { self.address } else { self.primary().await? };
        self.connections.ask(place, words).await.map_err(|failure| looked(changed(failure)))
    }

    async fn answer(&self, call: &Call) -> Result<Reply, Reply> {
        match call {
            Call::Read { key } => match self.look(&["GET", key]).await? {
                Answer::Text(value) => Ok(Reply::returned(int(&value))),
                Answer::Nil => Ok(Reply::read(None)),
                other => Err(looked(refused(&other))),
            },
            Call::Write { key, value } => {
                match self.change(&["SET", key, &value.to_string()]).await? {
                    Answer::Text(ok) if ok == "OK" => Ok(Reply::ok()),
                    other => Err(refused(&other)),
                }
            }
            Call::Cas { key, old, new } => {
                let (old, new) = (old.to_string(), new.to_string());
                match self.change(&["EVAL", CAS, "1", key, &old, &new]).await? {
                    Answer::Int(1) => Ok(Reply::ok()),
                    Answer::Int(0) => Ok(Reply::mismatch()),
                    other => Err(refused(&other)),
                }
            }
            Call::Insert { element } => {
                match self.change(&["SADD", SET, &element.to_string()]).await? {
                    Answer::Int(_) => Ok(Reply::ok()),
                    other => Err(refused(&other)),
                }
            }
            Call::Elements => match self.look(&["SMEMBERS", SET]).await? {
                Answer::Texts(all) => {
                    Ok(Reply::returned(Seen::List(all.iter().map(|text| int(text)).collect())))
                }
                other => Err(looked(refused(&other))),
            },
            // The system declares no object of theirs, so none is ever asked.
            other => Err(Reply::fail(format!("Redis keeps nothing here for {}", other.function()))),
        }
    }

    /// The epoch of the configuration in which this host's server is the primary, if it is.
    async fn epoch(&self) -> Option<u64> {
        let role = self.connections.ask(self.address, &["INFO", "replication"]).await.ok()?;
        let Answer::Text(role) = role else { return None };
        if !role.lines().any(|line| line.trim() == "role:master") {
            return None;
        }
        let words = ["SENTINEL", "MASTER", NAME];
        let Answer::Texts(all) = self.connections.ask(self.sentinel(), &words).await.ok()? else {
            return None;
        };
        let at = all.iter().position(|word| word == "config-epoch")?;
        all.get(at + 1)?.parse().ok()
    }
}

/// A number, or a text that no client ever wrote as it is: the judge shall see it.
fn int(text: &str) -> Seen {
    text.parse().map_or_else(|_| Seen::from(text), Seen::Int)
}

impl Client for Speaker {
    fn call<'a>(&'a self, call: &'a Call) -> BoxFuture<'a, Reply> {
        Box::pin(async move { self.answer(call).await.unwrap_or_else(|reply| reply) })
    }

    fn leadership(&self) -> BoxFuture<'_, Option<Leadership>> {
        Box::pin(async move {
            let term = tokio::time::timeout(STATUS_PATIENCE, self.epoch()).await.ok()??;
            Some(Leadership { leader: self.host, term })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use workloads::Outcome;

    #[test]
    fn only_errors_of_the_table_and_requests_never_sent_are_definite() {
        let error = |text: &str| refused(&Answer::Error(text.to_owned())).outcome;
        assert_eq!(error("READONLY You can't write against a read only replica."), Outcome::Fail);
        assert_eq!(error("NOREPLICAS Not enough good replicas to write."), Outcome::Fail);
        assert_eq!(error("UNBLOCKED force unblock from blocking operation"), Outcome::Info);
        assert_eq!(error("ERR something new"), Outcome::Info);
        assert_eq!(refused(&Answer::Int(3)).outcome, Outcome::Info);
        assert_eq!(changed(Failure::Unsent("refused".to_owned())).outcome, Outcome::Fail);
        assert_eq!(changed(Failure::Unknown("timeout".to_owned())).outcome, Outcome::Info);
        assert!(DEFINITE.iter().all(|(_, why)| why.len() > 20));
    }
}
