//! Leads frames from port to port over the lanes between them, and keeps what is due later. Pure.
//!
//! A frame goes where its address says, and nowhere else: hosts have fixed addresses, so none has
//! to be learned. A lane that is cut loses what is under way on it too, so nothing arrives over a
//! link while it is cut.

use super::lane::{Counts, Delivery, Fate, Lane};
use crate::net::plan::{CLIENTS, HostId, LinkPlan, hosts};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use workloads::Rng;

/// What hardware addresses of hosts begin with; the host's number follows.
pub(in crate::net) const VENDOR: [u8; 5] = [2, 0x77, 0, 0, 0];

/// All lanes between the hosts and the controller, which has the last port.
#[derive(Debug)]
pub(in crate::net) struct Exchange {
    ends: Vec<HostId>,
    /// By port of sender, then of receiver.
    lanes: Vec<Way>,
    queue: BinaryHeap<Reverse<Item>>,
    order: u64,
}

/// A lane and the order of what goes over it.
#[derive(Debug)]
struct Way {
    pair: (HostId, HostId),
    lane: Lane,
    /// The latest that has come out, by order of going in.
    newest: u64,
}

/// A frame under way; the earliest is due first, and of equal ones the one that was sent first.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Item {
    at: u64,
    order: u64,
    way: usize,
    frame: Vec<u8>,
}

/// What became of a frame at a port.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::net) enum Taken {
    /// It goes out by this port at once.
    Now(usize),
    /// Any other frame: its receiver, and when each copy arrives.
    Later { to: usize, fate: Fate, due: Vec<u64> },
    /// No host has its address.
    Stray,
}

impl Exchange {
    /// Plain lanes between so many hosts and the controller.
    pub(in crate::net) fn new(count: u8, rng: &Rng) -> Self {
        let ends: Vec<HostId> = hosts(count).chain([CLIENTS]).collect();
        let pairs = ends.iter().flat_map(|from| ends.iter().map(|to| (*from, *to)));
        let way = |pair: (HostId, HostId)| {
            let rng = rng.fork(&format!("{} to {}", pair.0, pair.1));
            Way { pair, lane: Lane::new(rng), newest: 0 }
        };
        let lanes = pairs.map(way).collect();
        Self { ends, lanes, queue: BinaryHeap::new(), order: 0 }
    }

    /// Makes the links what the plan says; what is held no longer is due now.
    pub(in crate::net) fn apply(&mut self, now: u64, plan: &LinkPlan) {
        for index in 0..self.lanes.len() {
            let Way { pair, lane, .. } = &mut self.lanes[index];
            let shape = plan.shapes.get(pair).copied().unwrap_or_default();
            for released in lane.set(now, plan.cuts.contains(pair), shape) {
                self.push(index, released);
            }
        }
    }

    /// Takes a frame that came in by a port.
    pub(in crate::net) fn accept(&mut self, now: u64, from: usize, frame: &[u8]) -> Taken {
        let Some(to) = self.port(frame).filter(|to| *to != from) else { return Taken::Stray };
        let index = from * self.ends.len() + to;
        let way = &mut self.lanes[index];
        if way.lane.is_plain(now) {
            way.lane.counts.offered += 1;
            way.lane.counts.delivered += 1;
            self.order += 1;
            self.lanes[index].newest = self.order;
            return Taken::Now(to);
        }
        let (fate, deliveries) = way.lane.take(now, frame);
        let due = deliveries.iter().map(|delivery| delivery.at).collect();
        deliveries.into_iter().for_each(|delivery| self.push(index, delivery));
        Taken::Later { to, fate, due }
    }

    fn push(&mut self, way: usize, Delivery { at, frame }: Delivery) {
        self.order += 1;
        self.queue.push(Reverse(Item { at, order: self.order, way, frame }));
    }

    /// A frame that is due, and by which port it leaves.
    pub(in crate::net) fn due(&mut self, now: u64) -> Option<(usize, Vec<u8>)> {
        while self.next().is_some_and(|at| at <= now) {
            let Reverse(Item { order, way, frame, .. }) = self.queue.pop()?;
            let to = way % self.ends.len();
            let Way { lane, newest, .. } = &mut self.lanes[way];
            if lane.cut {
                lane.counts.cut += 1;
                continue;
            }
            lane.counts.delivered += 1;
            lane.counts.overtaken += u64::from(order < *newest);
            *newest = order.max(*newest);
            return Some((to, frame));
        }
        None
    }

    /// When something is due next.
    pub(in crate::net) fn next(&self) -> Option<u64> {
        self.queue.peek().map(|Reverse(item)| item.at)
    }

    /// What every lane has done so far.
    pub(in crate::net) fn counts(&self) -> impl Iterator<Item = ((HostId, HostId), Counts)> {
        self.lanes.iter().map(|way| (way.pair, way.lane.counts))
    }

    /// The port whose host the frame is for.
    fn port(&self, frame: &[u8]) -> Option<usize> {
        let (vendor, rest) = frame.split_first_chunk()?;
        let host = HostId(*rest.first()?);
        let port = if host == CLIENTS { self.ends.len() - 1 } else { usize::from(host.0) };
        (*vendor == VENDOR && port < self.ends.len() && self.ends[port] == host).then_some(port)
    }
}
