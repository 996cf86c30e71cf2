//! Carries out what the Raft core decides, without touching the world: pure, `no_std`, and the same
//! code in a replica's process, in the simulator and in tests.
//!
//! ```text
//!   ticks, messages, requests        ┌──────────────────────────── runtime ─┐
//!  ─────────────────────────────────▶│ raft ──effects──▶ Runtime             │──▶ messages
//!                                    │  (core)           · kv store          │──▶ replies
//!   "durable up to write n"          │                   · pending requests  │──▶ observations
//!  ───────────────┐                  │                   · held messages     │
//!                 └─────────────────▶│                                       │
//!                                    └───────────────┬───────────────────────┘
//!                                                    │ writes (Persist)
//!                                                    ▼
//!                                    LogStore: batches, segments, snapshots, recovery
//!                                                    │ append, sync, rename, …
//!                                                    ▼
//!                                    Disk: files (server) │ memory that loses power (simulator)
//! ```
//!
//! [`LogStore`] is the half below: it blocks until what it was given is durable, so the server runs
//! it on a thread of its own, and the simulator runs it when the simulated sync is over.

mod answers;
#[cfg(test)]
pub(crate) mod bug_tests;
mod changes;
mod disk;
mod interpreter;
mod leader_balance;
mod log_store;
mod memory_disk;
mod open_error;
mod pending;
mod request;
mod snapshot_file;
mod store_bugs;
#[cfg(test)]
mod tests;

pub use changes::format_contact;
pub use disk::{Disk, DiskError, DiskErrorKind};
pub use interpreter::{MAX_REQUEST_TIMEOUT, Output, Runtime, RuntimeConfig};
pub use log_store::{LogStore, LogWrite, MAX_BATCH_WRITES, MAX_LOG_BYTES, Recovery};
pub use memory_disk::MemoryDisk;
pub use open_error::OpenError;
pub use request::{Answer, SessionError};
pub use request::{ClientRequest, FailureReason, Proposal, ProposalResult, Query, Reply, Request};
