//! Calls etcd over the JSON gateway of its v3 API only.
//!
//! etcd is found on PATH or by `--bin`. All members must reach a replica at one address, so each
//! needs a host of its own: proxies give each link its own address, and every member would then
//! have a different view of the cluster.

mod calls;

use self::calls::{EtcdRequest, NextStep};
use super::adapter::{Feature, Launch, Program, System};
use super::client::{AdminReply, Client, ClientOptions, LeaderTransfer, Leadership, ReplicaStatus};
use super::errors;
use anyhow::{Context as _, Result};
use futures_util::future::BoxFuture;
use reqwest::StatusCode;
use serde_json::{Value, json};
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use testbed::net::plan::HostId;
use workloads::{Call, Object, ReadConsistency, Reply};

/// How long a client waits for an answer.
const CALL_TIMEOUT: Duration = Duration::from_millis(1_000);
/// How long a question about leadership may take.
const STATUS_TIMEOUT: Duration = Duration::from_millis(200);

/// Heartbeat interval and election timeout in milliseconds: half of etcd's defaults, for local
/// links.
const HEARTBEAT_MS: u32 = 50;
const ELECTION_MS: u32 = 500;

/// etcd, as Debian packages it or as given.
pub(crate) struct Etcd;

impl System for Etcd {
    fn name(&self) -> &'static str {
        "etcd"
    }

    fn doc(&self) -> &'static str {
        "etcd 3.4 or newer, found on PATH or by --bin; `--read stale` uses its serializable reads"
    }

    fn objects(&self) -> &'static [Object] {
        &[Object::Registers, Object::Set, Object::Transactions]
    }

    fn read_consistencies(&self) -> &'static [ReadConsistency] {
        &[ReadConsistency::Linearizable, ReadConsistency::Stale]
    }

    fn missing_dependency(&self, bin: Option<&Path>) -> Option<String> {
        let there = bin.is_some() || super::executable::find_on_path("etcd").is_some();
        (!there).then(|| {
            "no etcd on PATH; install it (Debian: apt-get install etcd-server), or give its path \
             with --bin"
                .to_owned()
        })
    }

    fn features(&self) -> &'static [Feature] {
        &[
            Feature::LeaderTransfer,
            Feature::OneLeaderPerTerm,
            Feature::ReportsLeader,
            Feature::SeparateHosts,
        ]
    }

    fn replica_program(&self, launch: &Launch) -> Program {
        let path = launch.bin.clone().or_else(|| super::executable::find_on_path("etcd"));
        let url = |address: SocketAddr| format!("http://{address}");
        let members: Vec<_> =
            launch.peers.iter().map(|(host, at)| format!("{host}={}", url(*at))).collect();
        let (client, peer) = (url(launch.listen_client), url(launch.listen_peer));
        let mut args: Vec<OsString> = Vec::new();
        let mut flag = |name: &str, value: String| args.extend([name.into(), value.into()]);
        flag("--name", launch.host.to_string());
        flag("--data-dir", launch.data.display().to_string());
        flag("--listen-client-urls", client.clone());
        flag("--advertise-client-urls", client);
        flag("--listen-peer-urls", peer.clone());
        flag("--initial-advertise-peer-urls", peer);
        flag("--initial-cluster", members.join(","));
        flag("--initial-cluster-token", "harness".to_owned());
        flag("--initial-cluster-state", "new".to_owned());
        flag("--heartbeat-interval", HEARTBEAT_MS.to_string());
        flag("--election-timeout", ELECTION_MS.to_string());
        Program { path: path.unwrap_or_else(|| "etcd".into()), args }
    }

    fn make_client(
        &self,
        host: HostId,
        address: SocketAddr,
        options: ClientOptions,
    ) -> Result<Arc<dyn Client>> {
        let patience = options.patience.unwrap_or(CALL_TIMEOUT);
        let http =
            super::http::build_http_client(patience).context("cannot build the HTTP client")?;
        let base = format!("http://{address}/v3");
        Ok(Arc::new(EtcdClient {
            http,
            base,
            host,
            serializable: options.consistency == ReadConsistency::Stale,
        }))
    }
}

struct EtcdClient {
    http: reqwest::Client,
    base: String,
    host: HostId,
    serializable: bool,
}

impl EtcdClient {
    /// The number of the member on that host, as text.
    async fn find_member_id(&self, host: HostId) -> Option<String> {
        let asked = self.http.post(format!("{}/cluster/member/list", self.base)).json(&json!({}));
        let list: Value = asked.timeout(STATUS_TIMEOUT).send().await.ok()?.json().await.ok()?;
        let members = list.get("members")?.as_array()?;
        let name = host.to_string();
        let member = members.iter().find(|member| member["name"] == name.as_str())?;
        Some(member.get("ID")?.as_str()?.to_owned())
    }

    /// The answer to a request, or what its failure says of the call.
    async fn post_json(&self, path: &str, body: &Value) -> Result<Value, Reply> {
        let sent = self.http.post(format!("{}{path}", self.base)).json(body).send().await;
        let response = sent.map_err(|error| errors::classify_error(&error))?;
        let status = response.status();
        let bytes = response.bytes().await.map_err(|error| errors::classify_error(&error))?;
        let answer = serde_json::from_slice::<Value>(&bytes)
            .map_err(|_| Reply::info(format!("HTTP {status} without a readable response")))?;
        if status == StatusCode::OK { Ok(answer) } else { Err(decode_error(&answer)) }
    }
}

