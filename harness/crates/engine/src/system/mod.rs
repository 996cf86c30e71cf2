//! Plugs in a system under test: how its replicas are started, and how clients speak to them.
//!
//! An adapter translates between the one vocabulary of calls and replies and the system's own public interface,
//! and judges nothing. One system = one file + one line in [`SYSTEMS`].

pub mod custom;
mod errors;
mod etcd;
mod maelstrom;
mod raft;
mod redis;
mod redis_sentinel;
mod values;
mod zookeeper;

use anyhow::Result;
use futures_util::future::{BoxFuture, join_all};
use nix::sys::signal::Signal;
use nix::unistd::{AccessFlags, access};
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use testbed::net::plan::HostId;
use workloads::{Call, Object, ReadConsistency, Reply, Workload};

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

/// Every system, in order of name.
pub const SYSTEMS: &[&dyn System] = &[
    &etcd::Etcd,
    &maelstrom::Maelstrom,
    &raft::RaftKv,
    &redis::Redis,
    &redis_sentinel::RedisSentinel,
    &zookeeper::ZooKeeper,
];

/// The system of that name, or the one that this file describes.
pub fn system(name: &str) -> Result<Option<&'static dyn System>> {
    if name.ends_with(custom::EXTENSION) {
        return Ok(Some(custom::Custom::load(Path::new(name))?));
    }
    Ok(SYSTEMS.iter().copied().find(|system| system.name() == name))
}

/// The program of that name that a shell would find.
fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let all = std::env::split_paths(&path).map(|folder| folder.join(name));
    all.into_iter().find(|file| file.is_file() && access(file, AccessFlags::X_OK).is_ok())
}

/// A client of the HTTP interface of any system: it follows nobody, repeats nothing and waits no longer than that.
fn http(patience: Duration) -> reqwest::Result<reqwest::Client> {
    reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .timeout(patience)
        .tcp_nodelay(true)
        .build()
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

/// Who leads, as far as a replica knows. For aiming and for the eye; no check believes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leadership {
    /// The leader.
    pub leader: HostId,
    /// Its term; a greater one is newer.
    pub term: u64,
}

/// What a replica says of itself. For the eye; no check believes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// In the system's own word, if it has one.
    pub role: Option<String>,
    /// Who leads, as far as the replica knows.
    pub leader: Option<HostId>,
    /// Its term, or whatever grows with every leader.
    pub term: Option<u64>,
    /// The last entry that it knows to be committed.
    pub commit: Option<u64>,
    /// The last entry that is in its state.
    pub applied: Option<u64>,
}

impl Standing {
    /// Who leads, if it says so.
    pub fn leadership(&self) -> Option<Leadership> {
        Some(Leadership { leader: self.leader?, term: self.term? })
    }
}

impl From<Leadership> for Standing {
    fn from(Leadership { leader, term }: Leadership) -> Self {
        Self { leader: Some(leader), term: Some(term), ..Self::default() }
    }
}

/// One who takes part, as a replica knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// Where it runs.
    pub host: HostId,
    /// Its number, which no other has or had.
    pub id: u64,
}

/// What became of a wish about who leads or takes part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Handing {
    /// It was taken, or nobody can tell: what follows will show.
    Asked,
    /// It was refused, and this is why.
    Refused(String),
}

/// Someone who speaks to one replica.
pub trait Client: Send + Sync {
    /// Makes a call; the reply says whether it happened, and never guesses.
    fn call<'a>(&'a self, call: &'a Call) -> BoxFuture<'a, Reply>;
    /// Whether the replica takes calls: ok, or why not.
    fn ready(&self) -> BoxFuture<'_, Reply> {
        Box::pin(async { self.call(&Call::Read { key: "ready".to_owned() }).await })
    }
    /// Who leads, if the replica answers at once and knows.
    fn leadership(&self) -> BoxFuture<'_, Option<Leadership>>;
    /// What the replica says of itself, if it answers at once; where the system tells no more, who leads.
    fn standing(&self) -> BoxFuture<'_, Option<Standing>> {
        Box::pin(async { self.leadership().await.map(Standing::from) })
    }
    /// Asks the replica, which leads, to let that one lead. Where [`System::hands_on`] is false nobody asks.
    fn hand_on(&self, _to: HostId) -> BoxFuture<'_, Handing> {
        Box::pin(async { Handing::Refused("this system hands nothing on".to_owned()) })
    }
    /// Who takes part, if the replica answers at once.
    fn members(&self) -> BoxFuture<'_, Option<Vec<Member>>> {
        Box::pin(async { None })
    }
    /// Asks the replica to have that one removed. Where [`System::changes_members`] is false nobody asks.
    fn remove(&self, _host: HostId) -> BoxFuture<'_, Handing> {
        Box::pin(async { Handing::Refused("members of this system do not change".to_owned()) })
    }
}

/// Who leads, as the replica with the greatest term says.
pub async fn leadership(clients: &[Arc<dyn Client>]) -> Option<Leadership> {
    let asked = clients.iter().map(|client| client.leadership());
    let hosts = clients.len();
    let known = join_all(asked).await.into_iter().flatten();
    known.filter(|said| usize::from(said.leader.0) < hosts).max_by_key(|said| said.term)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_sorted_kebab_case_and_explained() {
        assert!(SYSTEMS.windows(2).all(|pair| pair[0].name() < pair[1].name()));
        for system in SYSTEMS {
            assert!(system.name().chars().all(|c| c.is_ascii_lowercase() || c == '-'));
            assert!(system.doc().len() > 20 && !system.objects().is_empty(), "{}", system.name());
        }
    }
}
