//! Records for the tests of this module.

use records::record::{Validity, VerdictRecord};

/// A verdict without checks, faults and reasons.
pub(super) fn sample_verdict(validity: Validity) -> VerdictRecord {
    let recorded = serde_json::json!({
        "format": 1, "validity": validity, "exit": 0, "interrupted": false, "unsafe": [],
        "sentence": "it is so", "reasons": [], "checks": [], "faults": [],
        "counts": {"functions": {}, "missed": 0},
        "latency": {"p50_us": 0, "p95_us": 0, "p99_us": 0, "max_us": 0}, "deaths": [],
    });
    serde_json::from_value(recorded).expect("every other key has a default")
}
