//! Translates calls into Redis commands and replies into outcomes, wherever the primary is.
//!
//! Registers are keys, the set is one key. Writes and reads go to the primary; stale reads go to
//! the server of the client's own host. A [`PrimaryFinder`] finds the primary for each call.

use super::resp::{Connections, RespFailure, RespValue};
use crate::system::client::{Client, ClientOptions, Leadership};
use crate::system::values::parse_int;
use checker::history::Value as HistoryValue;
use futures_util::future::BoxFuture;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use testbed::net::plan::HostId;
use workloads::{Call, ReadConsistency, Reply};

/// How long a question about leadership may take.
const STATUS_TIMEOUT: Duration = Duration::from_millis(200);
/// The key of the one set.
const SET: &str = "set";

/// Sets a key to another value if it has the expected one.
const CAS: &str = "if redis.call('GET',KEYS[1])==ARGV[1] \
                   then redis.call('SET',KEYS[1],ARGV[2]) return 1 end return 0";

/// Errors of requests without effect. The outcome of any other error is unknown.
const DEFINITE: &[(&str, &str)] = &[
    ("LOADING", "the server still reads its data and takes no requests"),
    ("MASTERDOWN", "the replica has lost its primary and serves nothing"),
    ("NOREPLICAS", "the primary has too few replicas to take writes"),
    ("READONLY", "the server is a replica and takes no writes"),
];

/// Says where the primary is.
pub(in crate::system) trait PrimaryFinder: Send + Sync + 'static {
    /// Its address now; or what a call comes to that cannot be sent to it.
    fn find_primary<'a>(
        &'a self,
        connections: &'a Connections,
    ) -> BoxFuture<'a, Result<SocketAddr, Reply>>;
    /// The term in which the server of this host, which says that it is the primary, is so.
    fn primary_term<'a>(&'a self, connections: &'a Connections) -> BoxFuture<'a, Option<u64>>;
}

/// A client of the server on that host, at that address.
pub(in crate::system) fn make_client(
    guide: impl PrimaryFinder,
    (host, address): (HostId, SocketAddr),
    options: ClientOptions,
) -> Arc<dyn Client> {
    let stale = options.consistency == ReadConsistency::Stale;
    Arc::new(RedisClient {
        connections: Connections::new(options.patience),
        primary_finder: guide,
        address,
        host,
        stale,
    })
}

struct RedisClient<G> {
    connections: Connections,
    primary_finder: G,
    address: SocketAddr,
    host: HostId,
    stale: bool,
}

/// What a failure says of a request that would change something.
fn write_failure(failure: RespFailure) -> Reply {
    match failure {
        RespFailure::Unsent(why) => Reply::fail(why),
        RespFailure::Unknown(why) => Reply::info(why),
    }
}

/// The same of a request that only looks: whatever became of it, it did nothing.
pub(in crate::system) fn read_failure(failure: RespFailure) -> Reply {
    as_definite_failure(write_failure(failure))
}

/// What an answer says that carries no result.
fn decode_write_error(answer: &RespValue) -> Reply {
    let RespValue::Error(said) = answer else {
        return Reply::info("an answer to some other request");
    };
    let name = said.split_whitespace().next().unwrap_or_default();
    match DEFINITE.iter().find(|(known, _)| *known == name) {
        Some((_, why)) => Reply::fail(*why),
        None => Reply::info(said.clone()),
    }
}

/// The same of a request that only looks.
pub(in crate::system) fn decode_read_error(answer: &RespValue) -> Reply {
    as_definite_failure(decode_write_error(answer))
}

fn as_definite_failure(reply: Reply) -> Reply {
    Reply::fail(reply.error.unwrap_or_default())
}

/// The role that a server reports, with its primary.
pub(in crate::system) async fn fetch_replication_info(
    connections: &Connections,
    server: SocketAddr,
) -> Result<String, Reply> {
    let told =
        connections.send_request(server, &["INFO", "replication"]).await.map_err(read_failure)?;
    match told {
        RespValue::Text(said) => Ok(said),
        other => Err(decode_read_error(&other)),
    }
}

/// What it says under that name.
pub(in crate::system) fn info_field<'s>(said: &'s str, name: &str) -> Option<&'s str> {
    said.lines().find_map(|line| line.trim_end().strip_prefix(name)?.strip_prefix(':'))
}

impl<G: PrimaryFinder> RedisClient<G> {
    async fn find_primary(&self) -> Result<SocketAddr, Reply> {
        self.primary_finder.find_primary(&self.connections).await
    }

