//! Puts a disk that can fail under a directory, by either backend.

use super::backend::DiskBackend;
use super::corruption::{self, CorruptionKind, FileCorruption};
use super::fault::{DiskCounts, Fault};
use super::overlay::Overlay;
use super::overlay_fs::LostWrites;
use super::syscall_filter::SyscallFilter;
use crate::host::thread::Host;
use anyhow::{Context as _, Result, bail};
use std::path::Path;

/// A disk under a directory. It must go after the replica that writes to it.
pub struct Disk(Backing);

enum Backing {
    Overlay(Overlay),
    Seccomp(SyscallFilter),
}

impl Disk {
    /// Makes a directory whose disk faults affect all processes that this host starts from now on.
    pub fn set_up(backend: DiskBackend, host: &Host, path: &Path) -> Result<Self> {
        let backing = match backend {
            DiskBackend::Overlay => Backing::Overlay(Overlay::mount(path)?),
            DiskBackend::Seccomp => Backing::Seccomp(SyscallFilter::install_on(host, path)?),
        };
        Ok(Self(backing))
    }

    /// Changes what is wrong with it, and counts from zero again; what it did until then.
    pub fn set_fault(&self, fault: Fault) -> DiskCounts {
        match &self.0 {
            Backing::Overlay(overlay) => overlay.injector().set_fault(fault),
            Backing::Seccomp(filter) => filter.set_fault(fault),
        }
    }

    /// What it did since its fault last changed.
    pub fn counts(&self) -> DiskCounts {
        match &self.0 {
            Backing::Overlay(overlay) => overlay.injector().counts(),
            Backing::Seccomp(filter) => filter.counts(),
        }
    }

    /// Corrupts a file, if there is one. Every process that used the disk must be dead.
    pub fn corrupt_file(
        &mut self,
        kind: CorruptionKind,
        random: u64,
    ) -> Result<Option<FileCorruption>> {
        let corruption =
            self.while_unused(|directory| corruption::corrupt_file(directory, kind, random));
        corruption.context("nothing there can be damaged")
    }

    /// Repairs the corruption if it is unchanged, and returns whether it was. Every process that
    /// used the disk must be dead.
    pub fn repair_file(&mut self, corruption: &FileCorruption) -> Result<bool> {
        self.while_unused(|_| corruption::repair_file(corruption))
            .context("what was damaged cannot be given back")
    }

    /// Works on the directory while no process uses it.
    fn while_unused<T>(&mut self, work: impl FnOnce(&Path) -> std::io::Result<T>) -> Result<T> {
        match &mut self.0 {
            Backing::Overlay(overlay) => overlay.while_unmounted(work),
            Backing::Seccomp(filter) => Ok(work(filter.directory())?),
        }
    }

    /// How many bytes were ever written to it, where it can lose power.
    pub fn written_bytes(&self) -> u64 {
        match &self.0 {
            Backing::Overlay(overlay) => overlay.injector().written_bytes(),
            Backing::Seccomp(_) => 0,
        }
    }

    /// Whether it is holding a sync.
    pub fn is_holding_sync(&self) -> bool {
        matches!(&self.0, Backing::Overlay(overlay) if overlay.injector().is_holding_sync())
    }

    /// Loses unsynced data, but for the first so many thousandths of each file's unsynced writes.
    /// Every process that used it must be dead. Afterwards the disk works.
    pub fn lose_unsynced(&mut self, thousandths: u64) -> Result<LostWrites> {
        match &mut self.0 {
            Backing::Overlay(overlay) => overlay.lose_unsynced(thousandths),
            Backing::Seccomp(_) => bail!("this disk does not track unsynced data; this is a bug"),
        }
    }
}
