//! Corrupts what replicas had synced, while they are down, and starts them on what is left.
//!
//! Never more than a minority at once, and only while no other fault holds any replica: enough good
//! copies are left. A corrupted replica is started only after the others have accepted a change
//! without it, so that enough of them have what it may have lost. Where they do not, its disk is
//! repaired at once, and the fault was only a restart.
//!
//! A replica that stops because of what it finds behaves correctly: its disk is repaired when the
//! fault ends. One that went on may find the damage later, and stop then; that is doubtful, not
//! unexpected. Evidence: bytes below the replica changed, and another process was started on them.

use super::super::aim::{aim_at_replicas, reject_replicas};
use super::super::{
    ActiveFault, BeginFuture, Cluster, ClusterView, Evidence, Nemesis, Requirement, Skip, Target,
    grudge, selector,
};
use crate::system::Client;
use anyhow::Result;
use futures_util::future::BoxFuture;
use std::sync::Arc;
use std::time::Duration;
use testbed::host::disk::{self, CorruptionKind, FileCorruption};
use testbed::host::process::ProcessExit;
use testbed::net::plan::HostId;
use tokio::task::block_in_place;
use tokio::time::{Instant, sleep};
use workloads::{Call, Outcome, Rng};

/// How long the others may take to accept a change, and a corrupted replica to answer or to stop.
const DECISION_TIMEOUT: Duration = Duration::from_secs(3);
const POLL: Duration = Duration::from_millis(100);
/// The key of these calls, which no workload uses.
const KEY: &str = "ready";

const VARIANTS: &[(&str, &str)] =
    &[("leader", "the leader"), ("minority", "a random minority"), ("one", "one random replica")];

/// One way in which a disk corrupts data.
pub(in super::super) struct Corruption {
    name: &'static str,
    doc: &'static str,
    damage: CorruptionKind,
}

/// Flipped bits.
pub(in super::super) const BIT_ROT: Corruption = Corruption {
    name: "bit-rot",
    doc: "flips some bits of what a replica had synced, while it is down, and starts it on that; \
          never of a majority",
    damage: CorruptionKind::BitFlip,
};
/// Sectors that were never written.
pub(in super::super) const LOST_WRITE: Corruption = Corruption {
    name: "lost-write",
    doc: "zeroes a sector of what a replica had synced, as if it had never been written; \
          never of a majority",
    damage: CorruptionKind::LostWrite,
};
/// Sectors in the wrong place.
pub(in super::super) const MISDIRECTED_WRITE: Corruption = Corruption {
    name: "misdirected-write",
    doc: "puts one sector of what a replica had synced in the place of another one; \
          never of a majority",
    damage: CorruptionKind::MisdirectedWrite,
};
/// Files that end too early.
pub(in super::super) const TRUNCATE: Corruption = Corruption {
    name: "truncate",
    doc: "cuts up to half of a file that a replica had synced, while it is down, and starts it on \
          that; never of a majority",
    damage: CorruptionKind::Truncate,
};

impl Nemesis for Corruption {
    fn name(&self) -> &'static str {
        self.name
    }

    fn doc(&self) -> &'static str {
        self.doc
    }

    fn variants(&self) -> &'static [(&'static str, &'static str)] {
        VARIANTS
    }

    fn duration_ms(&self) -> (u64, u64) {
        (1_000, 3_000)
    }

    fn requirements(&self) -> &'static [Requirement] {
        &[Requirement::Disks]
    }

    fn corrupts_data(&self) -> bool {
        true
    }

    fn unsupported_here(&self) -> Option<String> {
        disk::no_disk_faults_reason().map(|why| format!("{why}; do without {}", self.name))
    }

    fn reject_aim(&self, aim: &str, hosts: usize) -> Option<String> {
        let rejection = reject_replicas(self, aim, hosts);
        let named = selector::parse_hosts(aim, hosts).map_or(0, |named| named.len());
        let too_many = || {
            format!("{named} replicas of {hosts} are no minority: all copies could be corrupted")
        };
        let is_too_much = selector::is_list(aim) && named > max_corrupted(hosts);
        rejection.or_else(|| is_too_much.then(too_many))
    }

    fn choose_target(&self, variant: &str, view: &ClusterView, rng: &mut Rng) -> Option<Target> {
        let target = aim_at_replicas(variant, view, rng)?;
        let random = rng.below(u64::MAX);
        let is_minority = target.hosts.len() <= max_corrupted(view.count);
        let is_calm = view.free.len() == view.count;
        (is_minority && is_calm).then_some(Target { random, ..target })
    }

    fn begin_fault<'a>(&'a self, target: &'a Target, cluster: &'a mut Cluster) -> BeginFuture<'a> {
        Box::pin(async move {
            cluster.sample_replicas(&target.hosts)?;
            target.hosts.iter().try_for_each(|host| cluster.member(*host).kill(self.name))?;
            let mut fault = CorruptedDisks::new(&target.hosts);
            let corrupted = fault.corrupt_disks(self.damage, target.random, cluster).await;
            for replica in &mut fault.0 {
                if corrupted.is_err() {
                    // A fault that did not begin is not ended.
                    replica.repair_disk(cluster)?;
                }
                cluster.restart_replica(replica.host)?;
                if corrupted.is_ok() {
                    cluster.member(replica.host).hold(self.name);
                }
            }
            corrupted.map(|()| Box::new(fault) as Box<dyn ActiveFault>)
        })
    }
}

