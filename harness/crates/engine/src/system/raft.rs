//! Calls the built-in key-value store over its public HTTP API only.

mod calls;

use self::calls::{KvRequest, decode_response, encode_request};
use super::adapter::{
    ArgumentChoice, Feature, JoinRequest, Launch, MemberChanges, Program, SwarmChoices, System,
};
use super::client::{
    AdminReply, Client, ClientOptions, LeaderTransfer, Leadership, MemberInfo, Membership,
    ReplicaStatus,
};
use super::errors;
use super::seeded_bug::SeededBug;
use anyhow::{Context as _, Result, bail};
use futures_util::future::BoxFuture;
use reqwest::{RequestBuilder, StatusCode};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use testbed::net::plan::HostId;
use workloads::{Call, Object, ReadConsistency, Reply};

/// How long a client waits for an answer.
const CLIENT_TIMEOUT: Duration = Duration::from_millis(1_000);
/// How much of that is the server's own time limit, in percent: it can still report the outcome.
const SERVER_SHARE_PERCENT: u128 = 80;
/// How long a question about leadership may take.
const STATUS_TIMEOUT: Duration = Duration::from_millis(200);

/// What a seed may draw of a replica's arguments. By default a short run takes no snapshot.
const ARGUMENTS: &[ArgumentChoice] = &[
    ArgumentChoice { flag: "--snapshot-entries", values: &["20", "100", ""], splits_keys: false },
    ArgumentChoice { flag: "--profile", values: &["", "", "fast"], splits_keys: false },
    ArgumentChoice { flag: "--groups", values: &["", "", "2", "4"], splits_keys: true },
];

/// The built-in Raft-replicated key-value store.
pub(crate) struct RaftKv;

impl System for RaftKv {
    fn name(&self) -> &'static str {
        "raft"
    }

    fn doc(&self) -> &'static str {
        "the Raft-replicated key-value store in this binary (`harness node`), or another build of \
         it (--bin)"
    }

    fn objects(&self) -> &'static [Object] {
        &[
            Object::Bank,
            Object::Counters,
            Object::Ids,
            Object::Locks,
            Object::Queue,
            Object::Registers,
            Object::Set,
            Object::Transactions,
        ]
    }

    fn read_consistencies(&self) -> &'static [ReadConsistency] {
        &[
            ReadConsistency::Linearizable,
            ReadConsistency::Lease,
            ReadConsistency::Stale,
            ReadConsistency::Session,
        ]
    }

    fn features(&self) -> &'static [Feature] {
        &[
            Feature::ExtraArguments,
            Feature::LeaderTransfer,
            Feature::OneLeaderPerTerm,
            Feature::ReportsLeader,
        ]
    }

    fn swarm_choices(&self) -> SwarmChoices {
        SwarmChoices {
            nodes: &["3", "4", "5"],
            reads: &["linearizable", "linearizable", "lease"],
            arguments: ARGUMENTS,
        }
    }

    fn member_changes(&self) -> Option<&dyn MemberChanges> {
        Some(self)
    }

    fn list_bugs(&self, bin: Option<&PathBuf>) -> Result<Vec<SeededBug>> {
        let Program { path, mut args } = base_program(bin);
        args.push("--list-unsafe".into());
        let output = std::process::Command::new(&path).args(&args).output();
        let output = output.with_context(|| format!("cannot execute {}", path.display()))?;
        if !output.status.success() {
            bail!(
                "{} does not accept --list-unsafe: it is not a replica of this store",
                path.display()
            );
        }
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let parsed: Option<Vec<SeededBug>> = text.lines().map(SeededBug::parse).collect();
        parsed.with_context(|| format!("{} lists bugs without their columns", path.display()))
    }

    fn replica_program(&self, launch: &Launch) -> Program {
        let peers: Vec<String> =
            launch.peers.iter().map(|(host, address)| format!("{host}={address}")).collect();
        let way = vec!["--peers".into(), peers.join(",").into()];
        build_program(launch, &member_name(launch.host, 0), way)
    }

    fn make_client(
        &self,
        _: HostId,
        address: SocketAddr,
        ClientOptions { consistency, patience }: ClientOptions,
    ) -> Result<Arc<dyn Client>> {
        let patience = patience.unwrap_or(CLIENT_TIMEOUT);
        let http =
            super::http::build_http_client(patience).context("cannot build the HTTP client")?;
        let base = format!("http://{address}");
        let server_timeout_ms = patience.as_millis() * SERVER_SHARE_PERCENT / 100;
        let session = Mutex::default();
        Ok(Arc::new(RaftKvClient { http, base, consistency, server_timeout_ms, session }))
    }
}

