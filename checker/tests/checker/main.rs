//! Tests the crate from outside, as `harness` and `workloads` use it.

mod examples;
mod formats;
mod real_data;
mod txn;
