//! Builds what a run stands on: the network, the replicas in it, and the certainty that each of
//! them answers.

use super::context::RunContext;
use super::plan::Plan;
use crate::nemesis::grudge::all_hosts;
use crate::nemesis::{Cluster, Member, Replacements, Requirement, Startup};
use crate::system::{Client, ClientOptions, Feature, Launch};
use anyhow::{Context as _, Result};
use futures_util::future::join_all;
use records::RunDirectory;
use records::logs::ReplicaLogs;
use records::record::Replica;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use testbed::host::disk::{self, Disk};
use testbed::host::thread::Host;
use testbed::net::plan::HostId;
use testbed::net::router::MESSAGES;
use testbed::net::{Backend, Network, Port};
use tokio::time::Instant;
use workloads::Outcome;

/// How long to wait before a replica is asked again.
const RETRY_DELAY: Duration = Duration::from_millis(20);

/// What a capture is called in the directory of a run.
const CAPTURE: &str = "capture.pcapng";

/// Says why no run can begin on this machine, or with this system: nothing was tested.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct SetupError(String);

impl SetupError {
    /// With the error that is in the way.
    pub fn from_error(error: &anyhow::Error) -> Self {
        Self(format!("{error:#}"))
    }
}

/// Tries what the plan's faults need, before anything starts.
pub(crate) fn check_requirements(plan: &Plan) -> Result<()> {
    let bin = plan.config.bin.as_ref().map(Path::new);
    let missing = || plan.system.missing_dependency(bin);
    unsupported_faults(plan).or_else(missing).map_or(Ok(()), |why| Err(SetupError(why).into()))
}

/// Why some fault cannot be had here, and what can be asked for instead.
fn unsupported_faults(plan: &Plan) -> Option<String> {
    let (why, able) = split_supported(
        plan.requested.iter().map(|it| (it.to_string(), it.nemesis.unsupported_here())),
    );
    let instead = match (plan.config.schedule.is_some(), able.is_empty()) {
        (false, false) => {
            format!("; the other faults are supported here: --nemesis {}", able.join(","))
        }
        _ => String::new(),
    };
    why.map(|why| format!("{why}{instead}"))
}

/// Why the first of these that cannot be had cannot, and all that can.
fn split_supported(
    wanted: impl Iterator<Item = (String, Option<String>)>,
) -> (Option<String>, Vec<String>) {
    let (able, unable): (Vec<_>, Vec<_>) = wanted.partition(|(_, why)| why.is_none());
    let why = unable.into_iter().find_map(|(_, why)| why);
    (why, able.into_iter().map(|(name, _)| name).collect())
}

/// The network. Where `auto` was asked for and the kernel refuses a bridge, proxies take its place.
pub(crate) async fn build_network(
    plan: &Plan,
    context: &mut RunContext,
    directory: &RunDirectory,
) -> Result<Network> {
    if plan.system.has_feature(Feature::StandardIo) {
        (context.backend, context.fallback_reason) = (Backend::Router, None);
        let messages = directory.file_path(MESSAGES);
        let built =
            Network::build_routed(plan.config.nodes, plan.config.seed, plan.routing, &messages)
                .await;
        return built.map_err(|error| SetupError::from_error(&error).into());
    }
    if context.backend == Backend::Bridge && needs_switch(plan) {
        context.backend = Backend::Switch;
    }
    let capture = plan.config.capture.then(|| directory.file_path(CAPTURE));
    let nodes = plan.config.nodes;
    let built = match Network::build(context.backend, nodes, plan.config.seed, capture).await {
        Err(error) if context.backend != Backend::Proxy && plan.config.net == "auto" => {
            (context.backend, context.fallback_reason) =
                (Backend::Proxy, Some(format!("{error:#}")));
            Network::build(Backend::Proxy, nodes, plan.config.seed, None).await
        }
        built => built,
    };
    if context.backend == Backend::Proxy && needs_switch(plan) {
        return Err(no_switch(context.fallback_reason.as_ref()));
    }
    let nemesis = plan
        .requested
        .iter()
        .find(|wanted| wanted.nemesis.requirements().contains(&Requirement::SeparateHosts));
    let nemesis = nemesis.map(|wanted| wanted.nemesis.name());
    let needs = nemesis
        .or_else(|| plan.system.has_feature(Feature::SeparateHosts).then(|| plan.system.name()));
    if let Some(name) = needs.filter(|_| context.backend == Backend::Proxy) {
        let why =
            context.fallback_reason.as_ref().map_or_else(String::new, |why| format!(" ({why})"));
        let text = format!(
            "{name} needs a network namespace per host, but only proxies are available{why}; \
             see harness doctor"
        );
        return Err(SetupError(text).into());
    }
    built.map_err(|error| {
        SetupError(format!("cannot build the network between the hosts: {error:#}")).into()
    })
}

