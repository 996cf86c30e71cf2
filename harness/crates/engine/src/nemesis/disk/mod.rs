//! Disk faults: power loss, failing and full disks, slow syncs, corruption.
//!
//! All of them go through a [`testbed::host::disk::Disk`], which counts what it did; those counts
//! are the evidence.

mod corruption;
mod io_faults;
mod power_loss;

pub(super) use corruption::{BIT_ROT, LOST_WRITE, MISDIRECTED_WRITE, TRUNCATE};
pub(super) use io_faults::{DISK_ERROR, DISK_FULL, SLOW_DISK};
pub(super) use power_loss::PowerLoss;
