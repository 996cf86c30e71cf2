//! Keeps the write-ahead log of all groups and their snapshots on a [`Disk`].
//!
//! [`LogStore::write`] turns what waits, of all groups, into one batch and syncs once (group
//! commit). When it returns, everything it was given is durable. [`LogStore::open`] reads the log
//! back after a crash at any point between two operations of the disk.
//!
//! A group that cut its log (a snapshot, or a rewrite) begins a new segment. A segment goes when
//! every group has begun a later one. A group that never cuts its log would keep segments for ever,
//! so [`LogStore::blocking_group`] names it once the log is long.
//!
//! A write or a sync that fails must end the replica: what is on the disk is then unknown, and a
//! second `fsync` may report success for pages that the kernel has dropped (Rebello et al., *Can
//! Applications Recover from fsync Failures?*, 2020).
//!
//! | file | holds |
//! |---|---|
//! | `owner` | which replica of which cluster writes here |
//! | `OFFSET.wal` | a segment of the log, by the offset of its first byte |
//! | `snapshot`, `snapshot-GROUP` | the last snapshot of the first group, of another group |

use super::disk::{Disk, DiskError, DiskErrorKind};
use super::open_error::{OpenError, to_open_error};
use super::snapshot_file::{read_snapshot, write_snapshot};
use crate::bug::{Bug, BugSet};
use crate::raft::{Persist, Stored};
use crate::wal::{self, DecodedLog, GroupId, Record, SEGMENT_HEADER, Segment};
use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// A segment that has grown beyond this is followed by a new one.
const SEGMENT_BYTES: u64 = 16 << 20;
/// How long the log of several groups may grow before the group that blocks its end is named.
pub const MAX_LOG_BYTES: u64 = 256 << 20;
/// How many writes one batch may hold; it bounds how late the first of them is reported.
pub const MAX_BATCH_WRITES: usize = 256;

const OWNER: &str = "owner";
const NEW_OWNER: &str = "owner.new";
const SEGMENT_SUFFIX: &str = ".wal";

/// A write of one group, on its way to the disk.
#[derive(Debug)]
pub struct LogWrite {
    /// The group.
    pub group: GroupId,
    /// What must become durable.
    pub persist: Persist,
}

/// What [`LogStore::open`] found.
#[derive(Debug)]
pub struct Recovery {
    /// What each group had made durable, and perhaps a little that it had only written.
    pub stored: Vec<Stored>,
    /// How many batches were read.
    pub batches: u64,
    /// How many bytes of a torn tail were cut off.
    pub torn_bytes: u64,
    /// Where the log ended.
    pub end: u64,
}

/// The write-ahead log, ready to be appended to.
#[derive(Debug)]
pub struct LogStore<D> {
    disk: D,
    /// The offset of the last segment, and its name.
    base: u64,
    segment: String,
    /// The offset of the end of the log.
    end: u64,
    /// For each group, the base of the segment before which it needs nothing.
    needed: Vec<u64>,
    /// The group that was named last as blocking, until it has begun a segment.
    blocking: Option<usize>,
    bugs: BugSet,
}

impl<D: Disk> LogStore<D> {
    /// Reads the log of this many groups, cuts off a torn tail, and marks the start.
    pub fn open(
        mut disk: D,
        (owner, groups): (&str, GroupId),
        bugs: BugSet,
    ) -> Result<(Self, Recovery), OpenError> {
        let bases = list_bases(&disk)?;
        check_owner(&mut disk, owner, bases.is_empty())?;
        let bases = if bases.is_empty() { list_bases(&disk)? } else { bases };
        let mut recovered = recover_log(&disk, &bases, groups, bugs)?;
        for (group, stored) in (0..).zip(&mut recovered.stored) {
            stored.snapshot = read_snapshot(&disk, group, stored.start)?;
        }
        let DecodedLog { stored, needed, end, torn_bytes: torn, batches } = recovered;
        let base = cut_torn_tail(&mut disk, &bases, end).map_err(to_open_error("write", None))?;
        let end = end.max(base + SEGMENT_HEADER as u64);
        let segment = segment_name(base);
        let mut store = Self { disk, base, segment, end, needed, blocking: None, bugs };
        // Each start leaves a batch, which marks all before it and makes the log's end unlike any
        // earlier start's.
        store.append_batch(&[Record::default()]).map_err(to_open_error("write", None))?;
        // A process that was killed in the middle of a cut left segments that no group needs.
        let oldest = store.oldest_needed().1;
        store.remove_segments_before(oldest).map_err(to_open_error("write", None))?;
        Ok((store, Recovery { stored, batches, torn_bytes: torn, end }))
    }

    /// Where the log ends; no two starts begin at the same place.
    pub fn end(&self) -> u64 {
        self.end
    }

