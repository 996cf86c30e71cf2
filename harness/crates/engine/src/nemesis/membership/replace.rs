//! Lets a newcomer take the place of a replica that has lost everything, in one change of the members.
//!
//! The replica dies and its disk is emptied while it is still a member; at once one with nothing and another name asks
//! to come in as its replacement, so that two voters are exchanged by way of one joint configuration. Evidence: most
//! replicas know the newcomer and no longer the other. Where that takes too long, the newcomer goes, and another is taken
//! in when all is healed.

use super::super::ground::Ground;
use super::super::{Before, Fault, Nemesis, NotNow, Scene, Seen, Target};
use super::{
    ADMISSION, Exile, PAUSE, VARIANTS, aim_at_one, clear, expel, knowing, knows_itself, member,
    other, refuses_aim, refuses_system, seed,
};
use crate::system::{Member, System};
use anyhow::{Context as _, Result};
use futures_util::future::BoxFuture;
use testbed::net::plan::HostId;
use tokio::time::{Instant, sleep};
use workloads::Rng;

/// A member that is lost and one that comes in its place.
pub(crate) struct Replace;

impl Nemesis for Replace {
    fn name(&self) -> &'static str {
        "replace"
    }

    fn doc(&self) -> &'static str {
        "kills a replica, empties its disk, and lets a new one take its place in one change of the members"
    }

    fn variants(&self) -> &'static [(&'static str, &'static str)] {
        VARIANTS
    }

    fn duration_ms(&self) -> (u64, u64) {
        (1_000, 4_000)
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
            let by = seed(ground, host).await;
            ground.kill(host)?;
            clear(ground, host)?;
            let slot = ground.slot(host);
            let way = slot.newcomers.as_mut().and_then(|newcomers| newcomers.replacing(by));
            slot.program = way.context("nobody could be asked to take it in")?;
            slot.exile = Exile { replaced: Some(old.id), ..Exile::default() };
            ground.restart(host)?;
            ground.slot(host).touched = true;
            Ok(before)
        })
    }

    fn end<'a>(&'a self, fault: &'a Fault, ground: &'a mut Ground) -> BoxFuture<'a, Result<Seen>> {
        Box::pin(async move {
            let host = *fault.target.hosts.first().context("somebody had to go")?;
            let old = ground.slot(host).exile.replaced.take().context("nobody was replaced")?;
            if let Some(seen) = replaced(ground, host, old).await {
                ground.slot(host).touched = false;
                return Ok(seen);
            }
            expel(ground, host)?;
            ground.slot(host).exile.is_out = true;
            let why = format!(
                "{host} was emptied, and nobody took another in for it in time; one comes when all is healed"
            );
            Err(NotNow::because(why).into())
        })
    }
}

/// Waits until most replicas know who came in the place of that member.
async fn replaced(ground: &mut Ground, host: HostId, old: u64) -> Option<Seen> {
    let began = Instant::now();
    let settled = |all: &[Member]| newcomer(all, host, old).is_some();
    while began.elapsed() < ADMISSION && ground.slot(host).replica.exited().is_none() {
        let knowing = knowing(ground, settled).await;
        if knowing > ground.count() / 2 && knows_itself(ground, host).await {
            let asked = other(ground, host).await?;
            let new = newcomer(&asked.members().await?, host, old)?;
            let text = format!(
                "{host} (member {old}) died and was emptied; member {new} came in its place, said {knowing} of {}",
                ground.count()
            );
            return Some(Seen { bit: true, text });
        }
        sleep(PAUSE).await;
    }
    None
}

/// The only member on that host, if it is another than that one.
fn newcomer(all: &[Member], host: HostId, old: u64) -> Option<u64> {
    let mut there = all.iter().filter(|member| member.host == host);
    let new = there.next().filter(|member| member.id != old)?;
    there.next().is_none().then_some(new.id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_came_is_told_once_the_other_has_gone() {
        let member = |id| Member { host: HostId(2), id };
        let elsewhere = Member { host: HostId(1), id: 9 };
        assert_eq!(newcomer(&[elsewhere, member(6)], HostId(2), 3), Some(6));
        assert_eq!(newcomer(&[member(3), member(6)], HostId(2), 3), None, "both are there");
        assert_eq!(newcomer(&[member(3)], HostId(2), 3), None, "nobody came");
        assert_eq!(newcomer(&[elsewhere], HostId(2), 3), None, "nobody is there");
    }
}
