//! Owns the files of the write-ahead log: one thread writes them, and reports a [`Persist`] only
//! when it is durable.
//!
//! The thread takes everything that waits, writes it as one batch and calls `fdatasync` once (group
//! commit). A write or sync that fails ends the replica: what is on the disk is then unknown, and
//! trying again would lie.

use super::log::Log;
use crate::raft::{Persist, Position, Snapshot, Stored};
use crate::wal::{self, Record, Refusal, SEGMENT_HEADER, Segment};
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;
use std::{fmt, thread};
use tokio::sync::mpsc;

/// A segment that has grown beyond this is followed by a new one.
const SEGMENT_BYTES: u64 = 16 << 20;
/// The file of the last snapshot, and the one in which the next is written.
const SNAPSHOT: &str = "snapshot";
const NEXT_SNAPSHOT: &str = "snapshot.new";
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

/// The write-ahead log on disk, ready to be appended to.
#[derive(Debug)]
pub(super) struct Storage {
    directory: PathBuf,
    file: File,
    base: u64,
    end: u64,
    care: Care,
    _lock: Flock<File>,
}

impl Storage {
    /// Takes possession of a data directory, reads its log and cuts a torn tail.
    pub(super) fn open(
        directory: &Path,
        owner: &str,
        care: Care,
        log: &Log,
    ) -> Result<(Self, Stored), Unusable> {
        let began = Instant::now();
        fs::create_dir_all(directory).map_err(|e| Unusable::cannot("create", directory, &e))?;
        let lock = lock(directory)?;
        let segments = read_segments(directory)?;
        check_owner(directory, owner, segments.is_empty())?;
        let views: Vec<_> =
            segments.iter().map(|(base, bytes)| Segment { base: *base, bytes }).collect();
        let recovered = if care.check {
            wal::decode(&views).map_err(|r| Unusable::damaged(directory, &r))?
        } else {
            wal::decode_blindly(&views)
        };
        if recovered.torn > 0 {
            let (torn, end) = (recovered.torn, recovered.end);
            log.line(format_args!("recovery cut a torn tail of {torn} bytes at offset {end}"));
        }
        let mut stored = recovered.stored;
        stored.snapshot = read_snapshot(directory, stored.start)?;
        let (base, file) = resume(directory, &views, recovered.end)?;
        let end = recovered.end.max(base + SEGMENT_HEADER as u64);
        log.line(format_args!(
            "recovered {} batches, {} entries after {}, term {} from {} bytes in {} ms",
            recovered.batches,
            stored.entries.len(),
            stored.start.index,
            stored.hard_state.term,
            end,
            began.elapsed().as_millis()
        ));
        let mut storage =
            Self { directory: directory.to_owned(), file, base, end, care, _lock: lock };
        // Each start leaves a batch, which marks all before it and makes the log's end unlike any
        // earlier start's.
        storage
            .append(&[Record::default()])
            .map_err(|error| Unusable::cannot("write to", directory, &error))?;
        Ok((storage, stored))
    }

    /// Where the log ends; no two starts begin at the same place.
    pub(super) fn end(&self) -> u64 {
        self.end
    }

    /// Writes in order and waits until all is durable.
    fn write(&mut self, waiting: Vec<Persist>) -> io::Result<()> {
        let mut records = Vec::new();
        for persist in waiting {
            if persist.start.is_none() {
                records.push(Record::from(persist));
                continue;
            }
            if !records.is_empty() {
                self.append(&std::mem::take(&mut records))?;
            }
            self.begin_anew(persist)?;
        }
        if records.is_empty() { Ok(()) } else { self.append(&records) }
    }

    /// Writes a snapshot, then a segment that needs nothing before it, and only then removes what
    /// was before: whenever this is broken off, one of the two can be read.
    fn begin_anew(&mut self, persist: Persist) -> io::Result<()> {
        if let Some(snapshot) = &persist.snapshot {
            write_snapshot(&self.directory, snapshot, self.care.sync)?;
        }
        self.begin_segment()?;
        self.append(&[Record::from(persist)])?;
        remove_segments_before(&self.directory, self.base)
    }

