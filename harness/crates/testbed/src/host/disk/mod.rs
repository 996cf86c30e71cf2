//! Puts a disk that can go wrong under a replica's data directory: any program's, without its knowledge.
//!
//! A [`Disk`] is one of two [`Means`]. A FUSE overlay ([`overlay`]) sees every request, and knows what was not
//! synced: it alone can lose power. Where `/dev/fuse` is closed a [`gate`] stands between the replica and
//! the kernel and lets its writes and syncs fail or take longer; what they reach is the directory itself. Either way a
//! [`fault::Fault`] decides how requests fare, and its counts are the evidence; and what a replica had written is
//! damaged in the same way, while nobody uses it.

mod backing;
mod calls;
mod damage;
mod fault;
mod front;
mod gate;
mod layer;
mod means;
mod names;
mod notices;
mod overlay;
#[cfg(test)]
mod tests;
mod trial;
mod unsynced;

pub use backing::Disk;
pub use damage::{Damage, Scar};
pub use fault::{Counts, Fault};
pub use layer::Loss;
pub use means::{Choice, Means};
pub use trial::{choice, no_power_loss, try_here, unable};
