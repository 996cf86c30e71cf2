//! Polls the status of the replicas during a run, and writes it with faults and restarts to
//! `replicas.jsonl` for reports.
//!
//! The poller affects neither the history nor the verdict: a replica's own status is no evidence.

use crate::clock::Clock;
use crate::system::{Client, Leadership, ReplicaStatus};
use anyhow::{Context as _, Result};
use records::RunDirectory;
use records::replica_log::{FILE, Observation, ObservationRecord, ReportedStatus};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use testbed::net::plan::HostId;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

/// Time between two polls of a replica.
const POLL_INTERVAL: Duration = Duration::from_millis(200);

/// An observation of a replica.
#[derive(Debug)]
pub(crate) struct StatusReport {
    /// When, in nanoseconds since the run began.
    pub time: u64,
    /// The host of the replica.
    pub host: HostId,
    /// The observation.
    pub what: Observation,
}

/// The pollers of a run and the writer of their observations.
pub(crate) struct StatusPoller {
    pollers: Vec<JoinHandle<()>>,
    writer: JoinHandle<std::io::Result<()>>,
    /// The leader reported with the greatest term.
    pub leader: watch::Receiver<Option<Leadership>>,
    /// Receives observations from the nemesis.
    pub(crate) sink: mpsc::UnboundedSender<StatusReport>,
}

impl StatusPoller {
    /// Starts polling, and writes to a new file.
    pub(crate) fn start(
        clock: Clock,
        clients: &[Arc<dyn Client>],
        directory: &RunDirectory,
    ) -> Result<Self> {
        let path = directory.file_path(FILE);
        let file =
            File::create(&path).with_context(|| format!("cannot create {}", path.display()))?;
        let (sink, reports) = mpsc::unbounded_channel();
        let (leads, leader) = watch::channel(None);
        let leads = Arc::new(ReportedLeaders { known: Mutex::default(), leader_sender: leads });
        let hosts = (0..).map(HostId);
        let pollers = hosts.zip(clients.iter().cloned()).map(|(host, client)| {
            let (log, sink, leads) =
                (directory.log_path(&host.to_string()), sink.clone(), Arc::clone(&leads));
            tokio::spawn(
                ReplicaPoller { clock, host, client, log, sink, leaders: leads }.poll_status(),
            )
        });
        let pollers = pollers.collect();
        Ok(Self { pollers, writer: tokio::spawn(write_observations(reports, file)), leader, sink })
    }

    /// Stops polling, and returns once everything is written. All other senders must be dropped.
    pub(crate) async fn finish(self) -> Result<()> {
        self.pollers.iter().for_each(JoinHandle::abort);
        drop(self.sink);
        let written = self.writer.await.context("the status poller panicked")?;
        written.with_context(|| format!("cannot write {FILE}"))
    }
}

/// The leader that each replica reported last.
struct ReportedLeaders {
    known: Mutex<BTreeMap<HostId, Leadership>>,
    leader_sender: watch::Sender<Option<Leadership>>,
}

impl ReportedLeaders {
    fn update(&self, from: HostId, said: Option<Leadership>) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        match said {
            Some(said) => known.insert(from, said),
            None => known.remove(&from),
        };
        let newest = known.values().max_by_key(|said| said.term).copied();
        self.leader_sender.send_if_modified(|leads| std::mem::replace(leads, newest) != newest);
    }
}

/// Polls one replica.
struct ReplicaPoller {
    clock: Clock,
    host: HostId,
    client: Arc<dyn Client>,
    log: PathBuf,
    sink: mpsc::UnboundedSender<StatusReport>,
    leaders: Arc<ReportedLeaders>,
}

impl ReplicaPoller {
    async fn poll_status(self) {
        loop {
            let bytes = std::fs::metadata(&self.log).map_or(0, |log| log.len());
            self.send_report(Observation::Log(bytes));
            let status = self.client.fetch_status().await;
            self.leaders.update(self.host, status.as_ref().and_then(ReplicaStatus::leadership));
            self.send_report(Observation::Says(status.map(|status| to_record(self.host, status))));
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    fn send_report(&self, what: Observation) {
        // The receiver is gone only while the run shuts down.
        drop(self.sink.send(StatusReport { time: self.clock.now_ns(), host: self.host, what }));
    }
}

/// The status to record; the role follows from the leader where the system reports no role.
fn to_record(host: HostId, status: ReplicaStatus) -> ReportedStatus {
    let ReplicaStatus { role, leader, term, commit, applied } = status;
    let role = role.or_else(|| {
        let word = if leader? == host { "leader" } else { "follower" };
        Some(word.to_owned())
    });
    ReportedStatus { role, term, commit, applied }
}

/// Writes observations that differ from the one before.
async fn write_observations(
    mut reports: mpsc::UnboundedReceiver<StatusReport>,
    file: File,
) -> std::io::Result<()> {
    let mut file = BufWriter::new(file);
    let mut last: BTreeMap<(HostId, _), Observation> = BTreeMap::new();
    while let Some(StatusReport { time, host, what }) = reports.recv().await {
        if last.get(&(host, what.kind())) == Some(&what) {
            continue;
        }
        let observation =
            ObservationRecord { time, replica: host.to_string(), observation: what.clone() };
        serde_json::to_writer(&mut file, &observation)?;
        file.write_all(b"\n")?;
        last.insert((host, what.kind()), what);
        if reports.is_empty() {
            file.flush()?;
        }
    }
    file.flush()
}
