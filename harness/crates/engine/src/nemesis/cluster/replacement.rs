//! How replicas join on a host after the one that it started with.

use crate::system::{JoinRequest, Launch, MemberChanges, Program};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use testbed::net::plan::HostId;

/// The replicas that join on one host.
pub(crate) struct Replacements {
    changes: &'static dyn MemberChanges,
    launch: Launch,
    /// The client address of each replica, through which a new one can join.
    seeds: BTreeMap<HostId, SocketAddr>,
    /// How many have replaced one that was still a member.
    generation: u32,
}

impl Replacements {
    /// No replica has joined yet.
    pub(crate) fn new(
        changes: &'static dyn MemberChanges,
        launch: Launch,
        seeds: BTreeMap<HostId, SocketAddr>,
    ) -> Self {
        Self { changes, launch, seeds, generation: 0 }
    }

    /// The program of a replica that joins on a host without a member, through replica `by`.
    pub(in super::super) fn joining_program(&self, by: HostId) -> Option<Program> {
        self.build_program(by, false)
    }

    /// The program of a replica that replaces a member that is dead, through replica `by`.
    pub(in super::super) fn replacing_program(&mut self, by: HostId) -> Option<Program> {
        self.generation += 1;
        self.build_program(by, true)
    }

    fn build_program(&self, by: HostId, replaces: bool) -> Option<Program> {
        let seed = *self.seeds.get(&by)?;
        let arrival = JoinRequest { seed, generation: self.generation, replaces };
        Some(self.changes.joining_program(&self.launch, &arrival))
    }
}
