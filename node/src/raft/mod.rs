//! Implements Raft as a pure state machine: [`Raft::step`] takes one [`Input`] and appends the
//! [`Effect`]s that the runtime must carry out. The core has no clock, socket, disk or thread.
//!
//! The contract between the core and its runtime:
//!
//! 1. The runtime carries out effects in the order of emission, with one exception. It may make
//!    [`Persist`]s durable in the background, several with one `fdatasync`. It reports each by
//!    [`Input::Persisted`] with the greatest durable sequence number, which covers all before it.
//! 2. An [`Effect::Send`] leaves only when the `Persist` with the sequence number in `after` is
//!    durable; with `after: 0` it leaves at once. A leader sends entries while its own disk still
//!    writes them, and counts itself only after `Persisted` (thesis §10.2.1).
//! 3. [`Effect::Commit`] delivers each entry once, in index order, without gaps. A restarted
//!    server delivers everything after its snapshot again. One step delivers a bounded slice.
//!    While [`Raft::has_undelivered`], any input delivers more; [`Input::Continue`] does only that.
//! 4. A proposal is answered exactly once: [`Effect::Acknowledge`] (committed: reply with the
//!    result of applying entry `index`), [`Effect::Refused`] (never appended here: a definite
//!    failure) or [`Effect::OutcomeUnknown`] (appended here, fate undecided: indefinite).
//! 5. A read is answered exactly once: [`Effect::ReadReady`] (serve it once everything up to
//!    `index` is applied), [`Effect::ReadFailed`] or [`Effect::ReadExpired`] (nothing was read: a
//!    definite failure).
//! 6. [`Config::seed`] differs from one start of a server to the next.
//! 7. A snapshot for [`Effect::TakeSnapshot`] contains exactly what was delivered before it;
//!    [`Input::SnapshotTaken`] may bring it later. [`Effect::Restore`] replaces the state machine
//!    by a later state. A restarted server begins with the state of its [`Stored::snapshot`].
//! 8. After [`Effect::Fatal`] the runtime stops the server and gives it no further input.
//!
//! *Paper* is Ongaro and Ousterhout, *In Search of an Understandable Consensus Algorithm*
//! (extended version, 2014); *thesis* is Ongaro, *Consensus: Bridging Theory and Practice*.
//! Comments at guards name the section and the failure that the guard prevents.

mod append;
#[cfg(test)]
pub(crate) mod bug_tests;
mod change;
mod commit;
mod config;
mod effect;
mod election;
mod entry;
mod input;
pub mod invariants;
mod lease;
mod lease_reads;
#[cfg(test)]
mod lease_tests;
mod log;
mod membership;
mod message;
mod progress;
mod quorum;
mod random;
mod read_index;
mod read_rounds;
mod replication;
mod role;
mod server;
mod snapshot;
mod snapshot_state;
mod stored;
#[cfg(test)]
mod tests;
mod transfer;
mod transitions;
mod types;
#[cfg(test)]
mod variation_tests;
mod write_tracker;

pub use config::{Compaction, Config};
pub use effect::{Effect, Persist};
pub use entry::{Entry, Payload};
pub use input::Input;
pub use membership::{ChangeError, Membership, MembershipChange};
pub use message::{AppendEntries, Content, InstallSnapshot, Message};
pub use server::Raft;
pub use stored::{Snapshot, Stored};
pub use types::{HardState, Index, Position, Role, ServerId, Status, Term, Token};
