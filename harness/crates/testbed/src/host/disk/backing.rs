//! Puts a disk that can fail under a directory, by either backend.

use super::backend::DiskBackend;
use super::damage::{self, Damage, Scar};
use super::fault::{Counts, Fault};
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
    pub fn make(backend: DiskBackend, host: &Host, path: &Path) -> Result<Self> {
        let backing = match backend {
            DiskBackend::Overlay => Backing::Overlay(Overlay::mount(path)?),
            DiskBackend::Seccomp => Backing::Seccomp(SyscallFilter::stand(host, path)?),
        };
        Ok(Self(backing))
    }

    /// Changes what is wrong with it, and counts from zero again; what it did until then.
    pub fn set(&self, fault: Fault) -> Counts {
        match &self.0 {
            Backing::Overlay(overlay) => overlay.switch().set(fault),
            Backing::Seccomp(gate) => gate.set(fault),
        }
    }

    /// What it did since its fault last changed.
    pub fn counts(&self) -> Counts {
        match &self.0 {
            Backing::Overlay(overlay) => overlay.switch().counts(),
            Backing::Seccomp(gate) => gate.counts(),
        }
    }

    /// Corrupts a file, if there is one. Every process that used the disk must be dead.
    pub fn damage(&mut self, damage: Damage, dice: u64) -> Result<Option<Scar>> {
        let scar = self.unused(|directory| damage::inflict(directory, damage, dice));
        scar.context("nothing there can be damaged")
    }

    /// Repairs the corruption if it is unchanged, and returns whether it was. Every process that
    /// used the disk must be dead.
    pub fn heal(&mut self, scar: &Scar) -> Result<bool> {
        self.unused(|_| damage::heal(scar)).context("what was damaged cannot be given back")
    }

    /// Works on the directory while no process uses it.
    fn unused<T>(&mut self, work: impl FnOnce(&Path) -> std::io::Result<T>) -> Result<T> {
        match &mut self.0 {
            Backing::Overlay(overlay) => overlay.unmounted(work),
            Backing::Seccomp(gate) => Ok(work(gate.directory())?),
        }
    }

    /// How many bytes were ever written to it, where it can lose power.
    pub fn written(&self) -> u64 {
        match &self.0 {
            Backing::Overlay(overlay) => overlay.switch().written(),
            Backing::Seccomp(_) => 0,
        }
    }

    /// Whether it is holding a sync.
    pub fn is_holding(&self) -> bool {
        matches!(&self.0, Backing::Overlay(overlay) if overlay.switch().is_holding())
    }

    /// Loses unsynced data, but for the first so many thousandths of each file's unsynced writes.
    /// Every process that used it must be dead. Afterwards the disk works.
    pub fn lose(&mut self, thousandths: u64) -> Result<LostWrites> {
        match &mut self.0 {
            Backing::Overlay(overlay) => overlay.lose(thousandths),
            Backing::Seccomp(_) => bail!("this disk does not track unsynced data; this is a bug"),
        }
    }
}