/// Whether only the switch can do what is asked: shape links, or show their packets.
fn needs_switch(plan: &Plan) -> bool {
    plan.config.capture || plan_requires(plan, Requirement::Switch)
}

/// Whether a fault of the plan needs that.
fn plan_requires(plan: &Plan, requirement: Requirement) -> bool {
    plan.requested.iter().any(|wanted| wanted.nemesis.requirements().contains(&requirement))
}

fn no_switch(why: Option<&String>) -> anyhow::Error {
    let why = why.map_or_else(String::new, |why| format!(" ({why})"));
    SetupError(format!(
        "the packet nemesis and --capture need a switch, and only proxies are available{why}; \
         leave them out, or see harness doctor"
    ))
    .into()
}

/// The replicas, started.
pub(crate) fn start_replicas(
    plan: &Plan,
    network: Network,
    directory: &RunDirectory,
) -> Result<Cluster> {
    let mut members = Vec::new();
    let mut clients = Vec::new();
    for host in all_hosts(usize::from(plan.config.nodes)) {
        let launch = make_launch(plan, &network, host, directory);
        let log = directory.log_path(&host.to_string());
        let member = make_disk(plan, network.host(host)?, &launch.data).and_then(|disk| {
            Member::start(&network, host, make_startup(plan, &network, launch, log), disk)
        });
        let member = member.with_context(|| format!("cannot start the replica on {host}"));
        members.push(member.map_err(|why| SetupError::from_error(&why))?);
        clients.push(plan.system.make_client(
            host,
            network.client_addr(host),
            ClientOptions::default(),
        )?);
    }
    Ok(Cluster::new(network, members, clients))
}

/// How a replica is started, and where it keeps its data and logs.
fn make_startup(plan: &Plan, network: &Network, launch: Launch, log: PathBuf) -> Startup {
    let logs = ReplicaLogs { output: log, own_files: plan.system.log_files(&launch) };
    let (program, data) = (plan.system.replica_program(&launch), launch.data.clone());
    let replacements = plan.system.member_changes().map(|changes| {
        let seed = |by: HostId| (by, network.listen_addr(by, Port::Client));
        let seeds = all_hosts(usize::from(plan.config.nodes)).into_iter().map(seed).collect();
        Replacements::new(changes, launch, seeds)
    });
    Startup { program, data, logs, replacements }
}

/// What replicas' data is on, if one of the plan's faults is about that.
pub(crate) fn choose_disks(plan: &Plan) -> Result<Option<disk::BackendChoice>> {
    plan_requires(plan, Requirement::Disks)
        .then(disk::choose_backend)
        .transpose()
        .map_err(|why| SetupError(why).into())
}

fn make_disk(plan: &Plan, host: &Host, data: &Path) -> Result<Option<Disk>> {
    choose_disks(plan)?.map(|choice| Disk::set_up(choice.backend, host, data)).transpose()
}

