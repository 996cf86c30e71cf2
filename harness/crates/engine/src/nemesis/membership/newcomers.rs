//! Knows how replicas come in on a host after the one that it was founded with.

use crate::system::{Arrival, Launch, Program, System};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use testbed::net::plan::HostId;

/// Those who come to one host.
pub(crate) struct Newcomers {
    system: &'static dyn System,
    launch: Launch,
    /// Where each replica serves clients, and can be asked to take another in.
    seeds: BTreeMap<HostId, SocketAddr>,
    /// How many have come in the place of one that was still a member.
    generation: u32,
}

impl Newcomers {
    /// Nobody has come yet.
    pub(crate) fn new(
        system: &'static dyn System,
        launch: Launch,
        seeds: BTreeMap<HostId, SocketAddr>,
    ) -> Self {
        Self { system, launch, seeds, generation: 0 }
    }

    /// How one is started that joins where nobody is a member, by way of this replica.
    pub(super) fn joining(&self, by: HostId) -> Option<Program> {
        self.arriving(by, false)
    }

    /// How one is started that takes the place of a member that is dead, by way of this replica.
    pub(super) fn replacing(&mut self, by: HostId) -> Option<Program> {
        self.generation += 1;
        self.arriving(by, true)
    }

    fn arriving(&self, by: HostId, replaces: bool) -> Option<Program> {
        let seed = *self.seeds.get(&by)?;
        let arrival = Arrival { seed, generation: self.generation, replaces };
        Some(self.system.joining(&self.launch, &arrival))
    }
}
