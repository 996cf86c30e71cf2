//! Judges what clients were promised without a model: nothing lost, nothing twice, nothing from nowhere.
//!
//! One property is one file and one line in [`crate::registry::CHECKS`]. Each takes O(n) or O(n log n) of the values in
//! the history, counts every case of wrong and shows one with its operations. What nobody knows convicts nobody:
//! an `info` is taken to have happened if that excuses, and not to have happened if that does. A failed operation
//! did not happen. Where values are `[key, value]` throughout, each key is an object of its own.
//!
//! | check | invocation | ok |
//! |---|---|---|
//! | `bank` | `transfer {from, to, amount}`, `read nil` | `read {account: balance, …}` |
//! | `causal` | `read-init nil`, `write v`, `read nil` | the same with what was read |
//! | `causal-reverse` | `write v`, `read nil` | `read [v, …]`: everything that is visible |
//! | `counter-bounds` | `add n`, `read nil` | `read n` |
//! | `echo` | `echo v` | `echo v` |
//! | `eventual-counter` | `add n`, `read nil` | `read n`; the last one of each replica counts most |
//! | `eventual-set` | `add v` or `broadcast v`, `read nil` | `read [v, …]`; the last one of each replica counts most |
//! | `fenced-lock` | `acquire holder?`, `release holder?` | `acquire token` (an integer or `{token: n}`), or nil |
//! | `kafka` | `send`, `poll`, `txn` with `["send", k, v]`, `["poll"]` | `["send", k, [offset, v]]`, `["poll", {k: [[offset, v], …]}]` |
//! | `long-fork` | any function with one `["w", k, v]`, or only `["r", k, nil]` | `["r", k, v]` |
//! | `monotonic` | `inc …`, `read nil` | `read n`, `read {key: n}`, or rows `read [{val, sts}, …]` of `add` |
//! | `queue`, `total-queue` | `enqueue v`, `dequeue nil`, `drain nil` | `dequeue v`, or nil where it was empty; `drain [v, …]` |
//! | `set-final` | `add v`, `read nil` | `read [v, …]`; the last one counts |
//! | `set-full`, `set-full-linearizable` | the same | each read counts |
//! | `stats` | anything | anything |
//! | `unique-ids` | `generate nil` | `generate id` |

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
pub(crate) mod objects;
pub mod queue;
pub mod set_final;
pub mod set_full;
pub mod stats;
pub(crate) mod tally;
pub mod unique_ids;

#[cfg(test)]
pub(crate) mod tests;
