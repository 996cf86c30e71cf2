//! A client of one replica, and what a replica reports of itself.

use futures_util::future::{BoxFuture, join_all};
use std::sync::Arc;
use std::time::Duration;
use testbed::net::plan::HostId;
use workloads::{Call, ReadConsistency, Reply};

/// A client of one replica.
pub trait Client: Send + Sync {
    /// Makes a call. The reply says whether it took effect, and never guesses.
    fn call<'a>(&'a self, call: &'a Call) -> BoxFuture<'a, Reply>;
    /// Whether the replica accepts calls: ok, or why not.
    fn check_ready(&self) -> BoxFuture<'_, Reply> {
        Box::pin(async { self.call(&Call::Read { key: "ready".to_owned() }).await })
    }
    /// The leader, if the replica answers at once and reports one.
    fn fetch_leadership(&self) -> BoxFuture<'_, Option<Leadership>>;
    /// The status of the replica, if it answers at once; where the system reports no more, its
    /// leader.
    fn fetch_status(&self) -> BoxFuture<'_, Option<ReplicaStatus>> {
        Box::pin(async { self.fetch_leadership().await.map(ReplicaStatus::from) })
    }
    /// The interface to transfer leadership, where the system has
    /// [`super::Feature::LeaderTransfer`].
    fn leader_transfer(&self) -> Option<&dyn LeaderTransfer> {
        None
    }
    /// The interface to members, where the system has [`super::MemberChanges`].
    fn membership(&self) -> Option<&dyn Membership> {
        None
    }
}

/// Transfers leadership through a system's own interface.
pub trait LeaderTransfer: Send + Sync {
    /// Requests of the replica, which leads, to transfer leadership to another.
    fn transfer_leadership(&self, to: HostId) -> BoxFuture<'_, AdminReply>;
}

/// Reads and changes the members through a system's own interface.
pub trait Membership: Send + Sync {
    /// The members as the replica reports them, if it answers at once.
    fn fetch_members(&self) -> BoxFuture<'_, Option<Vec<MemberInfo>>>;
    /// Requests of the replica to remove the member on that host.
    fn remove_member(&self, host: HostId) -> BoxFuture<'_, AdminReply>;
}

/// The leader as a replica reports it. For aiming and display; no check relies on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leadership {
    /// The leader.
    pub leader: HostId,
    /// Its term; a greater one is newer.
    pub term: u64,
}

/// What a replica reports of itself. For display; no check relies on it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReplicaStatus {
    /// The role in the system's own word, if it reports one.
    pub role: Option<String>,
    /// The leader, as far as the replica reports it.
    pub leader: Option<HostId>,
    /// Its term, or another number that grows with every leader.
    pub term: Option<u64>,
    /// The index of the last committed entry that it reports.
    pub commit: Option<u64>,
    /// The index of the last entry that it has applied.
    pub applied: Option<u64>,
}

impl ReplicaStatus {
    /// The leader, if it is reported with a term.
    pub fn leadership(&self) -> Option<Leadership> {
        Some(Leadership { leader: self.leader?, term: self.term? })
    }
}

impl From<Leadership> for ReplicaStatus {
    fn from(Leadership { leader, term }: Leadership) -> Self {
        Self { leader: Some(leader), term: Some(term), ..Self::default() }
    }
}

/// A member as a replica reports it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemberInfo {
    /// Where it runs.
    pub host: HostId,
    /// Its id, which no other member has or had.
    pub id: u64,
}

/// What a client is asked to do besides its calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClientOptions {
    /// The consistency of its reads.
    pub consistency: ReadConsistency,
    /// How long it waits for an answer; `None` leaves that to the adapter.
    pub patience: Option<Duration>,
}

/// What became of a request to change the leader or the members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AdminReply {
    /// It was accepted, or its outcome is unknown.
    Requested,
    /// It was refused, and this is why.
    Refused(String),
}

/// The leader, as reported by the replica with the greatest term.
pub async fn find_leadership(clients: &[Arc<dyn Client>]) -> Option<Leadership> {
    let asked = clients.iter().map(|client| client.fetch_leadership());
    let hosts = clients.len();
    let known = join_all(asked).await.into_iter().flatten();
    known.filter(|said| usize::from(said.leader.0) < hosts).max_by_key(|said| said.term)
}
