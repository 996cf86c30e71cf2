//! Simulates a disk that loses power: what was not synced may be gone, may be torn, may be there.
//!
//! The model is what POSIX promises and no more. Appended bytes survive up to any point after the
//! last sync of their file. Changes of names (create, rename, remove) survive as a prefix of those
//! since the last sync of the directory, whether or not the file itself was synced. A truncation
//! that was not synced happened or did not.

use super::disk::{Disk, DiskError};
use alloc::borrow::{Cow, ToOwned};
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

type FileId = u64;

/// A disk in memory.
#[derive(Clone, Debug, Default)]
pub struct MemoryDisk {
    files: BTreeMap<FileId, MemoryFile>,
    next: FileId,
    /// The names as programs see them.
    names: BTreeMap<String, FileId>,
    /// The names that survive a loss of power.
    durable_names: BTreeMap<String, FileId>,
    /// What was done to names since they were last synced.
    unsynced_names: Vec<NameChange>,
    /// How many operations succeed before power fails.
    budget: Option<u64>,
    /// The error of every write and sync, where the device fails.
    failure: Option<DiskError>,
}

#[derive(Clone, Debug, Default)]
struct MemoryFile {
    bytes: Vec<u8>,
    /// How many of the bytes survive a loss of power.
    durable: usize,
    /// The durable bytes that a truncation cut off which was not synced.
    cut: Vec<u8>,
}

#[derive(Clone, Debug)]
enum NameChange {
    Create(String, FileId),
    Rename(String, String),
    Remove(String),
}

impl MemoryDisk {
    /// Lets only this many more operations happen: power fails in the middle of those that follow.
    /// They return an error, and the caller must stop.
    pub fn fail_after(&mut self, operations: u64) {
        self.budget = Some(operations);
    }

    /// Lets every write and sync fail, or work again.
    pub fn set_failure(&mut self, failure: Option<DiskError>) {
        self.failure = failure;
    }

    /// How many bytes a loss of power could take away.
    pub fn unsynced_bytes(&self) -> usize {
        self.files.values().map(|file| file.bytes.len() - file.durable).sum()
    }

    /// Loses power and gets it back. `draw(n)` decides how much of what was not synced survives: a
    /// number of `0 .. n`.
    pub fn lose_power(&mut self, draw: &mut dyn FnMut(u64) -> u64) {
        self.budget = None;
        if !self.unsynced_names.is_empty() {
            let changes = core::mem::take(&mut self.unsynced_names);
            let survive = draw_up_to(draw, changes.len());
            for change in changes.into_iter().take(survive) {
                change.apply_to(&mut self.durable_names);
            }
            self.names.clone_from(&self.durable_names);
        }
        let names = &self.names;
        self.files.retain(|id, _| names.values().any(|used| used == id));
        for file in self.files.values_mut() {
            file.lose_power(draw);
        }
    }

    /// Flips one bit of a file; false: the file has no such byte.
    pub fn flip_bit(&mut self, name: &str, byte: usize, bit: u8) -> bool {
        let file = self.names.get(name).and_then(|id| self.files.get_mut(id));
        let found = file.and_then(|file| file.bytes.get_mut(byte));
        found.map(|byte| *byte ^= 1 << (bit % 8)).is_some()
    }

    /// Spends one operation of the budget.
    fn spend_budget(&mut self) -> Result<(), DiskError> {
        if let Some(left) = &mut self.budget {
            *left = left.checked_sub(1).ok_or_else(|| DiskError::other("power failed"))?;
        }
        self.failure.clone().map_or(Ok(()), Err)
    }

    fn change_names(&mut self, change: NameChange) {
        change.clone().apply_to(&mut self.names);
        self.unsynced_names.push(change);
    }

    fn file_mut(&mut self, name: &str) -> Result<&mut MemoryFile, DiskError> {
        let file = self.names.get(name).and_then(|id| self.files.get_mut(id));
        file.ok_or_else(|| DiskError::other("no such file"))
    }

    fn create_if_missing(&mut self, name: &str) {
        if !self.names.contains_key(name) {
            self.next += 1;
            self.files.insert(self.next, MemoryFile::default());
            self.change_names(NameChange::Create(name.to_owned(), self.next));
        }
    }
}

/// A number of `0 ..= most`.
fn draw_up_to(draw: &mut dyn FnMut(u64) -> u64, most: usize) -> usize {
    usize::try_from(draw(most as u64 + 1)).map_or(most, |drawn| drawn.min(most))
}

impl NameChange {
    fn apply_to(self, names: &mut BTreeMap<String, FileId>) {
        match self {
            Self::Create(name, id) => drop(names.insert(name, id)),
            Self::Rename(from, to) => {
                if let Some(id) = names.remove(&from) {
                    names.insert(to, id);
                }
            }
            Self::Remove(name) => drop(names.remove(&name)),
        }
    }
}

impl MemoryFile {
    fn truncate(&mut self, length: usize) {
        if length < self.durable {
            let mut cut = self.bytes[length..self.durable].to_vec();
            cut.append(&mut self.cut);
            self.cut = cut;
            self.durable = length;
        }
        self.bytes.truncate(length);
    }

