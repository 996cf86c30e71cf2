//! What passed a directed link: the evidence of a cut.

use super::plan::HostId;

/// A moment from which traffic is counted; see [`Fabric::mark`](super::Fabric::mark).
#[derive(Clone, Debug)]
pub struct TrafficSnapshot(pub(super) Vec<LinkTotals>);

/// What passed one directed link since a mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PairEvidence {
    /// The sender.
    pub from: HostId,
    /// The receiver.
    pub to: HostId,
    /// What was sent, as far as it has had time to arrive.
    pub offered: u64,
    /// What of it arrived.
    pub delivered: u64,
    /// What the cut itself took away: packets of any kind that its rule dropped, or probes that a
    /// proxy held back.
    pub dropped: u64,
}

/// Running totals of one directed link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct LinkTotals {
    pub(super) offered: u64,
    pub(super) delivered: u64,
    pub(super) dropped: u64,
}
