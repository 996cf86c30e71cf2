//! Runs three replicas of a system on loopback, kills and restarts them, and reads their counters.

use super::connection::{Connection, get_once};
use super::dialect::{Dialect, Response, replica_name};
use super::time::TICKS_PER_SECOND;
use anyhow::{Context as _, Result, bail, ensure};
use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use testbed::host::disk::{Disk, DiskBackend};
use testbed::host::process::Replica;
use testbed::host::thread::Host;
use testbed::net::plan::HostId;
use testbed::net::{Backend, Network, Port};
use tokio::time::{sleep, timeout};

/// How many replicas stand.
const REPLICAS: usize = 3;
/// How long they may take to find a leader.
const LEADER_TIMEOUT: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(20);

/// Where replicas are measured: a directory on the disk that counts, gone when this is dropped.
pub(crate) struct BenchDirectory(PathBuf);

impl BenchDirectory {
    /// Makes the directory.
    pub(crate) fn create(under: &Path) -> Result<Self> {
        let path = under.join(format!("bench-node-{}", std::process::id()));
        std::fs::create_dir_all(&path)
            .with_context(|| format!("{} cannot be made", path.display()))?;
        let path = path.canonicalize().context("the directory is gone")?;
        Ok(Self(path))
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for BenchDirectory {
    fn drop(&mut self) {
        // What cannot be taken away can at least be seen.
        drop(std::fs::remove_dir_all(&self.0));
    }
}

/// The clockwork of an election, the same for every system.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ElectionTiming {
    /// Between a leader's heartbeats.
    pub(crate) heartbeat_ms: u32,
    /// The shortest time without one.
    pub(crate) election_ms: u32,
}

/// Three replicas of one system.
pub(crate) struct Cluster {
    pub(crate) dialect: Dialect,
    timing: ElectionTiming,
    /// Into how many groups our store divides keys.
    groups: u32,
    directory: PathBuf,
    clients: Vec<SocketAddr>,
    peers: Vec<SocketAddr>,
    replicas: Vec<Replica>,
    // Declared last: dropping it kills the child processes.
    deployment: Deployment,
}

/// What replicas stand on.
enum Deployment {
    /// Loopback, where all share one host.
    Loopback(Host),
    /// Loopback with a faulty disk each. The disk is dropped before the host that uses it.
    Disks(Vec<(Disk, Host)>),
    /// A host for each, and a network between them.
    Network(Network),
}

impl Cluster {
    /// Starts the replicas and waits until they have a leader.
    pub(crate) async fn start(
        dialect: Dialect,
        timing: ElectionTiming,
        place: &BenchDirectory,
    ) -> Result<Self> {
        Self::start_with_groups(dialect, (timing, 1), place).await
    }

    /// The same with keys in so many groups, where the system knows groups.
    pub(crate) async fn start_with_groups(
        dialect: Dialect,
        (timing, groups): (ElectionTiming, u32),
        place: &BenchDirectory,
    ) -> Result<Self> {
        let addresses = free_addresses(2 * REPLICAS)?;
        let (clients, peers) = addresses.split_at(REPLICAS);
        let deployment = Deployment::Loopback(Host::shared("bench")?);
        let addresses = (clients.to_vec(), peers.to_vec());
        Self::start_replicas(dialect, (timing, groups), place, (deployment, addresses)).await
    }

    /// Our store with a host for each replica and a bridge between them; needs the sandbox.
    pub(crate) async fn start_on_bridge(
        timing: ElectionTiming,
        place: &BenchDirectory,
    ) -> Result<Self> {
        let network = Network::build(Backend::Bridge, REPLICAS as u8, 1, None).await?;
        let at =
            |port| replica_hosts().map(|host| network.listen_addr(host, port)).collect::<Vec<_>>();
        let addresses = (at(Port::Client), at(Port::Peer));
        let deployment = Deployment::Network(network);
        Self::start_replicas(Dialect::Raft, (timing, 1), place, (deployment, addresses)).await
    }

    /// Our store on disks that could fail, and do not.
    pub(crate) async fn start_on_disks(
        means: DiskBackend,
        timing: ElectionTiming,
        place: &BenchDirectory,
    ) -> Result<Self> {
        let addresses = free_addresses(2 * REPLICAS)?;
        let (clients, peers) = addresses.split_at(REPLICAS);
        let directory = cluster_directory(Dialect::Raft, clients, place);
        let disk = |number| {
            let host = Host::shared(&replica_name(number))?;
            let disk = Disk::set_up(means, &host, &directory.join(replica_name(number)))?;
            Ok((disk, host))
        };
        let deployment = Deployment::Disks((0..REPLICAS).map(disk).collect::<Result<_>>()?);
        let addresses = (clients.to_vec(), peers.to_vec());
        Self::start_replicas(Dialect::Raft, (timing, 1), place, (deployment, addresses)).await
    }

