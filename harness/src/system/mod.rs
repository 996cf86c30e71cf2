//! Plugs in a system under test: how its replicas are started, and how clients speak to them.
//!
//! An adapter translates between the one vocabulary of calls and replies and the system's own public interface,
//! and judges nothing. One system = one file + one line in [`SYSTEMS`].

mod errors;
mod raft;

use crate::net::plan::HostId;
use anyhow::Result;
use futures_util::future::{BoxFuture, join_all};
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use workloads::{Call, Freshness, Object, Reply};

/// A system under test.
pub(crate) trait System: Sync {
    /// Its name on the command line.
    fn name(&self) -> &'static str;
    /// What it is, in a sentence.
    fn doc(&self) -> &'static str;
    /// What it keeps for its clients.
    fn objects(&self) -> &'static [Object];
    /// How fresh its reads can be asked to be.
    fn freshness(&self) -> &'static [Freshness];
    /// The bugs that can be switched on in it, name and sentence, as the program itself tells.
    fn bugs(&self, bin: Option<&PathBuf>) -> Result<Vec<(String, String)>>;
    /// How one replica is started.
    fn program(&self, launch: &Launch) -> Program;
    /// Someone who speaks to the replica at that address, and asks for reads that fresh.
    fn client(&self, address: SocketAddr, freshness: Freshness) -> Result<Arc<dyn Client>>;
}

/// Every system, in order of name.
pub(crate) const SYSTEMS: &[&dyn System] = &[&raft::RaftKv];

/// The system of that name.
pub(crate) fn system(name: &str) -> Option<&'static dyn System> {
    SYSTEMS.iter().copied().find(|system| system.name() == name)
}

/// What a replica has to know to start.
#[derive(Clone, Debug)]
pub(crate) struct Launch {
    /// Its host.
    pub(crate) host: HostId,
    /// Where it keeps its data.
    pub(crate) data: PathBuf,
    /// Where it reaches each replica, itself included.
    pub(crate) peers: Vec<(HostId, SocketAddr)>,
    /// Where it waits for clients.
    pub(crate) listen_client: SocketAddr,
    /// Where it waits for peers.
    pub(crate) listen_peer: SocketAddr,
    /// Decides its random choices.
    pub(crate) seed: u64,
    /// The bugs to switch on.
    pub(crate) bugs: Vec<String>,
    /// Another build of the system.
    pub(crate) bin: Option<PathBuf>,
}

/// What is executed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Program {
    /// The file.
    pub(crate) path: PathBuf,
    /// Its arguments.
    pub(crate) args: Vec<OsString>,
}

/// Who leads, as far as a replica knows. For aiming and for the eye; no check believes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Leadership {
    /// The leader.
    pub(crate) leader: HostId,
    /// Its term; a greater one is newer.
    pub(crate) term: u64,
}

/// Someone who speaks to one replica.
pub(crate) trait Client: Send + Sync {
    /// Makes a call; the reply says whether it happened, and never guesses.
    fn call<'a>(&'a self, call: &'a Call) -> BoxFuture<'a, Reply>;
    /// Who leads, if the replica answers at once and knows.
    fn leadership(&self) -> BoxFuture<'_, Option<Leadership>>;
}

/// Who leads, as the replica with the greatest term says.
pub(crate) async fn leadership(clients: &[Arc<dyn Client>]) -> Option<Leadership> {
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
