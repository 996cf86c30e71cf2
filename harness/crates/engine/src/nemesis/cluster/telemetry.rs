//! Reports what becomes of each replica's process and wall clock, as it happens, for display.
//!
//! No evidence comes from here: a fault samples what it needs by itself.

use records::sights::{Life, Sighting, WrongClock};
use std::sync::Arc;
use testbed::host::clock::Skew;
use testbed::net::plan::HostId;

/// Nanoseconds in a millisecond.
const MS: f64 = 1e6;

/// Where changes are reported to; nowhere by default.
#[derive(Clone, Default)]
pub(crate) struct Telemetry(Option<Arc<Sink>>);

type Sink = dyn Fn(HostId, Sighting) + Send + Sync;

impl Telemetry {
    /// Reports every change to `sink`.
    pub(crate) fn new(sink: impl Fn(HostId, Sighting) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(sink)))
    }

    fn report(&self, host: HostId, what: Sighting) {
        if let Some(sink) = &self.0 {
            sink(host, what);
        }
    }

    /// A change of a replica's process.
    pub(super) fn report_life(&self, host: HostId, life: Life) {
        self.report(host, Sighting::Process(life));
    }

    /// A change of its wall clock.
    pub(super) fn report_clock(&self, host: HostId, skew: &Skew) {
        let wrong = WrongClock {
            offset_ms: skew.offset_ns as f64 / MS,
            drift_percent: skew.rate as f64 * 100.0 / (1_u64 << 32) as f64,
            strobe_ms: skew.period_ns as f64 / MS,
        };
        self.report(host, Sighting::Clock(wrong));
    }
}
