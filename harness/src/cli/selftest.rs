//! `harness selftest`: verifies here that seeded bugs are found and correct systems pass.
//!
//! It is an ordinary suite; some of its cells run in the simulator. Each seeded bug must be found,
//! and the same system without it must pass.

use super::output::OutputOptions;
use super::suite::{RunOptions, print_suite, run_suite};
use anyhow::Result;
use records::suite::{Cell, Expectation};
use std::process::ExitCode;

/// A cell: its name, arguments, expected verdict, and main phase in seconds.
type SelftestCase = (&'static str, &'static str, Expectation, u64);

const CASES: [SelftestCase; 12] = [
    ("safe, simulated", "sim --seeds 300", Expectation::Valid, 20),
    (
        "commit-old-term, simulated",
        "sim --seeds 10000 --unsafe commit-old-term",
        Expectation::Invalid,
        20,
    ),
    ("early-ack, simulated", "sim --seeds 10000 --unsafe early-ack", Expectation::Invalid, 20),
    (
        "follower-reads, simulated",
        "sim --seeds 10000 --unsafe follower-reads",
        Expectation::Invalid,
        20,
    ),
    ("no-fsync, simulated", "sim --seeds 10000 --unsafe no-fsync", Expectation::Invalid, 20),
    ("stale-reads, simulated", "sim --seeds 10000 --unsafe stale-reads", Expectation::Invalid, 20),
    (
        "vote-without-log-check, simulated",
        "sim --seeds 10000 --unsafe vote-without-log-check",
        Expectation::Invalid,
        20,
    ),
    (
        "safe registers, partitions",
        "test --nemesis partition --time-limit 15s --seed 1",
        Expectation::Valid,
        15,
    ),
    (
        "safe transactions, kills and pauses",
        "test --workload append --nemesis kill,pause --time-limit 15s --seed 1",
        Expectation::Valid,
        15,
    ),
    (
        "stale-reads, partitions",
        "test --nemesis partition --time-limit 60s --seed 1 --fail-fast --unsafe stale-reads",
        Expectation::Invalid,
        60,
    ),
    (
        "torn-txn, bank",
        "test --workload bank --nemesis none --time-limit 10s --seed 1 --unsafe torn-txn",
        Expectation::Invalid,
        20,
    ),
    (
        "evaluate-early, counter",
        "test --workload counter --nemesis none --time-limit 10s --seed 1 --unsafe evaluate-early",
        Expectation::Invalid,
        20,
    ),
];

/// Runs `harness selftest`: exits with 0 only if every cell has its expected verdict.
pub(crate) fn main(options: OutputOptions) -> Result<ExitCode> {
    let cells: Vec<Cell> = CASES.iter().map(to_cell).collect();
    let record = run_suite(
        "selftest".to_owned(),
        &cells,
        &RunOptions { jobs: 1, budget: None, fresh: true, quiet: options.quiet },
    )?;
    print_suite(&record, options.format)
}

fn to_cell((family, line, expect, seconds): &SelftestCase) -> Cell {
    Cell {
        family: (*family).to_owned(),
        seed: 1,
        arguments: line.split_whitespace().map(str::to_owned).collect(),
        expect: *expect,
        limit_ms: seconds * 1_000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser as _;

    #[test]
    fn parses_the_arguments_of_every_trial() {
        for trial in &CASES {
            let words = std::iter::once("harness".to_owned()).chain(to_cell(trial).arguments);
            super::super::Cli::try_parse_from(words).unwrap_or_else(|error| panic!("{error}"));
        }
    }

    #[test]
    fn covers_valid_and_invalid_in_simulator_and_on_replicas() {
        for world in ["sim", "test"] {
            for expected in [Expectation::Valid, Expectation::Invalid] {
                let fits = |trial: &SelftestCase| trial.1.starts_with(world) && trial.2 == expected;
                assert!(CASES.iter().any(fits), "{world} {expected:?}");
            }
        }
    }
}
