//! Redis with Sentinel: a server and a sentinel on each host; the first host has the first primary.
//!
//! As usual with Sentinel, each client asks the sentinel of its own host for the primary, and calls
//! that. A stale read calls the host's server itself. Servers reach each other at one address, so
//! each needs a host of its own. Redis replicates asynchronously, so a partitioned primary
//! acknowledges writes that are lost later: `--node-arg=--min-replicas-to-write --node-arg=1`
//! narrows that window, and does not close it.

use super::adapter::{Feature, Launch, Program, System};
use super::client::{Client, ClientOptions};
use super::redis::{self, Connections, PrimaryFinder, RespValue};
use anyhow::Result;
use futures_util::future::BoxFuture;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use testbed::net::plan::HostId;
use workloads::{Object, ReadConsistency, Reply};

/// How long a primary is silent before sentinels declare it down, and the time limit of a failover.
const DOWN_MS: u32 = 1_000;
const FAILOVER_MS: u32 = 3_000;
/// What sentinels call the primary.
const NAME: &str = "main";

/// Writes both configurations unless they exist (each program updates its own), then executes both:
/// `$1` data, `$2` and `$3` the configurations, `$4` the server, followed by its arguments.
const START: &str = r#"mkdir -p "$1" && cd "$1" && data=$1 server=$4 &&
{ [ -f redis.conf ] || printf '%s' "$2" >redis.conf; } &&
{ [ -f sentinel.conf ] || printf '%s' "$3" >sentinel.conf; } && shift 4 &&
{ "$server" redis.conf "$@" & } && exec "$server" sentinel.conf --sentinel"#;

/// Redis with Sentinel, as Debian packages them or as given.
pub(crate) struct RedisSentinel;

impl System for RedisSentinel {
    fn name(&self) -> &'static str {
        "redis-sentinel"
    }

    fn doc(&self) -> &'static str {
        "Redis 7 with a sentinel on each host, found on PATH or by --bin; `--read stale` calls the \
         host's own server"
    }

    fn objects(&self) -> &'static [Object] {
        redis::OBJECTS
    }

    fn read_consistencies(&self) -> &'static [ReadConsistency] {
        redis::READ_CONSISTENCIES
    }

    fn missing_dependency(&self, bin: Option<&Path>) -> Option<String> {
        redis::missing_server(bin)
    }

    fn features(&self) -> &'static [Feature] {
        redis::FEATURES
    }

    fn replica_program(&self, launch: &Launch) -> Program {
        let mut args = vec![
            launch.data.clone().into(),
            redis::server_config(launch).into(),
            sentinel_settings(launch).into(),
            redis::server_path(launch).into(),
        ];
        args.extend(launch.args.iter().map(OsString::from));
        Program::from_script(START, self.name(), args)
    }

    fn make_client(
        &self,
        host: HostId,
        address: SocketAddr,
        options: ClientOptions,
    ) -> Result<Arc<dyn Client>> {
        let sentinel = SocketAddr::new(address.ip(), sentinel_port(address.port()));
        Ok(redis::make_client(Sentinel { at: sentinel }, (host, address), options))
    }
}

/// The port of a host's sentinel: the one after its server's.
fn sentinel_port(server: u16) -> u16 {
    server.wrapping_add(1)
}

fn sentinel_settings(launch: &Launch) -> String {
    let (ip, port) = (launch.listen_client.ip(), launch.listen_client.port());
    let (primary, quorum) =
        (redis::first_primary(launch).unwrap_or(ip), launch.peers.len() / 2 + 1);
    format!(
        "bind {ip}\nport {}\ndir .\nprotected-mode no\n\
         sentinel monitor {NAME} {primary} {port} {quorum}\n\
         sentinel down-after-milliseconds {NAME} {DOWN_MS}\n\
         sentinel failover-timeout {NAME} {FAILOVER_MS}\n\
         sentinel parallel-syncs {NAME} 5\n",
        sentinel_port(port)
    )
}

/// The sentinel of a client's own host.
struct Sentinel {
    at: SocketAddr,
}

impl PrimaryFinder for Sentinel {
    fn find_primary<'a>(
        &'a self,
        connections: &'a Connections,
    ) -> BoxFuture<'a, Result<SocketAddr, Reply>> {
        Box::pin(async move {
            let words = ["SENTINEL", "GET-MASTER-ADDR-BY-NAME", NAME];
            let told =
                connections.send_request(self.at, &words).await.map_err(redis::read_failure)?;
            let RespValue::Texts(parts) = &told else {
                return Err(redis::decode_read_error(&told));
            };
            let address = parts.join(":").parse();
            address.map_err(|_| Reply::fail(format!("the sentinel names {parts:?} as the primary")))
        })
    }

    /// The epoch of the configuration.
    fn primary_term<'a>(&'a self, connections: &'a Connections) -> BoxFuture<'a, Option<u64>> {
        Box::pin(async move {
            let told =
                connections.send_request(self.at, &["SENTINEL", "MASTER", NAME]).await.ok()?;
            let RespValue::Texts(all) = told else { return None };
            let at = all.iter().position(|word| word == "config-epoch")?;
            all.get(at + 1)?.parse().ok()
        })
    }
}
