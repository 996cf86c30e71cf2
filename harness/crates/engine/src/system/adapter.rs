//! What an adapter to a system under test provides.

use super::client::Client;
use anyhow::Result;
use nix::sys::signal::Signal;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use testbed::net::plan::HostId;
use workloads::{Object, ReadConsistency, Workload};

/// A system under test.
pub trait System: Sync {
    /// Its name on the command line.
    fn name(&self) -> &'static str;
    /// What it is, in a sentence.
    fn doc(&self) -> &'static str;
    /// What it keeps for its clients.
    fn objects(&self) -> &'static [Object];
    /// Why it cannot serve a workload about something that it keeps, if it cannot.
    fn lacks(&self, _workload: &dyn Workload) -> Option<String> {
        None
    }
    /// How fresh its reads can be asked to be.
    fn read_consistencies(&self) -> &'static [ReadConsistency];
    /// What has to be installed first, and how, if it is not there.
    fn missing(&self, _bin: Option<&Path>) -> Option<String> {
        None
    }
    /// Whether everybody must reach a replica at the same address, so that each needs a host of its own.
    fn needs_hosts(&self) -> bool {
        false
    }
    /// Whether its replicas speak on standard input and output, so that the harness itself carries what they say.
    fn speaks(&self) -> bool {
        false
    }
    /// Whether its replicas can tell who leads.
    fn leads(&self) -> bool {
        true
    }
    /// What it is about it that lets it stand still although a majority could reach each other, if anything is: nobody
    /// takes the place of a leader that is gone. What a system never promised is not asked of it.
    fn stands_still(&self) -> Option<&'static str> {
        None
    }
    /// Whether leadership can be handed on through its interface.
    fn hands_on(&self) -> bool {
        false
    }
    /// Whether members can be removed and new ones join through its interface.
    fn changes_members(&self) -> bool {
        false
    }
    /// How a new replica is started that comes into a cluster which is there already.
    fn joining(&self, launch: &Launch, _arrival: &Arrival) -> Program {
        self.program(launch)
    }
    /// The bugs that can be switched on in it, name and sentence, as the program itself tells.
    fn bugs(&self, bin: Option<&PathBuf>) -> Result<Vec<(String, String)>>;
    /// Whether its replicas take further arguments (`--node-arg`).
    fn takes_arguments(&self) -> bool {
        false
    }
    /// How one replica is started.
    fn program(&self, launch: &Launch) -> Program;
    /// How long replicas may take to answer for the first time.
    fn patience(&self) -> Duration {
        Duration::from_secs(20)
    }
    /// Files in which such a replica tells what it does, besides what it prints.
    fn logs(&self, _launch: &Launch) -> Vec<PathBuf> {
        Vec::new()
    }
    /// How a replica is asked to end when a run is over, if not by killing it.
    fn farewell(&self) -> Option<Farewell> {
        None
    }
    /// Someone who speaks to the replica on that host, at that address, and asks for reads that fresh.
    fn client(
        &self,
        host: HostId,
        address: SocketAddr,
        consistency: ReadConsistency,
    ) -> Result<Arc<dyn Client>>;
}

/// What a replica has to know to start.
#[derive(Clone, Debug)]
pub struct Launch {
    /// Its host.
    pub host: HostId,
    /// Where it keeps its data.
    pub data: PathBuf,
    /// Where it reaches each replica, itself included.
    pub peers: Vec<(HostId, SocketAddr)>,
    /// Where it waits for clients.
    pub listen_client: SocketAddr,
    /// Where it waits for peers.
    pub listen_peer: SocketAddr,
    /// Decides its random choices.
    pub seed: u64,
    /// How fresh its clients want reads to be.
    pub consistency: ReadConsistency,
    /// The bugs to switch on.
    pub bugs: Vec<String>,
    /// Further arguments.
    pub args: Vec<String>,
    /// Another build of the system.
    pub bin: Option<PathBuf>,
}

/// How a replica is asked to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Farewell {
    /// What it is sent.
    pub signal: Signal,
    /// How long it may take, until it is killed.
    pub within: Duration,
}

/// How a new replica comes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// Where the replica serves clients that is asked to take it in.
    pub seed: SocketAddr,
    /// How many have come to its host in the place of a member. Two of different generations may be members at once,
    /// so this is part of its name.
    pub generation: u32,
    /// Whether it comes in the place of the generation before, in one change.
    pub replaces: bool,
}

/// What is executed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// The file.
    pub path: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
}
