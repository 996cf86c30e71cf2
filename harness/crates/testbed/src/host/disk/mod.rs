//! Puts a disk that can go wrong under a replica's data directory: any program's, without its knowledge.
//!
//! A [`Disk`] is one of two [`Means`]. A FUSE overlay ([`overlay`]) sees every request, and knows what was not
//! synced: it alone can lose power. Where `/dev/fuse` is closed a [`gate`] stands between the replica and
//! the kernel and lets its writes and syncs fail or take longer; what they reach is the directory itself. Either way a
//! [`fault::Fault`] decides how requests fare, and its counts are the evidence; and what a replica had written is
//! damaged in the same way, while nobody uses it.

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
mod unsynced;

use super::thread::Host;
use anyhow::{Context as _, Result, bail};
pub use damage::{Damage, Scar};
pub use fault::{Counts, Fault};
use gate::Gate;
pub use layer::Loss;
pub use means::{Choice, Means, choice, no_power_loss, try_here, unable};
use overlay::Overlay;
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
