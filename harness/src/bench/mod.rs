//! Measures the store that comes with this tool, alone or in turn with etcd: the same loader, the same loopback, the same disk.
//!
//! Both systems stand all the time and one of them works; who begins changes from pair to pair, so that whatever else
//! the machine does hits both, and what is told is the middle of the pairs' ratios. A sample of what clients were
//! told (every operation on a few of the keys) is judged: a fast wrong answer is no result.

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
