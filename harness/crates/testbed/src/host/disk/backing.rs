//! Puts a disk that can fail under a directory, by either backend.

use super::damage::{self, Damage, Scar};
use super::fault::{Counts, Fault};
use super::gate::Gate;
use super::layer::Loss;
use super::means::Means;
use super::overlay::Overlay;
use crate::host::thread::Host;
use anyhow::{Context as _, Result, bail};
use std::path::Path;

/// A disk under a directory. It must go after the replica that writes to it.
pub struct Disk(Backing);

enum Backing {
    Overlay(Overlay),
    Gate(Gate),
}

impl Disk {
    /// Makes a directory and what can go wrong with it, as far as it is used by what that host starts from now on.
    pub fn make(means: Means, host: &Host, path: &Path) -> Result<Self> {
        let backing = match means {
            Means::Overlay => Backing::Overlay(Overlay::mount(path)?),
            Means::Gate => Backing::Gate(Gate::stand(host, path)?),
        };
        Ok(Self(backing))
    }

    /// Changes what is wrong with it, and counts from zero again; what it did until then.
    pub fn set(&self, fault: Fault) -> Counts {
        match &self.0 {
            Backing::Overlay(overlay) => overlay.switch().set(fault),
            Backing::Gate(gate) => gate.set(fault),
        }
    }

    /// What it did since its fault last changed.
    pub fn counts(&self) -> Counts {
        match &self.0 {
            Backing::Overlay(overlay) => overlay.switch().counts(),
            Backing::Gate(gate) => gate.counts(),
        }
    }

    /// Damages what is on it, if there is anything to damage. Whoever used it must be dead.
    pub fn damage(&mut self, damage: Damage, dice: u64) -> Result<Option<Scar>> {
        let scar = self.unused(|directory| damage::inflict(directory, damage, dice));
        scar.context("nothing there can be damaged")
    }

    /// Gives back what was damaged, if it is as it was left, and says whether it was. Whoever used it must be dead.
    pub fn heal(&mut self, scar: &Scar) -> Result<bool> {
        self.unused(|_| damage::heal(scar)).context("what was damaged cannot be given back")
    }

    /// Does something with what it keeps, while nobody uses it.
    fn unused<T>(&mut self, work: impl FnOnce(&Path) -> std::io::Result<T>) -> Result<T> {
        match &mut self.0 {
            Backing::Overlay(overlay) => overlay.unmounted(work),
            Backing::Gate(gate) => Ok(work(gate.directory())?),
        }
    }

    /// How many bytes were ever written to it, where it can lose power.
    pub fn written(&self) -> u64 {
        match &self.0 {
            Backing::Overlay(overlay) => overlay.switch().written(),
            Backing::Gate(_) => 0,
        }
    }

    /// Whether it is holding a sync.
    pub fn is_holding(&self) -> bool {
        matches!(&self.0, Backing::Overlay(overlay) if overlay.switch().is_holding())
    }

    /// Loses what was not synced, but for the first so many thousandths of each file's unsynced writes. Whoever used
    /// it must be dead. Afterwards it is whole.
    pub fn lose(&mut self, thousandths: u64) -> Result<Loss> {
        match &mut self.0 {
            Backing::Overlay(overlay) => overlay.lose(thousandths),
            Backing::Gate(_) => bail!("nobody knows what was not synced; this is a bug"),
        }
    }
}
