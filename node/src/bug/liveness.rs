//! Registers the bugs of progress.

use super::bug_id::Bug;
use super::column::{Fault, Place, SeenBy, SimGap};
use super::row::BugRow;

pub(super) const ROWS: &[BugRow] = &[
    BugRow::new(
        Bug::LoneHeartbeats,
        "lone-heartbeats",
        "heartbeats also arrive as datagrams over one-way links; a leader needs no quorum to \
         stay",
    )
    .place(Place::Server)
    .seen_by(SeenBy::Liveness)
    .faults(&[Fault::Partition])
    .sim_gaps(&[SimGap::Server]),
    BugRow::new(
        Bug::NoCheckQuorum,
        "no-check-quorum",
        "a leader without a quorum does not step down, and followers that hear it elect no \
         other",
    )
    .seen_by(SeenBy::Liveness)
    .faults(&[Fault::Partition])
    .sim_gaps(&[SimGap::LastingFaults]),
    BugRow::new(Bug::NoRetransmit, "no-retransmit", "a leader never sends again what was lost")
        .seen_by(SeenBy::Liveness)
        .faults(&[Fault::Packet, Fault::Partition]),
    BugRow::new(
        Bug::PreVoteKeepsTerm,
        "pre-vote-keeps-term",
        "a replica that asks for pre-votes learns no later term from those who refuse",
    )
    .seen_by(SeenBy::Liveness)
    .faults(&[Fault::Kill, Fault::Partition, Fault::Pause]),
    BugRow::new(
        Bug::RequestResetsTimer,
        "request-resets-timer",
        "every request for a vote restarts the election timer of the voter, even one that is \
         refused",
    )
    .seen_by(SeenBy::Liveness)
    .faults(&[Fault::Kill, Fault::Partition, Fault::Pause]),
    BugRow::new(
        Bug::SameTimeouts,
        "same-timeouts",
        "all replicas wait equally long before they campaign",
    )
    .seen_by(SeenBy::Liveness)
    .faults(&[Fault::Kill, Fault::Pause]),
    BugRow::new(
        Bug::TransferNeverExpires,
        "transfer-never-expires",
        "a leader that hands over to a dead replica refuses writes for ever",
    )
    .seen_by(SeenBy::Liveness)
    .faults(&[Fault::Transfer]),
];
