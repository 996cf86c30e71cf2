//! Opens disks that were left in every state, and checks what is recovered and what is refused.

use super::*;
use crate::raft::{Entry, HardState, Membership, Payload, Position, Snapshot};
use crate::runtime::MemoryDisk;

type MemoryLogStore = LogStore<MemoryDisk>;

fn open_groups(
    disk: MemoryDisk,
    groups: GroupId,
) -> Result<(MemoryLogStore, Vec<Stored>), OpenError> {
    let opened = LogStore::open(disk, ("n1 of n1", groups), BugSet::default());
    opened.map(|(store, recovery)| (store, recovery.stored))
}

fn open_store(disk: MemoryDisk) -> Result<(MemoryLogStore, Stored), OpenError> {
    let (store, mut groups) = open_groups(disk, 1)?;
    Ok((store, groups.remove(0)))
}

fn new_store() -> MemoryLogStore {
    open_store(MemoryDisk::default()).expect("a new log").0
}

fn make_record(index: u64, size: usize) -> Record {
    let payload = Payload::Command(vec![7; size]);
    Record { entries: vec![Entry { term: 1, index, payload }], ..Record::default() }
}

fn read_file(store: &MemoryLogStore, name: &str) -> Vec<u8> {
    store.disk.read(name).expect("memory can be read").expect("the file").into_owned()
}

/// Puts these bytes in the place of a file's.
fn replace_file(disk: &mut MemoryDisk, name: &str, bytes: &[u8]) {
    disk.create(name).and_then(|()| disk.append(name, bytes)).expect("the disk has room");
}

fn list_segment_bases(store: &MemoryLogStore) -> Vec<u64> {
    segment_bases(store.disk.list().expect("memory can be read"))
}

#[test]
fn only_checksums_notice_a_flipped_bit() {
    let mut store = new_store();
    store.append_batch(&[make_record(1, 100)]).expect("the disk has room");
    store.append_batch(&[make_record(2, 100)]).expect("the disk has room");
    let bytes = read_file(&store, &segment_name(0));
    let inside = bytes.windows(2).position(|pair| pair == [7, 7]).expect("the first entry") + 9;
    let mut disk = store.into_disk();
    assert!(disk.flip_bit(&segment_name(0), inside, 0));
    let refused = open_store(disk.clone()).expect_err("what was durable is damaged");
    assert!(refused.to_string().contains("is damaged"), "{refused}");
    let blind = BugSet::from([Bug::TrustDisk]);
    let (_, recovery) = LogStore::open(disk, ("n1 of n1", 1), blind).expect("it believes anything");
    let stored = &recovery.stored[0];
    assert_eq!(stored.entries.len(), 2);
    let Payload::Command(command) = &stored.entries[0].payload else { panic!("a command") };
    assert!(command.contains(&6), "it holds what was flipped");
}

#[test]
fn only_the_named_error_is_taken_for_success() {
    let ignored = |bugs: &[Bug], kind| {
        let mut store = new_store();
        store.bugs = bugs.iter().copied().collect();
        store.disk.set_failure(Some(DiskError { kind, reason: "broken".into() }));
        store.append_batch(&[make_record(1, 1)]).is_ok()
    };
    assert!(ignored(&[Bug::IgnoreIoError], DiskErrorKind::Io));
    assert!(!ignored(&[Bug::IgnoreIoError], DiskErrorKind::Full));
    assert!(!ignored(&[], DiskErrorKind::Io));
    assert!(!ignored(&[], DiskErrorKind::Other));
}

#[test]
fn a_log_without_syncs_loses_what_was_reported() {
    let mut store = new_store();
    store.bugs = [Bug::NoFsync].into();
    store.append_batch(&[make_record(1, 100)]).expect("the disk has room");
    let mut disk = store.into_disk();
    disk.lose_power(&mut |_| 0);
    assert!(open_store(disk).expect("a torn tail").1.entries.is_empty());
}

/// A log of three large entries in two segments, and the base of the second.
fn two_segments() -> (MemoryLogStore, u64) {
    let mut store = new_store();
    for index in 1..=3 {
        store.append_batch(&[make_record(index, 9 << 20)]).expect("the disk has room");
    }
    let base = store.base;
    (store, base)
}

