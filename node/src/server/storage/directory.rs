//! Implements the runtime's [`Disk`] over the files of a data directory, which one process owns at
//! a time.

use crate::runtime::{Disk, DiskError, DiskErrorKind};
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use std::borrow::Cow;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// A data directory that this process has locked.
#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
    /// The file that was written last: a sync must go through the handle that wrote, because the
    /// kernel reports a failed write-back to the handles that are open (fsync(2)).
    written: Option<(String, File)>,
    _lock: Flock<File>,
}

impl Directory {
    /// Creates the directory where it is missing, and keeps every other process out of it.
    pub(super) fn lock(path: &Path) -> Result<Self, String> {
        let cannot = |action: &str, path: &Path, error: &io::Error| {
            format!("cannot {action} {}: {error}", path.display())
        };
        fs::create_dir_all(path).map_err(|error| cannot("create", path, &error))?;
        let lock = path.join("lock");
        let file = OpenOptions::new().create(true).append(true).open(&lock);
        let file = file.map_err(|error| cannot("open", &lock, &error))?;
        let lock = Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, error)| {
            format!(
                "data directory {} is in use by another replica ({error}); \
                 stop it, or give --data another directory",
                path.display()
            )
        })?;
        Ok(Self { path: path.to_owned(), written: None, _lock: lock })
    }

    fn open_for_append(&mut self, name: &str) -> io::Result<&mut File> {
        if self.written.as_ref().is_none_or(|(open, _)| open != name) {
            let file = OpenOptions::new().append(true).create(true).open(self.path.join(name))?;
            self.written = Some((name.to_owned(), file));
        }
        let (_, file) = self.written.as_mut().expect("it was opened above");
        Ok(file)
    }
}

impl Disk for Directory {
    fn path(&self, name: &str) -> String {
        self.path.join(name).display().to_string()
    }

    fn list(&self) -> Result<Vec<String>, DiskError> {
        let names = fs::read_dir(&self.path)
            .and_then(|entries| entries.map(|entry| Ok(entry?.file_name())).collect());
        let names: Vec<std::ffi::OsString> = names.map_err(disk_error)?;
        Ok(names.into_iter().filter_map(|name| name.into_string().ok()).collect())
    }

    fn read(&self, name: &str) -> Result<Option<Cow<'_, [u8]>>, DiskError> {
        match fs::read(self.path.join(name)) {
            Ok(bytes) => Ok(Some(Cow::Owned(bytes))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(disk_error(error)),
        }
    }

    fn create(&mut self, name: &str) -> Result<(), DiskError> {
        self.open_for_append(name).and_then(|file| file.set_len(0)).map_err(disk_error)
    }

    fn append(&mut self, name: &str, bytes: &[u8]) -> Result<(), DiskError> {
        self.open_for_append(name).and_then(|file| file.write_all(bytes)).map_err(disk_error)
    }

    fn truncate(&mut self, name: &str, length: u64) -> Result<(), DiskError> {
        self.open_for_append(name).and_then(|file| file.set_len(length)).map_err(disk_error)
    }

    fn sync(&mut self, name: &str) -> Result<(), DiskError> {
        self.open_for_append(name).and_then(|file| file.sync_all()).map_err(disk_error)
    }

    fn sync_data(&mut self, name: &str) -> Result<(), DiskError> {
        self.open_for_append(name).and_then(|file| file.sync_data()).map_err(disk_error)
    }

    fn sync_directory(&mut self) -> Result<(), DiskError> {
        sync_directory(&self.path).map_err(disk_error)
    }

    /// An earlier start may have died before it made the names durable that it created. A directory
    /// that this process may not read cannot have been created by it.
    fn sync_ancestors(&mut self) -> Result<(), DiskError> {
        let directory = self.path.canonicalize().map_err(disk_error)?;
        for ancestor in directory.ancestors() {
            match sync_directory(ancestor) {
                Err(error) if ancestor != directory && is_foreign(&error) => {}
                result => result.map_err(disk_error)?,
            }
        }
        Ok(())
    }

    fn rename(&mut self, from: &str, to: &str) -> Result<(), DiskError> {
        self.written.take_if(|(name, _)| name == from || name == to);
        fs::rename(self.path.join(from), self.path.join(to)).map_err(disk_error)
    }

    fn remove(&mut self, name: &str) -> Result<(), DiskError> {
        self.written.take_if(|(written, _)| written == name);
        fs::remove_file(self.path.join(name)).map_err(disk_error)
    }
}

fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

fn is_foreign(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidInput, PermissionDenied, ReadOnlyFilesystem, Unsupported};
    matches!(error.kind(), PermissionDenied | ReadOnlyFilesystem | InvalidInput | Unsupported)
}

fn disk_error(error: io::Error) -> DiskError {
    let kind = match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::EIO) => DiskErrorKind::Io,
        Some(Errno::ENOSPC) => DiskErrorKind::Full,
        _ => DiskErrorKind::Other,
    };
    DiskError { kind, reason: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_keep_their_kind() {
        let kind = |errno: Errno| disk_error(io::Error::from_raw_os_error(errno as i32)).kind;
        assert_eq!(kind(Errno::EIO), DiskErrorKind::Io);
        assert_eq!(kind(Errno::ENOSPC), DiskErrorKind::Full);
        assert_eq!(kind(Errno::EACCES), DiskErrorKind::Other);
        assert_eq!(disk_error(io::Error::other("no number")).kind, DiskErrorKind::Other);
    }
}
