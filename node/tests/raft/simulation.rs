//! Simulates random faults on a cluster: loss, duplication, reordering, delay, partitions, crashes
//! that lose unsynced writes, and restarts. After every step it checks the five safety properties
//! and the clients' answers. At the end all faults are healed: a leader must be elected, and every
//! request must be answered.

use crate::cluster::{ClientOutcome, Cluster, ELECTION};
use node::bug::Bug;
use node::raft::invariants::CommittedEntry;
use node::raft::{Compaction, Effect, Input, MembershipChange, Message, Payload, Role, ServerId};
use std::collections::BTreeSet;

/// How many random steps a run takes before all faults are healed.
const STEPS: u32 = 4000;

/// A random number generator (SplitMix64).
struct TestRandom(u64);

impl TestRandom {
    fn draw_below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % n.max(1) as u64) as usize
    }

    fn draw_percent(&mut self, n: usize) -> bool {
        self.draw_below(100) < n
    }
}

/// A message in flight.
#[derive(Clone)]
struct Packet {
    from: ServerId,
    to: ServerId,
    message: Message,
}

/// One run.
struct Simulation {
    cluster: Cluster,
    random: TestRandom,
    network: Vec<Packet>,
    /// The servers that are partitioned from the others.
    partitioned: BTreeSet<ServerId>,
    /// The percentage of messages lost.
    loss: usize,
    /// The percentage of possible crashes and partitions that happen.
    fault_rate: usize,
    writes: u32,
    /// Whether no bug is on.
    correct: bool,
    /// A report of lost entries although nothing was lost.
    false_alarm: Option<String>,
}

impl Simulation {
    fn new(seed: u64, bugs: &[Bug]) -> Self {
        let mut random = TestRandom(seed);
        let count = [3, 3, 4, 5, 5, 2, 1][random.draw_below(7)];
        let loss = [0, 5, 20][random.draw_below(3)];
        let fault_rate = [0, 5, 20, 60][random.draw_below(4)];
        let cluster = Cluster::new(
            count,
            seed,
            bugs,
            Compaction { entries: seed % 4, bytes: 0, keep_entries: seed % 2, chunk_bytes: 30 },
        );
        let (network, partitioned) = (Vec::new(), BTreeSet::new());
        let (writes, correct, false_alarm) = (0, bugs.is_empty(), None);
        Self {
            cluster,
            random,
            network,
            partitioned,
            loss,
            fault_rate,
            writes,
            correct,
            false_alarm,
        }
    }

    /// Runs with faults, heals, and checks recovery; returns the first violation.
    fn run_with_faults(&mut self) -> Result<(), String> {
        for _ in 0..STEPS {
            self.random_step();
            self.check_violation()?;
        }
        self.heal_all();
        self.check_recovery()?;
        self.cluster.check_final_log();
        self.check_violation()
    }

    fn check_violation(&self) -> Result<(), String> {
        let harm = self.cluster.violation().or(self.false_alarm.as_deref());
        harm.map_or(Ok(()), |harm| Err(harm.to_owned()))
    }

    fn random_step(&mut self) {
        let id = self.any_server();
        match self.random.draw_below(1000) {
            0..150 => self.tick(id),
            150..700 => self.deliver_any(),
            700..850 => self.persist_some(id),
            850..910 => self.propose_write(id),
            910..950 => self.start_read(id),
            950..974 if self.random.draw_percent(self.fault_rate) => self.crash(id),
            974..980 => self.change_members(id),
            980..996 => self.restart(id),
            996 if self.random.draw_percent(self.fault_rate) => drop(self.partitioned.insert(id)),
            997 => self.partitioned.clear(),
            998..1000 => self.transfer_leadership(id),
            _ => {}
        }
    }

    fn any_server(&mut self) -> ServerId {
        let ids = self.cluster.ids();
        ids[self.random.draw_below(ids.len())]
    }

    fn is_running(&self, id: ServerId) -> bool {
        self.cluster.node(id).server_view().is_some()
    }

    fn tick(&mut self, id: ServerId) {
        let effects = self.cluster.step(id, Input::Tick);
        self.handle_effects(id, effects);
    }

    fn propose_write(&mut self, id: ServerId) {
        if self.is_running(id) {
            self.writes += 1;
            let (_, effects) = self.cluster.propose(id, &format!("w{}", self.writes));
            self.handle_effects(id, effects);
        }
    }

    fn start_read(&mut self, id: ServerId) {
        if self.is_running(id) {
            let (_, effects) = self.cluster.read(id);
            self.handle_effects(id, effects);
        }
    }

