//! A client of one replica, and what a replica reports of itself.

use futures_util::future::{BoxFuture, join_all};
use std::sync::Arc;
use testbed::net::plan::HostId;
use workloads::{Call, Reply};

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
    /// Asks the replica, which leads, to let that one lead. Where [`super::System::hands_on`] is false nobody asks.
    fn hand_on(&self, _to: HostId) -> BoxFuture<'_, Handing> {
        Box::pin(async { Handing::Refused("this system hands nothing on".to_owned()) })
    }
    /// Who takes part, if the replica answers at once.
    fn members(&self) -> BoxFuture<'_, Option<Vec<Member>>> {
        Box::pin(async { None })
    }
    /// Asks the replica to have that one removed. Where [`super::System::changes_members`] is false nobody asks.
    fn remove(&self, _host: HostId) -> BoxFuture<'_, Handing> {
        Box::pin(async { Handing::Refused("members of this system do not change".to_owned()) })
    }
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

/// Who leads, as the replica with the greatest term says.
pub async fn leadership(clients: &[Arc<dyn Client>]) -> Option<Leadership> {
    let asked = clients.iter().map(|client| client.leadership());
    let hosts = clients.len();
    let known = join_all(asked).await.into_iter().flatten();
    known.filter(|said| usize::from(said.leader.0) < hosts).max_by_key(|said| said.term)
}