    /// The name of the segment that is written now.
    pub fn current_segment(&self) -> &str {
        &self.segment
    }

    /// The disk below.
    pub fn disk_mut(&mut self) -> &mut D {
        &mut self.disk
    }

    /// Ends the store: the process stops.
    pub fn into_disk(self) -> D {
        self.disk
    }

    /// Writes in order; returns when all is durable.
    pub fn persist_writes(&mut self, writes: Vec<LogWrite>) -> Result<(), DiskError> {
        let mut records = Vec::new();
        for LogWrite { group, persist } in writes {
            if persist.start.is_none() {
                records.push(Record::from_persist(group, persist));
                if self.bugs.contains(Bug::NoGroupCommit) {
                    self.append_batch(&core::mem::take(&mut records))?;
                }
                continue;
            }
            if !records.is_empty() {
                self.append_batch(&core::mem::take(&mut records))?;
            }
            self.cut_log(group, persist)?;
        }
        if records.is_empty() { Ok(()) } else { self.append_batch(&records) }
    }

    /// Writes a snapshot, then a segment in which the group needs nothing before it, and only then
    /// removes what no group needs: after a crash in between, one of the two can be read.
    fn cut_log(&mut self, group: GroupId, persist: Persist) -> Result<(), DiskError> {
        let snapshot = persist.snapshot.clone();
        let late = self.bugs.contains(Bug::CutBeforeSnapshot);
        if let Some(snapshot) = snapshot.as_ref().filter(|_| !late) {
            write_snapshot(&mut self.disk, group, snapshot, self.bugs)?;
        }
        self.begin_segment()?;
        self.append_batch(&[Record::from_persist(group, persist)])?;
        if let Some(snapshot) = snapshot.as_ref().filter(|_| late) {
            write_snapshot(&mut self.disk, group, snapshot, self.bugs)?;
        }
        let group = usize::try_from(group).map_err(DiskError::other)?;
        if let Some(needed) = self.needed.get_mut(group) {
            *needed = self.base;
        }
        self.blocking.take_if(|blocking| *blocking == group);
        self.remove_segments_before(self.oldest_needed().1)
    }

    /// The group that needs the oldest segment, and that segment's base.
    fn oldest_needed(&self) -> (usize, u64) {
        let bases = self.needed.iter().copied().enumerate();
        bases.min_by_key(|(_, base)| *base).unwrap_or_default()
    }

    /// The group that must cut its log so that a log of more than `longest` bytes can be shortened;
    /// each is named once.
    pub fn blocking_group(&mut self, longest: u64) -> Option<usize> {
        let (group, base) = self.oldest_needed();
        let long = self.needed.len() > 1 && self.end - base > longest;
        (long && self.blocking.is_none()).then(|| *self.blocking.insert(group))
    }

    fn begin_segment(&mut self) -> Result<(), DiskError> {
        create_segment(&mut self.disk, self.end, self.bugs)?;
        (self.base, self.segment) = (self.end, segment_name(self.end));
        self.end += SEGMENT_HEADER as u64;
        Ok(())
    }

    /// Writes the records as one batch; returns when they are durable.
    fn append_batch(&mut self, records: &[Record]) -> Result<(), DiskError> {
        if self.end - self.base >= SEGMENT_BYTES {
            self.begin_segment()?;
        }
        let batch = wal::encode_batch(records, self.end).map_err(DiskError::other)?;
        if let Err(error) = self.disk.append(&self.segment, &batch) {
            return filter_error(self.bugs, error);
        }
        if !self.bugs.contains(Bug::NoFsync) {
            let synced = self.disk.sync_data(&self.segment);
            synced.or_else(|error| filter_error(self.bugs, error))?;
        }
        self.end += batch.len() as u64;
        Ok(())
    }

    /// Removes segments, the oldest first, each durably before the next: what is left has no gap.
    fn remove_segments_before(&mut self, base: u64) -> Result<(), DiskError> {
        for old in segment_bases(self.disk.list()?).into_iter().filter(|old| *old < base) {
            self.disk.remove(&segment_name(old))?;
            sync_names(&mut self.disk, self.bugs)?;
        }
        Ok(())
    }
}

/// Success, if a seeded bug ignores the error.
fn filter_error(bugs: BugSet, error: DiskError) -> Result<(), DiskError> {
    let ignored = match error.kind {
        DiskErrorKind::Io => bugs.contains(Bug::IgnoreIoError),
        DiskErrorKind::Full => bugs.contains(Bug::IgnoreFullDisk),
        DiskErrorKind::Other => false,
    };
    if ignored { Ok(()) } else { Err(error) }
}

/// The name of the segment that begins at this offset of the log.
fn segment_name(base: u64) -> String {
    format!("{base:020}{SEGMENT_SUFFIX}")
}

