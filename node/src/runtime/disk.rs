//! Defines what the runtime needs of a disk: one flat directory of files, with separate calls for
//! what a crash may undo and for what makes it durable.
//!
//! The calls block. The server implements them over real files and makes them on its storage
//! thread; [`super::MemoryDisk`] implements them over vectors, and can lose power in between.

use alloc::borrow::{Cow, ToOwned};
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

/// A directory of files.
///
/// Contents and names become durable separately, as POSIX has it: [`Disk::sync`] makes the bytes of
/// a file durable, [`Disk::sync_directory`] the names (created, renamed, removed).
pub trait Disk {
    /// Where a file is, for messages to people.
    fn path(&self, name: &str) -> String {
        name.to_owned()
    }

    /// Lists the names of all files, in any order.
    fn list(&self) -> Result<Vec<String>, DiskError>;

    /// Reads a whole file; `None` if there is no file of that name.
    fn read(&self, name: &str) -> Result<Option<Cow<'_, [u8]>>, DiskError>;

    /// Creates an empty file, or empties the one of that name.
    fn create(&mut self, name: &str) -> Result<(), DiskError>;

    /// Appends to a file; creates it where it is missing.
    fn append(&mut self, name: &str, bytes: &[u8]) -> Result<(), DiskError>;

    /// Cuts a file off after this many bytes.
    fn truncate(&mut self, name: &str, length: u64) -> Result<(), DiskError>;

    /// Makes the contents and the metadata of a file durable (`fsync`).
    fn sync(&mut self, name: &str) -> Result<(), DiskError>;

    /// Makes the contents of a file durable (`fdatasync`).
    fn sync_data(&mut self, name: &str) -> Result<(), DiskError> {
        self.sync(name)
    }

    /// Makes the names in the directory durable.
    fn sync_directory(&mut self) -> Result<(), DiskError>;

    /// Makes the name of the directory itself durable, and those of its ancestors.
    fn sync_ancestors(&mut self) -> Result<(), DiskError> {
        self.sync_directory()
    }

    /// Renames a file, in the place of another one if there is one; atomic.
    fn rename(&mut self, from: &str, to: &str) -> Result<(), DiskError>;

    /// Removes a file.
    fn remove(&mut self, name: &str) -> Result<(), DiskError>;
}

/// The kinds of disk errors that a seeded bug may ignore.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskErrorKind {
    /// The device failed (`EIO`).
    Io,
    /// The device is full (`ENOSPC`).
    Full,
    /// Anything else.
    Other,
}

/// An operation on a disk that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskError {
    /// Its kind.
    pub kind: DiskErrorKind,
    /// The reason that the operating system gives.
    pub reason: String,
}

impl DiskError {
    /// An error of no particular kind.
    pub fn other(reason: impl ToString) -> Self {
        Self { kind: DiskErrorKind::Other, reason: reason.to_string() }
    }
}

impl fmt::Display for DiskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl core::error::Error for DiskError {}

/// A disk that is lent: it outlives the store that writes to it.
impl<D: Disk> Disk for &mut D {
    fn path(&self, name: &str) -> String {
        (**self).path(name)
    }

    fn list(&self) -> Result<Vec<String>, DiskError> {
        (**self).list()
    }

    fn read(&self, name: &str) -> Result<Option<Cow<'_, [u8]>>, DiskError> {
        (**self).read(name)
    }

    fn create(&mut self, name: &str) -> Result<(), DiskError> {
        (**self).create(name)
    }

    fn append(&mut self, name: &str, bytes: &[u8]) -> Result<(), DiskError> {
        (**self).append(name, bytes)
    }

    fn truncate(&mut self, name: &str, length: u64) -> Result<(), DiskError> {
        (**self).truncate(name, length)
    }

    fn sync(&mut self, name: &str) -> Result<(), DiskError> {
        (**self).sync(name)
    }

    fn sync_data(&mut self, name: &str) -> Result<(), DiskError> {
        (**self).sync_data(name)
    }

    fn sync_directory(&mut self) -> Result<(), DiskError> {
        (**self).sync_directory()
    }

    fn sync_ancestors(&mut self) -> Result<(), DiskError> {
        (**self).sync_ancestors()
    }

    fn rename(&mut self, from: &str, to: &str) -> Result<(), DiskError> {
        (**self).rename(from, to)
    }

    fn remove(&mut self, name: &str) -> Result<(), DiskError> {
        (**self).remove(name)
    }
}
