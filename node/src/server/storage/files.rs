//! Reads, makes and removes the files of a data directory: each is there whole, with a name that is durable, or not
//! at all.
//!
//! | file | holds |
//! |---|---|
//! | `lock` | nothing; whoever has it locked owns the directory |
//! | `owner` | which replica of which cluster writes here |
//! | `OFFSET.wal` | a segment of the log, by the offset of its first byte |
//! | `snapshot`, `snapshot-GROUP` | the last snapshot of the first group, of another group |

use super::{REPLACE, Unusable};
use crate::raft::{Position, Snapshot};
use crate::wal::{self, Group, Segment};
use nix::fcntl::{Flock, FlockArg};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

pub(super) fn segment_path(directory: &Path, base: u64) -> PathBuf {
    directory.join(format!("{base:020}.wal"))
}

/// The file of a group's last snapshot.
fn snapshot_path(directory: &Path, group: Group) -> PathBuf {
    match group {
        0 => directory.join("snapshot"),
        group => directory.join(format!("snapshot-{group}")),
    }
}

/// Puts a snapshot in the place of the group's last one, at once or not at all.
pub(super) fn write_snapshot(
    directory: &Path,
    group: Group,
    snapshot: &Snapshot,
    sync: bool,
) -> io::Result<()> {
    let temporary = directory.join("snapshot.new");
    let mut file = File::create(&temporary)?;
    file.write_all(&wal::encode_snapshot(snapshot))?;
    if sync {
        file.sync_all()?;
    }
    fs::rename(temporary, snapshot_path(directory, group))?;
    if sync { sync_directory(directory) } else { Ok(()) }
}

/// A group's last snapshot, which must be there where the log does not begin at its beginning.
pub(super) fn read_snapshot(
    directory: &Path,
    group: Group,
    start: Position,
) -> Result<Option<Snapshot>, Unusable> {
    let path = snapshot_path(directory, group);
    let snapshot = match fs::read(&path) {
        Ok(bytes) => Some(wal::decode_snapshot(&bytes).ok_or_else(|| {
            Unusable(format!("snapshot {} is damaged; {REPLACE}", path.display()))
        })?),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(Unusable::cannot("read", &path, &error)),
    };
    let last = snapshot.as_ref().map_or(0, |snapshot| snapshot.last.index);
    if last < start.index {
        return Err(Unusable(format!(
            "the log in {} begins after entry {}, but its snapshot ends at {last}; {REPLACE}",
            directory.display(),
            start.index
        )));
    }
    Ok(snapshot)
}

/// Removes what a segment has made superfluous, the oldest first: what is left has no gap.
pub(super) fn remove_segments_before(directory: &Path, base: u64) -> io::Result<()> {
    for old in bases(directory)?.into_iter().filter(|old| *old < base) {
        fs::remove_file(segment_path(directory, old))?;
        sync_directory(directory)?;
    }
    Ok(())
}

/// The bases of all segments, in order.
pub(super) fn bases(directory: &Path) -> io::Result<Vec<u64>> {
    let names = fs::read_dir(directory)?.map(|entry| Ok(entry?.file_name()));
    let names = names.collect::<io::Result<Vec<_>>>()?;
    let base = |name: &std::ffi::OsString| name.to_str()?.strip_suffix(".wal")?.parse().ok();
    let mut bases: Vec<u64> = names.iter().filter_map(base).collect();
    bases.sort_unstable();
    Ok(bases)
}

/// Makes the names of a directory and of its ancestors durable, whoever made them: an earlier start
/// may have died before it did.
///
/// Those that this process must not read it cannot have made.
fn sync_names(directory: &Path) -> io::Result<()> {
    let directory = directory.canonicalize()?;
    for place in directory.ancestors() {
        match sync_directory(place) {
            Err(error) if place != directory && is_foreign(&error) => {}
            result => result?,
        }
    }
    Ok(())
}