/// The bases of the segments among these files, in order.
fn segment_bases(names: Vec<String>) -> Vec<u64> {
    let base = |name: &String| name.strip_suffix(SEGMENT_SUFFIX)?.parse().ok();
    let mut bases: Vec<u64> = names.iter().filter_map(base).collect();
    bases.sort_unstable();
    bases
}

fn list_bases(disk: &impl Disk) -> Result<Vec<u64>, OpenError> {
    disk.list().map(segment_bases).map_err(to_open_error("list the files", None))
}

/// Refuses a directory that another member wrote, and one whose log has disappeared.
fn check_owner(disk: &mut impl Disk, owner: &str, empty: bool) -> Result<(), OpenError> {
    let found = disk.read(OWNER).map_err(to_open_error("read", Some(disk.path(OWNER))))?;
    match found {
        Some(found) if *found != *owner.as_bytes() => {
            let found = String::from_utf8_lossy(&found).into_owned();
            Err(OpenError::ForeignOwner { found, owner: owner.into() })
        }
        Some(_) if empty => Err(OpenError::LogMissing),
        Some(_) => Ok(()),
        None => create_first(disk, owner, empty).map_err(to_open_error("write", None)),
    }
}

/// Creates the first segment before it signs the directory: a signature promises that there is a
/// log, and that it can be found.
fn create_first(disk: &mut impl Disk, owner: &str, empty: bool) -> Result<(), DiskError> {
    disk.sync_ancestors()?;
    if empty {
        create_segment(disk, 0, BugSet::default())?;
    }
    disk.create(NEW_OWNER)?;
    disk.append(NEW_OWNER, owner.as_bytes())?;
    disk.sync(NEW_OWNER)?;
    disk.rename(NEW_OWNER, OWNER)?;
    disk.sync_directory()
}

/// Creates a segment whose header and name are durable.
fn create_segment(disk: &mut impl Disk, base: u64, bugs: BugSet) -> Result<(), DiskError> {
    let name = segment_name(base);
    disk.create(&name)?;
    disk.append(&name, &wal::segment_header(base))?;
    disk.sync(&name)?;
    sync_names(disk, bugs)
}

/// Makes the names of files durable.
fn sync_names(disk: &mut impl Disk, bugs: BugSet) -> Result<(), DiskError> {
    if bugs.contains(Bug::SkipDirectorySync) { Ok(()) } else { disk.sync_directory() }
}

/// Decodes the log that these segments hold.
fn recover_log(
    disk: &impl Disk,
    bases: &[u64],
    groups: GroupId,
    bugs: BugSet,
) -> Result<DecodedLog, OpenError> {
    let mut segments: Vec<(u64, Cow<'_, [u8]>)> = Vec::new();
    for base in bases {
        let name = segment_name(*base);
        let bytes = disk.read(&name).map_err(to_open_error("read", Some(disk.path(&name))))?;
        segments.push((*base, bytes.unwrap_or_default()));
    }
    let views: Vec<_> =
        segments.iter().map(|(base, bytes)| Segment { base: *base, bytes }).collect();
    if bugs.contains(Bug::TrustDisk) {
        return Ok(wal::decode_unverified(&views, groups));
    }
    if bugs.contains(Bug::CutAtDamage) {
        return Ok(wal::decode_until_damage(&views, groups));
    }
    let decoded = wal::decode_segments(&views, groups).and_then(|log| {
        let fatal = log.torn_bytes > 0 && bugs.contains(Bug::TornTailFatal);
        if fatal { Err(wal::describe_torn_tail(&views, &log)) } else { Ok(log) }
    });
    decoded.map_err(|refusal| {
        let segment = disk.path(&segment_name(refusal.segment));
        OpenError::Damaged { segment, refusal }
    })
}

/// Cuts off what lies behind the end of the log; the base of its last segment.
fn cut_torn_tail(disk: &mut impl Disk, bases: &[u64], end: u64) -> Result<u64, DiskError> {
    let last = bases.iter().rev().copied().find(|base| *base < end);
    // The only segment is emptied in place: a directory with an owner and no segment is refused.
    let is_left = |base: &u64| *base < end || (*base == end && last.is_none());
    for base in bases.iter().rev().filter(|base| !is_left(base)) {
        disk.remove(&segment_name(*base))?;
    }
    let Some(last) = last else {
        return create_segment(disk, end, BugSet::default()).map(|()| end);
    };
    let name = segment_name(last);
    disk.truncate(&name, end - last)?;
    disk.sync(&name)?;
    disk.sync_directory()?;
    Ok(last)
}

#[cfg(test)]
mod crash_tests;
#[cfg(test)]
mod tests;
