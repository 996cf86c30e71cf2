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

pub(crate) use cluster::{Cluster, Place, Timing, has_etcd};
pub(crate) use dialect::Dialect;
pub(crate) use disks::{Writes, writing};
pub(crate) use endurance::{Look, endure};
pub(crate) use failover::{fail_over, hand_over};
pub(crate) use faults::{Times, building, cutting, round_trips, touching};
pub(crate) use idle::{Idle, idle};
pub(crate) use leftovers::{GRACE, Trial, kill_during};
pub(crate) use load::{KEYS, Load, Pace, Reach, VALUE_BYTES, run};
pub(crate) use row::{Side, median, quantile, told};
pub(crate) use sample::Sample;
