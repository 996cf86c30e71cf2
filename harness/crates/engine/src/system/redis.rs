//! Redis with one fixed primary and replicas, without failover.
//!
//! A Redis failover loses acknowledged writes that were not replicated, by design. This setup loses
//! nothing: the first host's server stays primary for the whole run, and syncs its log before each
//! response. The price is that the system is unavailable without it. A client asks the server of
//! its host for the primary, and calls that; a stale read calls the host's server itself. Servers
//! reach each other at one address, so each needs a host of its own.

mod client;
mod resp;

pub(super) use self::client::{
    PrimaryFinder, decode_read_error, fetch_replication_info, info_field, make_client, read_failure,
};
pub(super) use self::resp::{Connections, RespValue};
use super::adapter::{Feature, Launch, Program, System};
use super::client::{Client, ClientOptions};
use super::executable::find_on_path;
use anyhow::Result;
use futures_util::future::BoxFuture;
use std::ffi::OsString;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use testbed::net::plan::HostId;
use workloads::{Object, ReadConsistency, Reply};

/// What Redis keeps for clients of ours.
pub(super) const OBJECTS: &[Object] = &[Object::Registers, Object::Set];
/// How fresh its reads can be asked to be.
pub(super) const READ_CONSISTENCIES: &[ReadConsistency] =
    &[ReadConsistency::Linearizable, ReadConsistency::Stale];
/// What its replicas can do.
pub(super) const FEATURES: &[Feature] =
    &[Feature::ExtraArguments, Feature::ReportsLeader, Feature::SeparateHosts];

/// Writes the configuration, then executes the server: `$1` data, `$2` configuration, `$3` the
/// server, followed by its arguments.
const START: &str = r#"mkdir -p "$1" && cd "$1" && printf '%s' "$2" >redis.conf &&
server=$3 && shift 3 && exec "$server" redis.conf "$@""#;

/// Redis without failover, as Debian packages it or as given.
pub(crate) struct Redis;

impl System for Redis {
    fn name(&self) -> &'static str {
        "redis"
    }

    fn doc(&self) -> &'static str {
        "Redis 7 with one fixed primary that syncs its log, and replicas; found on PATH or by \
         --bin; `--read stale` calls the host's own server"
    }

    fn objects(&self) -> &'static [Object] {
        OBJECTS
    }

    fn read_consistencies(&self) -> &'static [ReadConsistency] {
        READ_CONSISTENCIES
    }

    fn missing_dependency(&self, bin: Option<&Path>) -> Option<String> {
        missing_server(bin)
    }

    fn no_failover_reason(&self) -> Option<&'static str> {
        Some("the primary of redis is fixed")
    }

    fn features(&self) -> &'static [Feature] {
        FEATURES
    }

    fn replica_program(&self, launch: &Launch) -> Program {
        let mut args = vec![
            launch.data.clone().into(),
            server_config(launch).into(),
            server_path(launch).into(),
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
        Ok(make_client(FixedPrimary { own: address }, (host, address), options))
    }
}

/// What has to be installed first, if it is not there.
pub(super) fn missing_server(bin: Option<&Path>) -> Option<String> {
    let there = bin.is_some() || find_on_path("redis-server").is_some();
    (!there).then(|| {
        "no redis-server on PATH; install it (Debian: apt-get install redis-server), or give its \
         path with --bin"
            .to_owned()
    })
}

/// The server's program, at a place that holds wherever it is started.
pub(super) fn server_path(launch: &Launch) -> PathBuf {
    let found = launch.bin.clone().or_else(|| find_on_path("redis-server"));
    let path = found.unwrap_or_else(|| "redis-server".into());
    std::path::absolute(&path).unwrap_or(path)
}

/// Where the first primary runs.
pub(super) fn first_primary(launch: &Launch) -> Option<IpAddr> {
    launch.peers.iter().find(|(host, _)| *host == HostId(0)).map(|(_, at)| at.ip())
}

/// A server's configuration: it syncs its log before each response and replicates the first host's.
pub(super) fn server_config(launch: &Launch) -> String {
    let (ip, port) = (launch.listen_client.ip(), launch.listen_client.port());
    let mut lines = format!(
        "bind {ip}\nport {port}\ndir .\nprotected-mode no\n\
         appendonly yes\nappendfsync always\nsave \"\"\n\
         repl-diskless-sync-delay 0\nrepl-timeout 10\n"
    );
    if let Some(primary) = first_primary(launch).filter(|primary| *primary != ip) {
        lines += &format!("replicaof {primary} {port}\n");
    }
    lines
}

/// The primary that the server at that address replicates; the server itself if it is a primary.
struct FixedPrimary {
    own: SocketAddr,
}

impl FixedPrimary {
    fn parse_primary(&self, said: &str) -> Option<SocketAddr> {
        match info_field(said, "role")? {
            "master" => Some(self.own),
            _ => {
                let (host, port) =
                    (info_field(said, "master_host")?, info_field(said, "master_port")?);
                format!("{host}:{port}").parse().ok()
            }
        }
    }
}

impl PrimaryFinder for FixedPrimary {
    fn find_primary<'a>(
        &'a self,
        connections: &'a Connections,
    ) -> BoxFuture<'a, Result<SocketAddr, Reply>> {
        Box::pin(async move {
            let said = fetch_replication_info(connections, self.own).await?;
            self.parse_primary(&said)
                .ok_or_else(|| Reply::fail("the server does not report its primary"))
        })
    }

    fn primary_term<'a>(&'a self, _: &'a Connections) -> BoxFuture<'a, Option<u64>> {
        Box::pin(async { Some(0) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_without_a_primary_is_the_primary() {
        let follow = FixedPrimary { own: "10.0.0.2:6379".parse().expect("an address") };
        let told = |said: &str| follow.parse_primary(said).map(|at| at.to_string());
        assert_eq!(told("role:master\r\nconnected_slaves:2\r\n").as_deref(), Some("10.0.0.2:6379"));
        let replica = "role:slave\r\nmaster_host:10.0.0.1\r\nmaster_port:6379\r\n";
        assert_eq!(told(replica).as_deref(), Some("10.0.0.1:6379"));
        assert_eq!(told("role:slave\r\n"), None);
        assert_eq!(told(""), None);
    }
}
