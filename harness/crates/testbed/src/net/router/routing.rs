//! How messages travel between programs, and how long clients wait for them.

use super::latency::Latency;
use super::topology::Topology;
use std::time::Duration;

/// How messages travel.
#[derive(Clone, Copy, Debug, Default)]
pub struct Routing {
    /// How long they take.
    pub latency: Latency,
    /// The topology that nodes are sent, if any.
    pub topology: Option<Topology>,
    /// How many of 1000 messages between nodes are lost.
    pub loss: u16,
}

/// The latest probes of a link may still be under way: four periods' worth.
pub(super) const MAX_IN_FLIGHT: u64 = 4;

/// How long clients wait for an answer, at least.
const MIN_CLIENT_TIMEOUT: Duration = Duration::from_secs(2);

/// How many latencies they wait besides.
const HOPS: u32 = 20;

/// How long a client waits for an answer.
pub(super) fn client_timeout(latency: Latency) -> Duration {
    MIN_CLIENT_TIMEOUT + Duration::from_millis(latency.mean_ms) * HOPS
}