impl MemberChanges for RaftKv {
    fn joining_program(&self, launch: &Launch, arrival: &JoinRequest) -> Program {
        let JoinRequest { seed, generation, replaces } = *arrival;
        let mut way = vec!["--join".into(), seed.to_string().into()];
        if replaces {
            way.extend(["--replace".into(), member_name(launch.host, generation - 1).into()]);
        }
        build_program(launch, &member_name(launch.host, generation), way)
    }
}

/// The program of a replica: this binary, unless `--bin` names another.
fn base_program(bin: Option<&PathBuf>) -> Program {
    match bin {
        Some(path) => Program { path: path.clone(), args: Vec::new() },
        None => {
            // The file of the running process: a rebuild must not change the system under test.
            Program { path: "/proc/self/exe".into(), args: vec!["node".into()] }
        }
    }
}

/// The command line of a replica with that name and way to join.
fn build_program(launch: &Launch, name: &str, way: Vec<OsString>) -> Program {
    let Program { path, mut args } = base_program(launch.bin.as_ref());
    let mut flag = |name: &str, value: OsString| args.extend([name.into(), value]);
    flag("--id", name.into());
    flag("--data", launch.data.clone().into());
    flag("--listen-client", launch.listen_client.to_string().into());
    flag("--listen-peer", launch.listen_peer.to_string().into());
    flag("--seed", launch.seed.to_string().into());
    if !launch.bugs.is_empty() {
        flag("--unsafe", launch.bugs.join(",").into());
    }
    if !launch.args.iter().any(|arg| arg.starts_with("--trace")) {
        args.extend(["--trace".into(), launch.trace.clone().into()]);
    }
    args.extend(way);
    if launch.consistency == ReadConsistency::Lease {
        args.push("--lease-reads".into());
    }
    args.extend(launch.args.iter().map(OsString::from));
    Program { path, args }
}

/// `n3`, or `n3.1` for its first replacement.
fn member_name(host: HostId, generation: u32) -> String {
    match generation {
        0 => host.to_string(),
        _ => format!("{host}.{generation}"),
    }
}

/// Where the replica of that name runs.
fn parse_host(name: &str) -> Option<HostId> {
    let number = name.strip_prefix('n')?.split('.').next()?.parse::<u8>().ok()?;
    Some(HostId(number.checked_sub(1)?))
}

struct RaftKvClient {
    http: reqwest::Client,
    base: String,
    consistency: ReadConsistency,
    /// The server's time limit for a request.
    server_timeout_ms: u128,
    /// The greatest applied index of each group that this client has observed.
    session: Mutex<BTreeMap<u64, u64>>,
}

impl RaftKvClient {
    fn build_request(&self, asked: &KvRequest) -> RequestBuilder {
        let mut address =
            format!("{}{}?timeout_ms={}", self.base, asked.path, self.server_timeout_ms);
        if asked.read_only {
            address += &self.consistency_query();
        }
        match &asked.body {
            None => self.http.get(address),
            Some(body) if asked.path.ends_with("/cas") || asked.path == "/txn" => {
                self.http.post(address).json(body)
            }
            Some(body) => self.http.put(address).json(body),
        }
    }

    /// The query parameters of a read with that consistency.
    fn consistency_query(&self) -> String {
        match self.consistency {
            ReadConsistency::Linearizable => String::new(),
            ReadConsistency::Lease => "&consistency=lease".to_owned(),
            ReadConsistency::Stale => "&consistency=stale".to_owned(),
            ReadConsistency::Session => {
                format!("&consistency=stale&after={}", self.session_token())
            }
        }
    }

    /// Advances the client's session token to the index of a response.
    fn advance_session(&self, body: &Value, looks: bool) {
        // A write has its own index, which the responding replica may not have applied yet.
        let place = body.get(if looks { "applied" } else { "index" }).and_then(Value::as_u64);
        let group = body.get("group").and_then(Value::as_u64).unwrap_or(0);
        if let Some(place) = place {
            let mut seen = self.lock_session();
            let seen = seen.entry(group).or_default();
            *seen = place.max(*seen);
        }
    }

    /// Where a read may begin, for whichever group it belongs to.
    fn session_token(&self) -> String {
        let seen = self.lock_session();
        let token = seen.iter().map(|(group, place)| format!("{group}:{place}"));
        let token = token.collect::<Vec<_>>().join(",");
        if token.is_empty() { "0".to_owned() } else { token }
    }

