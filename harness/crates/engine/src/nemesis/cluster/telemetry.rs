//! Reports what becomes of each replica's process and wall clock, as it happens, for display.
//!
//! No evidence comes from here: a fault samples what it needs by itself.

use records::replica_log::{ClockDeviation, Observation, ProcessState};
use std::sync::Arc;
use testbed::host::clock::Skew;
use testbed::net::plan::HostId;

/// Nanoseconds in a millisecond.
const MS: f64 = 1e6;

/// Where changes are reported to; nowhere by default.
#[derive(Clone, Default)]
pub(crate) struct Telemetry(Option<Arc<Sink>>);

type Sink = dyn Fn(HostId, Observation) + Send + Sync;

impl Telemetry {
    /// Reports every change to `sink`.
    pub(crate) fn new(sink: impl Fn(HostId, Observation) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(sink)))
    }

    fn report_change(&self, host: HostId, what: Observation) {
        if let Some(sink) = &self.0 {
            sink(host, what);
        }
    }

    /// A change of a replica's process.
    pub(super) fn report_life(&self, host: HostId, life: ProcessState) {
        self.report_change(host, Observation::Process(life));
    }

    /// A change of its wall clock.
    pub(super) fn report_clock(&self, host: HostId, skew: &Skew) {
        let wrong = ClockDeviation {
            offset_ms: skew.offset_ns as f64 / MS,
            drift_percent: skew.rate as f64 * 100.0 / (1_u64 << 32) as f64,
            strobe_ms: skew.period_ns as f64 / MS,
        };
        self.report_change(host, Observation::Clock(wrong));
    }
}