fn is_foreign(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidInput, PermissionDenied, ReadOnlyFilesystem, Unsupported};
    matches!(error.kind(), PermissionDenied | ReadOnlyFilesystem | InvalidInput | Unsupported)
}

/// Keeps every other process out of the directory.
pub(super) fn lock(directory: &Path) -> Result<Flock<File>, Unusable> {
    let path = directory.join("lock");
    let file = OpenOptions::new().create(true).append(true).open(&path);
    let file = file.map_err(|error| Unusable::cannot("open", &path, &error))?;
    Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, error)| {
        Unusable(format!(
            "data directory {} is in use by another replica ({error}); \
             stop it, or give --data another directory",
            directory.display()
        ))
    })
}

/// Refuses a directory that another member wrote, and one whose log has disappeared.
pub(super) fn check_owner(directory: &Path, owner: &str, empty: bool) -> Result<(), Unusable> {
    let path = directory.join("owner");
    match fs::read_to_string(&path) {
        Ok(found) if found != owner => Err(Unusable(format!(
            "data directory {} belongs to {found}, not to {owner}; \
             give --id, --peers or --data as they were",
            directory.display()
        ))),
        Ok(_) if empty => Err(Unusable(format!(
            "write-ahead log in {} is gone, and with it what this replica promised; {REPLACE}",
            directory.display()
        ))),
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            create_first(directory, owner, empty)
                .map_err(|error| Unusable::cannot("write to", directory, &error))
        }
        Err(error) => Err(Unusable::cannot("read", &path, &error)),
    }
}

/// Makes the first segment before it signs the directory: a signature promises that there is a log,
/// and that it can be found.
fn create_first(directory: &Path, owner: &str, empty: bool) -> io::Result<()> {
    sync_names(directory)?;
    if empty {
        create_segment(directory, 0)?;
    }
    let temporary = directory.join("owner.new");
    let mut file = File::create(&temporary)?;
    file.write_all(owner.as_bytes())?;
    file.sync_all()?;
    fs::rename(temporary, directory.join("owner"))?;
    sync_directory(directory)
}

/// Every segment of the directory with its base, in order.
pub(super) fn read_segments(directory: &Path) -> Result<Vec<(u64, Vec<u8>)>, Unusable> {
    let bases = bases(directory).map_err(|error| Unusable::cannot("list", directory, &error))?;
    let read = |base| {
        let path = segment_path(directory, base);
        let bytes = fs::read(&path).map_err(|error| Unusable::cannot("read", &path, &error))?;
        Ok((base, bytes))
    };
    bases.into_iter().map(read).collect()
}

/// Cuts off what lies behind the end of the log and opens its last segment.
pub(super) fn resume(
    directory: &Path,
    segments: &[Segment<'_>],
    end: u64,
) -> Result<(u64, File), Unusable> {
    let cut = || {
        for segment in segments.iter().rev().filter(|segment| segment.base >= end) {
            fs::remove_file(segment_path(directory, segment.base))?;
        }
        match segments.iter().rev().find(|segment| segment.base < end) {
            Some(last) => {
                let file = open_segment(directory, last.base)?;
                file.set_len(end - last.base)?;
                file.sync_all()?;
                sync_directory(directory)?;
                Ok((last.base, file))
            }
            None => Ok((end, create_segment(directory, end)?)),
        }
    };
    cut().map_err(|error| Unusable::cannot("write to", directory, &error))
}

fn open_segment(directory: &Path, base: u64) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).open(segment_path(directory, base))
}

/// Makes a segment whose header and name are durable.
pub(super) fn create_segment(directory: &Path, base: u64) -> io::Result<File> {
    let mut file = open_segment(directory, base)?;
    file.set_len(0)?;
    file.write_all(&wal::segment_header(base))?;
    file.sync_all()?;
    sync_directory(directory)?;
    Ok(file)
}

fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}
