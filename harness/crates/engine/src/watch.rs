//! Watches the replicas while a run lasts: asks each what it says of itself, hears what is done to it, and writes
//! both down in `replicas.jsonl`, for the eye.
//!
//! It has no part in the history and none in the verdict: nothing that a replica says of itself is evidence.

use crate::clock::Clock;
use crate::system::{Client, Leadership, ReplicaStatus};
use anyhow::{Context as _, Result};
use records::RunDirectory;
use records::sights::{FILE, Said, Sight, Sighting};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use testbed::net::plan::HostId;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

/// How often each replica is asked.
const BEAT: Duration = Duration::from_millis(200);

/// What was seen of a replica.
#[derive(Debug)]
pub(crate) struct Heard {
    /// When, in nanoseconds since the run began.
    pub time: u64,
    /// On which host.
    pub host: HostId,
    /// What.
    pub what: Sighting,
}

/// The watchers of a run.
pub(crate) struct Watch {
    askers: Vec<JoinHandle<()>>,
    writer: JoinHandle<std::io::Result<()>>,
    /// Who leads, as the replica with the greatest term says.
    pub leader: watch::Receiver<Option<Leadership>>,
    /// Where to tell what is done to replicas.
    pub(crate) ear: mpsc::UnboundedSender<Heard>,
}

impl Watch {
    /// Begins to watch, in a new file.
    pub(crate) fn start(
        clock: Clock,
        clients: &[Arc<dyn Client>],
        directory: &RunDirectory,
    ) -> Result<Self> {
        let path = directory.file(FILE);
        let file =
            File::create(&path).with_context(|| format!("{} cannot be created", path.display()))?;
        let (ear, heard) = mpsc::unbounded_channel();
        let (leads, leader) = watch::channel(None);
        let leads = Arc::new(Leads { known: Mutex::default(), leads });
        let hosts = (0..).map(HostId);
        let askers = hosts.zip(clients.iter().cloned()).map(|(host, client)| {
            let (log, ear, leads) =
                (directory.log(&host.to_string()), ear.clone(), Arc::clone(&leads));
            tokio::spawn(Asker { clock, host, client, log, ear, leads }.ask())
        });
        let askers = askers.collect();
        Ok(Self { askers, writer: tokio::spawn(write(heard, file)), leader, ear })
    }

    /// Ends once everything is written. Whoever else has the ear must have let go of it.
    pub(crate) async fn finish(self) -> Result<()> {
        self.askers.iter().for_each(JoinHandle::abort);
        drop(self.ear);
        let written = self.writer.await.context("the watcher died")?;
        written.with_context(|| format!("{FILE} cannot be written"))
    }
}

/// Who leads, as each replica said last.
struct Leads {
    known: Mutex<BTreeMap<HostId, Leadership>>,
    leads: watch::Sender<Option<Leadership>>,
}

impl Leads {
    fn hear(&self, from: HostId, said: Option<Leadership>) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        match said {
            Some(said) => known.insert(from, said),
            None => known.remove(&from),
        };
        let newest = known.values().max_by_key(|said| said.term).copied();
        self.leads.send_if_modified(|leads| std::mem::replace(leads, newest) != newest);
    }
}

/// Asks one replica again and again.
struct Asker {
    clock: Clock,
    host: HostId,
    client: Arc<dyn Client>,
    log: PathBuf,
    ear: mpsc::UnboundedSender<Heard>,
    leads: Arc<Leads>,
}

impl Asker {
    async fn ask(self) {
        loop {
            let bytes = std::fs::metadata(&self.log).map_or(0, |log| log.len());
            self.tell(Sighting::Log(bytes));
            let status = self.client.status().await;
            self.leads.hear(self.host, status.as_ref().and_then(ReplicaStatus::leadership));
            self.tell(Sighting::Says(status.map(|status| said(self.host, status))));
            tokio::time::sleep(BEAT).await;
        }
    }

    fn tell(&self, what: Sighting) {
        // Nobody listens any more only when the run is being torn down.
        drop(self.ear.send(Heard { time: self.clock.now_ns(), host: self.host, what }));
    }
}

/// What a replica that only knows who leads says of itself.
fn said(host: HostId, status: ReplicaStatus) -> Said {
    let ReplicaStatus { role, leader, term, commit, applied } = status;
    let role = role.or_else(|| {
        let word = if leader? == host { "leader" } else { "follower" };
        Some(word.to_owned())
    });
    Said { role, term, commit, applied }
}

/// Writes what is news.
async fn write(mut heard: mpsc::UnboundedReceiver<Heard>, file: File) -> std::io::Result<()> {
    let mut file = BufWriter::new(file);
    let mut last: BTreeMap<(HostId, _), Sighting> = BTreeMap::new();
    while let Some(Heard { time, host, what }) = heard.recv().await {
        if last.get(&(host, what.kind())) == Some(&what) {
            continue;
        }
        let sight = Sight { time, replica: host.to_string(), what: what.clone() };
        serde_json::to_writer(&mut file, &sight)?;
        file.write_all(b"\n")?;
        last.insert((host, what.kind()), what);
        if heard.is_empty() {
            file.flush()?;
        }
    }
    file.flush()
}
