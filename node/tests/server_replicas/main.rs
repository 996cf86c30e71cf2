//! Tests replicas as processes: their API, their errors and their recovery from faults.

#![cfg(feature = "server")]

mod api;
mod cluster;
mod conversations;
mod faults;
mod groups;
mod membership;
mod operations;
mod sessions;
mod snapshots;
mod start;