/// How many replicas may be corrupted at once.
fn max_corrupted(count: usize) -> usize {
    count.saturating_sub(1) / 2
}

/// Replicas that run on corrupted disks.
struct CorruptedDisks(Vec<CorruptedReplica>);

struct CorruptedReplica {
    host: HostId,
    /// What was changed on its disk.
    corruption: Option<FileCorruption>,
    /// What became of it.
    end: Option<CorruptionEnd>,
}

/// What became of a replica that was started on a corrupted disk.
struct CorruptionEnd {
    /// What had been changed.
    damage: String,
    /// How it stopped, if it did.
    exit: Option<ProcessExit>,
    /// Its disk is as it was before.
    is_repaired: bool,
}

impl CorruptedDisks {
    fn new(hosts: &[HostId]) -> Self {
        let replica = |host: &HostId| CorruptedReplica { host: *host, corruption: None, end: None };
        Self(hosts.iter().map(replica).collect())
    }

    /// Corrupts the disks of these dead replicas, unless too few others have what they may lose.
    async fn corrupt_disks(
        &mut self,
        damage: CorruptionKind,
        random: u64,
        cluster: &mut Cluster,
    ) -> Result<()> {
        for replica in &mut self.0 {
            replica.corrupt_disk(damage, random, cluster)?;
        }
        let hosts: Vec<HostId> = self.0.iter().map(|replica| replica.host).collect();
        if others_accept_a_change(&hosts, cluster).await {
            return Ok(());
        }
        let names = grudge::host_names(&hosts);
        let why = format!(
            "the others did not accept a change without {names}, so nothing stayed corrupted"
        );
        Err(Skip::because(why).into())
    }
}

impl CorruptedReplica {
    fn corrupt_disk(
        &mut self,
        damage: CorruptionKind,
        random: u64,
        cluster: &mut Cluster,
    ) -> Result<()> {
        let disk = cluster.member(self.host).disk_mut()?;
        let random = random.wrapping_add(u64::from(self.host.0));
        self.corruption = block_in_place(|| disk.corrupt_file(damage, random))?;
        if self.corruption.is_none() {
            let why = format!("{} keeps nothing that this would change", self.host);
            return Err(Skip::because(why).into());
        }
        Ok(())
    }

    /// Repairs the disk of a dead replica, and says whether that was possible.
    fn repair_disk(&mut self, cluster: &mut Cluster) -> Result<bool> {
        let disk = cluster.member(self.host).disk_mut()?;
        match self.corruption.take() {
            Some(corruption) => block_in_place(|| disk.repair_file(&corruption)),
            None => Ok(true),
        }
    }

    /// Waits until the replica has stopped or answers, or patience ends: it may still be reading
    /// its disk.
    async fn await_decision(&self, cluster: &mut Cluster) -> Result<()> {
        let client = Arc::clone(cluster.client(self.host)?);
        let call = Call::Read { key: KEY.to_owned() };
        let deadline = Instant::now() + DECISION_TIMEOUT;
        while !cluster.member(self.host).has_exited() && Instant::now() < deadline {
            if client.call(&call).await.outcome == Outcome::Ok {
                break;
            }
            sleep(POLL).await;
        }
        Ok(())
    }

