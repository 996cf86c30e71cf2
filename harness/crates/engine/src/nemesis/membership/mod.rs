//! Lets a replica leave the cluster and another come in its place, through the system's own interface.
//!
//! The one that goes is removed, killed and its disk emptied; at the end of the fault a replica with nothing joins on the same
//! host, under a number that nobody had. A cluster has one that goes at a time. Evidence: most replicas say that it
//! is gone. Where the newcomer cannot be taken in at once (something else has hit the cluster, too) it is tried again when
//! no fault is on, and at last when everything is healed, so that a run ends with as many as it began with.

mod newcomers;
mod replace;

pub(crate) use newcomers::Newcomers;
pub(super) use replace::Replace;

use super::ground::Ground;
use super::{Before, Fault, Nemesis, NotNow, Scene, Seen, Target, no_variant, who};
use crate::system::{Client, Handing, Member, System};
use anyhow::{Context as _, Result};
use futures_util::future::{BoxFuture, join_all};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use testbed::net::plan::{HostId, LinkPlan};
use tokio::time::{Instant, sleep};
use workloads::Rng;

/// How long a removal may take to be seen, and a newcomer to be taken in while other faults wait for it.
const REMOVAL: Duration = Duration::from_secs(2);
const ADMISSION: Duration = Duration::from_secs(3);
/// The latter when nothing is broken any more.
const LAST_ADMISSION: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(20);

const VARIANTS: &[(&str, &str)] = &[
    ("follower", "a random replica that does not lead"),
    ("leader", "the leader"),
    ("one", "one random replica"),
];

/// A member that goes and one that comes.
pub(crate) struct Membership;

/// What a host must know to leave and to join again.
#[derive(Debug, Default)]
pub(crate) struct Exile {
    /// Its replica has been removed, and no other has been taken in yet.
    is_out: bool,
    /// It was asked to go, and nobody knows whether it will.
    is_doubtful: bool,
    /// What was seen of the removal.
    seen: Option<Seen>,
    /// The number of the member in whose place one is coming in right now.
    replaced: Option<u64>,
}

impl Exile {
    /// Whether its host has no replica now that takes part.
    pub(super) fn is_out(&self) -> bool {
        self.is_out
    }

    /// One that was asked to go, and nobody knows whether it will.
    #[cfg(test)]
    pub(super) fn doubtful() -> Self {
        Self { is_doubtful: true, ..Self::default() }
    }

    /// Whether it may have none: who was asked to go may have gone since anybody looked.
    pub(super) fn may_be_out(&self) -> bool {
        self.is_out || self.is_doubtful
    }
}

impl Nemesis for Membership {
    fn name(&self) -> &'static str {
        "membership"
    }

    fn doc(&self) -> &'static str {
        "removes a replica through the system's own interface, empties its disk, and lets a new one join in its place"
    }

    fn variants(&self) -> &'static [(&'static str, &'static str)] {
        VARIANTS
    }

    fn needs_hosts(&self) -> bool {
        true
    }

    fn refuses(&self, aim: &str, count: usize) -> Option<String> {
        refuses_aim(self.name(), aim, count)
    }

    fn refuses_system(&self, system: &dyn System) -> Option<String> {
        refuses_system(self.name(), system)
    }

    fn aim(&self, variant: &str, scene: &Scene, rng: &mut Rng) -> Option<Target> {
        aim_at_one(variant, scene, rng)
    }

    fn begin<'a>(
        &'a self,
        target: &'a Target,
        ground: &'a mut Ground,
    ) -> BoxFuture<'a, Result<Before>> {
        Box::pin(async move {
            let host = *target.hosts.first().context("somebody is to go")?;
            let before = ground.samples(&target.hosts)?;
            let asked = other(ground, host).await.ok_or(NotNow::because("nobody leads"))?;
            let old = member(&asked, host).await;
            let old = old.ok_or_else(|| NotNow::because(format!("{host} is no member")))?;
            if let Handing::Refused(why) = asked.remove(host).await {
                return Err(NotNow::because(why).into());
            }
            let seen = removed(ground, &asked, (host, old.id)).await;
            let is_out = seen.bit;
            if is_out {
                expel(ground, host)?;
            }
            ground.slot(host).exile =
                Exile { is_out, is_doubtful: !is_out, seen: Some(seen), replaced: None };
            Ok(before)
        })
    }

    fn end<'a>(&'a self, fault: &'a Fault, ground: &'a mut Ground) -> BoxFuture<'a, Result<Seen>> {
        Box::pin(async move {
            let host = *fault.target.hosts.first().context("somebody had to go")?;
            let seen = ground.slot(host).exile.seen.take().context("nobody looked who was in")?;
            let seen = if seen.bit { seen } else { late(ground, host).await? };
            let came = admit(ground, host, ADMISSION).await?;
            let text = match came {
                Some(new) => format!("{}; member {new} came in its place", seen.text),
                None => format!("{}; nobody could be taken in at once", seen.text),
            };
            Ok(Seen { text, ..seen })
        })
    }
}

