//! Checks properties that need no sequential model: nothing lost, duplicated or never written.
//!
//! One property is one file and one line in [`crate::registry::CHECKS`]. Each takes O(n) or
//! O(n log n) time in the number of values, counts every case of an anomaly and shows one with its
//! operations. Indeterminate operations are never evidence: an `info` counts as executed or as not
//! executed, whichever avoids an anomaly. A failed operation did not take effect. If all values are
//! `[key, value]`, each key is an object of its own.
//!
//! The inputs and outputs of each check, as `invocation → ok`:
//!
//! - `bank`: `transfer {from, to, amount}`, `read nil` → `read {account: balance, …}`
//! - `causal`: `read-init nil`, `write v`, `read nil` → the same with the value that was read
//! - `causal-reverse`: `write v`, `read nil` → `read [v, …]`: all visible values
//! - `counter-bounds`: `add n`, `read nil` → `read n`
//! - `echo`: `echo v` → `echo v`
//! - `eventual-counter`: `add n`, `read nil` → `read n`; the last read of each replica must be the
//!   sum
//! - `eventual-set`: `add v` or `broadcast v`, `read nil` → `read [v, …]`; the last read of each
//!   replica must be complete
//! - `fenced-lock`: `acquire holder?`, `release holder?` → `acquire token` (an integer or `{token:
//!   n}`), or nil
//! - `kafka`: `send`, `poll`, `txn` with `["send", k, v]`, `["poll"]` → `["send", k, [offset, v]]`,
//!   `["poll", {k: [[offset, v], …]}]`
//! - `long-fork`: any function with one `["w", k, v]`, or only `["r", k, nil]` → `["r", k, v]`
//! - `monotonic`: `inc …`, `read nil` → `read n`, `read {key: n}`, or rows `read [{val, sts}, …]`
//!   of `add`
//! - `queue`, `total-queue`: `enqueue v`, `dequeue nil`, `drain nil` → `dequeue v`, or nil if it
//!   was empty; `drain [v, …]`
//! - `set-final`: `add v`, `read nil` → `read [v, …]`; only the last read is checked
//! - `set-full`, `set-full-linearizable`: the same → every read is checked
//! - `stats`: anything → anything
//! - `unique-ids`: `generate nil` → `generate id`

pub mod availability;
pub mod bank;
pub mod causal;
pub mod causal_reverse;
pub mod counter_bounds;
pub(crate) mod distribution;
pub mod echo;
pub mod errors;
pub mod eventual_counter;
pub mod eventual_set;
pub mod fenced_lock;
pub mod kafka;
pub(crate) mod last_reads;
pub mod long_fork;
pub(crate) mod micro;
pub mod monotonic;
pub(crate) mod online;
pub(crate) mod op;
pub mod queue;
pub mod set_final;
pub mod set_full;
pub mod stats;
pub mod unique_ids;
pub(crate) mod verdict_builder;

#[cfg(test)]
pub(crate) mod tests;
