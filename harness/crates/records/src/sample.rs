//! Makes up records for tests.

use crate::record::{Config, constant, grid};

/// What `harness test --seed 1` asks for.
pub fn config() -> Config {
    Config {
        system: "raft".to_owned(),
        nodes: 5,
        workload: "register".to_owned(),
        read: "linearizable".to_owned(),
        nemesis: vec!["partition".to_owned(), "kill:leader".to_owned()],
        time_limit_ms: 30_000,
        concurrency: 10,
        rate: 200,
        seed: 1,
        net: "auto".to_owned(),
        bugs: vec!["stale-reads".to_owned()],
        bin: None,
        schedule: None,
        node_args: Vec::new(),
        fail_fast: false,
        capture: false,
        latency_ms: 0,
        latency_dist: constant(),
        loss_per_mille: 0,
        topology: grid(),
    }
}
