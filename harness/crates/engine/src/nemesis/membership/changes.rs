//! What all changes of members share: their target, and what replicas report of members.

use super::super::{Cluster, ClusterView, Skip, Target, selector};
use crate::system::{AdminReply, Client, MemberInfo, System};
use anyhow::{Context as _, Result};
use futures_util::future::join_all;
use std::sync::Arc;
use std::time::Duration;
use testbed::net::plan::HostId;
use workloads::Rng;

/// The nemesis that removes members.
pub(super) const REMOVAL: &str = "membership";
/// How long a new replica may take to join while other faults wait for it.
pub(super) const JOIN_TIMEOUT: Duration = Duration::from_secs(3);
pub(super) const POLL: Duration = Duration::from_millis(20);

pub(super) const VARIANTS: &[(&str, &str)] = &[
    ("follower", "a random replica that does not lead"),
    ("leader", "the leader"),
    ("one", "one random replica"),
];

/// The target of a change of members: its host, a client to request the change through, and the
/// member.
pub(super) async fn find_member(
    target: &Target,
    cluster: &mut Cluster,
) -> Result<(HostId, Arc<dyn Client>, MemberInfo)> {
    let host = *target.hosts.first().context("a removal needs a target; this is a bug")?;
    cluster.sample_replicas(&target.hosts)?;
    let client = find_client(cluster, host).await.ok_or(Skip::because("there is no leader"))?;
    let member = member_on(&client, host).await;
    let member = member.ok_or_else(|| Skip::because(format!("{host} is no member")))?;
    Ok((host, client, member))
}

pub(super) fn reject_fixed_members(nemesis: &str, system: &dyn System) -> Option<String> {
    let system_name = system.name();
    system.member_changes().is_none().then(|| {
        format!("nemesis {nemesis:?}: {system_name} has no interface here to change its members")
    })
}

/// Aims at one replica whose removal leaves a majority of all hosts, whatever other faults are on.
pub(super) fn aim_at_one(variant: &str, view: &ClusterView, rng: &mut Rng) -> Option<Target> {
    let leader = view.leader?;
    if view.free.len() <= view.count / 2 + 1 {
        return None;
    }
    let mut hosts = view.shuffle_free_hosts(rng);
    match variant {
        "leader" => hosts.retain(|host| *host == leader),
        "follower" => hosts.retain(|host| *host != leader),
        list if selector::is_list(list) => {
            let named = selector::parse_hosts(list, view.count).ok()?;
            let named = selector::resolve_hosts(&named, view)?;
            hosts.retain(|host| named.contains(host));
        }
        _ => {}
    }
    hosts.truncate(1);
    (!hosts.is_empty()).then(|| Target::of_replicas(variant, hosts))
}

/// A client of the leader, or if that one is to be removed, of another replica.
pub(super) async fn find_client(cluster: &Cluster, host: HostId) -> Option<Arc<dyn Client>> {
    let leader = cluster.fetch_leader().await?;
    let free = cluster.free_hosts();
    let other = std::iter::once(leader).chain(free).find(|it| *it != host)?;
    cluster.client(other).ok().cloned()
}

/// The members, as reported through that client.
pub(super) async fn list_members(client: &Arc<dyn Client>) -> Option<Vec<MemberInfo>> {
    client.membership()?.fetch_members().await
}

/// Requests the removal of the member on that host.
pub(super) async fn request_removal(client: &Arc<dyn Client>, host: HostId) -> AdminReply {
    match client.membership() {
        Some(membership) => membership.remove_member(host).await,
        None => AdminReply::Refused("this client changes no members".to_owned()),
    }
}

/// The member on that host, as reported through that client.
pub(super) async fn member_on(client: &Arc<dyn Client>, host: HostId) -> Option<MemberInfo> {
    let members = list_members(client).await?;
    members.into_iter().find(|member| member.host == host)
}

/// How many replicas report members of which that is true.
pub(super) async fn count_reports(cluster: &Cluster, so: impl Fn(&[MemberInfo]) -> bool) -> usize {
    let reports = cluster.clients().iter().map(list_members);
    join_all(reports).await.into_iter().flatten().filter(|members| so(members)).count()
}
