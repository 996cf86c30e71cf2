//! Reads and replaces the snapshot file of a group: it is there whole, or as it was before.

use super::disk::{Disk, DiskError};
use super::open_error::{OpenError, to_open_error};
use crate::bug::{Bug, BugSet};
use crate::raft::{Position, Snapshot};
use crate::wal::{self, GroupId};
use alloc::borrow::Cow;
use alloc::format;

const SNAPSHOT: &str = "snapshot";
const NEW_SNAPSHOT: &str = "snapshot.new";

/// The file of a group's last snapshot.
fn file_name(group: GroupId) -> Cow<'static, str> {
    match group {
        0 => Cow::Borrowed(SNAPSHOT),
        group => Cow::Owned(format!("{SNAPSHOT}-{group}")),
    }
}

/// Replaces the group's last snapshot. The rename must not become durable before the contents: a
/// crash would leave an empty snapshot in the place of a whole one.
pub(super) fn write_snapshot(
    disk: &mut impl Disk,
    group: GroupId,
    snapshot: &Snapshot,
    bugs: BugSet,
) -> Result<(), DiskError> {
    let (name, sync) = (file_name(group), !bugs.contains(Bug::NoFsync));
    let in_place = bugs.contains(Bug::SnapshotInPlace);
    let written = if in_place { name.as_ref() } else { NEW_SNAPSHOT };
    disk.create(written)?;
    disk.append(written, &wal::encode_snapshot(snapshot))?;
    if sync {
        disk.sync(written)?;
    }
    if !in_place {
        disk.rename(written, &name)?;
    }
    let sync_names = sync && !bugs.contains(Bug::SkipDirectorySync);
    if sync_names { disk.sync_directory() } else { Ok(()) }
}

/// Reads a group's last snapshot, which must be there where the log begins after `start`.
pub(super) fn read_snapshot(
    disk: &impl Disk,
    group: GroupId,
    start: Position,
) -> Result<Option<Snapshot>, OpenError> {
    let name = file_name(group);
    let bytes = disk.read(&name).map_err(to_open_error("read", Some(disk.path(&name))))?;
    let damaged = || OpenError::SnapshotDamaged { file: disk.path(&name) };
    let snapshot = bytes.map(|bytes| wal::decode_snapshot(&bytes).ok_or_else(damaged));
    let snapshot = snapshot.transpose()?;
    let last = snapshot.as_ref().map_or(0, |snapshot| snapshot.last.index);
    if last < start.index {
        return Err(OpenError::SnapshotMissing { start: start.index, last });
    }
    Ok(snapshot)
}