    fn lose_power(&mut self, draw: &mut dyn FnMut(u64) -> u64) {
        if !self.cut.is_empty() && draw(2) == 0 {
            self.bytes.truncate(self.durable);
            self.bytes.append(&mut self.cut);
        } else if self.bytes.len() > self.durable {
            let survive = draw_up_to(draw, self.bytes.len() - self.durable);
            self.bytes.truncate(self.durable + survive);
        }
        self.cut.clear();
        self.durable = self.bytes.len();
    }
}

impl Disk for MemoryDisk {
    fn list(&self) -> Result<Vec<String>, DiskError> {
        Ok(self.names.keys().cloned().collect())
    }

    fn read(&self, name: &str) -> Result<Option<Cow<'_, [u8]>>, DiskError> {
        let file = self.names.get(name).and_then(|id| self.files.get(id));
        Ok(file.map(|file| Cow::Borrowed(file.bytes.as_slice())))
    }

    fn create(&mut self, name: &str) -> Result<(), DiskError> {
        self.spend_budget()?;
        self.create_if_missing(name);
        self.file_mut(name).map(|file| file.truncate(0))
    }

    fn append(&mut self, name: &str, bytes: &[u8]) -> Result<(), DiskError> {
        self.spend_budget()?;
        self.create_if_missing(name);
        self.file_mut(name).map(|file| file.bytes.extend_from_slice(bytes))
    }

    fn truncate(&mut self, name: &str, length: u64) -> Result<(), DiskError> {
        self.spend_budget()?;
        let length = usize::try_from(length).map_err(DiskError::other)?;
        self.file_mut(name).map(|file| file.truncate(length))
    }

    fn sync(&mut self, name: &str) -> Result<(), DiskError> {
        self.spend_budget()?;
        let file = self.file_mut(name)?;
        file.durable = file.bytes.len();
        file.cut.clear();
        Ok(())
    }

    fn sync_directory(&mut self) -> Result<(), DiskError> {
        self.spend_budget()?;
        for change in core::mem::take(&mut self.unsynced_names) {
            change.apply_to(&mut self.durable_names);
        }
        Ok(())
    }

    fn rename(&mut self, from: &str, to: &str) -> Result<(), DiskError> {
        self.spend_budget()?;
        self.file_mut(from)?;
        self.change_names(NameChange::Rename(from.to_owned(), to.to_owned()));
        Ok(())
    }

    fn remove(&mut self, name: &str) -> Result<(), DiskError> {
        self.spend_budget()?;
        self.file_mut(name)?;
        self.change_names(NameChange::Remove(name.to_owned()));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contents(disk: &MemoryDisk, name: &str) -> Option<Vec<u8>> {
        disk.read(name).expect("memory can be read").map(Cow::into_owned)
    }

    /// A draw that lets everything survive, or nothing.
    fn survives(all: bool) -> impl FnMut(u64) -> u64 {
        move |n| if all { n - 1 } else { 0 }
    }

    #[test]
    fn synced_bytes_survive_and_the_rest_may_be_torn() {
        let mut disk = MemoryDisk::default();
        disk.append("a", b"one").expect("room");
        disk.sync("a").expect("it works");
        disk.sync_directory().expect("it works");
        disk.append("a", b"two").expect("room");
        let mut torn = disk.clone();
        disk.lose_power(&mut survives(false));
        assert_eq!(contents(&disk, "a"), Some(b"one".to_vec()));
        torn.lose_power(&mut |n| n / 2);
        assert_eq!(contents(&torn, "a"), Some(b"onetw".to_vec()));
    }

    #[test]
    fn a_name_survives_only_with_its_directory() {
        let mut disk = MemoryDisk::default();
        disk.append("a", b"one").expect("room");
        disk.sync("a").expect("it works");
        disk.lose_power(&mut survives(false));
        assert_eq!(contents(&disk, "a"), None);
    }

    #[test]
    fn a_rename_replaces_a_file_whole_or_not_at_all() {
        let mut disk = MemoryDisk::default();
        for (name, bytes) in [("old", b"old"), ("new", b"new")] {
            disk.append(name, bytes).expect("room");
            disk.sync(name).expect("it works");
        }
        disk.sync_directory().expect("it works");
        disk.rename("new", "old").expect("both exist");
        let mut kept = disk.clone();
        disk.lose_power(&mut survives(false));
        assert_eq!(contents(&disk, "old"), Some(b"old".to_vec()));
        kept.lose_power(&mut survives(true));
        assert_eq!(contents(&kept, "old"), Some(b"new".to_vec()));
        assert_eq!(contents(&kept, "new"), None);
    }

    #[test]
    fn an_unsynced_truncation_may_be_undone() {
        let mut disk = MemoryDisk::default();
        disk.append("a", b"abcdef").expect("room");
        disk.sync("a").expect("it works");
        disk.sync_directory().expect("it works");
        disk.truncate("a", 2).expect("it works");
        let mut kept = disk.clone();
        disk.lose_power(&mut survives(false));
        assert_eq!(contents(&disk, "a"), Some(b"abcdef".to_vec()));
        kept.lose_power(&mut survives(true));
        assert_eq!(contents(&kept, "a"), Some(b"ab".to_vec()));
    }

    #[test]
    fn power_fails_between_two_operations() {
        let mut disk = MemoryDisk::default();
        disk.fail_after(1);
        disk.append("a", b"one").expect("the budget allows one");
        disk.sync("a").expect_err("power has failed");
        disk.lose_power(&mut survives(true));
        assert_eq!(contents(&disk, "a"), Some(b"one".to_vec()));
        disk.append("a", b"two").expect("power is back");
    }
}
