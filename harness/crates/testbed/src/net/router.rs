//! Carries the messages of programs that speak on standard input and output, each a line of JSON,
//! as Maelstrom does.
//!
//! Every line of a node's output is a message: to another node, to a client, or to a service that
//! the router offers. Nothing leaves this process, so no namespaces are needed; what links do to
//! messages is decided by the links of the [`switch`](super::switch), from the same [`LinkPlan`],
//! and the router's own probes over them are the evidence. Clients come over TCP on the loopback
//! interface and speak the same lines.

mod latency;
mod listener;
mod loss;
pub mod message;
mod pipes;
mod record;
mod routing;
mod service;
mod state;
#[cfg(test)]
mod tests;
mod topology;

use super::plan::{HostId, LinkPlan, directed_pairs};
use super::probe::PROBE_INTERVAL;
use super::switch::LinkCounts;
use super::traffic::LinkTotals;
use crate::host::process::Pipes;
use crate::random::Rng;
use anyhow::{Context as _, Result};
pub use latency::{DISTRIBUTIONS, Distribution, Latency};
use listener::ClientListener;
use record::MessageLog;
pub use routing::Routing;
use state::{RouterConfig, RouterState, SharedState, lock_state};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Weak};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, sleep};
pub use topology::{TOPOLOGIES, Topology};

pub use record::MESSAGES_FILE as MESSAGES;

/// The router; its tasks end when it is dropped.
pub(super) struct Router {
    state: Arc<SharedState>,
    listener: ClientListener,
    driver: JoinHandle<()>,
    count: u8,
    latency: Latency,
}

impl Router {
    /// A router for this many nodes, none started yet; it records every message.
    pub(super) async fn build(
        count: u8,
        rng: &Rng,
        routing: Routing,
        record: &Path,
    ) -> Result<Self> {
        let latency = routing.latency;
        let record = MessageLog::create(record)?;
        let state = RouterState::new(RouterConfig { count, rng: rng.clone(), routing, record });
        let listener = ClientListener::bind(Arc::downgrade(&state))
            .await
            .context("the router has no listener")?;
        let wakeup = Arc::clone(&lock_state(&state).wakeup);
        let driver = tokio::spawn(drive_exchange(Arc::downgrade(&state), wakeup));
        Ok(Self { state, listener, driver, count, latency })
    }

    /// The address on which clients connect.
    pub(super) fn address(&self) -> SocketAddr {
        self.listener.address
    }

    /// Takes over the standard input and output of a node that was just started.
    pub(super) fn attach_node(&self, host: HostId, pipes: Pipes) -> Result<()> {
        pipes::attach_pipes(&self.state, host, pipes)
    }

    /// Applies the plan to all links, for every later message.
    pub(super) fn apply_plan(&self, plan: &LinkPlan) {
        lock_state(&self.state).apply_plan(plan);
    }

    /// The counters of every link.
    pub(super) fn link_counts(&self) -> LinkCounts {
        lock_state(&self.state).link_counts()
    }

    /// The current counts of probes and of messages that cuts dropped.
    pub(super) fn snapshot_traffic(&self) -> Vec<LinkTotals> {
        let state = lock_state(&self.state);
        let counts = state.link_counts();
        let next = state.probe_log.next_numbers().into_iter();
        let tally =
            |(pair, offered)| LinkTotals { offered, delivered: 0, dropped: counts[&pair].cut };
        directed_pairs(self.count).zip(next).map(tally).collect()
    }

    /// The probes that were sent, arrived and were dropped by cuts since the mark.
    pub(super) fn traffic_since(&self, mark: &[LinkTotals]) -> Vec<LinkTotals> {
        let state = lock_state(&self.state);
        let counts = state.link_counts();
        let probes = state.probe_log.settled_since(mark.iter().map(|tally| tally.offered));
        let tallies = directed_pairs(self.count).zip(probes).zip(mark);
        let tally = |((pair, (offered, delivered)), mark): (_, &LinkTotals)| {
            let cut: u64 = counts[&pair].cut;
            LinkTotals { offered, delivered, dropped: cut - mark.dropped }
        };
        tallies.map(tally).collect()
    }

    /// What such a network is made of.
    pub(super) fn describe(&self) -> String {
        let (count, latency) = (self.count, self.latency);
        let listener = self.listener.address;
        format!(
            "messages on standard input and output of {count} nodes, {latency}; \
             clients at {listener}"
        )
    }

    /// How nodes broke the protocol.
    pub(super) fn protocol_error(&self) -> Option<String> {
        lock_state(&self.state).protocol_error()
    }

    /// Losses that no fault explains.
    pub(super) fn network_error(&self) -> Option<String> {
        lock_state(&self.state).network_error()
    }
}

impl Drop for Router {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// Delivers messages when they are due, and sends probes.
async fn drive_exchange(state: Weak<SharedState>, wakeup: Arc<Notify>) {
    let mut ticks = interval(PROBE_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let Some(next) = state.upgrade().map(|state| lock_state(&state).deliver_due()) else {
            return;
        };
        tokio::select! {
            () = sleep(next.unwrap_or(PROBE_INTERVAL)) => {}
            () = wakeup.notified() => {}
            _ = ticks.tick() => if let Some(state) = state.upgrade() {
                lock_state(&state).send_probes();
            },
        }
    }
}
