//! Draws the plan of a seed: the properties of network, disks and clocks, and the faults.
//!
//! A plan is plain data. Shrinking a failing seed removes faults and runs the rest again.

use super::setting::{Micros, SECOND, SimConfig};
use node::raft::{Compaction, ServerId};
use std::fmt;
use workloads::Rng;

/// All that is decided before a simulated run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Decides what is drawn while the run goes on.
    pub seed: u64,
    /// What this world is like when nothing is wrong.
    pub(crate) conditions: Conditions,
    /// What goes wrong, in order of time.
    pub faults: Vec<Fault>,
    /// When clients and faults end.
    pub span: Micros,
    /// Calls that clients start in a second.
    pub rate: u64,
    /// Whether a server that is down at the end stays down: a minority must not stop the rest.
    pub(crate) leave_down: bool,
}

/// What a world is like when nothing is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Conditions {
    /// The least and the most time that a message takes.
    pub(crate) delay: (Micros, Micros),
    /// Messages lost, of a thousand.
    pub loss: u64,
    /// Messages that arrive twice, of a thousand.
    pub duplicates: u64,
    /// The least and the most time that an fsync takes.
    pub fsync: (Micros, Micros),
    /// By how many thousandths clocks are fast or slow, at most.
    pub(crate) drift: u64,
    /// Whether reads are served by lease.
    pub lease: bool,
    /// Whether followers forward writes to the leader; otherwise they refuse them.
    pub forward: bool,
    /// When servers cut their logs.
    pub(crate) compaction: Compaction,
}

/// One thing that goes wrong for a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// When it begins.
    pub at: Micros,
    /// When it is undone.
    pub until: Micros,
    /// What it is.
    pub kind: FaultKind,
    /// Its targets, decided when it begins.
    pub target: FaultTarget,
}

/// What can go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// Power is lost: unsynced writes with it. It starts again afterwards.
    Crash,
    /// Power is lost and comes back at once, again and again with this much time between.
    RestartLoop(Micros),
    /// It is paused, and resumed afterwards.
    Pause,
    /// It and its neighbours are partitioned from the others, in both directions.
    Partition,
    /// Its messages to the others are dropped.
    BlockOutgoing,
    /// Messages from the others to it are dropped.
    BlockIncoming,
    /// Its disk takes this long for each fsync.
    SlowDisk(Micros),
    /// Its next fsync fails, whereupon it must stop; it starts again afterwards.
    FsyncFailure,
    /// Everywhere this many messages of a thousand are lost.
    Loss(u64),
    /// Everywhere messages take up to this much longer, and overtake each other.
    Delay(Micros),
    /// A new server replaces it.
    Replace,
    /// The leader is asked to transfer leadership to its neighbour.
    TransferLeadership,
}

/// The targets of a fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FaultTarget {
    /// The leader.
    Leader,
    /// These.
    Servers(Vec<ServerId>),
}

const FAULT_KINDS: [FaultKind; 12] = [
    FaultKind::Crash,
    FaultKind::RestartLoop(0),
    FaultKind::Pause,
    FaultKind::Partition,
    FaultKind::BlockOutgoing,
    FaultKind::BlockIncoming,
    FaultKind::SlowDisk(0),
    FaultKind::FsyncFailure,
    FaultKind::Loss(0),
    FaultKind::Delay(0),
    FaultKind::Replace,
    FaultKind::TransferLeadership,
];

impl Plan {
    /// The plan of a seed.
    pub fn new(setting: &SimConfig, seed: u64) -> Self {
        let root = Rng::new(seed);
        let mut rng = root.fork("plan");
        let lease = root.fork("lease").percent_chance(30);
        let forward = root.fork("forward").percent_chance(50);
        let habits = Conditions {
            lease,
            forward,
            ..Conditions::draw(&mut rng, &mut root.fork("snapshots"))
        };
        let rate = rng.between(50, 120);
        let faults = draw_faults(setting, &mut rng);
        let leave_dead = rng.percent_chance(30);
        Self { seed, conditions: habits, faults, span: setting.span, rate, leave_down: leave_dead }
    }
}

impl Conditions {
    fn draw(rng: &mut Rng, snapshots: &mut Rng) -> Self {
        let slow = rng.percent_chance(20);
        Self {
            delay: if slow { (2_000, 25_000) } else { (100, rng.between(200, 3_000)) },
            loss: *rng.choose(&[0, 0, 10, 50]).unwrap_or(&0),
            duplicates: *rng.choose(&[0, 0, 10, 100]).unwrap_or(&0),
            fsync: (100, rng.between(200, 8_000)),
            drift: *rng.choose(&[0, 10, 100]).unwrap_or(&0),
            lease: false,
            forward: false,
            compaction: draw_compaction(snapshots),
        }
    }
}

