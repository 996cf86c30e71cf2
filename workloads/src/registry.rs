//! Lists every workload by name.

use crate::workload::Workload;
use crate::{
    alias, append, bank, broadcast, cas, counter, echo, eventual_counter, follower_reads, g_set,
    kafka, lock, long_fork, monotonic, queue, register, set, unique_ids, wr,
};

/// Every workload, sorted by name.
pub const WORKLOADS: &[&dyn Workload] = &[
    &append::Append,
    &bank::Bank,
    &broadcast::Broadcast,
    &cas::Cas,
    &counter::Counter,
    &echo::Echo,
    &follower_reads::FollowerReads,
    &eventual_counter::G_COUNTER,
    &g_set::GSet,
    &kafka::Kafka,
    &alias::LIN_KV,
    &lock::Lock,
    &long_fork::LongFork,
    &monotonic::Monotonic,
    &eventual_counter::PN_COUNTER,
    &queue::Queue,
    &register::Register,
    &set::Set,
    &alias::TXN_LIST_APPEND,
    &alias::TXN_RW_REGISTER,
    &unique_ids::UniqueIds,
    &wr::Wr,
];

/// The workload with this name.
pub fn find_workload(name: &str) -> Option<&'static dyn Workload> {
    WORKLOADS.iter().copied().find(|workload| workload.name() == name)
}
