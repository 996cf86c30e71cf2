//! Cases of bugs in how the log store writes and recovers.

use super::*;

const OWNER: (&str, u32) = ("n1 of n1", 1);
const FIRST_SEGMENT: &str = "00000000000000000000.wal";

fn open_disk(
    bugs: BugSet,
    disk: MemoryDisk,
) -> Result<(LogStore<MemoryDisk>, Recovery), OpenError> {
    LogStore::open(disk, OWNER, bugs)
}

fn new_store(bugs: BugSet) -> LogStore<MemoryDisk> {
    open_disk(bugs, MemoryDisk::default()).expect("an empty disk").0
}

/// A write of one entry.
fn entry_write(sequence: u64, index: Index, text: &str) -> LogWrite {
    let entry = Entry { term: 1, index, payload: Payload::Command(text.as_bytes().to_vec()) };
    let entries = vec![entry];
    let persist = Persist { sequence, hard_state: None, entries, snapshot: None, start: None };
    LogWrite { group: 0, persist }
}

fn succeeds_on_failing_disk(bugs: BugSet, kind: DiskErrorKind) -> bool {
    let mut store = new_store(bugs);
    let reason = "broken".to_owned();
    store.disk_mut().set_failure(Some(DiskError { kind, reason }));
    store.persist_writes(vec![entry_write(1, 1, "a")]).is_ok()
}

pub(super) fn a_full_disk_is_ignored(bugs: BugSet) -> bool {
    succeeds_on_failing_disk(bugs, DiskErrorKind::Full)
}

pub(super) fn a_broken_disk_is_ignored(bugs: BugSet) -> bool {
    succeeds_on_failing_disk(bugs, DiskErrorKind::Io)
}

/// A disk with two entries, of which a bit in the first is flipped.
fn damaged_disk(bugs: BugSet) -> MemoryDisk {
    let mut store = new_store(bugs);
    for (sequence, text) in [(1, "first-entry"), (2, "second-entry")] {
        store.persist_writes(vec![entry_write(sequence, sequence, text)]).expect("room");
    }
    let mut disk = store.into_disk();
    let bytes = disk.read(FIRST_SEGMENT).expect("memory").expect("a segment").into_owned();
    let inside = bytes.windows(11).position(|part| part == b"first-entry").expect("an entry");
    assert!(disk.flip_bit(FIRST_SEGMENT, inside, 0));
    disk
}

pub(super) fn a_flipped_bit_is_believed(bugs: BugSet) -> bool {
    open_disk(bugs, damaged_disk(bugs)).is_ok_and(|(_, found)| found.stored[0].entries.len() == 2)
}

pub(super) fn damage_cuts_the_log(bugs: BugSet) -> bool {
    open_disk(bugs, damaged_disk(bugs)).is_ok_and(|(_, found)| found.stored[0].entries.is_empty())
}

pub(super) fn a_power_loss_takes_an_entry(bugs: BugSet) -> bool {
    let mut store = new_store(bugs);
    store.persist_writes(vec![entry_write(1, 1, "a")]).expect("room");
    let mut disk = store.into_disk();
    disk.lose_power(&mut |_| 0);
    open_disk(bugs, disk).is_ok_and(|(_, found)| found.stored[0].entries.is_empty())
}

pub(super) fn two_writes_are_two_batches(bugs: BugSet) -> bool {
    let mut store = new_store(bugs);
    let both = vec![entry_write(1, 1, "a"), entry_write(2, 2, "b")];
    store.persist_writes(both).expect("room");
    // The start left a batch, too.
    open_disk(bugs, store.into_disk()).is_ok_and(|(_, found)| found.batches == 3)
}

pub(super) fn a_torn_tail_is_refused(bugs: BugSet) -> bool {
    let mut store = new_store(bugs);
    let half = b"half of a record".as_slice();
    store.disk_mut().append(FIRST_SEGMENT, half).expect("room");
    open_disk(bugs, store.into_disk()).is_err()
}

/// A write that cuts the log at an entry, with a snapshot.
fn cut_write(sequence: u64, index: Index) -> LogWrite {
    let last = Position { term: 1, index };
    let membership = Membership::from_voters(&[1]);
    let snapshot = Some(Snapshot { last, membership, data: [7; 40].into() });
    let hard_state = Some(HardState { term: 1, voted_for: None });
    let (entries, start) = (Vec::new(), Some(last));
    LogWrite { group: 0, persist: Persist { sequence, hard_state, entries, snapshot, start } }
}

/// A store with two entries, which cuts its log at the first; and whether some crash during the
/// second cut, or after it, leaves a disk that cannot be used or lacks what was durable.
fn some_crash_harms(bugs: BugSet, is_harmed: impl Fn(Result<Recovery, OpenError>) -> bool) -> bool {
    let mut store = new_store(bugs);
    for write in [entry_write(1, 1, "a"), entry_write(2, 2, "b")] {
        store.persist_writes(vec![write]).expect("room");
    }
    let before = store.into_disk();
    let draws: [fn(u64) -> u64; 3] = [|_| 0, |n| n / 2, |n| n - 1];
    draws.iter().any(|draw| {
        (0..24).any(|budget| {
            let (mut store, _) = open_disk(bugs, before.clone()).expect("it was written whole");
            store.persist_writes(vec![cut_write(1, 1)]).expect("room");
            store.disk_mut().fail_after(budget);
            let _ = store.persist_writes(vec![cut_write(2, 2)]);
            let mut disk = store.into_disk();
            disk.lose_power(&mut |n| draw(n));
            is_harmed(open_disk(bugs, disk).map(|(_, recovery)| recovery))
        })
    })
}

pub(super) fn a_compaction_loses_its_snapshot(bugs: BugSet) -> bool {
    some_crash_harms(bugs, |opened| matches!(opened, Err(OpenError::SnapshotMissing { .. })))
}

pub(super) fn a_crash_damages_the_snapshot(bugs: BugSet) -> bool {
    some_crash_harms(bugs, |opened| matches!(opened, Err(OpenError::SnapshotDamaged { .. })))
}

pub(super) fn a_segment_loses_its_name(bugs: BugSet) -> bool {
    let mut store = new_store(bugs);
    store.persist_writes(vec![cut_write(1, 1)]).expect("room");
    store.persist_writes(vec![entry_write(2, 2, "b")]).expect("room");
    let mut disk = store.into_disk();
    disk.lose_power(&mut |_| 0);
    !open_disk(bugs, disk).is_ok_and(|(_, found)| found.stored[0].entries.len() == 1)
}
