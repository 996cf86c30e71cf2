//! Runs the write-ahead log of all groups on a thread of its own, over the files of a data
//! directory.
//!
//! The thread takes everything that waits, of all groups, and lets the [`LogStore`] write it as one
//! batch with one `fdatasync` (group commit). It reports a [`crate::raft::Persist`] only when that
//! is durable. An error of the disk ends the replica.

use super::log::Logger;
use super::metrics::Metrics;
use crate::bug::BugSet;
use crate::raft::Stored;
use crate::runtime::{Disk as _, LogStore, LogWrite, MAX_BATCH_WRITES, MAX_LOG_BYTES};
use crate::wal::GroupId;
use directory::Directory;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Instant;
use tokio::sync::mpsc;

mod directory;
#[cfg(test)]
mod tests;

/// A report of the storage thread to a group.
#[derive(Debug)]
pub(super) enum StorageReport {
    /// Every `Persist` of the group up to this one is durable.
    Durable(u64),
    /// The log is long, and only this group needs the oldest part of it.
    BlocksLog,
}

/// The queue on which each group receives its reports, or why the disk no longer works.
pub(super) type ReportSenders = Vec<mpsc::Sender<Result<StorageReport, String>>>;

/// The write-ahead log on disk, ready to be appended to.
#[derive(Debug)]
pub(super) struct Storage {
    log: LogStore<Directory>,
}

impl Storage {
    /// Locks a data directory and recovers the log of this many groups; an error is a sentence.
    pub(super) fn open(
        path: &Path,
        owner: (&str, GroupId),
        bugs: BugSet,
        log: &Logger,
    ) -> Result<(Self, Vec<Stored>), String> {
        let began = Instant::now();
        let opened = LogStore::open(Directory::lock(path)?, owner, bugs);
        let (store, recovery) = opened
            .map_err(|error| format!("cannot use data directory {}: {error}", path.display()))?;
        let (torn, end) = (recovery.torn_bytes, recovery.end);
        if torn > 0 {
            log.write_line(format_args!(
                "recovery cut a torn tail of {torn} bytes at offset {end}"
            ));
        }
        let found = describe_stored(&recovery.stored);
        let (batches, took) = (recovery.batches, began.elapsed().as_millis());
        log.write_line(format_args!(
            "recovered {batches} batches, {found} from {end} bytes in {took} ms"
        ));
        Ok((Self { log: store }, recovery.stored))
    }

    /// Where the log ends; no two starts begin at the same place.
    pub(super) fn end(&self) -> u64 {
        self.log.end()
    }

    /// Writes in order; returns when all is durable.
    fn persist_writes(&mut self, writes: Vec<LogWrite>) -> Result<(), String> {
        self.log.persist_writes(writes).map_err(|error| {
            let end = self.log.end();
            let segment = self.log.current_segment().to_owned();
            let path = self.log.disk_mut().path(&segment);
            format!("cannot write {path} at byte {end}: {error}")
        })
    }

    /// Reports what is durable to each group, or to all why the disk does not work; false: nothing
    /// more is written.
    fn send_reports(
        &mut self,
        reports: &ReportSenders,
        written: Result<BTreeMap<GroupId, u64>, String>,
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
        let received = last.into_iter().all(|(group, sequence)| {
            usize::try_from(group).is_ok_and(|group| to(group, StorageReport::Durable(sequence)))
        });
        let blocking = self.log.blocking_group(MAX_LOG_BYTES);
        received && blocking.is_none_or(|group| to(group, StorageReport::BlocksLog))
    }
}

/// Describes what was found of one group, or of all together where there are several.
fn describe_stored(stored: &[Stored]) -> String {
    let entries: usize = stored.iter().map(|stored| stored.entries.len()).sum();
    match stored {
        [Stored { start, hard_state, .. }] => {
            format!("{entries} entries after {}, term {}", start.index, hard_state.term)
        }
        groups => format!("{entries} entries of {} groups", groups.len()),
    }
}

/// Runs the storage in a thread of its own, which ends when the last sender is dropped.
pub(super) fn spawn_thread(
    mut storage: Storage,
    reports: ReportSenders,
    metrics: Arc<Metrics>,
) -> (mpsc::UnboundedSender<LogWrite>, thread::JoinHandle<()>) {
    let (sender, mut queue) = mpsc::unbounded_channel();
    let thread = thread::spawn(move || {
        let mut waiting = Vec::new();
        while queue.blocking_recv_many(&mut waiting, MAX_BATCH_WRITES) > 0 {
            let batch = std::mem::take(&mut waiting);
            let last: BTreeMap<GroupId, u64> = batch
                .iter()
                .map(|write: &LogWrite| (write.group, write.persist.sequence))
                .collect();
            let written = storage.persist_writes(batch);
            if written.is_ok() {
                metrics.count_sync();
            }
            if !storage.send_reports(&reports, written.map(|()| last)) {
                return;
            }
        }
    });
    (sender, thread)
}
