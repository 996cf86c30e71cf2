//! Owns the write-ahead log of all groups: one thread writes it, and reports a [`Persist`] only when
//! it is durable.
//!
//! The thread takes everything that waits, whosever it is, writes it as one batch and calls
//! `fdatasync` once (group commit). A segment goes when every group has begun anew after it; a group
//! with so little to do that it never does is asked to, once the log has become long. A write or sync that fails ends the replica: what is on the disk is then unknown, and
//! trying again would lie.

use super::log::Log;
use super::metrics::Metrics;
use crate::raft::{Persist, Stored};
use crate::wal::{self, Group, Record, Refusal, SEGMENT_HEADER, Segment};
use files::{check_owner, lock, read_segments, read_snapshot, resume, segment_path};
use nix::errno::Errno;
use nix::fcntl::Flock;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;
use std::{fmt, thread};
use tokio::sync::mpsc;

mod files;
#[cfg(test)]
mod tests;

/// A segment that has grown beyond this is followed by a new one.
const SEGMENT_BYTES: u64 = 16 << 20;
/// How long the log of several groups may become before one that holds it back is asked to begin anew.
const LONGEST_LOG: u64 = 256 << 20;
/// How many `Persist`s one batch may hold; it bounds how late the first of them is reported.
const BATCH_RECORDS: usize = 256;

/// What to do about a log that is not what it was.
const REPLACE: &str = "restore the data directory, or put a new replica in the place of this one, \
                       with an empty directory and a new name";

/// Why the data directory cannot be used; always a whole sentence.
#[derive(Debug)]
pub(super) struct Unusable(String);

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Unusable {
    fn cannot(action: &str, path: &Path, error: &io::Error) -> Self {
        Self(format!("cannot {action} {}: {error}", path.display()))
    }

    fn damaged(directory: &Path, refusal: &Refusal) -> Self {
        Self(format!(
            "write-ahead log {} is {refusal}; {REPLACE}",
            segment_path(directory, refusal.segment).display()
        ))
    }
}

/// How a disk is treated; anything but the default is a bug.
#[derive(Clone, Copy, Debug)]
pub(super) struct Care {
    /// Whether what is written must be durable before it is reported.
    pub(super) sync: bool,
    /// The error that is taken for success.
    pub(super) forgiven: Option<Errno>,
    /// Whether what a start finds is checked.
    pub(super) check: bool,
}

impl Default for Care {
    fn default() -> Self {
        Self { sync: true, forgiven: None, check: true }
    }
}

impl Care {
    /// Nothing, if the error is forgiven.
    fn forgive(self, error: io::Error) -> io::Result<()> {
        let forgiven = self.forgiven.map(|errno| errno as i32);
        if forgiven.is_some() && error.raw_os_error() == forgiven { Ok(()) } else { Err(error) }
    }
}

/// What a group's brain wants made durable.
#[derive(Debug)]
pub(super) struct Write {
    pub(super) group: Group,
    pub(super) persist: Persist,
}

/// What a group hears of the disk.
#[derive(Debug)]
pub(super) enum Report {
    /// Every `Persist` of the group up to this one is durable.
    Durable(u64),
    /// The log is long, and only this group needs the oldest part of it.
    HoldsBack,
}

/// Where each group hears of the disk: what is durable, or why nothing is any more.
pub(super) type Reports = Vec<mpsc::Sender<Result<Report, String>>>;

/// The write-ahead log on disk, ready to be appended to.
#[derive(Debug)]
pub(super) struct Storage {
    directory: PathBuf,
    file: File,
    base: u64,
    end: u64,
    /// The base of the segment before which a group needs nothing.
    needed: Vec<u64>,
    /// The group that was asked to begin anew.
    asked: Option<usize>,
    care: Care,
    _lock: Flock<File>,
}

impl Storage {
    /// Takes possession of a data directory, reads the log of so many groups and cuts a torn tail.
    pub(super) fn open(
        directory: &Path,
        (owner, groups): (&str, Group),
        care: Care,
        log: &Log,
    ) -> Result<(Self, Vec<Stored>), Unusable> {
        let began = Instant::now();
        fs::create_dir_all(directory).map_err(|e| Unusable::cannot("create", directory, &e))?;
        let lock = lock(directory)?;
        let segments = read_segments(directory)?;
        check_owner(directory, owner, segments.is_empty())?;
        let views: Vec<_> =
            segments.iter().map(|(base, bytes)| Segment { base: *base, bytes }).collect();
        let recovered = if care.check {
            wal::decode(&views, groups).map_err(|r| Unusable::damaged(directory, &r))?
        } else {
            wal::decode_blindly(&views, groups)
        };
        if recovered.torn > 0 {
            let (torn, end) = (recovered.torn, recovered.end);
            log.line(format_args!("recovery cut a torn tail of {torn} bytes at offset {end}"));
        }
        let mut stored = recovered.stored;
        for (group, stored) in (0..).zip(&mut stored) {
            stored.snapshot = read_snapshot(directory, group, stored.start)?;
        }
        let (base, file) = resume(directory, &views, recovered.end)?;
        let end = recovered.end.max(base + SEGMENT_HEADER as u64);
        let found = describe(&stored);
        let (batches, took) = (recovered.batches, began.elapsed().as_millis());
        log.line(format_args!(
            "recovered {batches} batches, {found} from {end} bytes in {took} ms"
        ));
        let (directory, needed) = (directory.to_owned(), recovered.needed);
        let mut storage =
            Self { directory, file, base, end, needed, asked: None, care, _lock: lock };
        // Each start leaves a batch, which marks all before it and makes the log's end unlike any
        // earlier start's.
        storage
            .append(&[Record::default()])
            .map_err(|error| Unusable::cannot("write to", &storage.directory, &error))?;
        Ok((storage, stored))
    }