fn make_launch(plan: &Plan, network: &Network, host: HostId, directory: &RunDirectory) -> Launch {
    let hosts = all_hosts(usize::from(plan.config.nodes));
    let mut rng = plan.rng.fork(&format!("replica {host}"));
    Launch {
        host,
        data: directory.data_dir(&host.to_string()),
        trace: directory.trace_path(&host.to_string()),
        peers: hosts.into_iter().map(|peer| (peer, network.dial_addr(host, peer))).collect(),
        listen_client: network.listen_addr(host, Port::Client),
        listen_peer: network.listen_addr(host, Port::Peer),
        seed: rng.below(u64::MAX),
        consistency: workloads::ReadConsistency::parse(&plan.config.read).unwrap_or_default(),
        bugs: plan.config.bugs.clone(),
        args: plan.config.node_args.clone(),
        variant: plan.config.variant.clone(),
        bin: plan.config.bin.as_ref().map(PathBuf::from),
    }
}

/// Where clients reach each replica.
pub(crate) fn client_addresses(plan: &Plan, network: &Network) -> Vec<SocketAddr> {
    all_hosts(usize::from(plan.config.nodes))
        .into_iter()
        .map(|host| network.client_addr(host))
        .collect()
}

/// The replicas as `run.json` names them.
pub(crate) fn replica_records(addresses: &[SocketAddr]) -> Vec<Replica> {
    let replica = |(host, address): (HostId, &SocketAddr)| Replica {
        name: host.to_string(),
        address: address.to_string(),
    };
    all_hosts(addresses.len()).into_iter().zip(addresses).map(replica).collect()
}

/// Waits until every replica answers a read; one that exits first, or never answers, is told with
/// its last words.
pub(crate) async fn wait_until_ready(
    cluster: &mut Cluster,
    directory: &RunDirectory,
    patience: Duration,
) -> Result<()> {
    let clients = cluster.clients().to_vec();
    let answers = async {
        let asked = all_hosts(clients.len())
            .into_iter()
            .zip(&clients)
            .map(|(host, client)| await_ready(host, client, directory, patience));
        join_all(asked).await.into_iter().collect::<Result<Vec<()>>>()
    };
    let dies = async {
        loop {
            if let Some(exit) = cluster.poll_unexpected_exits().into_iter().next() {
                return exit;
            }
            tokio::time::sleep(RETRY_DELAY).await;
        }
    };
    tokio::select! {
        answered = answers => answered.map(drop),
        death = dies => Err(SetupError(format!(
            "the replica on {} exited before it was ready ({}); {}",
            death.host, death.exit, log_excerpt(&death.log)
        )).into()),
    }
}

fn log_excerpt(log: &[String]) -> String {
    if log.iter().all(|line| line.trim().is_empty()) {
        return "its log is empty".to_owned();
    }
    format!("the end of its log:\n  {}", log.join("\n  "))
}

async fn await_ready(
    host: HostId,
    client: &Arc<dyn Client>,
    directory: &RunDirectory,
    patience: Duration,
) -> Result<()> {
    let deadline = Instant::now() + patience;
    loop {
        let reply = client.check_ready().await;
        if reply.outcome == Outcome::Ok {
            return Ok(());
        }
        if Instant::now() > deadline {
            let why = reply.error.unwrap_or_default();
            let (patience, log) = (patience.as_secs_f64(), directory.log_path(&host.to_string()));
            let text = format!(
                "the replica on {host} was not ready within {patience} s; last reply: {why}; \
                 its log is {}",
                log.display()
            );
            return Err(SetupError(text).into());
        }
        tokio::time::sleep(RETRY_DELAY).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn separates_supported_from_unsupported_faults() {
        let asked = [("kill", None), ("power-loss", Some("no FUSE")), ("disk-full:one", None)];
        let asked = asked.map(|(name, why)| (name.to_owned(), why.map(str::to_owned)));
        let (why, able) = split_supported(asked.into_iter());
        assert_eq!(why.as_deref(), Some("no FUSE"));
        assert_eq!(able.join(","), "kill,disk-full:one");
    }
}
