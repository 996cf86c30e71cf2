//! Replaces a member that has lost everything by a new one, in one change of the members.
//!
//! The replica dies and its disk is emptied while it is still a member. At once one without data
//! and with another name asks to join as its replacement, so that two voters are exchanged by way
//! of one joint configuration. Evidence: most replicas report the new member and no longer the old
//! one. Where that takes too long, the new replica is killed, and another joins after healing.

use super::super::aim::reject_single_host;
use super::super::cluster::Roster;
use super::super::{
    ActiveFault, BeginFuture, Cluster, ClusterView, Evidence, Nemesis, Requirement, Skip, Target,
};
use super::changes::{
    JOIN_TIMEOUT, POLL, VARIANTS, aim_at_one, count_reports, find_client, find_member,
    list_members, reject_fixed_members,
};
use super::rejoin::{choose_seed, kill_and_wipe, reports_itself, wipe_disk};
use crate::system::{MemberInfo, System};
use anyhow::{Context as _, Result};
use futures_util::future::BoxFuture;
use testbed::net::plan::HostId;
use tokio::time::{Instant, sleep};
use workloads::Rng;

/// A member that is lost and one that replaces it.
pub(in super::super) struct Replace;

impl Nemesis for Replace {
    fn name(&self) -> &'static str {
        "replace"
    }

    fn doc(&self) -> &'static str {
        "kills a replica, empties its disk, and lets a new one take its place \
         in one change of the members"
    }

    fn empties_disk(&self) -> bool {
        true
    }

    fn variants(&self) -> &'static [(&'static str, &'static str)] {
        VARIANTS
    }

    fn duration_ms(&self) -> (u64, u64) {
        (1_000, 4_000)
    }

    fn requirements(&self) -> &'static [Requirement] {
        &[Requirement::SeparateHosts]
    }

    fn reject_aim(&self, aim: &str, hosts: usize) -> Option<String> {
        reject_single_host(self.name(), VARIANTS, aim, hosts)
    }

    fn reject_system(&self, system: &dyn System) -> Option<String> {
        reject_fixed_members(self.name(), system)
    }

    fn choose_target(&self, variant: &str, view: &ClusterView, rng: &mut Rng) -> Option<Target> {
        aim_at_one(variant, view, rng)
    }

    fn begin_fault<'a>(&'a self, target: &'a Target, cluster: &'a mut Cluster) -> BeginFuture<'a> {
        Box::pin(async move {
            let (host, _, old) = find_member(target, cluster).await?;
            let seed = choose_seed(cluster, host).await;
            cluster.member(host).kill(self.name())?;
            wipe_disk(cluster, host)?;
            // Whatever became of an earlier removal concerned the old member.
            cluster.member(host).lasting.roster = Roster::Member;
            let startup = &mut cluster.member(host).startup;
            let program = startup.replacements.as_mut().and_then(|it| it.replacing_program(seed));
            startup.program = program.context("there is no replica to join through")?;
            cluster.restart_replica(host)?;
            cluster.member(host).hold(self.name());
            let evidence = None;
            Ok(Box::new(ActiveReplacement { host, old: old.id, evidence }) as Box<dyn ActiveFault>)
        })
    }
}

/// A replica that is to replace a member.
struct ActiveReplacement {
    host: HostId,
    /// The id of the member that is lost.
    old: u64,
    /// What replicas reported, if the replacement succeeded in time.
    evidence: Option<Evidence>,
}

impl ActiveFault for ActiveReplacement {
    fn end_fault<'a>(&'a mut self, cluster: &'a mut Cluster) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            self.evidence = await_replacement(cluster, self.host, self.old).await;
            if self.evidence.is_some() {
                cluster.member(self.host).release();
                return Ok(());
            }
            kill_and_wipe(cluster, self.host, Replace.name())?;
            cluster.member(self.host).lasting.roster = Roster::Removed;
            Ok(())
        })
    }

    fn weigh_evidence(&self) -> Result<Evidence> {
        let host = self.host;
        let why = || {
            let text = "was emptied, and no replacement joined in time; will retry after healing";
            Skip::because(format!("{host} {text}"))
        };
        Ok(self.evidence.clone().ok_or_else(why)?)
    }
}

/// Waits until most replicas report the member that replaces the old one.
async fn await_replacement(cluster: &mut Cluster, host: HostId, old: u64) -> Option<Evidence> {
    let began = Instant::now();
    let is_replaced = |all: &[MemberInfo]| find_new_member(all, host, old).is_some();
    while began.elapsed() < JOIN_TIMEOUT && !cluster.member(host).has_exited() {
        let reports = count_reports(cluster, is_replaced).await;
        if reports > cluster.host_count() / 2 && reports_itself(cluster, host).await {
            let client = find_client(cluster, host).await?;
            let new = find_new_member(&list_members(&client).await?, host, old)?;
            let count = cluster.host_count();
            let text = format!(
                "{host} (member {old}) died and was emptied; member {new} joined in its place, \
                 reported by {reports} of {count}"
            );
            return Some(Evidence { confirmed: true, text });
        }
        sleep(POLL).await;
    }
    None
}

/// The only member on that host, if it is not the old one.
fn find_new_member(all: &[MemberInfo], host: HostId, old: u64) -> Option<u64> {
    let mut there = all.iter().filter(|member| member.host == host);
    let new = there.next().filter(|member| member.id != old)?;
    there.next().is_none().then_some(new.id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_member_counts_once_the_old_one_is_gone() {
        let member = |id| MemberInfo { host: HostId(2), id };
        let elsewhere = MemberInfo { host: HostId(1), id: 9 };
        let find = |all: &[MemberInfo]| find_new_member(all, HostId(2), 3);
        assert_eq!(find(&[elsewhere, member(6)]), Some(6));
        assert_eq!(find(&[member(3), member(6)]), None, "both are there");
        assert_eq!(find(&[member(3)]), None, "no new one is there");
        assert_eq!(find(&[elsewhere]), None, "neither is there");
    }
}