    async fn start_replicas(
        dialect: Dialect,
        (timing, groups): (ElectionTiming, u32),
        place: &BenchDirectory,
        (ground, (clients, peers)): (Deployment, (Vec<SocketAddr>, Vec<SocketAddr>)),
    ) -> Result<Self> {
        let directory = cluster_directory(dialect, &clients, place);
        std::fs::create_dir_all(&directory)?;
        let replicas = Vec::new();
        let mut cluster = Self {
            dialect,
            timing,
            groups,
            directory,
            clients,
            peers,
            replicas,
            deployment: ground,
        };
        for number in 0..REPLICAS {
            let replica = cluster.spawn_replica(number)?;
            cluster.replicas.push(replica);
        }
        cluster.wait_for_leader().await?;
        Ok(cluster)
    }

    fn spawn_replica(&self, number: usize) -> Result<Replica> {
        let (program, args) = match self.dialect {
            Dialect::Raft => ("/proc/self/exe", self.raft_args(number)),
            Dialect::Etcd => ("etcd", self.etcd_args(number)),
        };
        let args: Vec<OsString> = args.into_iter().map(Into::into).collect();
        let log = self.directory.join(format!("{}.log", replica_name(number)));
        let program = Path::new(program);
        match &self.deployment {
            Deployment::Loopback(host) => Replica::spawn(host, program, &args, &log),
            Deployment::Disks(disks) => {
                let (_, host) = disks.get(number).context("there is a disk for each")?;
                Replica::spawn(host, program, &args, &log)
            }
            Deployment::Network(network) => {
                let host = replica_hosts().nth(number).context("there is a host for each")?;
                network.spawn_replica(host, program, &args, &log)
            }
        }
    }

    fn data_dir(&self, number: usize) -> String {
        self.directory.join(replica_name(number)).display().to_string()
    }

    fn raft_args(&self, number: usize) -> Vec<String> {
        let peer = |(number, address)| format!("{}={address}", replica_name(number));
        let peers: Vec<_> = self.peers.iter().enumerate().map(peer).collect();
        let ElectionTiming { heartbeat_ms, election_ms } = self.timing;
        vec![
            "node".to_owned(),
            format!("--id={}", replica_name(number)),
            format!("--data={}", self.data_dir(number)),
            format!("--peers={}", peers.join(",")),
            format!("--listen-client={}", self.clients[number]),
            format!("--heartbeat-ms={heartbeat_ms}"),
            format!("--election-ms={election_ms}"),
            format!("--groups={}", self.groups),
        ]
    }

    fn etcd_args(&self, number: usize) -> Vec<String> {
        let member = |(number, address)| format!("{}=http://{address}", replica_name(number));
        let members: Vec<_> = self.peers.iter().enumerate().map(member).collect();
        let (client, peer) = (self.clients[number], self.peers[number]);
        let ElectionTiming { heartbeat_ms, election_ms } = self.timing;
        vec![
            format!("--name={}", replica_name(number)),
            format!("--data-dir={}", self.data_dir(number)),
            format!("--listen-client-urls=http://{client}"),
            format!("--advertise-client-urls=http://{client}"),
            format!("--listen-peer-urls=http://{peer}"),
            format!("--initial-advertise-peer-urls=http://{peer}"),
            format!("--initial-cluster={}", members.join(",")),
            "--initial-cluster-state=new".to_owned(),
            format!("--heartbeat-interval={heartbeat_ms}"),
            format!("--election-timeout={election_ms}"),
            "--logger=zap".to_owned(),
            "--log-level=error".to_owned(),
        ]
    }

    /// Where a replica serves clients.
    pub(super) fn client_address(&self, number: usize) -> SocketAddr {
        self.clients[number]
    }

    /// Every replica's number but that one.
    pub(super) fn other_replicas(&self, number: usize) -> impl Iterator<Item = usize> {
        (0..REPLICAS).filter(move |other| *other != number)
    }

    /// Who leads, as soon as one says so itself and has answered a write.
    pub(crate) async fn wait_for_leader(&mut self) -> Result<usize> {
        let began = Instant::now();
        while began.elapsed() < LEADER_TIMEOUT {
            for number in 0..REPLICAS {
                if self.is_leader(number).await && self.accepts_write(number).await {
                    return Ok(number);
                }
                if let Some(exit) = self.replicas[number].poll_exit() {
                    let (what, which) = (self.dialect.name(), replica_name(number));
                    bail!(
                        "replica {which} of {what} ended by itself ({exit}): {}",
                        self.last_log_line(number)
                    );
                }
            }
            sleep(PAUSE).await;
        }
        bail!("{} found no leader in {} s", self.dialect.name(), LEADER_TIMEOUT.as_secs())
    }

