//! Runs a replica: the thin body around the brain, and the only part that touches sockets, disk and
//! clock.
//!
//! | part | owns |
//! |---|---|
//! | [`groups`] | what belongs to each group of keys, put together |
//! | [`driver`] | the brain, the store and everything that waits of a group: one task |
//! | [`secret`] | what peers have to know |
//! | [`storage`] | the files of the log: one thread |
//! | [`join`] | how a replica comes into a cluster that it was not founded with |
//! | [`incarnation`] | who is who it was: a name with an emptied directory is not |
//! | [`links`] | which peers are dialled |
//! | [`beacon`] | heartbeats as datagrams, a bug |
//! | [`inlets`] | which group a peer's word is for |
//! | [`transport`] | the connections to and from peers: two tasks for each |
//! | [`ticks`] | the brain's clock |
//! | [`trace`] | one line for every event of the protocol |
//! | [`connections`] | how many clients are let in |
//! | [`http`] | the clients' requests and their deadlines: a task for each connection |
//! | [`metrics`] | what is counted |
//!
//! All tasks share one thread, so a replica is light enough to run five on two cores.

mod args;
mod beacon;
mod connections;
mod driver;
mod groups;
mod http;
mod incarnation;
mod inlets;
mod join;
mod links;
mod log;
mod members;
mod metrics;
mod request;
mod secret;
mod storage;
mod ticks;
mod trace;
mod transport;
mod view;

use crate::kv;
use crate::raft::Bug;
use crate::runtime::{DiskErrorKind, DurabilityBugs};
use args::{Order, Settings, Way};
use beacon::Beacon;
use connections::Door;
use groups::Replica;
use http::Api;
use incarnation::Incarnations;
use links::Links;
use log::Log;
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

/// A replica that could not run, or could not go on.
const FAILED: u8 = 1;
const BAD_ARGUMENTS: u8 = 254;
/// How many connections may wait to be accepted.
const BACKLOG: i32 = 4096;

/// Runs a replica until it is told to stop, from a command line whose first word is how the command
/// is called (`node`, or `harness node`).
///
/// Exit codes: 0 after SIGTERM or SIGINT, 1 when the replica cannot run or go on, 254 for bad
/// arguments.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    match args::parse(args) {
        Ok(Order::Run(settings)) => run(*settings),
        Ok(Order::Print(text)) => {
            let _ = io::stdout().write_all(text.as_bytes());
            ExitCode::SUCCESS
        }
        Err(error) => {
            let _ = error.print();
            if error.use_stderr() { ExitCode::from(BAD_ARGUMENTS) } else { ExitCode::SUCCESS }
        }
    }
}

fn run(settings: Settings) -> ExitCode {
    let log = Log::new(&settings.name, settings.log_format);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let served = match runtime {
        Ok(runtime) => runtime.block_on(serve(settings, &log)),
        Err(error) => Err(format!("cannot start the runtime: {error}")),
    };
    match served {
        Ok(()) => {
            log.line(format_args!("stopped"));
            ExitCode::SUCCESS
        }
        Err(failure) => {
            log.line(format_args!("fatal: {failure}"));
            ExitCode::from(FAILED)
        }
    }
}

/// Brings every part up, and stops when a signal says so or a part cannot go on.
async fn serve(settings: Settings, log: &Log) -> Result<(), String> {
    let mut terminate = signal(SignalKind::terminate()).map_err(|e| e.to_string())?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(|e| e.to_string())?;
    let members = members(&settings).await?;
    log.line(format_args!("starts as a member of {}", members.cluster()));
    // Both ports before the disk: a replica that cannot be reached must not touch its data.
    let peers = listen(&settings.listen_peer, "--listen-peer").await?;
    let clients = listen(&settings.listen_client, "--listen-client").await?;
    let owner = format!("{} of {}", settings.name, members.cluster());
    let groups = settings.groups;
    let (storage, stored) =
        Storage::open(&settings.data, (&owner, groups), durability_bugs(&settings), log)?;

    let queues = groups::queues(groups);
    let incarnations = Incarnations::open(&settings.data)?;
    let secret = settings.secret.clone();
    let identity = Identity { members: members.clone(), incarnations, secret };
    let lone = settings.bugs.contains(&Bug::LoneHeartbeats).then_some(&settings.listen_peer);
    let beacon = lone.map(|at| Beacon::light(at, &members, queues.inlets.clone())).transpose()?;
    let links = Links::new(identity.hello(), queues.inlets.clone()).with_beacon(beacon);
    tokio::spawn(transport::listen(peers, identity, queues.inlets.clone(), log.clone()));
    let trace = settings.trace.as_deref().map(|path| Trace::open(path, &members)).transpose()?;
    let replica = Replica { settings: &settings, members, links, trace, log: log.clone() };
    let parts = replica.start(storage, stored, queues)?;
    let metrics = parts.seats[0].view.metrics().clone();
    let door = Door::new(clients, settings.max_connections, metrics);
    let router = http::router(Api::new(parts.seats));
    log.line(format_args!("serves clients at {}", settings.listen_client));
    let mut drivers = groups::spawn(parts.drivers);
    let stopped = tokio::select! {
        failure = groups::failure(&mut drivers) => Err(failure),
        result = http::serve(door, router) => result,
        _ = terminate.recv() => Ok(()),
        _ = interrupt.recv() => Ok(()),
    };
    // With the drivers goes the queue of the disk: its thread ends when it has written the rest.
    drivers.shutdown().await;
    let _ = parts.disk.join();
    stopped
}

async fn listen(address: &str, flag: &str) -> Result<TcpListener, String> {
    let listener = TcpListener::bind(address).await.and_then(|listener| {
        // Clients come in crowds, after a failover above all; whoever finds the queue full tries again a second later.
        SockRef::from(&listener).listen(BACKLOG)?;
        Ok(listener)
    });
    listener.map_err(|error| format!("cannot listen at {address} ({flag}): {error}"))
}

/// Who this replica is, and whom it knows.
async fn members(settings: &Settings) -> Result<Members, String> {
    match &settings.way {
        Way::Found(peers) => Ok(Members::founding(&settings.name, peers, settings.groups)),
        Way::Join(wish) => {
            let (name, address) = (settings.name.clone(), settings.listen_peer.clone());
            let me = Member { name, address };
            join::admission(&settings.data, wish, &me).await.map(Members::joined)
        }
    }
}

/// The bugs in the handling of the disk that are switched on.
fn durability_bugs(settings: &Settings) -> DurabilityBugs {
    let has = |bug| settings.flaws.contains(&bug);
    let io = has(kv::StoreBug::IgnoreIoError).then_some(DiskErrorKind::Io);
    let full = has(kv::StoreBug::IgnoreFullDisk).then_some(DiskErrorKind::Full);
    DurabilityBugs {
        skip_sync: settings.bugs.contains(&Bug::NoFsync),
        ignored_error: io.or(full),
        skip_checks: has(kv::StoreBug::TrustDisk),
    }
}
