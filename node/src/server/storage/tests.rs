//! Opens data directories that were left in every state, and checks what is believed of them.

use super::super::log::LogFormat;
use super::files::bases;
use super::*;
use crate::raft::{Entry, HardState, Membership, Payload, Position, Snapshot};
use tempfile::TempDir;

fn open_all(directory: &Path, groups: Group) -> Result<(Storage, Vec<Stored>), Unusable> {
    let log = Log::new("n1", LogFormat::Text);
    Storage::open(directory, ("n1 of n1", groups), Care::default(), &log)
}

fn open(directory: &Path) -> Result<(Storage, Stored), Unusable> {
    let (storage, mut groups) = open_all(directory, 1)?;
    Ok((storage, groups.remove(0)))
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
    let (_, stored) = Storage::open(directory.path(), ("n1 of n1", 1), blind, &log)
        .expect("it believes anything");
    assert_eq!(stored[0].entries.len(), 2);
    let Payload::Command(command) = &stored[0].entries[0].payload else { panic!("a command") };
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
        Snapshot { last, membership: Membership::from_voters(&[1, 2]), data: vec![7; 100].into() };
    let entries = (last.index + 1..=3).flat_map(|index| record(index, 1).entries).collect();
    let hard_state = Some(HardState { term: 1, voted_for: Some(2) });
    Persist { sequence: 1, hard_state, entries, snapshot: Some(snapshot), start: Some(last) }
}

fn write(group: Group, persist: Persist) -> Write {
    Write { group, persist }
}

#[test]
fn a_snapshot_takes_the_place_of_the_segments_before_it() {
    let directory = TempDir::new().expect("a directory");
    two_segments(directory.path());
    let (mut storage, _) = open(directory.path()).expect("ours");
    storage.write(vec![write(0, cut(2))]).expect("the disk has room");
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
    storage.write(vec![write(0, cut(2))]).expect("the disk has room");
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
    storage.write(vec![write(0, cut(2))]).expect("the disk has room");
    drop(storage);
    let path = directory.path().join("snapshot");
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
    let mut ends: Vec<_> = (0..5).map(|_| open(directory.path()).expect("ours").0.end).collect();
    ends.dedup();
    assert_eq!(ends.len(), 5);
}

/// What a group writes that has nothing but entry 1.
fn first() -> Persist {
    let Record { entries, .. } = record(1, 1);
    Persist { sequence: 1, hard_state: None, entries, snapshot: None, start: None }
}

#[test]
fn a_segment_stays_until_every_group_has_begun_anew_after_it() {
    let directory = TempDir::new().expect("a directory");
    let segments = || bases(directory.path()).expect("ours").len();
    let (mut storage, _) = open_all(directory.path(), 2).expect("a new log");
    storage.write(vec![write(0, first()), write(1, first())]).expect("the disk has room");
    storage.write(vec![write(0, cut(2))]).expect("the disk has room");
    assert_eq!(segments(), 2, "group 1 needs the first");
    assert_eq!((storage.held_back(1 << 20), storage.held_back(1)), (None, Some(1)));
    assert_eq!(storage.held_back(1), None, "it has been asked");
    drop(storage);
    let (mut storage, stored) = open_all(directory.path(), 2).expect("nothing is wrong with it");
    assert_eq!((stored[0].entries.len(), &stored[1].entries), (1, &first().entries));
    assert_eq!((&stored[0].snapshot, &stored[1].snapshot), (&cut(2).snapshot, &None));
    let anew = Persist { start: Some(Position::default()), ..first() };
    storage.write(vec![write(1, anew)]).expect("the disk has room");
    assert_eq!(segments(), 2, "group 0 needs the second");
    storage.write(vec![write(1, cut(1)), write(0, cut(3))]).expect("the disk has room");
    drop(storage);
    let (storage, stored) = open_all(directory.path(), 2).expect("nothing is wrong with it");
    assert_eq!((segments(), storage.needed.len()), (2, 2));
    let starts: Vec<_> = stored.iter().map(|stored| stored.start.index).collect();
    assert_eq!(starts, [3, 1]);
    assert_eq!([0, 1].map(|at: usize| stored[at].entries.len()), [0, 2]);
}
