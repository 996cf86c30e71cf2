//! Removes a member from the cluster and lets another join in its place, through the system's own
//! interface.
//!
//! The member is removed, killed and its disk emptied; at the end of the fault a replica without
//! data joins on the same host, under an id that no member had. One member is out at a time.
//! Evidence: most replicas report that it is gone.
//!
//! Where no replica can join at once (another fault is on, too), [`super::rejoin`] tries again when
//! no fault is on, and at last when everything is healed, so that a run ends with as many members
//! as it began with.

use super::super::aim::reject_single_host;
use super::super::cluster::Roster;
use super::super::{
    ActiveFault, BeginFuture, Cluster, ClusterView, Evidence, Nemesis, Requirement, Skip, Target,
};
use super::changes::{
    JOIN_TIMEOUT, POLL, REMOVAL, VARIANTS, aim_at_one, count_reports, find_member,
    reject_fixed_members, request_removal,
};
use super::rejoin::{is_removed, kill_and_wipe, rejoin_host};
use crate::system::{AdminReply, Client, MemberInfo, System};
use anyhow::Result;
use futures_util::future::BoxFuture;
use std::sync::Arc;
use std::time::Duration;
use testbed::net::plan::HostId;
use tokio::time::{Instant, sleep};
use workloads::Rng;

/// How long a removal may take to be reported.
const REMOVAL_TIMEOUT: Duration = Duration::from_secs(2);

/// The removal of a member, and another that joins.
pub(in super::super) struct Removal;

impl Nemesis for Removal {
    fn name(&self) -> &'static str {
        REMOVAL
    }

    fn doc(&self) -> &'static str {
        "removes a replica through the system's own interface, empties its disk, \
         and lets a new one join in its place"
    }

    fn empties_disk(&self) -> bool {
        true
    }

    fn variants(&self) -> &'static [(&'static str, &'static str)] {
        VARIANTS
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
            let (host, client, old) = find_member(target, cluster).await?;
            if let AdminReply::Refused(why) = request_removal(&client, host).await {
                return Err(Skip::because(why).into());
            }
            let evidence = await_removal(cluster, &client, old).await;
            if evidence.confirmed {
                kill_and_wipe(cluster, host, self.name())?;
            }
            cluster.member(host).lasting.roster =
                if evidence.confirmed { Roster::Removed } else { Roster::RemovalPending };
            Ok(Box::new(ActiveRemoval { host, evidence }) as Box<dyn ActiveFault>)
        })
    }
}

/// A member whose removal was requested.
struct ActiveRemoval {
    host: HostId,
    /// What replicas reported of it.
    evidence: Evidence,
}

impl ActiveFault for ActiveRemoval {
    fn end_fault<'a>(&'a mut self, cluster: &'a mut Cluster) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            if !self.evidence.confirmed {
                self.evidence = check_late_removal(cluster, self.host).await?;
            }
            self.evidence.text += &match rejoin_host(cluster, self.host, JOIN_TIMEOUT).await? {
                Some(new) => format!("; member {new} joined in its place"),
                None => "; no replica joined in time, retried later".to_owned(),
            };
            Ok(())
        })
    }

    fn weigh_evidence(&self) -> Result<Evidence> {
        Ok(self.evidence.clone())
    }
}

/// Waits until most replicas report that a member is gone. Halfway the removal is requested again,
/// because the first request may have been lost.
async fn await_removal(cluster: &Cluster, client: &Arc<dyn Client>, old: MemberInfo) -> Evidence {
    let MemberInfo { host, id } = old;
    let began = Instant::now();
    let mut retry_after = REMOVAL_TIMEOUT / 2;
    while began.elapsed() < REMOVAL_TIMEOUT {
        let is_gone = |all: &[MemberInfo]| all.iter().all(|member| member.id != id);
        let reports = count_reports(cluster, is_gone).await;
        if reports > cluster.host_count() / 2 {
            let count = cluster.host_count();
            let text =
                format!("{host} (member {id}) was removed, reported by {reports} of {count}");
            return Evidence { confirmed: true, text };
        }
        if began.elapsed() > retry_after {
            retry_after = REMOVAL_TIMEOUT;
            request_removal(client, host).await;
        }
        sleep(POLL).await;
    }
    // A later removal is noticed when the fault ends, or when everything is healed.
    let text =
        format!("the removal of {host} (member {id}) was requested, and it was still a member");
    Evidence { confirmed: false, text }
}

/// Looks whether a member has been removed since the fault began.
async fn check_late_removal(cluster: &mut Cluster, host: HostId) -> Result<Evidence> {
    if !is_removed(cluster, host).await {
        let why = format!("{host} was not removed in time; the removal is retried after healing");
        return Err(Skip::because(why).into());
    }
    kill_and_wipe(cluster, host, REMOVAL)?;
    cluster.member(host).lasting.roster = Roster::Removed;
    Ok(Evidence { confirmed: true, text: format!("{host} was removed by the end of the fault") })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nemesis::grudge;

    fn sample_view(free: usize) -> ClusterView {
        let free = grudge::all_hosts(5).into_iter().take(free).collect();
        ClusterView { count: 5, leader: Some(HostId(1)), free }
    }

    #[test]
    fn it_removes_one_member_and_leaves_a_majority() {
        let aim = |variant: &str, free| {
            Removal
                .choose_target(variant, &sample_view(free), &mut Rng::new(3))
                .map(|target| target.hosts)
        };
        assert_eq!(aim("leader", 5), Some(vec![HostId(1)]));
        assert!(aim("follower", 5).is_some_and(|hosts| hosts.len() == 1 && hosts != [HostId(1)]));
        assert_eq!(aim("n3", 5), Some(vec![HostId(2)]));
        assert_eq!((aim("one", 3), aim("n5", 4)), (None, None));
        assert!(Removal.reject_aim("n1 n2", 5).is_some());
        assert!(Removal.reject_aim("n3", 5).is_none());
    }
}
