//! Harms the disks that replicas write to: they lose power, fail, fill up, stall or forget.
//!
//! All of it goes through a [`Disk`], which counts what it did; those counts are the evidence.

mod damaging;
mod failing;
mod power_loss;

use super::ground::Slot;
use anyhow::{Context as _, Result};
pub(super) use damaging::{BIT_ROT, LOST_WRITE, MISDIRECTED_WRITE, TRUNCATE};
pub(super) use failing::{DISK_ERROR, DISK_FULL, SLOW_DISK};
pub(super) use power_loss::PowerLoss;
use testbed::host::disk::Disk;

fn disk_of(slot: &Slot) -> Result<&Disk> {
    slot.disk.as_ref().context("it has no disk that can fail")
}
