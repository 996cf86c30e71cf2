//! Puts a disk with faults under a replica's data directory, for any program.
//!
//! A [`Disk`] has one of two [`DiskBackend`]. A FUSE overlay ([`overlay`]) handles every request
//! and tracks unsynced data: only it can lose power. Where `/dev/fuse` is closed, a
//! [`syscall_filter`] between the replica and the kernel makes writes and syncs fail or take
//! longer, on the directory itself. With either, a [`fault::Fault`] decides how requests fare, and
//! its counts are the evidence. Written files are corrupted in the same way, while no process uses
//! them.

mod backend;
mod backing;
mod calls;
mod corruption;
mod fault;
mod fuse;
mod names;
mod overlay;
mod overlay_fs;
mod seccomp_notify;
mod syscall_filter;
#[cfg(test)]
mod tests;
mod trial;
mod unsynced;

pub use backend::{BackendChoice, DiskBackend};
pub use backing::Disk;
pub use corruption::{CorruptionKind, FileCorruption};
pub use fault::{DiskCounts, Fault};
pub use overlay_fs::LostWrites;
pub use trial::{choose_backend, no_disk_faults_reason, no_power_loss_reason, try_here};
