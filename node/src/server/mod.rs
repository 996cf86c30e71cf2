//! Runs a replica: the I/O around the pure core. Only this module touches sockets, disk and clock.
//!
//! | module | owns |
//! |---|---|
//! | [`groups`] | the parts of each group of keys, assembled |
//! | [`driver`] | the core, the store and the pending requests of a group: one task |
//! | [`peer_auth`] | the authentication of peers |
//! | [`frame`] | the frames between replicas |
//! | [`storage`] | the files of the log: one thread |
//! | [`join`] | joining a cluster |
//! | [`incarnation`] | the detection of emptied data directories |
//! | [`links`] | the connections to peers |
//! | [`udp_heartbeats`] | heartbeats as datagrams, for a bug |
//! | [`demux`] | the delivery of peers' frames to groups |
//! | [`transport`] | the protocol between peers: two tasks for each |
//! | [`ticks`] | the core's clock |
//! | [`trace`] | one JSON line for each protocol event |
//! | [`connections`] | the limit of client connections |
//! | [`http`] | client requests and their deadlines: one task for each connection |
//! | [`metrics`] | counters |
//!
//! All tasks share one thread: five replicas fit on two cores.

mod args;
#[cfg(test)]
pub(crate) mod bug_tests;
mod connections;
mod demux;
mod driver;
mod frame;
mod groups;
mod http;
mod incarnation;
mod join;
mod links;
mod log;
mod members;
mod metrics;
mod peer_auth;
mod peer_event;
mod published_status;
mod request;
mod storage;
mod ticks;
mod trace;
mod transport;
mod udp_heartbeats;

use crate::bug::Bug;
use args::{Bootstrap, Invocation, Settings};
use connections::ClientListener;
use groups::ReplicaContext;
use http::Api;
use incarnation::Incarnations;
use links::Links;
use log::Logger;
use members::{Member, Members};
use socket2::SockRef;
use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;
use storage::Storage;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use trace::Trace;
use transport::Identity;
use udp_heartbeats::UdpHeartbeats;

/// The exit code of a replica that cannot start or continue.
const FAILED: u8 = 1;
const BAD_ARGUMENTS: u8 = 254;
/// How many client connections may wait to be accepted.
const BACKLOG: i32 = 4096;

/// Runs a replica until a signal stops it. The first word of the command line is the name of the
/// command (`node`, or `harness node`).
///
/// Exit codes: 0 after SIGTERM or SIGINT, 1 if the replica cannot start or continue, 254 for
/// invalid arguments.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    match args::parse_args(args) {
        Ok(Invocation::Run(settings)) => run_replica(*settings),
        Ok(Invocation::Print(text)) => {
            let _ = io::stdout().write_all(text.as_bytes());
            ExitCode::SUCCESS
        }
        Err(error) => {
            let _ = error.print();
            if error.use_stderr() { ExitCode::from(BAD_ARGUMENTS) } else { ExitCode::SUCCESS }
        }
    }
}

fn run_replica(settings: Settings) -> ExitCode {
    let log = Logger::new(&settings.name, settings.log_format);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let served = match runtime {
        Ok(runtime) => runtime.block_on(serve_until_stopped(settings, &log)),
        Err(error) => Err(format!("cannot start the runtime: {error}")),
    };
    match served {
        Ok(()) => {
            log.write_line(format_args!("stopped"));
            ExitCode::SUCCESS
        }
        Err(failure) => {
            log.write_line(format_args!("fatal: {failure}"));
            ExitCode::from(FAILED)
        }
    }
}

/// Starts every part; stops on a signal or when a part fails.
async fn serve_until_stopped(settings: Settings, log: &Logger) -> Result<(), String> {
    let mut terminate = signal(SignalKind::terminate()).map_err(|e| e.to_string())?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(|e| e.to_string())?;
    let members = load_members(&settings).await?;
    log.write_line(format_args!("starts as a member of {}", members.cluster()));
    // Bind both ports before opening the disk: a replica without its ports must not touch its data.
    let peers = bind_listener(&settings.listen_peer, "--listen-peer").await?;
    let clients = bind_listener(&settings.listen_client, "--listen-client").await?;
    let owner = format!("{} of {}", settings.name, members.cluster());
    let groups = settings.groups;
    let (storage, stored) = Storage::open(&settings.data, (&owner, groups), settings.bugs, log)?;

    let queues = groups::create_queues(groups);
    let incarnations = Incarnations::open(&settings.data)?.with_bugs(settings.bugs);
    let secret = settings.secret.clone();
    let identity = Identity { members: members.clone(), incarnations, secret };
    let datagrams = settings.bugs.contains(Bug::LoneHeartbeats).then_some(&settings.listen_peer);
    let heartbeats =
        datagrams.map(|at| UdpHeartbeats::bind(at, &members, queues.demux.clone())).transpose()?;
    let links =
        Links::new(identity.hello_bytes(), queues.demux.clone()).with_udp_heartbeats(heartbeats);
    tokio::spawn(transport::accept_peers(peers, identity, queues.demux.clone(), log.clone()));
    let trace = settings.trace.as_deref().map(|path| Trace::open(path, &members)).transpose()?;
    let replica = ReplicaContext { settings: &settings, members, links, trace, log: log.clone() };
    let parts = replica.start_groups(storage, stored, queues)?;
    let metrics = parts.handles[0].published.metrics().clone();
    let listener = ClientListener::new(clients, settings.max_connections, metrics);
    let router = http::build_router(Api::new(parts.handles));
    log.write_line(format_args!("serves clients at {}", settings.listen_client));
    let mut drivers = groups::spawn_drivers(parts.drivers);
    let stopped = tokio::select! {
        failure = groups::wait_for_failure(&mut drivers) => Err(failure),
        result = http::serve_clients(listener, router) => result,
        _ = terminate.recv() => Ok(()),
        _ = interrupt.recv() => Ok(()),
    };
    // Dropping the drivers closes the queue of the storage thread, which writes the rest and ends.
    drivers.shutdown().await;
    let _ = parts.disk.join();
    stopped
}

async fn bind_listener(address: &str, flag: &str) -> Result<TcpListener, String> {
    let listener = TcpListener::bind(address).await.and_then(|listener| {
        // Many clients reconnect at once after a failover; with a full queue their SYN is dropped,
        // and they retry only a second later.
        SockRef::from(&listener).listen(BACKLOG)?;
        Ok(listener)
    });
    listener.map_err(|error| format!("cannot listen at {address} ({flag}): {error}"))
}

/// Returns the members, and this replica among them.
async fn load_members(settings: &Settings) -> Result<Members, String> {
    match &settings.bootstrap {
        Bootstrap::Found(peers) => {
            Ok(Members::from_founders(&settings.name, peers, settings.groups))
        }
        Bootstrap::Join(request) => {
            let (name, address) = (settings.name.clone(), settings.listen_peer.clone());
            let me = Member { name, address };
            join::load_or_request_admission(&settings.data, request, &me)
                .await
                .map(Members::from_admission)
        }
    }
}