/// Why one cannot be aimed at like this.
fn refuses_aim(name: &str, aim: &str, count: usize) -> Option<String> {
    let unknown = no_variant(name, VARIANTS, aim)?;
    if !who::is_list(aim) {
        return Some(format!("{unknown}, or a host by name (`n3`)"));
    }
    match who::hosts(aim, count) {
        Ok(hosts) => (hosts.len() != 1).then(|| "one goes at a time: name one host".to_owned()),
        Err(why) => Some(why),
    }
}

fn refuses_system(name: &str, system: &dyn System) -> Option<String> {
    (!system.changes_members()).then(|| {
        format!(
            "nemesis {name:?}: {} has no interface here through which members come and go",
            system.name()
        )
    })
}

/// Aims at one replica which leaves a majority of all hosts, whatever else is broken.
fn aim_at_one(variant: &str, scene: &Scene, rng: &mut Rng) -> Option<Target> {
    let leader = scene.leader?;
    if scene.free.len() <= scene.count / 2 + 1 {
        return None;
    }
    let mut hosts: Vec<HostId> = scene.free.iter().copied().collect();
    rng.shuffle(&mut hosts);
    match variant {
        "leader" => hosts.retain(|host| *host == leader),
        "follower" => hosts.retain(|host| *host != leader),
        list if who::is_list(list) => {
            let named = who::resolve(&who::hosts(list, scene.count).ok()?, scene)?;
            hosts.retain(|host| named.contains(host));
        }
        _ => {}
    }
    hosts.truncate(1);
    let text = hosts.first()?.to_string();
    Some(Target { hosts, links: LinkPlan::healed(), skew: None, dice: 0, text })
}

/// Looks whether a replica that was asked to go has gone later than anybody waited for it.
async fn late(ground: &mut Ground, host: HostId) -> Result<Seen> {
    if !has_gone(ground, host).await {
        let why = format!("the cluster did not let {host} go in time; it will when all is healed");
        return Err(NotNow::because(why).into());
    }
    expel(ground, host)?;
    let slot = ground.slot(host);
    (slot.exile.is_out, slot.exile.is_doubtful) = (true, false);
    Ok(Seen { bit: true, text: format!("{host} had gone when the fault ended") })
}

/// Takes in whoever is still out, where that can be done soon: hosts without a replica leave later faults no target.
pub(super) async fn readmit(ground: &mut Ground) -> Result<()> {
    for host in super::grudge::all(ground.count()) {
        if ground.slot(host).exile.is_out {
            admit(ground, host, ADMISSION).await?;
        }
    }
    Ok(())
}

/// Lets go whoever was asked to and did not, and takes in whoever is still out, when nothing else is broken any more.
pub(super) async fn complete(ground: &mut Ground) -> Result<()> {
    for host in super::grudge::all(ground.count()) {
        if std::mem::take(&mut ground.slot(host).exile.is_doubtful) {
            let_go(ground, host).await?;
        }
        if ground.slot(host).exile.is_out {
            let came = admit(ground, host, LAST_ADMISSION).await?;
            came.with_context(|| format!("no replica was taken in again on {host}"))?;
        }
    }
    Ok(())
}

/// Removes a replica of which nobody knows whether it goes.
async fn let_go(ground: &mut Ground, host: HostId) -> Result<()> {
    let began = Instant::now();
    while !has_gone(ground, host).await {
        anyhow::ensure!(began.elapsed() < LAST_ADMISSION, "{host} was asked to go, and stays");
        if let Some(asked) = other(ground, host).await {
            asked.remove(host).await;
        }
        sleep(PAUSE).await;
    }
    expel(ground, host)?;
    ground.slot(host).exile.is_out = true;
    Ok(())
}

/// Someone who speaks to the leader, or where that one is to go, to another.
async fn other(ground: &Ground, host: HostId) -> Option<Arc<dyn Client>> {
    let leader = ground.leader().await?;
    let free = ground.free();
    let asked = std::iter::once(leader).chain(free).find(|it| *it != host)?;
    ground.clients().get(usize::from(asked.0)).cloned()
}

/// Who takes part on that host, as far as the replica that is asked knows.
async fn member(asked: &Arc<dyn Client>, host: HostId) -> Option<Member> {
    let all = asked.members().await?;
    all.into_iter().find(|member| member.host == host)
}

/// Waits until most replicas know that a member has gone, and asks for it once more where nobody could tell.
async fn removed(ground: &Ground, asked: &Arc<dyn Client>, (host, id): (HostId, u64)) -> Seen {
    let began = Instant::now();
    let mut again = REMOVAL / 2;
    while began.elapsed() < REMOVAL {
        let knowing = knowing(ground, |all| all.iter().all(|member| member.id != id)).await;
        if knowing > ground.count() / 2 {
            let text =
                format!("{host} (member {id}) had gone, said {knowing} of {}", ground.count());
            return Seen { bit: true, text };
        }
        if began.elapsed() > again {
            again = REMOVAL;
            asked.remove(host).await;
        }
        sleep(PAUSE).await;
    }
    // Whether it goes later is looked at when the fault ends, and at last when all is healed.
    Seen {
        bit: false,
        text: format!("{host} (member {id}) was asked to go, and was still a member"),
    }
}