    /// Lets the replica go. One that has stopped is restarted on a repaired disk.
    fn end_corruption(&mut self, cluster: &mut Cluster) -> Result<()> {
        let damage =
            self.corruption.as_ref().map(|scar| scar.description.clone()).unwrap_or_default();
        let member = cluster.member(self.host);
        let exit = member.replica.poll_exit();
        member.release();
        let mut is_repaired = false;
        if exit.is_some() {
            is_repaired = self.repair_disk(cluster)?;
            cluster.restart_replica(self.host)?;
        }
        cluster.member(self.host).lasting.unrepaired |= !is_repaired;
        self.end = Some(CorruptionEnd { damage, exit, is_repaired });
        Ok(())
    }
}

impl ActiveFault for CorruptedDisks {
    fn end_fault<'a>(&'a mut self, cluster: &'a mut Cluster) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            for replica in &mut self.0 {
                replica.await_decision(cluster).await?;
                replica.end_corruption(cluster)?;
            }
            Ok(())
        })
    }

    fn weigh_evidence(&self) -> Result<Evidence> {
        let ends = self.0.iter().filter_map(|it| Some((it.host, it.end.as_ref()?)));
        let texts: Vec<String> = ends.map(|(host, end)| format!("{host}: {end}")).collect();
        Ok(Evidence { confirmed: !texts.is_empty(), text: texts.join(". ") })
    }
}

impl std::fmt::Display for CorruptionEnd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { damage, exit, is_repaired } = self;
        match exit {
            None => write!(f, "{damage}; it went on with that"),
            Some(exit) if *is_repaired => {
                write!(f, "{damage}; it stopped ({exit}), and its disk was repaired")
            }
            Some(exit) => write!(
                f,
                "{damage}; it wrote over that, stopped ({exit}) and was restarted without a repair"
            ),
        }
    }
}

/// Whether a replica on another host than these accepts a change in time.
async fn others_accept_a_change(hosts: &[HostId], cluster: &Cluster) -> bool {
    let all = cluster.hosts().into_iter().zip(cluster.clients());
    let others: Vec<&Arc<dyn Client>> =
        all.filter(|(host, _)| !hosts.contains(host)).map(|(_, client)| client).collect();
    let call = Call::Write { key: KEY.to_owned(), value: 1 };
    let deadline = Instant::now() + DECISION_TIMEOUT;
    for client in others.iter().cycle() {
        if Instant::now() > deadline {
            break;
        }
        if client.call(&call).await.outcome == Outcome::Ok {
            return true;
        }
        sleep(POLL).await;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt as _;

    #[test]
    fn a_majority_is_never_corrupted_nor_any_replica_while_another_fault_is_on() {
        let free = grudge::all_hosts(3).into_iter().collect();
        let mut view = ClusterView { count: 3, leader: Some(HostId(0)), free };
        let target =
            TRUNCATE.choose_target("minority", &view, &mut Rng::new(1)).expect("one of three");
        assert_eq!(target.hosts.len(), 1);
        assert_eq!(TRUNCATE.choose_target("n1 n2", &view, &mut Rng::new(1)), None);
        assert!(TRUNCATE.reject_aim("n1 n2", 3).is_some_and(|why| why.contains("no minority")));
        assert_eq!(TRUNCATE.reject_aim("n1 n2", 5), None);
        view.free.remove(&HostId(2));
        assert_eq!(TRUNCATE.choose_target("one", &view, &mut Rng::new(1)), None);
    }

    #[test]
    fn evidence_says_what_became_of_each_replica() {
        let end = |host, damage: &str, exit, is_repaired| {
            let damage = damage.to_owned();
            let end = Some(CorruptionEnd { damage, exit, is_repaired });
            CorruptedReplica { host: HostId(host), corruption: None, end }
        };
        let exit = ProcessExit::Status(std::process::ExitStatus::from_raw(1 << 8));
        let fault = CorruptedDisks(vec![
            end(0, "bytes 7+1 of x", Some(exit), true),
            end(1, "the last 3 of 9 bytes of y", None, false),
        ]);
        let evidence = fault.weigh_evidence().expect("it is weighed");
        assert!(evidence.confirmed);
        assert_eq!(
            evidence.text,
            "n1: bytes 7+1 of x; it stopped (exit status: 1), and its disk was repaired. \
             n2: the last 3 of 9 bytes of y; it went on with that"
        );
    }
}