    async fn send_write(&self, words: &[&str]) -> Result<RespValue, Reply> {
        let primary = self.find_primary().await?;
        self.connections.send_request(primary, words).await.map_err(write_failure)
    }

    async fn send_read(&self, words: &[&str]) -> Result<RespValue, Reply> {
        let place = if self.stale { self.address } else { self.find_primary().await? };
        self.connections.send_request(place, words).await.map_err(read_failure)
    }

    async fn execute_call(&self, call: &Call) -> Result<Reply, Reply> {
        match call {
            Call::Read { key } => match self.send_read(&["GET", key]).await? {
                RespValue::Text(value) => Ok(Reply::returned(parse_int(&value))),
                RespValue::Nil => Ok(Reply::read(None)),
                other => Err(decode_read_error(&other)),
            },
            Call::Write { key, value } => {
                match self.send_write(&["SET", key, &value.to_string()]).await? {
                    RespValue::Text(ok) if ok == "OK" => Ok(Reply::ok()),
                    other => Err(decode_write_error(&other)),
                }
            }
            Call::Cas { key, old, new } => {
                let (old, new) = (old.to_string(), new.to_string());
                match self.send_write(&["EVAL", CAS, "1", key, &old, &new]).await? {
                    RespValue::Int(1) => Ok(Reply::ok()),
                    RespValue::Int(0) => Ok(Reply::mismatch()),
                    other => Err(decode_write_error(&other)),
                }
            }
            Call::Insert { element } => {
                match self.send_write(&["SADD", SET, &element.to_string()]).await? {
                    RespValue::Int(0 | 1) => Ok(Reply::ok()),
                    other => Err(decode_write_error(&other)),
                }
            }
            Call::ReadSet => match self.send_read(&["SMEMBERS", SET]).await? {
                RespValue::Texts(all) => Ok(Reply::returned(HistoryValue::List(
                    all.iter().map(|text| parse_int(text)).collect(),
                ))),
                other => Err(decode_read_error(&other)),
            },
            // The system declares no object of theirs, so none is ever asked.
            other => {
                Err(Reply::fail(format!("Redis keeps nothing here for {}", other.function_name())))
            }
        }
    }

    async fn fetch_term(&self) -> Option<u64> {
        let said = fetch_replication_info(&self.connections, self.address).await.ok()?;
        if info_field(&said, "role") != Some("master") {
            return None;
        }
        self.primary_finder.primary_term(&self.connections).await
    }
}

impl<G: PrimaryFinder> Client for RedisClient<G> {
    fn call<'a>(&'a self, call: &'a Call) -> BoxFuture<'a, Reply> {
        Box::pin(async move { self.execute_call(call).await.unwrap_or_else(|reply| reply) })
    }

    fn fetch_leadership(&self) -> BoxFuture<'_, Option<Leadership>> {
        Box::pin(async move {
            let term = tokio::time::timeout(STATUS_TIMEOUT, self.fetch_term()).await.ok()??;
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
        let error = |text: &str| decode_write_error(&RespValue::Error(text.to_owned())).outcome;
        assert_eq!(error("READONLY You can't write against a read only replica."), Outcome::Fail);
        assert_eq!(error("NOREPLICAS Not enough good replicas to write."), Outcome::Fail);
        assert_eq!(error("UNBLOCKED force unblock from blocking operation"), Outcome::Info);
        assert_eq!(error("ERR something new"), Outcome::Info);
        assert_eq!(error("MISCONF Errors writing to the AOF file"), Outcome::Info);
        assert_eq!(error(""), Outcome::Info);
        assert_eq!(decode_write_error(&RespValue::Int(3)).outcome, Outcome::Info);
        assert_eq!(write_failure(RespFailure::Unsent("refused".to_owned())).outcome, Outcome::Fail);
        assert_eq!(
            write_failure(RespFailure::Unknown("timeout".to_owned())).outcome,
            Outcome::Info
        );
        assert!(DEFINITE.iter().all(|(_, why)| why.len() > 20));
    }

    #[test]
    fn what_a_server_says_of_itself_is_found_by_its_whole_name() {
        let said = "# Replication\r\nrole:slave\r\nmaster_host:10.77.0.11\r\nmaster_port:6379\r\n";
        assert_eq!(info_field(said, "role"), Some("slave"));
        assert_eq!(info_field(said, "master_host"), Some("10.77.0.11"));
        assert_eq!(info_field(said, "master"), None);
    }
}