    /// Where the log ends; no two starts begin at the same place.
    pub(super) fn end(&self) -> u64 {
        self.end
    }

    /// Writes in order and waits until all is durable.
    fn write(&mut self, waiting: Vec<Write>) -> io::Result<()> {
        let mut records = Vec::new();
        for Write { group, persist } in waiting {
            if persist.start.is_none() {
                records.push(Record::of(group, persist));
                continue;
            }
            if !records.is_empty() {
                self.append(&std::mem::take(&mut records))?;
            }
            self.begin_anew(group, persist)?;
        }
        if records.is_empty() { Ok(()) } else { self.append(&records) }
    }

    /// Writes a snapshot, then a segment in which the group needs nothing before it, and only then
    /// removes what no group needs: whenever this is broken off, one of the two can be read.
    fn begin_anew(&mut self, group: Group, persist: Persist) -> io::Result<()> {
        if let Some(snapshot) = &persist.snapshot {
            files::write_snapshot(&self.directory, group, snapshot, self.care.sync)?;
        }
        self.begin_segment()?;
        self.append(&[Record::of(group, persist)])?;
        let group = usize::try_from(group).map_err(io::Error::other)?;
        if let Some(needed) = self.needed.get_mut(group) {
            *needed = self.base;
        }
        self.asked.take_if(|asked| *asked == group);
        files::remove_segments_before(&self.directory, self.oldest().1)
    }

    /// The group that needs the oldest segment, and that segment's base.
    fn oldest(&self) -> (usize, u64) {
        let bases = self.needed.iter().copied().enumerate();
        bases.min_by_key(|(_, base)| *base).unwrap_or_default()
    }

    /// The group that holds a long log back, when it has not been asked to begin anew.
    fn held_back(&mut self, longest: u64) -> Option<usize> {
        let (group, base) = self.oldest();
        let long = self.needed.len() > 1 && self.end - base > longest;
        (long && self.asked.is_none()).then(|| *self.asked.insert(group))
    }

    fn begin_segment(&mut self) -> io::Result<()> {
        self.file = files::create_segment(&self.directory, self.end)?;
        self.base = self.end;
        self.end += SEGMENT_HEADER as u64;
        Ok(())
    }

    /// Writes the records as one batch and waits until they are durable.
    fn append(&mut self, records: &[Record]) -> io::Result<()> {
        if self.end - self.base >= SEGMENT_BYTES {
            self.begin_segment()?;
        }
        let batch = wal::encode_batch(records, self.end).map_err(io::Error::other)?;
        if let Err(error) = self.file.write_all(&batch) {
            return self.care.forgive(error);
        }
        if self.care.sync {
            self.file.sync_data().or_else(|error| self.care.forgive(error))?;
        }
        self.end += batch.len() as u64;
        Ok(())
    }
}

/// What was found of each group, or of all together where there are several.
fn describe(stored: &[Stored]) -> String {
    let entries: usize = stored.iter().map(|stored| stored.entries.len()).sum();
    match stored {
        [Stored { start, hard_state, .. }] => {
            format!("{entries} entries after {}, term {}", start.index, hard_state.term)
        }
        groups => format!("{entries} entries of {} groups", groups.len()),
    }
}

/// Runs the storage in a thread of its own, which ends when the last sender is dropped.
pub(super) fn spawn(
    mut storage: Storage,
    reports: Reports,
    metrics: Arc<Metrics>,
) -> (mpsc::UnboundedSender<Write>, thread::JoinHandle<()>) {
    let (sender, mut queue) = mpsc::unbounded_channel();
    let thread = thread::spawn(move || {
        let mut waiting = Vec::new();
        while queue.blocking_recv_many(&mut waiting, BATCH_RECORDS) > 0 {
            let batch = std::mem::take(&mut waiting);
            let last: BTreeMap<Group, u64> =
                batch.iter().map(|write: &Write| (write.group, write.persist.sequence)).collect();
            let written = storage.write(batch).map_err(|error| {
                let path = segment_path(&storage.directory, storage.base);
                format!("cannot write {} at byte {}: {error}", path.display(), storage.end)
            });
            if written.is_ok() {
                metrics.synced();
            }
            if !tell(&mut storage, &reports, written.map(|()| last)) {
                return;
            }
        }
    });
    (sender, thread)
}

/// Tells each group what is durable now, or all why nothing is any more; false: that is the end.
fn tell(
    storage: &mut Storage,
    reports: &Reports,
    written: Result<BTreeMap<Group, u64>, String>,
) -> bool {
    let last = match written {
        Ok(last) => last,
        Err(why) => {
            for group in reports {
                let _ = group.blocking_send(Err(why.clone()));
            }
            return false;
        }
    };
    let to = |group: usize, report| {
        reports.get(group).is_some_and(|group| group.blocking_send(Ok(report)).is_ok())
    };
    let heard = last.into_iter().all(|(group, sequence)| {
        usize::try_from(group).is_ok_and(|group| to(group, Report::Durable(sequence)))
    });
    let back = storage.held_back(LONGEST_LOG);
    heard && back.is_none_or(|group| to(group, Report::HoldsBack))
}