#[test]
fn a_log_continues_in_a_new_segment() {
    let (store, second) = two_segments();
    assert!(second > SEGMENT_BYTES && list_segment_bases(&store) == [0, second]);
    let (mut store, stored) = open_store(store.into_disk()).expect("nothing is wrong with it");
    assert_eq!((store.base, stored.entries.len()), (second, 3));
    store.append_batch(&[make_record(2, 1)]).expect("the disk has room");
    let (_, stored) = open_store(store.into_disk()).expect("nothing is wrong with it");
    assert_eq!(stored.entries[1..], make_record(2, 1).entries);
}

#[test]
fn a_segment_without_its_header_is_torn_and_a_missing_one_is_refused() {
    let (store, second) = two_segments();
    let mut disk = store.into_disk();
    disk.truncate(&segment_name(second), 7).expect("the file is there");
    let (store, stored) = open_store(disk).expect("a torn tail");
    assert_eq!(stored.entries.len(), 2);

    assert!(list_segment_bases(&store).contains(&second), "the start has left its batch there");
    let mut disk = store.into_disk();
    disk.remove(&segment_name(0)).expect("the file is there");
    let refusal = open_store(disk).expect_err("the first segment is gone").to_string();
    assert!(refusal.contains("is damaged at byte 0"), "{refusal}");
}

/// A snapshot up to entry `last`, and the entries after it up to 3.
fn cut_persist(last: u64) -> Persist {
    let last = Position { term: 1, index: last };
    let snapshot =
        Snapshot { last, membership: Membership::from_voters(&[1, 2]), data: vec![7; 100].into() };
    let entries = (last.index + 1..=3).flat_map(|index| make_record(index, 1).entries).collect();
    let hard_state = Some(HardState { term: 1, voted_for: Some(2) });
    Persist { sequence: 1, hard_state, entries, snapshot: Some(snapshot), start: Some(last) }
}

fn group_write(group: GroupId, persist: Persist) -> LogWrite {
    LogWrite { group, persist }
}

#[test]
fn a_snapshot_replaces_the_segments_before_it() {
    let (mut store, _) = two_segments();
    store.persist_writes(vec![group_write(0, cut_persist(2))]).expect("the disk has room");
    store.append_batch(&[make_record(4, 1)]).expect("the disk has room");
    assert_eq!(list_segment_bases(&store), [store.base]);
    let (_, stored) = open_store(store.into_disk()).expect("nothing is wrong with it");
    assert_eq!(
        (stored.snapshot, Some(stored.start)),
        (cut_persist(2).snapshot, cut_persist(2).start)
    );
    assert_eq!(stored.hard_state, HardState { term: 1, voted_for: Some(2) });
    let indices: Vec<_> = stored.entries.iter().map(|entry| entry.index).collect();
    assert_eq!(indices, [3, 4]);
}

#[test]
fn an_interrupted_cut_loses_nothing() {
    let (store, second) = two_segments();
    let kept = [0, second].map(|base| (base, read_file(&store, &segment_name(base))));
    let (mut store, before) = open_store(store.into_disk()).expect("nothing is wrong with it");
    store.persist_writes(vec![group_write(0, cut_persist(2))]).expect("the disk has room");
    let third = store.base;
    let mut disk = store.into_disk();
    // Some old segments are still there: they are not read.
    replace_file(&mut disk, &segment_name(second), &kept[1].1);
    let (store, stored) = open_store(disk).expect("the new segment needs none of them");
    assert_eq!((stored.start.index, stored.entries.len()), (2, 1));
    assert_eq!(list_segment_bases(&store), [third], "the start removes what the cut has left");
    // The snapshot is there, the segment is not, and all old ones are.
    let mut disk = store.into_disk();
    disk.remove(&segment_name(third)).expect("the file is there");
    for (base, bytes) in &kept {
        replace_file(&mut disk, &segment_name(*base), bytes);
    }
    let (_, stored) = open_store(disk).expect("the old log is whole");
    assert_eq!((stored.start, stored.entries), (Position::default(), before.entries));
    assert_eq!(stored.snapshot, cut_persist(2).snapshot);
}

