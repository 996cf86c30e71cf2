//! Assembles the parts of each group, a runtime and a driver, and the parts that all groups share:
//! connections, the log on disk and metrics.
//!
//! Groups are independent, but a group that fails stops the replica.

use super::args::Settings;
use super::demux::Demux;
use super::driver::{Clock, Driver, Inbox};
use super::http::GroupHandle;
use super::links::Links;
use super::log::Logger;
use super::members::Members;
use super::published_status::PublishedStatus;
use super::request::{QueuedRequest, ReplySender};
use super::storage::{self, ReportSenders, Storage};
use super::ticks::TICK;
use super::trace::Trace;
use crate::raft::{Config, Stored};
use crate::runtime::{LogWrite, Runtime, RuntimeConfig};
use crate::wal::GroupId;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// How many events of one kind may wait for a driver.
const QUEUE_CAPACITY: usize = 4096;

/// The queues of the drivers, in group order.
pub(super) struct Queues {
    pub(super) demux: Demux,
    reports: ReportSenders,
    requests: Vec<mpsc::Sender<QueuedRequest>>,
    inboxes: Vec<Inbox>,
}

/// Creates the queues of this many groups.
pub(super) fn create_queues(groups: GroupId) -> Queues {
    let (mut events, mut reports, mut asks, mut inboxes) = (vec![], vec![], vec![], vec![]);
    for _ in 0..groups {
        let (event, peers) = mpsc::channel(QUEUE_CAPACITY);
        let (report, disk) = mpsc::channel(QUEUE_CAPACITY);
        let (ask, clients) = mpsc::channel(QUEUE_CAPACITY);
        events.push(event);
        reports.push(report);
        asks.push(ask);
        inboxes.push(Inbox { disk, peers, clients });
    }
    Queues { demux: Demux::new(events), reports, requests: asks, inboxes }
}

/// What all groups of a replica share.
pub(super) struct ReplicaContext<'a> {
    pub(super) settings: &'a Settings,
    pub(super) members: Members,
    pub(super) links: Links,
    pub(super) trace: Option<Trace>,
    pub(super) log: Logger,
}

/// A replica that is ready to run: a handle and a driver for each group, and the storage thread.
pub(super) struct StartedReplica {
    pub(super) handles: Vec<GroupHandle>,
    pub(super) drivers: Vec<(Driver, Inbox)>,
    pub(super) disk: JoinHandle<()>,
}

impl ReplicaContext<'_> {
    /// Creates the runtime of each group from its stored state, and its driver.
    pub(super) fn start_groups(
        &self,
        storage: Storage,
        stored: Vec<Stored>,
        queues: Queues,
    ) -> Result<StartedReplica, String> {
        let start = storage.end();
        for (group, stored) in (0..).zip(&stored) {
            if let Some(trace) = self.trace_of_group(group) {
                trace.record_start(stored);
            }
        }
        let runtimes: Vec<Runtime<ReplySender>> = (0..)
            .zip(stored)
            .map(|(group, stored)| Runtime::new(self.runtime_config(group, start), stored))
            .collect::<Result<_, _>>()?;
        let published_statuses = self.published_statuses(&runtimes);
        let metrics = published_statuses[0].metrics().clone();
        let (disk, thread) = storage::spawn_thread(storage, queues.reports, metrics);
        let timeout = Duration::from_millis(self.settings.request_timeout_ms);
        let handle = |(driver, published): (_, &PublishedStatus)| GroupHandle {
            driver,
            published: published.clone(),
            timeout,
            bugs: self.settings.bugs,
        };
        let handles = queues.requests.into_iter().zip(&published_statuses).map(handle).collect();
        let mut drivers = Vec::new();
        for ((group, runtime), published) in (0..).zip(runtimes).zip(published_statuses) {
            let mut driver = self.build_driver(group, runtime, (disk.clone(), published));
            driver.membership_changed(&driver.runtime.membership().clone());
            drivers.push(driver);
        }
        let drivers = drivers.into_iter().zip(queues.inboxes).collect();
        Ok(StartedReplica { handles, drivers, disk: thread })
    }

    /// Creates the published status of each group; all share the metrics of the first.
    fn published_statuses(&self, runtimes: &[Runtime<ReplySender>]) -> Vec<PublishedStatus> {
        let Self { settings, members, links, .. } = self;
        let first = runtimes[0].status();
        let published =
            PublishedStatus::new(members.clone(), settings.switch_names(), links.clone(), first);
        if runtimes.len() == 1 {
            return vec![published];
        }
        let statuses = runtimes.iter().map(Runtime::status);
        (0..).zip(statuses).map(|(group, status)| published.of_group(group, status)).collect()
    }

    fn build_driver(
        &self,
        group: GroupId,
        runtime: Runtime<ReplySender>,
        (disk, published): (mpsc::UnboundedSender<LogWrite>, PublishedStatus),
    ) -> Driver {
        let Self { settings, members, links, log, .. } = self;
        let several = settings.groups > 1;
        Driver {
            group,
            runtime,
            members: members.clone(),
            links: links.of_group(group),
            disk,
            published,
            log: if several { log.of_group(group) } else { log.clone() },
            trace: self.trace_of_group(group),
            clock: Clock::default(),
        }
    }

    fn trace_of_group(&self, group: GroupId) -> Option<Trace> {
        let several = self.settings.groups > 1;
        self.trace.as_ref().map(|trace| if several { trace.of_group(group) } else { trace.clone() })
    }

    fn runtime_config(&self, group: GroupId, start: u64) -> RuntimeConfig {
        let settings = self.settings;
        RuntimeConfig {
            raft: self.raft_config(group, start),
            group,
            groups: settings.groups,
            start,
            election: Duration::from_millis(u64::from(settings.election_ms)),
        }
    }

    /// Returns the configuration of a group's core, with a seed that no other start or group has.
    fn raft_config(&self, group: GroupId, start: u64) -> Config {
        let Settings { heartbeat_ms, election_ms, .. } = self.settings;
        let ticks = |ms: u32| ms.div_ceil(u32::try_from(TICK.as_millis()).unwrap_or(1));
        let seed = self.settings.seed.wrapping_add(start);
        Config {
            id: self.members.me(),
            voters: self.members.founders().to_vec(),
            heartbeat_ticks: ticks(*heartbeat_ms),
            election_ticks: ticks(*election_ms),
            seed: seed ^ u64::from(group).wrapping_mul(0x9e37_79b9_7f4a_7c15),
            lease_reads: self.settings.lease,
            compaction: self.settings.compaction,
            bugs: self.settings.bugs,
            variations: self.settings.variations,
        }
    }
}

/// Runs each driver as its own task, which ends when the driver fails.
pub(super) fn spawn_drivers(drivers: Vec<(Driver, Inbox)>) -> JoinSet<(GroupId, String)> {
    let run =
        |(driver, inbox): (Driver, Inbox)| async move { (driver.group, driver.run(inbox).await) };
    drivers.into_iter().map(run).collect()
}

/// Waits until a driver fails; returns why.
pub(super) async fn wait_for_failure(drivers: &mut JoinSet<(GroupId, String)>) -> String {
    let several = drivers.len() > 1;
    match drivers.join_next().await {
        Some(Ok((group, failure))) if several => format!("group {group}: {failure}"),
        Some(Ok((_, failure))) => failure,
        Some(Err(error)) => format!("a driver ended: {error}"),
        None => "there is no group".to_owned(),
    }
}