/// Mostly with small steps and small pieces, so that logs are cut and snapshots travel often.
fn draw_compaction(rng: &mut Rng) -> Compaction {
    Compaction {
        entries: *rng.choose(&[0, 5, 20, 100]).unwrap_or(&0),
        bytes: *rng.choose(&[0, 0, 1_000]).unwrap_or(&0),
        keep_entries: *rng.choose(&[0, 2, 20]).unwrap_or(&0),
        chunk_bytes: *rng.choose(&[0, 64, 512]).unwrap_or(&0),
    }
}

/// Phases of half a second to three, mostly with a fault, of the few kinds that this seed has
/// (swarm testing).
fn draw_faults(setting: &SimConfig, rng: &mut Rng) -> Vec<Fault> {
    let mut kinds = FAULT_KINDS;
    rng.shuffle(&mut kinds);
    let kinds = &kinds[..rng.between(2, FAULT_KINDS.len() as u64 + 1) as usize];
    let mut faults = Vec::new();
    let mut at = SECOND;
    while at + SECOND / 2 < setting.span {
        let length = rng.between(SECOND / 3, 3 * SECOND);
        let kind = draw_strength(*rng.choose(kinds).unwrap_or(&FaultKind::Crash), rng);
        let aim = draw_target(setting.nodes, rng);
        faults.push(Fault { at, until: (at + length).min(setting.span), kind, target: aim });
        // Some begin while others last.
        at += if rng.percent_chance(70) { length + rng.below(SECOND) } else { rng.below(length) };
    }
    faults
}

fn draw_strength(kind: FaultKind, rng: &mut Rng) -> FaultKind {
    match kind {
        FaultKind::RestartLoop(_) => FaultKind::RestartLoop(rng.between(5_000, 300_000)),
        FaultKind::SlowDisk(_) => FaultKind::SlowDisk(rng.between(20_000, 400_000)),
        FaultKind::Loss(_) => FaultKind::Loss(rng.between(50, 500)),
        FaultKind::Delay(_) => FaultKind::Delay(rng.between(10_000, 400_000)),
        other => other,
    }
}

/// The leader, or a few servers: sometimes a majority, sometimes all.
fn draw_target(nodes: u64, rng: &mut Rng) -> FaultTarget {
    let mut servers: Vec<ServerId> = (1..=nodes).collect();
    rng.shuffle(&mut servers);
    let most = if rng.percent_chance(15) { nodes } else { (nodes / 2).max(1) };
    servers.truncate(rng.between(1, most + 1) as usize);
    servers.sort_unstable();
    if rng.percent_chance(50) { FaultTarget::Leader } else { FaultTarget::Servers(servers) }
}

/// `at 3.200s crash leader for 1.100s`
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = |micros: Micros| micros as f64 / SECOND as f64;
        let (at, length) = (seconds(self.at), seconds(self.until - self.at));
        write!(f, "at {at:.3}s {} {} for {length:.3}s", self.kind, self.target)
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = |micros: &Micros| micros / 1000;
        match self {
            Self::Crash => f.write_str("crash"),
            Self::RestartLoop(every) => write!(f, "every {} ms restart", millis(every)),
            Self::Pause => f.write_str("pause"),
            Self::Partition => f.write_str("partition"),
            Self::BlockOutgoing => f.write_str("mute"),
            Self::BlockIncoming => f.write_str("deafen"),
            Self::SlowDisk(by) => write!(f, "slow the disk to {} ms of", millis(by)),
            Self::FsyncFailure => f.write_str("fail the disk of"),
            Self::Loss(share) => write!(f, "lose {share} in 1000 messages around"),
            Self::Replace => f.write_str("replace"),
            Self::TransferLeadership => f.write_str("hand over next to"),
            Self::Delay(by) => write!(f, "delay by up to {} ms messages around", millis(by)),
        }
    }
}

impl fmt::Display for FaultTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Leader => f.write_str("leader"),
            Self::Servers(servers) => {
                let names: Vec<String> = servers.iter().map(|id| format!("n{id}")).collect();
                f.write_str(&names.join(","))
            }
        }
    }
}
