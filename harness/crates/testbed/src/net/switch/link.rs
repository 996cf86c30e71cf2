//! Decides what becomes of each frame of one directed link: frame, time and seed in, deliveries
//! out. Pure.
//!
//! Order is kept by everything but `reorder`: a frame is never due before the one that came before
//! it, whatever the shapes of the two. Each chance is drawn from the link's own stream, once per
//! frame and only if the shape has that fault.

use super::shape::{PER_MILLE, Shape};
use crate::random::Rng;

const US: u64 = 1_000;
const MS: u64 = 1_000 * US;
/// How much later a frame comes that others are to overtake, from and below.
const REORDER_DELAY: (u64, u64) = (2 * MS, 30 * MS);
/// How far a copy is behind the original at most.
const MAX_DUPLICATE_DELAY: u64 = 5 * MS;
/// What may pass a throttled link at once.
const BURST_BYTES: u64 = 3_000;
/// How long a throttled link's queue may be; what comes on top is lost, as by a router.
const MAX_QUEUE_DELAY: u64 = 300 * MS;
/// How many frames a link holds; what comes on top is lost.
const MAX_HELD_FRAMES: usize = 4_096;
/// Length of an Ethernet header: what is corrupted lies behind it.
const ETHERNET_HEADER: usize = 14;

/// A directed link.
#[derive(Debug)]
pub(super) struct ShapedLink {
    pub(super) cut: bool,
    shape: Shape,
    /// When the shape began.
    since: u64,
    rng: Rng,
    /// When the latest frame in order is due.
    last_due: u64,
    /// When a throttled link will have sent all it has.
    busy_until: u64,
    held: Vec<Vec<u8>>,
    pub(super) counts: PacketCounts,
}

/// A frame and when it arrives, in nanoseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Delivery {
    pub(super) at: u64,
    pub(super) frame: Vec<u8>,
}

/// What became of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::net) enum Fate {
    Passed,
    Cut,
    Down,
    Held,
    Lost,
    QueueFull,
}

/// What a directed link has done so far, in frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PacketCounts {
    /// What was sent into it.
    pub offered: u64,
    /// What has come out of it, copies included.
    pub delivered: u64,
    /// Dropped because the link is cut.
    pub cut: u64,
    /// Dropped while a flapping link was down.
    pub down: u64,
    /// Kept until released.
    pub held: u64,
    /// Lost by chance.
    pub lost: u64,
    /// Lost because a queue was full.
    pub queue_full: u64,
    /// A bit was flipped.
    pub corrupted: u64,
    /// Had to wait for bandwidth.
    pub throttled: u64,
    /// Came late on purpose.
    pub delayed: u64,
    /// By how much in total, in microseconds.
    pub delayed_us: u64,
    /// Came out behind one that went in later.
    pub overtaken: u64,
    /// Came twice.
    pub duplicated: u64,
}

impl ShapedLink {
    /// A plain link.
    pub(super) fn new(rng: Rng) -> Self {
        let shape = Shape::default();
        let (since, last, free) = (0, 0, 0);
        Self {
            cut: false,
            shape,
            since,
            rng,
            last_due: last,
            busy_until: free,
            held: Vec::new(),
            counts: PacketCounts::default(),
        }
    }

    /// Changes the link; what it held and holds no longer arrives now, in order.
    pub(super) fn set_shape(&mut self, now: u64, cut: bool, shape: Shape) -> Vec<Delivery> {
        self.cut = cut;
        if shape != self.shape {
            (self.shape, self.since) = (shape, now);
        }
        if self.shape.hold {
            return Vec::new();
        }
        self.last_due = self.last_due.max(now);
        let at = self.last_due;
        self.held.drain(..).map(|frame| Delivery { at, frame }).collect()
    }

    /// Whether a frame that comes now just passes.
    pub(super) fn is_plain(&self, now: u64) -> bool {
        !self.cut && self.shape.is_plain() && self.last_due <= now
    }

    /// What becomes of a frame that is sent now.
    pub(super) fn accept_frame(&mut self, now: u64, frame: &[u8]) -> (Fate, Vec<Delivery>) {
        self.counts.offered += 1;
        let fate = self.decide_fate(now, frame);
        let counter = match fate {
            Fate::Passed => return (fate, self.schedule_delivery(now, frame.to_vec())),
            Fate::Cut => &mut self.counts.cut,
            Fate::Down => &mut self.counts.down,
            Fate::Held => &mut self.counts.held,
            Fate::Lost => &mut self.counts.lost,
            Fate::QueueFull => &mut self.counts.queue_full,
        };
        *counter += 1;
        if fate == Fate::Held {
            self.held.push(frame.to_vec());
        }
        (fate, Vec::new())
    }