    fn last_log_line(&self, number: usize) -> String {
        let log = self.directory.join(format!("{}.log", replica_name(number)));
        let text = std::fs::read_to_string(log).unwrap_or_default();
        text.lines().last().unwrap_or("it said nothing").to_owned()
    }

    async fn is_leader(&self, number: usize) -> bool {
        let request = self.dialect.encode_leader_query(self.client_address(number));
        let said = self.send_request(number, &request).await;
        said.is_some_and(|(status, body)| status == 200 && self.dialect.is_leader(number, &body))
    }

    async fn accepts_write(&self, number: usize) -> bool {
        let request = self.dialect.encode_put(self.client_address(number), "first", "write");
        self.request_succeeds(number, &request).await
    }

    /// Whether a replica reads what every acknowledged write has left.
    pub(super) async fn answers_read(&self, number: usize) -> bool {
        let request = self.dialect.encode_get(self.client_address(number), "first");
        self.request_succeeds(number, &request).await
    }

    async fn request_succeeds(&self, number: usize, request: &[u8]) -> bool {
        let said = self.send_request(number, request).await;
        said.is_some_and(|(code, body)| {
            self.dialect.decode_response(code, &body) != Response::Failed
        })
    }

    async fn send_request(&self, number: usize, request: &[u8]) -> Option<(u16, String)> {
        let asked = async {
            let mut connection = Connection::connect(self.client_address(number)).await.ok()?;
            let (status, body) = connection.send_request(request).await.ok()?;
            Some((status, body.to_owned()))
        };
        timeout(Duration::from_secs(1), asked).await.ok().flatten()
    }

    /// Kills a replica without warning.
    pub(super) fn kill_replica(&mut self, number: usize) -> Result<()> {
        self.replicas[number].kill()
    }

    /// Starts a killed replica again and waits until it answers a read.
    pub(super) async fn restart_replica(&mut self, number: usize) -> Result<()> {
        self.replicas[number] = self.spawn_replica(number)?;
        let began = Instant::now();
        while !self.answers_read(number).await {
            ensure!(began.elapsed() < LEADER_TIMEOUT, "{} did not come back", replica_name(number));
            sleep(PAUSE).await;
        }
        Ok(())
    }

    /// The processor time that all replicas have used, in seconds.
    pub(super) fn cpu_seconds(&mut self) -> Result<f64> {
        let mut ticks = 0;
        for replica in &mut self.replicas {
            ticks += replica.sample()?.cpu_ticks;
        }
        Ok(ticks as f64 / TICKS_PER_SECOND)
    }

    /// How many bytes of memory the largest replica has.
    pub(super) fn largest_rss_bytes(&mut self) -> Result<u64> {
        let mut largest = 0;
        for replica in &mut self.replicas {
            let status = format!("/proc/{}/status", replica.sample()?.pid);
            let text = std::fs::read_to_string(&status).context("a replica is gone")?;
            let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
            let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok());
            largest = largest.max(kilobytes.unwrap_or(0_u64) * 1024);
        }
        Ok(largest)
    }

    /// The highest term that a replica knows, if they tell.
    pub(super) async fn highest_term(&self) -> Option<u64> {
        let mut highest = None;
        for number in 0..REPLICAS {
            let Ok(text) = get_once(self.client_address(number), "/metrics").await else {
                continue;
            };
            let term = text.lines().find_map(|line| line.strip_prefix("node_term "));
            highest = highest.max(term.and_then(|term| term.trim().parse().ok()));
        }
        highest
    }

    /// How often a replica has waited for its log to be on the disk, if it tells.
    pub(super) async fn sync_count(&self, number: usize) -> Option<f64> {
        let text = get_once(self.client_address(number), "/metrics").await.ok()?;
        let mut found =
            text.lines().filter_map(|line| line.strip_prefix(self.dialect.sync_counter()));
        found.next()?.trim().parse().ok()
    }
}

/// Where a cluster keeps what it writes.
fn cluster_directory(dialect: Dialect, clients: &[SocketAddr], place: &BenchDirectory) -> PathBuf {
    place.path().join(format!("{}-{}", dialect.name(), clients[0]).replace(':', "-"))
}

/// The replicas' hosts, where each has its own.
fn replica_hosts() -> impl Iterator<Item = HostId> {
    (0..REPLICAS as u8).map(HostId)
}

/// Addresses without a listener.
fn free_addresses(count: usize) -> Result<Vec<SocketAddr>> {
    let listeners: Vec<_> = (0..count)
        .map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))
        .collect::<std::io::Result<_>>()
        .context("loopback has no free port")?;
    listeners.iter().map(|listener| Ok(listener.local_addr()?)).collect()
}

/// Whether etcd can be started here.
pub(crate) fn has_etcd() -> bool {
    std::process::Command::new("etcd")
        .arg("--version")
        .output()
        .is_ok_and(|out| out.status.success())
}