    /// Requests a new member, the removal of one, or both.
    fn change_members(&mut self, id: ServerId) {
        let id = if self.random.draw_percent(50) { self.find_leader().unwrap_or(id) } else { id };
        let Some(membership) = self.cluster.node(id).membership() else { return };
        let members: Vec<_> = membership.members().into_iter().collect();
        let mut change = MembershipChange::default();
        let kind = self.random.draw_below(4);
        if kind != 0 && !members.is_empty() {
            change.remove.insert(members[self.random.draw_below(members.len())]);
        }
        let more = self.cluster.ids().len() < 9;
        match kind {
            0 | 1 if more => change.add_voters.push("newcomer".to_owned()),
            2 if more => change.add_learners.push("learner".to_owned()),
            _ => {}
        }
        let (_, effects) = self.cluster.change_members(id, change);
        self.handle_effects(id, effects);
    }

    fn transfer_leadership(&mut self, id: ServerId) {
        let to = self.any_server();
        let effects = self.cluster.step(id, Input::TransferLeadership { to });
        self.handle_effects(id, effects);
    }

    fn persist_some(&mut self, id: ServerId) {
        let count = self.random.draw_below(self.cluster.node(id).pending_writes() + 1);
        let effects = self.cluster.persist(id, count);
        self.handle_effects(id, effects);
    }

    fn crash(&mut self, id: ServerId) {
        let survive = self.random.draw_below(self.cluster.node(id).pending_writes() + 1);
        self.cluster.crash(id, survive);
    }

    fn restart(&mut self, id: ServerId) {
        if !self.is_running(id) {
            self.cluster.restart(id);
        }
    }

    fn handle_effects(&mut self, from: ServerId, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Send { to, message, .. } => {
                    self.network.push(Packet { from, to, message });
                }
                Effect::Fatal { .. } | Effect::PeerLostEntries { .. } if self.correct => {
                    self.false_alarm =
                        Some(format!("{from} reports a loss that did not happen: {effect:?}"));
                }
                _ => {}
            }
        }
    }

    fn deliver_any(&mut self) {
        if self.network.is_empty() {
            return;
        }
        // Mostly the oldest first, so that long exchanges happen too.
        let reach = if self.random.draw_percent(70) { 3 } else { self.network.len() };
        let at = self.random.draw_below(reach.min(self.network.len()));
        let packet = self.network.remove(at);
        if self.random.draw_percent(5) {
            self.network.push(packet.clone());
        }
        let blocked =
            self.partitioned.contains(&packet.from) != self.partitioned.contains(&packet.to);
        if !blocked && !self.random.draw_percent(self.loss) {
            self.deliver_packet(packet);
        }
    }

    fn deliver_packet(&mut self, Packet { from, to, message }: Packet) {
        if !self.cluster.ids().contains(&to) {
            return; // A new member that is not started yet.
        }
        let effects = self.cluster.step(to, Input::Receive { from, message });
        self.handle_effects(to, effects);
    }

    fn heal_all(&mut self) {
        self.partitioned.clear();
        for id in self.cluster.ids() {
            if self.cluster.membership().contains(id) {
                self.restart(id);
            } else {
                self.cluster.crash(id, usize::MAX);
            }
        }
    }

    /// Returns the committed members.
    fn members(&self) -> Vec<ServerId> {
        self.cluster.membership().members().into_iter().collect()
    }

    /// Ticks every server; everything is delivered and durable before the next tick.
    fn healthy_tick(&mut self) {
        for id in self.cluster.ids() {
            self.tick(id);
        }
        while !self.is_quiet() {
            for id in self.cluster.ids() {
                if !self.writes_wait(id) {
                    continue;
                }
                let effects = self.cluster.persist(id, usize::MAX);
                self.handle_effects(id, effects);
            }
            for packet in core::mem::take(&mut self.network) {
                self.deliver_packet(packet);
            }
        }
    }

    fn is_quiet(&self) -> bool {
        let ids = self.cluster.ids();
        self.network.is_empty() && !ids.into_iter().any(|id| self.writes_wait(id))
    }

    fn writes_wait(&self, id: ServerId) -> bool {
        self.cluster.node(id).pending_writes() > 0
    }

    fn find_leader(&self) -> Option<ServerId> {
        let leaders = self.cluster.servers().into_iter().filter(|s| s.role == Role::Leader);
        leaders.max_by_key(|server| server.term).map(|server| server.id)
    }

    /// Checks recovery: a leader is elected within a few election timeouts, a write and a read at
    /// every server succeed, all logs become equal, and every request is answered.
    fn check_recovery(&mut self) -> Result<(), String> {
        (0..20 * ELECTION).for_each(|_| self.healthy_tick());
        self.check_violation()?;
        self.finish_membership_change()?;
        let leader = self.find_leader().ok_or("no leader after all faults were healed")?;
        let (write, effects) = self.cluster.propose(leader, "last");
        self.handle_effects(leader, effects);
        (0..ELECTION).for_each(|_| self.healthy_tick());
        let mut reads = Vec::new();
        for id in self.members() {
            let (read, effects) = self.cluster.read(id);
            self.handle_effects(id, effects);
            reads.push(read);
        }
        (0..2 * ELECTION).for_each(|_| self.healthy_tick());
        self.check_violation()?;
        self.is_answered(write, "write")?;
        reads.into_iter().try_for_each(|read| self.is_answered(read, "read"))?;
        self.has_converged()
    }

    /// Checks that a membership change ends, whichever server leads.
    fn finish_membership_change(&mut self) -> Result<(), String> {
        for _ in 0..20 * ELECTION {
            let membership = self.cluster.membership();
            if !membership.is_joint() && membership.joining.is_empty() {
                return Ok(());
            }
            self.healthy_tick();
        }
        Err(format!("the membership change does not end: {:?}", self.cluster.membership()))
    }

    fn is_answered(&self, token: u64, what: &str) -> Result<(), String> {
        match self.cluster.answer(token) {
            Some(ClientOutcome::Ok(_)) => Ok(()),
            other => Err(format!("{what} in a healthy cluster got {other:?}")),
        }
    }

    fn has_converged(&self) -> Result<(), String> {
        let open = self.cluster.unanswered();
        let committed = self.cluster.committed().len() as u64;
        let servers = self.cluster.servers();
        let members = self.cluster.membership();
        let mut servers = servers.iter().filter(|server| members.contains(server.id));
        let behind = servers.find(|server| server.commit_index != committed);
        match (open.as_slice(), behind) {
            ([], None) => Ok(()),
            ([], Some(server)) => Err(format!("server {} is behind", server.id)),
            (open, _) => Err(format!("never answered: {open:?}")),
        }
    }
}

