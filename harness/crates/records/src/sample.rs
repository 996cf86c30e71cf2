//! Synthetic records for tests.

use crate::config::Config;

/// What `harness test --seed 1 --nemesis partition,kill:leader --unsafe stale-reads` asks for.
pub fn sample_config() -> Config {
    let recorded = serde_json::json!({
        "system": "raft", "nodes": 5, "workload": "register",
        "nemesis": ["partition", "kill:leader"], "time_limit_ms": 30_000, "concurrency": 10,
        "rate": 200, "seed": 1, "net": "auto", "unsafe": ["stale-reads"],
    });
    serde_json::from_value(recorded).expect("every other key has a default")
}
