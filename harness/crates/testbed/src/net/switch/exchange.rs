//! Forwards frames from port to port over the links between them, and holds delayed ones. Pure.
//!
//! A frame goes where its address says, and nowhere else: hosts have fixed addresses, so none has
//! to be learned. A link that is cut loses what is under way on it too, so nothing arrives over a
//! link while it is cut.

use super::link::{Delivery, Fate, PacketCounts, ShapedLink};
use crate::net::plan::{CLIENTS, HostId, LinkPlan, host_ids};
use crate::random::Rng;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// What hardware addresses of hosts begin with; the host's number follows.
pub(in crate::net) const MAC_PREFIX: [u8; 5] = [2, 0x77, 0, 0, 0];

/// All links between the hosts and the controller, which has the last port.
#[derive(Debug)]
pub(in crate::net) struct Exchange {
    ends: Vec<HostId>,
    /// By port of sender, then of receiver.
    links: Vec<LinkDirection>,
    queue: BinaryHeap<Reverse<QueuedFrame>>,
    order: u64,
}

/// A link and the order of what goes over it.
#[derive(Debug)]
struct LinkDirection {
    pair: (HostId, HostId),
    link: ShapedLink,
    /// The latest that has come out, by order of going in.
    newest: u64,
}

/// A frame under way; the earliest is due first, and of equal ones the one that was sent first.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct QueuedFrame {
    at: u64,
    order: u64,
    direction: usize,
    frame: Vec<u8>,
}

/// What became of a frame at a port.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::net) enum FrameOutcome {
    /// It goes out by this port at once.
    Now(usize),
    /// Any other frame: its receiver, and when each copy arrives.
    Later { to: usize, fate: Fate, due: Vec<u64> },
    /// No host has its address.
    Stray,
}

impl Exchange {
    /// Plain links between this many hosts and the controller.
    pub(in crate::net) fn new(count: u8, rng: &Rng) -> Self {
        let ends: Vec<HostId> = host_ids(count).chain([CLIENTS]).collect();
        let pairs = ends.iter().flat_map(|from| ends.iter().map(|to| (*from, *to)));
        let direction = |pair: (HostId, HostId)| {
            let rng = rng.fork(&format!("{} to {}", pair.0, pair.1));
            LinkDirection { pair, link: ShapedLink::new(rng), newest: 0 }
        };
        let links = pairs.map(direction).collect();
        Self { ends, links, queue: BinaryHeap::new(), order: 0 }
    }

    /// Applies the plan to all links; frames that are no longer held are due now.
    pub(in crate::net) fn apply_plan(&mut self, now: u64, plan: &LinkPlan) {
        for index in 0..self.links.len() {
            let LinkDirection { pair, link, .. } = &mut self.links[index];
            let shape = plan.shapes.get(pair).copied().unwrap_or_default();
            for released in link.set_shape(now, plan.cuts.contains(pair), shape) {
                self.push(index, released);
            }
        }
    }

    /// Takes a frame that came in by a port.
    pub(in crate::net) fn accept_frame(
        &mut self,
        now: u64,
        from: usize,
        frame: &[u8],
    ) -> FrameOutcome {
        let Some(to) = self.destination_port(frame).filter(|to| *to != from) else {
            return FrameOutcome::Stray;
        };
        let index = from * self.ends.len() + to;
        let direction = &mut self.links[index];
        if direction.link.is_plain(now) {
            direction.link.counts.offered += 1;
            direction.link.counts.delivered += 1;
            self.order += 1;
            self.links[index].newest = self.order;
            return FrameOutcome::Now(to);
        }
        let (fate, deliveries) = direction.link.accept_frame(now, frame);
        let due = deliveries.iter().map(|delivery| delivery.at).collect();
        deliveries.into_iter().for_each(|delivery| self.push(index, delivery));
        FrameOutcome::Later { to, fate, due }
    }

    fn push(&mut self, direction: usize, Delivery { at, frame }: Delivery) {
        self.order += 1;
        self.queue.push(Reverse(QueuedFrame { at, order: self.order, direction, frame }));
    }

    /// A frame that is due, and by which port it leaves.
    pub(in crate::net) fn pop_due(&mut self, now: u64) -> Option<(usize, Vec<u8>)> {
        while self.next_due().is_some_and(|at| at <= now) {
            let Reverse(QueuedFrame { order, direction, frame, .. }) = self.queue.pop()?;
            let to = direction % self.ends.len();
            let LinkDirection { link, newest, .. } = &mut self.links[direction];
            if link.cut {
                link.counts.cut += 1;
                continue;
            }
            link.counts.delivered += 1;
            link.counts.overtaken += u64::from(order < *newest);
            *newest = order.max(*newest);
            return Some((to, frame));
        }
        None
    }

    /// When something is due next.
    pub(in crate::net) fn next_due(&self) -> Option<u64> {
        self.queue.peek().map(|Reverse(item)| item.at)
    }

    /// What every link has done so far.
    pub(in crate::net) fn link_counts(
        &self,
    ) -> impl Iterator<Item = ((HostId, HostId), PacketCounts)> {
        self.links.iter().map(|direction| (direction.pair, direction.link.counts))
    }

    /// The port whose host the frame is for.
    fn destination_port(&self, frame: &[u8]) -> Option<usize> {
        let (vendor, rest) = frame.split_first_chunk()?;
        let host = HostId(*rest.first()?);
        let port = if host == CLIENTS { self.ends.len() - 1 } else { usize::from(host.0) };
        (*vendor == MAC_PREFIX && port < self.ends.len() && self.ends[port] == host).then_some(port)
    }
}
