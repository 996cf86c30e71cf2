//! Tells whoever watches what becomes of each replica's process and wall clock, at the moment it is done to it.
//!
//! It is for the eye: what a fault did is proved by its evidence, never by this.

use super::ground::Ground;
use crate::clock::Clock;
use crate::watch::Heard;
use records::sights::{Life, Sighting, WrongClock};
use testbed::host::clock::Skew;
use testbed::net::plan::HostId;
use tokio::sync::mpsc::UnboundedSender;

/// Nanoseconds in a millisecond.
const MS: f64 = 1e6;

/// Where it is told; nowhere, as long as nobody watches.
#[derive(Default)]
pub(crate) struct Vitals(Option<(Clock, UnboundedSender<Heard>)>);

impl Vitals {
    fn tell(&self, host: HostId, what: Sighting) {
        if let Some((clock, watcher)) = &self.0 {
            // Nobody listens any more only when the run is being torn down.
            drop(watcher.send(Heard { time: clock.now_ns(), host, what }));
        }
    }

    /// What became of a replica's process.
    pub(super) fn life(&self, host: HostId, life: Life) {
        self.tell(host, Sighting::Process(life));
    }

    /// What its wall clock was set to.
    pub(super) fn clock(&self, host: HostId, skew: &Skew) {
        let wrong = WrongClock {
            offset_ms: skew.offset_ns as f64 / MS,
            drift_percent: skew.rate as f64 * 100.0 / (1_u64 << 32) as f64,
            strobe_ms: skew.period_ns as f64 / MS,
        };
        self.tell(host, Sighting::Clock(wrong));
    }
}

impl Ground {
    /// Lets a watcher hear of every replica from now on.
    pub fn watched(&mut self, clock: Clock, watcher: UnboundedSender<Heard>) {
        self.vitals = Vitals(Some((clock, watcher)));
        for host in super::grudge::all(self.count()) {
            self.vitals.life(host, Life::Up);
        }
    }
}