    fn begin_segment(&mut self) -> io::Result<()> {
        self.file = create_segment(&self.directory, self.end)?;
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

/// Runs the storage in a thread of its own, which ends when the sender is dropped.
pub(super) fn spawn(
    mut storage: Storage,
    reports: mpsc::Sender<Result<u64, String>>,
) -> (mpsc::UnboundedSender<Persist>, thread::JoinHandle<()>) {
    let (sender, mut queue) = mpsc::unbounded_channel();
    let thread = thread::spawn(move || {
        let mut waiting = Vec::new();
        while queue.blocking_recv_many(&mut waiting, BATCH_RECORDS) > 0 {
            let sequence = waiting.last().map_or(0, |persist: &Persist| persist.sequence);
            let result = storage.write(std::mem::take(&mut waiting)).map_err(|error| {
                let path = segment_path(&storage.directory, storage.base);
                format!("cannot write {} at byte {}: {error}", path.display(), storage.end)
            });
            let failed = result.is_err();
            if reports.blocking_send(result.map(|()| sequence)).is_err() || failed {
                return;
            }
        }
    });
    (sender, thread)
}

fn segment_path(directory: &Path, base: u64) -> PathBuf {
    directory.join(format!("{base:020}.wal"))
}

/// Puts a snapshot in the place of the last one, at once or not at all.
fn write_snapshot(directory: &Path, snapshot: &Snapshot, sync: bool) -> io::Result<()> {
    let temporary = directory.join(NEXT_SNAPSHOT);
    let mut file = File::create(&temporary)?;
    file.write_all(&wal::encode_snapshot(snapshot))?;
    if sync {
        file.sync_all()?;
    }
    fs::rename(temporary, directory.join(SNAPSHOT))?;
    if sync { sync_directory(directory) } else { Ok(()) }
}

/// The last snapshot, which must be there where the log does not begin at its beginning.
fn read_snapshot(directory: &Path, start: Position) -> Result<Option<Snapshot>, Unusable> {
    let path = directory.join(SNAPSHOT);
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
fn remove_segments_before(directory: &Path, base: u64) -> io::Result<()> {
    for old in bases(directory)?.into_iter().filter(|old| *old < base) {
        fs::remove_file(segment_path(directory, old))?;
        sync_directory(directory)?;
    }
    Ok(())
}

/// The bases of all segments, in order.
fn bases(directory: &Path) -> io::Result<Vec<u64>> {
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
fn lock(directory: &Path) -> Result<Flock<File>, Unusable> {
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
fn check_owner(directory: &Path, owner: &str, empty: bool) -> Result<(), Unusable> {
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
fn read_segments(directory: &Path) -> Result<Vec<(u64, Vec<u8>)>, Unusable> {
    let bases = bases(directory).map_err(|error| Unusable::cannot("list", directory, &error))?;
    let read = |base| {
        let path = segment_path(directory, base);
        let bytes = fs::read(&path).map_err(|error| Unusable::cannot("read", &path, &error))?;
        Ok((base, bytes))
    };
    bases.into_iter().map(read).collect()
}

/// Cuts off what lies behind the end of the log and opens its last segment.
fn resume(directory: &Path, segments: &[Segment<'_>], end: u64) -> Result<(u64, File), Unusable> {
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
fn create_segment(directory: &Path, base: u64) -> io::Result<File> {
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

#[cfg(test)]
mod tests {
    use super::super::log::LogFormat;
    use super::*;
    use crate::raft::{Entry, HardState, Membership, Payload};
    use tempfile::TempDir;

    fn open(directory: &Path) -> Result<(Storage, Stored), Unusable> {
        Storage::open(directory, "n1 of n1", Care::default(), &Log::new("n1", LogFormat::Text))
    }

    fn record(index: u64, size: usize) -> Record {
        let payload = Payload::Command(vec![7; size]);
        Record { entries: vec![Entry { term: 1, index, payload }], ..Record::default() }
    }

    #[test]
    fn only_who_looks_at_checksums_notices_a_flipped_bit() {
        let directory = TempDir::new().expect("a directory");
        let (mut storage, _) = open(directory.path()).expect("a new log");
        storage.append(&[record(1, 100)]).expect("the disk has room");
        storage.append(&[record(2, 100)]).expect("the disk has room");
        drop(storage);
        let path = segment_path(directory.path(), 0);
        let mut bytes = fs::read(&path).expect("the log");
        let inside = bytes.windows(2).position(|pair| pair == [7, 7]).expect("the first entry") + 9;
        bytes[inside] ^= 1;
        fs::write(&path, bytes).expect("the disk has room");
        let refused = open(directory.path()).expect_err("what was durable is damaged");
        assert!(refused.to_string().contains("is damaged"), "{refused}");
        let blind = Care { check: false, ..Care::default() };
        let log = Log::new("n1", LogFormat::Text);
        let (_, stored) =
            Storage::open(directory.path(), "n1 of n1", blind, &log).expect("it believes anything");
        assert_eq!(stored.entries.len(), 2);
        let Payload::Command(command) = &stored.entries[0].payload else { panic!("a command") };
        assert!(command.contains(&6), "it holds what was flipped");
    }

    #[test]
    fn only_the_error_that_is_named_is_taken_for_success() {
        let careless = Care { forgiven: Some(Errno::EIO), ..Care::default() };
        let error = |errno: Errno| io::Error::from_raw_os_error(errno as i32);
        assert!(careless.forgive(error(Errno::EIO)).is_ok());
        assert!(careless.forgive(error(Errno::ENOSPC)).is_err());
        assert!(careless.forgive(io::Error::other("no number")).is_err());
        assert!(Care::default().forgive(error(Errno::EIO)).is_err());
        assert!(Care::default().forgive(io::Error::other("no number")).is_err());
    }

    /// A log of three large entries in two segments; gives the base of the second.
    fn two_segments(directory: &Path) -> u64 {
        let (mut storage, _) = open(directory).expect("a new log");
        for index in 1..=3 {
            storage.append(&[record(index, 9 << 20)]).expect("the disk has room");
        }
        storage.base
    }

    #[test]
    fn a_log_goes_on_in_a_new_segment() {
        let directory = TempDir::new().expect("a directory");
        let second = two_segments(directory.path());
        assert!(second > SEGMENT_BYTES && segment_path(directory.path(), second).exists());
        let (mut storage, stored) = open(directory.path()).expect("nothing is wrong with it");
        assert_eq!((storage.base, stored.entries.len()), (second, 3));
        storage.append(&[record(2, 1)]).expect("the disk has room");
        drop(storage);
        let (_, stored) = open(directory.path()).expect("nothing is wrong with it");
        assert_eq!(stored.entries[1..], record(2, 1).entries);
    }

    #[test]
    fn a_segment_without_its_header_is_torn_and_one_that_is_missing_is_refused() {
        let directory = TempDir::new().expect("a directory");
        let second = segment_path(directory.path(), two_segments(directory.path()));
        File::options().write(true).open(&second).and_then(|file| file.set_len(7)).expect("ours");
        let (_, stored) = open(directory.path()).expect("a torn tail");
        assert_eq!(stored.entries.len(), 2);

        assert!(second.exists(), "the start has left its batch there");
        fs::remove_file(segment_path(directory.path(), 0)).expect("ours");
        let refusal = open(directory.path()).expect_err("the first segment is gone").to_string();
        assert!(refusal.contains("is damaged at byte 0"), "{refusal}");
    }

    /// A snapshot up to entry `last`, and the entries after it up to 3.
    fn cut(last: u64) -> Persist {
        let last = Position { term: 1, index: last };
        let snapshot =
            Snapshot { last, membership: Membership::of(&[1, 2]), data: vec![7; 100].into() };
        let entries = (last.index + 1..=3).flat_map(|index| record(index, 1).entries).collect();
        let hard_state = Some(HardState { term: 1, voted_for: Some(2) });
        Persist { sequence: 1, hard_state, entries, snapshot: Some(snapshot), start: Some(last) }
    }

    #[test]
    fn a_snapshot_takes_the_place_of_the_segments_before_it() {
        let directory = TempDir::new().expect("a directory");
        two_segments(directory.path());
        let (mut storage, _) = open(directory.path()).expect("ours");
        storage.write(vec![cut(2)]).expect("the disk has room");
        storage.append(&[record(4, 1)]).expect("the disk has room");
        assert_eq!(bases(directory.path()).expect("ours"), [storage.base]);
        drop(storage);
        let (_, stored) = open(directory.path()).expect("nothing is wrong with it");
        assert_eq!((stored.snapshot, Some(stored.start)), (cut(2).snapshot, cut(2).start));
        assert_eq!(stored.hard_state, HardState { term: 1, voted_for: Some(2) });
        let indices: Vec<_> = stored.entries.iter().map(|entry| entry.index).collect();
        assert_eq!(indices, [3, 4]);
    }

    #[test]
    fn a_cut_that_is_broken_off_loses_nothing() {
        let directory = TempDir::new().expect("a directory");
        let second = two_segments(directory.path());
        let kept: Vec<_> = bases(directory.path())
            .expect("ours")
            .into_iter()
            .map(|base| (base, fs::read(segment_path(directory.path(), base)).expect("ours")))
            .collect();
        let (mut storage, before) = open(directory.path()).expect("ours");
        storage.write(vec![cut(2)]).expect("the disk has room");
        let third = storage.base;
        drop(storage);
        // Not all old segments are gone: those that are there are not read.
        fs::write(segment_path(directory.path(), second), &kept[1].1).expect("ours");
        let (_, stored) = open(directory.path()).expect("the new segment needs none of them");
        assert_eq!((stored.start.index, stored.entries.len()), (2, 1));
        // The snapshot is there, the segment is not, and all old ones are.
        fs::remove_file(segment_path(directory.path(), third)).expect("ours");
        fs::write(segment_path(directory.path(), 0), &kept[0].1).expect("ours");
        let (_, stored) = open(directory.path()).expect("the old log is whole");
        assert_eq!((stored.start, stored.entries), (Position::default(), before.entries));
        assert_eq!(stored.snapshot, cut(2).snapshot);
    }

    #[test]
    fn a_snapshot_that_is_damaged_or_gone_is_not_done_without() {
        let directory = TempDir::new().expect("a directory");
        let (mut storage, _) = open(directory.path()).expect("ours");
        storage.append(&[record(1, 1), record(2, 1)]).expect("the disk has room");
        storage.write(vec![cut(2)]).expect("the disk has room");
        drop(storage);
        let path = directory.path().join(SNAPSHOT);
        let mut bytes = fs::read(&path).expect("ours");
        bytes[40] ^= 1;
        fs::write(&path, &bytes).expect("ours");
        let refusal = open(directory.path()).expect_err("a bit has flipped").to_string();
        assert!(refusal.contains("is damaged"), "{refusal}");
        fs::remove_file(&path).expect("ours");
        let refusal = open(directory.path()).expect_err("it is gone").to_string();
        assert!(refusal.contains("begins after entry 2"), "{refusal}");
    }

    #[test]
    fn no_two_starts_end_at_the_same_place() {
        let directory = TempDir::new().expect("a directory");
        let mut ends: Vec<_> =
            (0..5).map(|_| open(directory.path()).expect("ours").0.end).collect();
        ends.dedup();
        assert_eq!(ends.len(), 5);
    }
}
