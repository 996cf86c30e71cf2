//! What an adapter to a system under test provides.

use super::client::{Client, ClientOptions};
use super::seeded_bug::SeededBug;
use crate::invariants::LogRules;
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
    /// The kinds of object that it offers.
    fn objects(&self) -> &'static [Object];
    /// Why it cannot serve a workload about one of its objects, if it cannot.
    fn unsupported_workload(&self, _workload: &dyn Workload) -> Option<String> {
        None
    }
    /// The consistencies that its reads can have.
    fn read_consistencies(&self) -> &'static [ReadConsistency];
    /// What must be installed first, and how, if it is missing.
    fn missing_dependency(&self, _bin: Option<&Path>) -> Option<String> {
        None
    }
    /// What its replicas need or can do besides serving clients.
    fn features(&self) -> &'static [Feature] {
        &[Feature::ReportsLeader]
    }
    /// Whether it has that feature.
    fn has_feature(&self, feature: Feature) -> bool {
        self.features().contains(&feature)
    }
    /// Why a majority may make no progress without its leader, where the system has no failover.
    /// What a system never promised is not asked of it.
    fn no_failover_reason(&self) -> Option<&'static str> {
        None
    }
    /// How its members change, where they can.
    fn member_changes(&self) -> Option<&dyn MemberChanges> {
        None
    }
    /// The bugs that can be switched on in it, as the program lists them.
    fn list_bugs(&self, _bin: Option<&PathBuf>) -> Result<Vec<SeededBug>> {
        Ok(Vec::new())
    }
    /// How one replica is started.
    fn replica_program(&self, launch: &Launch) -> Program;
    /// How long replicas may take until their first answer.
    fn startup_timeout(&self) -> Duration {
        Duration::from_secs(20)
    }
    /// The log files of such a replica, besides what it prints.
    fn log_files(&self, _launch: &Launch) -> Vec<PathBuf> {
        Vec::new()
    }
    /// Which lines of its logs convict it, besides those that are never normal.
    fn log_rules(&self) -> LogRules {
        LogRules::default()
    }
    /// How a replica is asked to exit when a run is over, if not by killing it.
    fn shutdown_signal(&self) -> Option<ShutdownSignal> {
        None
    }
    /// What a seed may draw of its configuration (`--swarm`).
    fn swarm_choices(&self) -> SwarmChoices {
        SwarmChoices::default()
    }
    /// The names of the variants in which it can be started; its file lists them.
    fn variant_names(&self) -> Vec<&str> {
        Vec::new()
    }
    /// A client of the replica on that host, at that address.
    fn make_client(
        &self,
        host: HostId,
        address: SocketAddr,
        options: ClientOptions,
    ) -> Result<Arc<dyn Client>>;
}

/// What a seed may draw of a system's configuration. A value that stands twice is drawn twice as
/// often.
#[derive(Clone, Copy, Debug, Default)]
pub struct SwarmChoices {
    /// Numbers of replicas.
    pub nodes: &'static [&'static str],
    /// Consistencies of reads that make the same promise as `linearizable`, and that one.
    pub reads: &'static [&'static str],
    /// Arguments of replicas.
    pub arguments: &'static [ArgumentChoice],
}

/// An argument of replicas with the values that a seed may draw.
#[derive(Clone, Copy, Debug)]
pub struct ArgumentChoice {
    /// The argument, as `--name`.
    pub flag: &'static str,
    /// Its values; an empty one leaves it out.
    pub values: &'static [&'static str],
    /// It divides the keys, so that no call may touch several; members that join cannot have it.
    pub splits_keys: bool,
}

/// What replicas of a system need or can do besides serving clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feature {
    /// They take further arguments (`--node-arg`).
    ExtraArguments,
    /// Leadership can be transferred: clients have a [`super::LeaderTransfer`].
    LeaderTransfer,
    /// At most one leader is elected in a term, and replicas report both.
    OneLeaderPerTerm,
    /// They report their leader.
    ReportsLeader,
    /// All must reach a replica at one address, so that each needs a host of its own.
    SeparateHosts,
    /// They exchange messages on standard input and output, which the harness carries.
    StandardIo,
}

/// A system whose members can be removed and added. Its clients have a [`super::Membership`].
pub trait MemberChanges: Sync {
    /// The program of a replica that joins an existing cluster.
    fn joining_program(&self, launch: &Launch, arrival: &JoinRequest) -> Program;
}

/// What a replica needs to start.
#[derive(Clone, Debug)]
pub struct Launch {
    /// Its host.
    pub host: HostId,
    /// Its data directory.
    pub data: PathBuf,
    /// Where it may write a trace of its protocol.
    pub trace: PathBuf,
    /// Where it reaches each replica, itself included.
    pub peers: Vec<(HostId, SocketAddr)>,
    /// Where it listens for clients.
    pub listen_client: SocketAddr,
    /// Where it listens for peers.
    pub listen_peer: SocketAddr,
    /// Decides its random choices.
    pub seed: u64,
    /// The consistency that its clients ask of reads.
    pub consistency: ReadConsistency,
    /// The bugs to switch on.
    pub bugs: Vec<String>,
    /// Further arguments.
    pub args: Vec<String>,
    /// The variant of the system's file to start, if one was named.
    pub variant: Option<String>,
    /// Another build of the system.
    pub bin: Option<PathBuf>,
}

/// How a replica is asked to exit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShutdownSignal {
    /// The signal.
    pub signal: Signal,
    /// How long it may take before it is killed.
    pub within: Duration,
}

/// How a new replica joins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JoinRequest {
    /// The client address of the replica that it joins through.
    pub seed: SocketAddr,
    /// How many have replaced a member on its host. Two of different generations may be members at
    /// once, so this is part of its name.
    pub generation: u32,
    /// Whether it replaces the generation before, in one change.
    pub replaces: bool,
}

/// A program and its arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// The file.
    pub path: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
}

impl Program {
    /// A shell script, the name that errors of the shell begin with, and its arguments.
    pub(super) fn from_script(script: &str, name: &str, args: Vec<OsString>) -> Self {
        let mut all: Vec<OsString> = vec!["-c".into(), script.into(), name.into()];
        all.extend(args);
        Self { path: "/bin/sh".into(), args: all }
    }
}