/// etcd's error messages, and whether the request definitely had no effect. The outcome of any
/// other error is unknown.
const ERRORS: &[(&str, bool, &str)] = &[
    (
        "etcdserver: too many requests",
        true,
        "the proposal queue was full, and this one was not added",
    ),
    ("etcdserver: no leader", true, "it was refused before it was proposed"),
    ("etcdserver: not leader", true, "it was refused before it was proposed"),
    ("etcdserver: server stopped", false, "it may have been proposed before"),
    ("etcdserver: request timed out", false, "it was proposed, and may be committed later"),
    ("etcdserver: leader changed", false, "it was proposed to a former leader"),
    ("etcdserver: duplicate key given in txn request", true, "the request is malformed"),
    (
        "etcdserver: mvcc: database space exceeded",
        false,
        "a member that detects this while applying applies the request and returns the error",
    ),
];

fn decode_error(answer: &Value) -> Reply {
    let text = |name| answer.get(name).and_then(Value::as_str);
    let error = text("message").or_else(|| text("error")).unwrap_or("an error without a text");
    match ERRORS.iter().find(|(known, ..)| error.starts_with(known)) {
        Some((known, true, _)) => Reply::fail(*known),
        _ => Reply::info(error),
    }
}

impl Client for EtcdClient {
    fn call<'a>(&'a self, call: &'a Call) -> BoxFuture<'a, Reply> {
        Box::pin(async move {
            let mut step = calls::first_request(call, self.serializable);
            loop {
                let EtcdRequest { path, body, read_only: looks, .. } = &step;
                let answer = match self.post_json(path, body).await {
                    Ok(answer) => answer,
                    // A read-only request changes nothing, so its failure is definite.
                    Err(reply) if *looks => return Reply::fail(reply.error.unwrap_or_default()),
                    Err(reply) => return reply,
                };
                match calls::next_step(call, &step, &answer) {
                    NextStep::Reply(reply) => return reply,
                    NextStep::Then(next) => step = next,
                }
            }
        })
    }

    fn fetch_leadership(&self) -> BoxFuture<'_, Option<Leadership>> {
        Box::pin(async { self.fetch_status().await?.leadership() })
    }

    fn fetch_status(&self) -> BoxFuture<'_, Option<ReplicaStatus>> {
        Box::pin(async move {
            let address = format!("{}/maintenance/status", self.base);
            let asked = self.http.post(address).json(&json!({})).timeout(STATUS_TIMEOUT).send();
            parse_status(self.host, &asked.await.ok()?.json().await.ok()?)
        })
    }

    fn leader_transfer(&self) -> Option<&dyn LeaderTransfer> {
        Some(self)
    }
}

impl LeaderTransfer for EtcdClient {
    fn transfer_leadership(&self, to: HostId) -> BoxFuture<'_, AdminReply> {
        Box::pin(async move {
            let Some(member) = self.find_member_id(to).await else {
                return AdminReply::Refused(format!("etcd lists no member {to}"));
            };
            let address = format!("{}/maintenance/transfer-leadership", self.base);
            let asked = self.http.post(address).json(&json!({ "targetID": member })).send();
            // The next leader shows the outcome, whatever the response.
            drop(asked.await);
            AdminReply::Requested
        })
    }
}

/// The status of a member. Members have ids of their own: only the leader itself maps to its host.
fn parse_status(host: HostId, status: &Value) -> Option<ReplicaStatus> {
    let number = |value: &Value, name: &str| value.get(name)?.as_str()?.parse().ok();
    let header = status.get("header")?;
    let leader = status.get("leader").and_then(Value::as_str).filter(|leader| *leader != "0");
    let leads = leader.is_some() && header.get("member_id")?.as_str() == leader;
    let role = match leader {
        None => "without a leader",
        Some(_) if leads => "leader",
        Some(_) => "follower",
    };
    Some(ReplicaStatus {
        role: Some(role.to_owned()),
        leader: leads.then_some(host),
        term: number(header, "raft_term"),
        commit: number(status, "raftIndex"),
        applied: number(status, "raftAppliedIndex"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_says_what_it_is() {
        let said = |leader: &str| {
            json!({"header": {"member_id": "7", "raft_term": "3"}, "leader": leader,
            "raftIndex": "12", "raftAppliedIndex": "11"})
        };
        let leader = parse_status(HostId(1), &said("7")).expect("it is understood");
        assert_eq!((leader.role.as_deref(), leader.leader), (Some("leader"), Some(HostId(1))));
        assert_eq!((leader.term, leader.commit, leader.applied), (Some(3), Some(12), Some(11)));
        let follower = parse_status(HostId(1), &said("8")).expect("it is understood");
        assert_eq!((follower.role.as_deref(), follower.leadership()), (Some("follower"), None));
        assert_eq!(parse_status(HostId(1), &json!({"error": "x"})), None);
    }
    use workloads::Outcome;

    #[test]
    fn only_errors_of_the_table_are_definite() {
        let outcome = |error: &str| decode_error(&json!({ "error": error, "code": 14 })).outcome;
        assert_eq!(outcome("etcdserver: too many requests"), Outcome::Fail);
        assert_eq!(outcome("etcdserver: request timed out"), Outcome::Info);
        assert_eq!(
            outcome("etcdserver: request timed out, possibly due to previous leader failure"),
            Outcome::Info
        );
        assert_eq!(outcome("etcdserver: mvcc: database space exceeded"), Outcome::Info);
        assert_eq!(outcome("something new"), Outcome::Info);
        assert_eq!(decode_error(&json!({})).outcome, Outcome::Info);
        assert!(ERRORS.iter().all(|(_, _, why)| why.len() > 20));
    }
}
