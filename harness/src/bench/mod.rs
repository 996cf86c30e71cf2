//! Measures the built-in store, alone or alternating with etcd: same load, loopback and disk.
//!
//! Both systems run all the time, one of them under load. The order alternates from pair to pair,
//! so that other load of the machine affects both; the result is the median of the ratios of pairs.
//! A sample of the history (every operation on a few keys) is checked: a fast wrong answer does not
//! count.

mod cluster;
mod connection;
mod dialect;
mod disks;
mod endurance;
mod failover;
mod faults;
mod idle;
mod leftovers;
mod load;
pub(crate) mod machine;
mod row;
mod sample;
mod time;

pub(crate) use cluster::{BenchDirectory, Cluster, ElectionTiming, has_etcd};
pub(crate) use dialect::Dialect;
pub(crate) use disks::{WriteTimes, time_disks};
pub(crate) use endurance::{MemorySample, run_endurance};
pub(crate) use failover::{measure_failover, measure_transfer};
pub(crate) use faults::{Times, count_round_trips, time_build, time_cuts, time_stops_and_clocks};
pub(crate) use idle::{IdleStats, measure_idle};
pub(crate) use leftovers::{GRACE, TrialOutcome, kill_during};
pub(crate) use load::{KEYS, Load, Pace, Target, VALUE_BYTES, run_load};
pub(crate) use row::{Measurements, compare_measurements, median, quantile};
pub(crate) use sample::Sample;
