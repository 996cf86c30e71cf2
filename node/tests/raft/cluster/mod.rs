//! Runs servers with disks that lose unsynced writes, and clients that record their answers, for
//! all tests of the core.
//!
//! A [`TestNode`] keeps the runtime's part of the contract in `raft/mod.rs`. A [`Cluster`] checks
//! the servers and their answers after every step. Each test has its own network.

mod clients;
mod test_node;

pub(crate) use clients::ClientOutcome;
pub(crate) use test_node::TestNode;

use clients::Clients;
use node::bug::{Bug, VariationSet};
use node::raft::Token;
use node::raft::invariants::{CommittedEntry, SafetyChecker, ServerView};
use node::raft::{
    Compaction, Config, Effect, Input, Membership, MembershipChange, Payload, ServerId,
};
use std::collections::BTreeMap;

/// Ticks between heartbeats in every test.
const HEARTBEAT: u32 = 2;
/// The shortest election timeout in every test.
pub(crate) const ELECTION: u32 = 10;

/// Servers, their clients and a checker.
pub(crate) struct Cluster {
    /// The common configuration.
    config: Config,
    nodes: BTreeMap<ServerId, TestNode>,
    checker: SafetyChecker,
    clients: Clients,
    violation: Option<String>,
}

impl Cluster {
    /// Servers `1 ..= count` with empty disks.
    pub(crate) fn new(count: u64, seed: u64, bugs: &[Bug], compaction: Compaction) -> Self {
        let voters: Vec<_> = (1..=count).collect();
        let lease_reads = false; // Time in these tests is drawn, not measured.
        let config = Config {
            id: 0,
            voters: voters.clone(),
            heartbeat_ticks: HEARTBEAT,
            election_ticks: ELECTION,
            seed,
            lease_reads,
            compaction,
            bugs: bugs.iter().copied().collect(),
            variations: VariationSet::default(),
        };
        let node = |id: &ServerId| (*id, TestNode::new(Config { id: *id, ..config.clone() }));
        let nodes = voters.iter().map(node).collect();
        let checker = SafetyChecker::new(&voters);
        Self { config, nodes, checker, clients: Clients::default(), violation: None }
    }

    /// Returns the ids of all servers.
    pub(crate) fn ids(&self) -> Vec<ServerId> {
        self.nodes.keys().copied().collect()
    }

    /// One server.
    pub(crate) fn node(&self, id: ServerId) -> &TestNode {
        &self.nodes[&id]
    }

    /// What every server that runs shows.
    pub(crate) fn servers(&self) -> Vec<ServerView<'_>> {
        self.nodes.values().filter_map(TestNode::server_view).collect()
    }

    /// Returns the first violation.
    pub(crate) fn violation(&self) -> Option<&str> {
        self.violation.as_deref()
    }

    /// Returns all entries that were ever committed.
    pub(crate) fn committed(&self) -> &[CommittedEntry] {
        self.checker.committed()
    }

    /// Gives a server an input; returns what leaves it.
    pub(crate) fn step(&mut self, id: ServerId, input: Input) -> Vec<Effect> {
        self.run_on_node(id, |node| node.step(input))
    }

    /// Makes the first `count` waiting writes of a server durable; returns what leaves it.
    pub(crate) fn persist(&mut self, id: ServerId, count: usize) -> Vec<Effect> {
        self.run_on_node(id, |node| node.persist(count))
    }

    /// Gives a client's write to a server.
    pub(crate) fn propose(&mut self, id: ServerId, command: &str) -> (Token, Vec<Effect>) {
        let token = self.clients.register_write(id, command);
        (token, self.step(id, Input::Propose { token, command: command.into() }))
    }

    /// Gives a server a request for other members.
    pub(crate) fn change_members(
        &mut self,
        id: ServerId,
        change: MembershipChange,
    ) -> (Token, Vec<Effect>) {
        let token = self.clients.register_read(id);
        (token, self.step(id, Input::ChangeMembership { token, change }))
    }

    /// Who takes part, by the last configuration that is committed.
    pub(crate) fn membership(&self) -> &Membership {
        self.checker.membership().expect("it began with one")
    }

    /// Starts the newcomers that a committed entry speaks of.
    fn start_new_members(&mut self, membership: &Membership) {
        for id in membership.contacts.keys() {
            let config = Config { id: *id, voters: Vec::new(), ..self.config.clone() };
            self.nodes.entry(*id).or_insert_with(|| TestNode::new(config));
        }
    }

    /// Gives a client's read to a server.
    pub(crate) fn read(&mut self, id: ServerId) -> (Token, Vec<Effect>) {
        let token = self.clients.register_read(id);
        (token, self.step(id, Input::Read { token }))
    }

    /// Stops a server; of the writes that wait, the first `survive` reach the disk.
    pub(crate) fn crash(&mut self, id: ServerId, survive: usize) {
        self.clients.orphan_requests(id);
        self.nodes.get_mut(&id).expect("a server").crash(survive);
    }

    /// Stops a server and empties its disk, which no server survives in good faith.
    pub(crate) fn wipe(&mut self, id: ServerId) {
        self.clients.orphan_requests(id);
        self.nodes.get_mut(&id).expect("a server").wipe();
    }

    /// Starts a stopped server from its disk.
    pub(crate) fn restart(&mut self, id: ServerId) {
        self.run_on_node(id, |node| {
            node.restart();
            Vec::new()
        });
    }

    /// What was not answered though its server never stopped.
    pub(crate) fn unanswered(&self) -> Vec<Token> {
        self.clients.unanswered()
    }

    /// How the question was answered.
    pub(crate) fn answer(&self, token: Token) -> Option<ClientOutcome> {
        self.clients.answer(token)
    }

    /// Looks whether all writes that were acknowledged, and none that was refused, are committed.
    pub(crate) fn check_final_log(&mut self) {
        let found = self.clients.check_final_log(self.checker.committed());
        self.violation = self.violation.take().or(found.err());
    }

    fn run_on_node(
        &mut self,
        id: ServerId,
        action: impl FnOnce(&mut TestNode) -> Vec<Effect>,
    ) -> Vec<Effect> {
        let effects = action(self.nodes.get_mut(&id).expect("a server"));
        let answers = effects.iter().try_for_each(|effect| self.clients.record_effect(id, effect));
        let term = self.nodes[&id].server_view().map_or(0, |server| server.term);
        for effect in &effects {
            if let Effect::Commit { entries } = effect {
                self.checker.record_commits(term, entries);
            }
        }
        let commits = effects.iter().filter_map(|effect| match effect {
            Effect::Commit { entries } => Some(entries),
            _ => None,
        });
        for entry in commits.flatten() {
            if let Payload::Membership(membership) = &entry.payload {
                self.start_new_members(membership);
            }
        }
        let servers: Vec<_> = self.nodes.values().filter_map(TestNode::server_view).collect();
        let promises =
            self.checker.check_servers(&servers).map_err(|violation| violation.to_string());
        let kept = self.clients.check_acknowledged(self.checker.committed());
        if self.violation.is_none() {
            self.violation = promises.and(answers).and(kept).err();
        }
        effects
    }
}