    fn decide_fate(&mut self, now: u64, frame: &[u8]) -> Fate {
        if self.cut {
            Fate::Cut
        } else if self.is_down(now) {
            Fate::Down
        } else if self.shape.hold {
            if self.held.len() < MAX_HELD_FRAMES { Fate::Held } else { Fate::QueueFull }
        } else if self.draw_chance(self.shape.loss) {
            Fate::Lost
        } else if self.reserve_bandwidth(now, frame.len()) {
            Fate::Passed
        } else {
            Fate::QueueFull
        }
    }

    fn is_down(&self, now: u64) -> bool {
        self.shape.flap_ms.is_some_and(|(up, down)| {
            let (up, down) = (u64::from(up) * MS, u64::from(down) * MS);
            now.saturating_sub(self.since) % (up + down).max(1) >= up
        })
    }

    /// Takes the frame's share of the bandwidth, unless the queue is full.
    fn reserve_bandwidth(&mut self, now: u64, bytes: usize) -> bool {
        let Some(rate) = self.shape.rate else { return true };
        let cost = |bytes: u64| bytes.saturating_mul(1_000 * MS) / rate.max(1);
        let free = self.busy_until.max(now.saturating_sub(cost(BURST_BYTES)));
        if free > now + MAX_QUEUE_DELAY {
            return false;
        }
        self.busy_until = free + cost(bytes as u64);
        true
    }

    fn schedule_delivery(&mut self, now: u64, mut frame: Vec<u8>) -> Vec<Delivery> {
        if self.draw_chance(self.shape.corrupt) {
            self.flip_bit(&mut frame);
        }
        let mut due = now + u64::from(self.shape.delay_us) * US + self.draw_jitter();
        if self.shape.rate.is_some() && self.busy_until > now {
            self.counts.throttled += 1;
            due += self.busy_until - now;
        }
        let mut at = due.max(self.last_due);
        self.last_due = at;
        if self.draw_chance(self.shape.reorder) {
            at += self.rng.between(REORDER_DELAY.0, REORDER_DELAY.1);
        }
        if at > now {
            self.counts.delayed += 1;
            self.counts.delayed_us += (at - now) / US;
        }
        let mut deliveries = vec![Delivery { at, frame }];
        if self.draw_chance(self.shape.duplicate) {
            self.counts.duplicated += 1;
            let at = at + self.rng.below(MAX_DUPLICATE_DELAY);
            deliveries.push(Delivery { at, frame: deliveries[0].frame.clone() });
        }
        deliveries
    }

    fn draw_jitter(&mut self) -> u64 {
        match self.shape.jitter_us {
            0 => 0,
            most => self.rng.below(u64::from(most) * US),
        }
    }

    /// Flips one bit of what the frame carries.
    fn flip_bit(&mut self, frame: &mut [u8]) {
        let Some(length) = frame.len().checked_sub(ETHERNET_HEADER).filter(|length| *length > 0)
        else {
            return;
        };
        let bit = self.rng.below(length as u64 * 8) as usize;
        frame[ETHERNET_HEADER + bit / 8] ^= 1 << (bit % 8);
        self.counts.corrupted += 1;
    }

    fn draw_chance(&mut self, chance: u16) -> bool {
        chance > 0 && self.rng.below(u64::from(PER_MILLE)) < u64::from(chance)
    }
}

impl std::ops::Sub for PacketCounts {
    type Output = Self;

    /// What was counted between the two.
    fn sub(self, then: Self) -> Self {
        Self {
            offered: self.offered - then.offered,
            delivered: self.delivered - then.delivered,
            cut: self.cut - then.cut,
            down: self.down - then.down,
            held: self.held - then.held,
            lost: self.lost - then.lost,
            queue_full: self.queue_full - then.queue_full,
            corrupted: self.corrupted - then.corrupted,
            throttled: self.throttled - then.throttled,
            delayed: self.delayed - then.delayed,
            delayed_us: self.delayed_us - then.delayed_us,
            overtaken: self.overtaken - then.overtaken,
            duplicated: self.duplicated - then.duplicated,
        }
    }
}

impl std::ops::AddAssign for PacketCounts {
    fn add_assign(&mut self, more: Self) {
        self.offered += more.offered;
        self.delivered += more.delivered;
        self.cut += more.cut;
        self.down += more.down;
        self.held += more.held;
        self.lost += more.lost;
        self.queue_full += more.queue_full;
        self.corrupted += more.corrupted;
        self.throttled += more.throttled;
        self.delayed += more.delayed;
        self.delayed_us += more.delayed_us;
        self.overtaken += more.overtaken;
        self.duplicated += more.duplicated;
    }
}