#[test]
fn a_damaged_or_missing_snapshot_is_refused() {
    let mut store = new_store();
    store.append_batch(&[make_record(1, 1), make_record(2, 1)]).expect("the disk has room");
    store.persist_writes(vec![group_write(0, cut_persist(2))]).expect("the disk has room");
    let mut disk = store.into_disk();
    assert!(disk.flip_bit("snapshot", 40, 0));
    let refusal = open_store(disk.clone()).expect_err("a bit has flipped").to_string();
    assert!(refusal.contains("is damaged"), "{refusal}");
    disk.remove("snapshot").expect("the file is there");
    let refusal = open_store(disk).expect_err("it is gone").to_string();
    assert!(refusal.contains("begins after entry 2"), "{refusal}");
}

#[test]
fn no_two_starts_end_at_the_same_place() {
    let mut disk = MemoryDisk::default();
    let mut ends = Vec::new();
    for _ in 0..5 {
        let (store, _) = open_store(disk).expect("nothing is wrong with it");
        ends.push(store.end);
        disk = store.into_disk();
    }
    ends.dedup();
    assert_eq!(ends.len(), 5);
}

/// Two starts in a row that lose power at any point leave a disk that can be opened: nothing was
/// promised yet, and an owner without a segment would be refused.
#[test]
fn interrupted_first_starts_can_be_repeated() {
    for (first, second) in (0..14).flat_map(|first| (0..14).map(move |second| (first, second))) {
        // Of what was not synced: names and bytes survive, names only, nothing.
        for (names, bytes) in [(true, true), (true, false), (false, false)] {
            let mut disk = MemoryDisk::default();
            for budget in [first, second] {
                disk.fail_after(budget);
                let _ = LogStore::open(&mut disk, ("n1 of n1", 1), BugSet::default());
                let mut is_name = true;
                disk.lose_power(&mut |n| {
                    let survives = if std::mem::take(&mut is_name) { names } else { bytes };
                    if survives { n - 1 } else { 0 }
                });
            }
            open_store(disk).unwrap_or_else(|error| panic!("{first} {second} {names}: {error}"));
        }
    }
}

/// What a group writes that has nothing but entry 1.
fn first_persist() -> Persist {
    let Record { entries, .. } = make_record(1, 1);
    Persist { sequence: 1, hard_state: None, entries, snapshot: None, start: None }
}

#[test]
fn a_segment_stays_until_every_group_has_begun_a_later_one() {
    let (mut store, _) = open_groups(MemoryDisk::default(), 2).expect("a new log");
    store
        .persist_writes(vec![group_write(0, first_persist()), group_write(1, first_persist())])
        .expect("the disk has room");
    store.persist_writes(vec![group_write(0, cut_persist(2))]).expect("the disk has room");
    assert_eq!(list_segment_bases(&store).len(), 2, "group 1 needs the first");
    assert_eq!((store.blocking_group(1 << 20), store.blocking_group(1)), (None, Some(1)));
    assert_eq!(store.blocking_group(1), None, "it was named already");
    let (mut store, stored) = open_groups(store.into_disk(), 2).expect("nothing is wrong with it");
    assert_eq!((stored[0].entries.len(), &stored[1].entries), (1, &first_persist().entries));
    assert_eq!((&stored[0].snapshot, &stored[1].snapshot), (&cut_persist(2).snapshot, &None));
    let rewritten = Persist { start: Some(Position::default()), ..first_persist() };
    store.persist_writes(vec![group_write(1, rewritten)]).expect("the disk has room");
    assert_eq!(list_segment_bases(&store).len(), 2, "group 0 needs the second");
    store
        .persist_writes(vec![group_write(1, cut_persist(1)), group_write(0, cut_persist(3))])
        .expect("the disk has room");
    let (store, stored) = open_groups(store.into_disk(), 2).expect("nothing is wrong with it");
    assert_eq!((list_segment_bases(&store).len(), store.needed.len()), (2, 2));
    let starts: Vec<_> = stored.iter().map(|stored| stored.start.index).collect();
    assert_eq!(starts, [3, 1]);
    assert_eq!([0, 1].map(|at: usize| stored[at].entries.len()), [0, 2]);
}
