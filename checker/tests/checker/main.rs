//! Tests the judge from outside, as `harness` and `workloads` use it.

mod real_data;
