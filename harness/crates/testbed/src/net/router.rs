//! Carries the messages of programs that speak on standard input and output, each a line of JSON,
//! as Maelstrom does.
//!
//! Every line of a node's output is a message: to another node, to a client, or to a service that
//! the router offers. Nothing leaves this process, so no namespaces are needed; what links do to
//! messages is decided by the lanes of the [`switch`](super::switch), from the same [`LinkPlan`],
//! and the router's own probes over them are the evidence. Clients come over TCP on the loopback
//! interface and speak the same lines.

mod door;
mod hub;
mod latency;
mod loss;
pub mod message;
mod pipes;
mod record;
mod routing;
mod service;
#[cfg(test)]
mod tests;
mod topology;

use super::plan::{HostId, LinkPlan, pairs};
use super::probe::PERIOD;
use super::switch::LinkCounts;
use super::traffic::Tally;
use crate::host::process::Pipes;
use anyhow::{Context as _, Result};
use door::Door;
use hub::{Hub, Setting, Shared, lock};
pub use latency::{DISTRIBUTIONS, Distribution, Latency};
use record::Record;
pub use routing::Routing;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Weak};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, sleep};
pub use topology::{TOPOLOGIES, Topology};
use workloads::Rng;

pub use record::FILE as MESSAGES;

/// The router; all who work for it end when it is dropped.
pub(super) struct Router {
    hub: Arc<Shared>,
    door: Door,
    driver: JoinHandle<()>,
    count: u8,
    latency: Latency,
}

impl Router {
    /// A router for so many nodes, which do not run yet, that writes every message down.
    pub(super) async fn build(
        count: u8,
        rng: &Rng,
        routing: Routing,
        record: &Path,
    ) -> Result<Self> {
        let latency = routing.latency;
        let record = Record::create(record)?;
        let hub = Hub::new(Setting { count, rng: rng.clone(), routing, record });
        let door = Door::open(Arc::downgrade(&hub)).await.context("the router has no door")?;
        let ring = Arc::clone(&lock(&hub).ring);
        let driver = tokio::spawn(drive(Arc::downgrade(&hub), ring));
        Ok(Self { hub, door, driver, count, latency })
    }

    /// Where clients come in.
    pub(super) fn address(&self) -> SocketAddr {
        self.door.address
    }

    /// Takes over the standard input and output of a node that was just started.
    pub(super) fn attach(&self, host: HostId, pipes: Pipes) -> Result<()> {
        pipes::attach(&self.hub, host, pipes)
    }

    /// Makes the links what the plan says, for every message from now on.
    pub(super) fn apply(&self, plan: &LinkPlan) {
        lock(&self.hub).apply(plan);
    }

    /// What every link has done so far.
    pub(super) fn counts(&self) -> LinkCounts {
        lock(&self.hub).counts()
    }

    /// Where the probes stand, and what cuts have dropped so far.
    pub(super) fn mark(&self) -> Vec<Tally> {
        let hub = lock(&self.hub);
        let counts = hub.counts();
        let next = hub.book.mark().into_iter();
        let tally = |(pair, offered)| Tally { offered, delivered: 0, dropped: counts[&pair].cut };
        pairs(self.count).zip(next).map(tally).collect()
    }

    /// What was offered, arrived and was dropped by cuts since the mark.
    pub(super) fn since(&self, mark: &[Tally]) -> Vec<Tally> {
        let hub = lock(&self.hub);
        let counts = hub.counts();
        let probes = hub.book.since(mark.iter().map(|tally| tally.offered));
        let tallies = pairs(self.count).zip(probes).zip(mark);
        let tally = |((pair, (offered, delivered)), mark): (_, &Tally)| {
            let cut: u64 = counts[&pair].cut;
            Tally { offered, delivered, dropped: cut - mark.dropped }
        };
        tallies.map(tally).collect()
    }

    /// What such a network is made of.
    pub(super) fn describe(&self) -> String {
        let (count, latency) = (self.count, self.latency);
        let door = self.door.address;
        format!(
            "messages on standard input and output of {count} nodes, {latency}; clients at {door}"
        )
    }

    /// How nodes broke the protocol.
    pub(super) fn breach(&self) -> Option<String> {
        lock(&self.hub).breach()
    }

    /// What no fault explains.
    pub(super) fn trouble(&self) -> Option<String> {
        lock(&self.hub).trouble()
    }
}

impl Drop for Router {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// Lets time pass for what is under way, and sends probes.
async fn drive(hub: Weak<Shared>, ring: Arc<Notify>) {
    let mut ticks = interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let Some(next) = hub.upgrade().map(|hub| lock(&hub).drain()) else { return };
        tokio::select! {
            () = sleep(next.unwrap_or(PERIOD)) => {}
            () = ring.notified() => {}
            _ = ticks.tick() => if let Some(hub) = hub.upgrade() {
                lock(&hub).probe();
            },
        }
    }
}