/// Whether most replicas know of no member on that host.
async fn has_gone(ground: &Ground, host: HostId) -> bool {
    let none = |all: &[Member]| all.iter().all(|member| member.host != host);
    knowing(ground, none).await > ground.count() / 2
}

/// How many replicas answer with members of which that is true.
async fn knowing(ground: &Ground, so: impl Fn(&[Member]) -> bool) -> usize {
    let asked = ground.clients().iter().map(|client| client.members());
    join_all(asked).await.into_iter().flatten().filter(|members| so(members)).count()
}

/// Kills a replica that has been removed or not been taken in, and empties its disk.
fn expel(ground: &mut Ground, host: HostId) -> Result<()> {
    ground.put_down(host)?;
    clear(ground, host)
}

/// Empties the disk of a host whose replica is dead.
fn clear(ground: &mut Ground, host: HostId) -> Result<()> {
    ground.slot(host).damaged = false;
    let data = ground.slot(host).data.clone();
    empty(&data).with_context(|| format!("{} cannot be emptied", data.display()))
}

fn empty(directory: &Path) -> std::io::Result<()> {
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            std::fs::remove_dir_all(entry.path())?;
        } else {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Lets a new replica join on a host whose own has been removed, and says under which number; nothing where that was
/// not possible in this time: the host has none then, and is still out.
async fn admit(ground: &mut Ground, host: HostId, patience: Duration) -> Result<Option<u64>> {
    let began = Instant::now();
    while began.elapsed() < patience {
        let Some(asked) = other(ground, host).await else {
            sleep(PAUSE).await;
            continue;
        };
        let Some(members) = asked.members().await else {
            sleep(PAUSE).await;
            continue;
        };
        if members.iter().any(|member| member.host == host) {
            // An earlier try whose answer was lost: that one has nothing any more, so it must go.
            asked.remove(host).await;
            sleep(PAUSE).await;
            continue;
        }
        expel(ground, host)?;
        if let Some(id) =
            join(ground, host, &asked, patience.saturating_sub(began.elapsed())).await?
        {
            let slot = ground.slot(host);
            (slot.exile.is_out, slot.touched) = (false, false);
            return Ok(Some(id));
        }
    }
    Ok(None)
}

/// Through whom a newcomer on that host asks: the leader, or where that is not known or is to go itself, another.
async fn seed(ground: &Ground, host: HostId) -> HostId {
    let leader = ground.leader().await.filter(|leader| *leader != host);
    leader.unwrap_or(HostId(u8::from(host == HostId(0))))
}

/// Whether the newcomer itself has heard that it is in: until then it may ask once more, be refused and stop.
async fn knows_itself(ground: &Ground, host: HostId) -> bool {
    let Some(own) = ground.clients().get(usize::from(host.0)) else { return false };
    member(own, host).await.is_some()
}

/// Starts a replica that joins, and waits until it is in; nothing where it has ended or time is up: then it is gone.
async fn join(
    ground: &mut Ground,
    host: HostId,
    asked: &Arc<dyn Client>,
    patience: Duration,
) -> Result<Option<u64>> {
    let by = seed(ground, host).await;
    let slot = ground.slot(host);
    let way = slot.newcomers.as_ref().and_then(|newcomers| newcomers.joining(by));
    slot.program = way.context("nobody could be asked to take it in")?;
    ground.restart(host)?;
    ground.slot(host).touched = true;
    let began = Instant::now();
    while began.elapsed() < patience && ground.slot(host).replica.exited().is_none() {
        if let Some(member) = member(asked, host).await
            && knows_itself(ground, host).await
        {
            return Ok(Some(member.id));
        }
        sleep(PAUSE).await;
    }
    expel(ground, host)?;
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nemesis::grudge;

    fn scene(free: usize) -> Scene {
        let free = grudge::all(5).into_iter().take(free).collect();
        Scene { count: 5, leader: Some(HostId(1)), free }
    }

    #[test]
    fn one_goes_and_leaves_a_majority() {
        let aim = |variant: &str, free| {
            Membership.aim(variant, &scene(free), &mut Rng::new(3)).map(|target| target.hosts)
        };
        assert_eq!(aim("leader", 5), Some(vec![HostId(1)]));
        assert!(aim("follower", 5).is_some_and(|hosts| hosts.len() == 1 && hosts != [HostId(1)]));
        assert_eq!(aim("n3", 5), Some(vec![HostId(2)]));
        assert_eq!((aim("one", 3), aim("n5", 4)), (None, None));
        assert!(Membership.refuses("n1 n2", 5).is_some() && Membership.refuses("n3", 5).is_none());
    }
}