    fn lock_session(&self) -> MutexGuard<'_, BTreeMap<u64, u64>> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Client for RaftKvClient {
    fn call<'a>(&'a self, call: &'a Call) -> BoxFuture<'a, Reply> {
        Box::pin(async move {
            let asked = encode_request(call);
            let response = match self.build_request(&asked).send().await {
                Ok(response) => response,
                Err(error) => return errors::classify_error(&error),
            };
            let status = response.status();
            let body = match response.bytes().await {
                Ok(body) => body,
                Err(error) => return errors::classify_error(&error),
            };
            let Ok(body) = serde_json::from_slice::<Value>(&body) else {
                return Reply::info(format!("HTTP {status} without a readable response"));
            };
            if matches!(status, StatusCode::OK | StatusCode::NOT_FOUND) {
                self.advance_session(&body, asked.read_only);
            }
            decode_response(call, status, &body)
        })
    }

    fn fetch_leadership(&self) -> BoxFuture<'_, Option<Leadership>> {
        Box::pin(async { self.fetch_status().await?.leadership() })
    }

    fn fetch_status(&self) -> BoxFuture<'_, Option<ReplicaStatus>> {
        Box::pin(async move {
            let asked =
                self.http.get(format!("{}/status", self.base)).timeout(STATUS_TIMEOUT).send();
            Some(parse_status(&asked.await.ok()?.json().await.ok()?))
        })
    }

    fn leader_transfer(&self) -> Option<&dyn LeaderTransfer> {
        Some(self)
    }

    fn membership(&self) -> Option<&dyn Membership> {
        Some(self)
    }
}

impl LeaderTransfer for RaftKvClient {
    fn transfer_leadership(&self, to: HostId) -> BoxFuture<'_, AdminReply> {
        Box::pin(async move {
            let address =
                format!("{}/cluster/leader?timeout_ms={}", self.base, self.server_timeout_ms);
            let wish = json!({ "name": self.name_of(to).await });
            request_change(self.http.post(address).json(&wish)).await
        })
    }
}

impl Membership for RaftKvClient {
    fn fetch_members(&self) -> BoxFuture<'_, Option<Vec<MemberInfo>>> {
        Box::pin(async move {
            let all = self.list_members().await?;
            Some(all.into_iter().map(|(member, _)| member).collect())
        })
    }

    fn remove_member(&self, host: HostId) -> BoxFuture<'_, AdminReply> {
        Box::pin(async move {
            let query = format!("timeout_ms={}", self.server_timeout_ms);
            let name = self.name_of(host).await;
            let wish = format!("{}/cluster/members/{name}?{query}", self.base);
            request_change(self.http.delete(wish)).await
        })
    }
}

impl RaftKvClient {
    /// The members and their names.
    async fn list_members(&self) -> Option<Vec<(MemberInfo, String)>> {
        let asked = self.http.get(format!("{}/cluster/members", self.base));
        let said: Value = asked.timeout(STATUS_TIMEOUT).send().await.ok()?.json().await.ok()?;
        let member = |member: &Value| {
            let name = member["name"].as_str()?;
            Some((
                MemberInfo { host: parse_host(name)?, id: member["id"].as_u64()? },
                name.to_owned(),
            ))
        };
        said["members"].as_array()?.iter().map(member).collect()
    }

    /// What the member on that host is called: the last that came, where there are two.
    async fn name_of(&self, host: HostId) -> String {
        let there = |(member, _): &(MemberInfo, String)| member.host == host;
        let last =
            self.list_members().await.into_iter().flatten().filter(there).max_by_key(|it| it.0.id);
        last.map_or_else(|| member_name(host, 0), |(_, name)| name)
    }
}

/// What `/status` says; of several groups, the first.
fn parse_status(status: &Value) -> ReplicaStatus {
    let number = |name: &str| status.get(name).and_then(Value::as_u64);
    ReplicaStatus {
        role: status.get("role").and_then(Value::as_str).map(str::to_owned),
        leader: status.get("leader").and_then(Value::as_str).and_then(parse_host),
        term: number("term"),
        commit: number("commit_index"),
        applied: number("applied"),
    }
}

/// Sends a request to change the leader or the members.
async fn request_change(request: RequestBuilder) -> AdminReply {
    let Ok(response) = request.send().await else { return AdminReply::Requested };
    let refused = !response.status().is_success();
    let said: Value = response.json().await.unwrap_or_default();
    match said["message"].as_str() {
        Some(why) if refused && said["definite"] == true => AdminReply::Refused(why.to_owned()),
        _ => AdminReply::Requested,
    }
}
