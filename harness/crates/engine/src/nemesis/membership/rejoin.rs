//! Brings hosts whose member was removed back: a replica without data joins there under a new id.

use super::super::Cluster;
use super::super::cluster::Roster;
use super::changes::{
    JOIN_TIMEOUT, POLL, REMOVAL, count_reports, find_client, list_members, member_on,
    request_removal,
};
use crate::system::{Client, MemberInfo};
use anyhow::{Context as _, Result, ensure};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use testbed::net::plan::HostId;
use tokio::time::{Instant, sleep};

/// How long a removal or a join may take when no fault is on any more.
const FINAL_JOIN_TIMEOUT: Duration = Duration::from_secs(20);

/// Has replicas join where members were removed, if that works soon: hosts without a replica are no
/// target of later faults.
pub(in super::super) async fn rejoin_removed(cluster: &mut Cluster) -> Result<()> {
    for host in cluster.hosts() {
        if cluster.member(host).lasting.roster == Roster::Removed {
            rejoin_host(cluster, host, JOIN_TIMEOUT).await?;
        }
    }
    Ok(())
}

/// Completes every change of members that faults have left half done, when nothing else is broken
/// any more.
pub(in super::super) async fn finish_changes(cluster: &mut Cluster) -> Result<()> {
    for host in cluster.hosts() {
        if cluster.member(host).lasting.roster == Roster::RemovalPending {
            cluster.member(host).lasting.roster = Roster::Member;
            retry_removal(cluster, host).await?;
        }
        if cluster.member(host).lasting.roster == Roster::Removed {
            let new = rejoin_host(cluster, host, FINAL_JOIN_TIMEOUT).await?;
            new.with_context(|| {
                format!("no replica joined on {host} after its member was removed")
            })?;
        }
    }
    Ok(())
}

/// Removes a member whose removal was requested before with unknown outcome.
async fn retry_removal(cluster: &mut Cluster, host: HostId) -> Result<()> {
    let began = Instant::now();
    while !is_removed(cluster, host).await {
        ensure!(
            began.elapsed() < FINAL_JOIN_TIMEOUT,
            "{host} was to be removed, and is still a member"
        );
        if let Some(client) = find_client(cluster, host).await {
            request_removal(&client, host).await;
        }
        sleep(POLL).await;
    }
    kill_and_wipe(cluster, host, REMOVAL)?;
    cluster.member(host).lasting.roster = Roster::Removed;
    Ok(())
}

/// Has a new replica join on a host whose member was removed, and returns its id; `None` where that
/// was not possible in time: the host has no member then.
pub(super) async fn rejoin_host(
    cluster: &mut Cluster,
    host: HostId,
    patience: Duration,
) -> Result<Option<u64>> {
    let began = Instant::now();
    while began.elapsed() < patience {
        if let Some(client) = find_join_client(cluster, host).await {
            kill_and_wipe(cluster, host, REMOVAL)?;
            let left = patience.saturating_sub(began.elapsed());
            if let Some(id) = join_replica(cluster, host, &client, left).await? {
                let member = cluster.member(host);
                member.lasting.roster = Roster::Member;
                member.release();
                return Ok(Some(id));
            }
        } else {
            sleep(POLL).await;
        }
    }
    Ok(None)
}

/// A client through which a replica can join on that host, once there is no member. One that is
/// there has joined without an answer before: it has no data any more, so it is removed.
async fn find_join_client(cluster: &Cluster, host: HostId) -> Option<Arc<dyn Client>> {
    let client = find_client(cluster, host).await?;
    let members = list_members(&client).await?;
    if members.iter().any(|member| member.host == host) {
        request_removal(&client, host).await;
        return None;
    }
    Some(client)
}

/// Starts a replica that joins, and waits until it is a member. If it has exited or time is up, its
/// host is wiped.
async fn join_replica(
    cluster: &mut Cluster,
    host: HostId,
    client: &Arc<dyn Client>,
    patience: Duration,
) -> Result<Option<u64>> {
    let seed = choose_seed(cluster, host).await;
    let startup = &mut cluster.member(host).startup;
    let program =
        startup.replacements.as_ref().and_then(|replacements| replacements.joining_program(seed));
    startup.program = program.context("there is no replica to join through")?;
    cluster.restart_replica(host)?;
    cluster.member(host).hold(REMOVAL);
    let began = Instant::now();
    while began.elapsed() < patience && !cluster.member(host).has_exited() {
        if let Some(member) = member_on(client, host).await
            && reports_itself(cluster, host).await
        {
            return Ok(Some(member.id));
        }
        sleep(POLL).await;
    }
    kill_and_wipe(cluster, host, REMOVAL)?;
    Ok(None)
}

/// The replica through which a new one on that host joins: the leader, or if that is unknown or on
/// the same host, another.
pub(super) async fn choose_seed(cluster: &Cluster, host: HostId) -> HostId {
    let leader = cluster.fetch_leader().await.filter(|leader| *leader != host);
    leader.unwrap_or(HostId(u8::from(host == HostId(0))))
}

/// Whether the new replica reports itself as a member. Until then it may ask to join again, be
/// refused and stop.
pub(super) async fn reports_itself(cluster: &Cluster, host: HostId) -> bool {
    let Ok(own) = cluster.client(host) else { return false };
    member_on(own, host).await.is_some()
}

/// Whether most replicas report no member on that host.
pub(super) async fn is_removed(cluster: &Cluster, host: HostId) -> bool {
    let none = |all: &[MemberInfo]| all.iter().all(|member| member.host != host);
    count_reports(cluster, none).await > cluster.host_count() / 2
}

/// Kills a replica that is no member, or not yet, and empties its disk. It may have stopped because
/// it was told so; only a crash before is unexpected.
pub(super) fn kill_and_wipe(cluster: &mut Cluster, host: HostId, by: &'static str) -> Result<()> {
    let member = cluster.member(host);
    member.kill(by)?;
    member.forgive_missed_stop();
    wipe_disk(cluster, host)
}

/// Empties the disk of a host whose replica is down.
pub(super) fn wipe_disk(cluster: &mut Cluster, host: HostId) -> Result<()> {
    let member = cluster.member(host);
    member.lasting.unrepaired = false;
    let data = &member.startup.data;
    remove_contents(data).with_context(|| format!("{} cannot be emptied", data.display()))
}

fn remove_contents(directory: &Path) -> std::io::Result<()> {
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