/// The seeds of a test: `SEEDS=from..to` explores others.
fn seed_range(default: core::ops::Range<u64>) -> core::ops::Range<u64> {
    let parse = |text: String| {
        let (from, to) = text.split_once("..")?;
        Some(from.parse().ok()?..to.parse().ok()?)
    };
    std::env::var("SEEDS").ok().and_then(parse).unwrap_or(default)
}

#[test]
fn all_invariants_hold_under_random_faults() {
    for seed in seed_range(0..300) {
        if let Err(harm) = Simulation::new(seed, &[]).run_with_faults() {
            panic!("seed={seed}: {harm}");
        }
    }
}

#[test]
fn random_faults_reach_rare_states() {
    let mut reached = [0_usize; 4];
    for seed in 0..20 {
        let mut simulation = Simulation::new(seed, &[]);
        assert_eq!(simulation.run_with_faults(), Ok(()), "seed={seed}");
        let terms = simulation.cluster.servers().iter().map(|s| s.term).max().unwrap_or(0);
        let committed = simulation.cluster.committed().len();
        let changed = |c: &&CommittedEntry| matches!(c.entry.payload, Payload::Membership(_));
        let changes = simulation.cluster.committed().iter().filter(changed).count();
        let more = [committed, terms as usize, 1, changes];
        reached = std::array::from_fn(|corner| reached[corner] + more[corner]);
    }
    let [committed, terms, runs, changes] = reached;
    let enough = committed > 20 * runs && terms > 3 * runs && changes > 2 * runs;
    assert!(enough, "committed, terms, runs, changes of members: {reached:?}");
}

/// Bugs that random faults meet within a hundred runs. Each other one has a test of its own.
#[test]
fn random_faults_find_seeded_bugs() {
    let frequent = [
        Bug::CommitOldTerm,
        Bug::EarlyAck,
        Bug::FollowerReads,
        Bug::NoFsync,
        Bug::StaleReads,
        Bug::SwapVoters,
        Bug::VoteWithoutLogCheck,
    ];
    for bug in frequent {
        let harmed = (0..100).any(|seed| {
            let mut simulation = Simulation::new(seed, &[bug]);
            simulation.run_with_faults().is_err() && simulation.cluster.violation().is_some()
        });
        assert!(harmed, "{} caused no violation in 100 runs", bug.name());
    }
}
