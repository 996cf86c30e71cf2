//! Opens data directories of real files: the log is what the runtime makes of it.

use super::super::log::LogFormat;
use super::*;
use crate::raft::{Entry, Payload, Persist};
use tempfile::TempDir;

fn open_storage(directory: &Path) -> Result<(Storage, Stored), String> {
    let log = Logger::new("n1", LogFormat::Text);
    let owner = ("n1 of n1", 1);
    let (storage, mut groups) = Storage::open(directory, owner, BugSet::default(), &log)?;
    Ok((storage, groups.remove(0)))
}

fn entry_write(index: u64) -> Vec<LogWrite> {
    let entries = vec![Entry { term: 1, index, payload: Payload::Command(vec![7; 100]) }];
    let persist =
        Persist { sequence: index, hard_state: None, entries, snapshot: None, start: None };
    vec![LogWrite { group: 0, persist }]
}

#[test]
fn a_log_is_read_back_and_a_torn_tail_is_cut_off() {
    let directory = TempDir::new().expect("a directory");
    let (mut storage, _) = open_storage(directory.path()).expect("a new log");
    storage.persist_writes(entry_write(1)).expect("the disk has room");
    storage.persist_writes(entry_write(2)).expect("the disk has room");
    drop(storage);
    let segment = directory.path().join("00000000000000000000.wal");
    let file = std::fs::File::options().write(true).open(&segment).expect("the first segment");
    file.set_len(file.metadata().expect("its length").len() - 3).expect("the disk works");
    let (mut storage, stored) = open_storage(directory.path()).expect("a torn tail");
    assert_eq!(stored.entries.len(), 1);
    storage.persist_writes(entry_write(2)).expect("the disk has room");
    drop(storage);
    assert_eq!(
        open_storage(directory.path()).expect("nothing is wrong with it").1.entries.len(),
        2
    );
}

#[test]
fn a_directory_serves_one_process_and_one_owner() {
    let directory = TempDir::new().expect("a directory");
    let (storage, _) = open_storage(directory.path()).expect("a new log");
    let refusal = open_storage(directory.path()).expect_err("it is locked");
    assert!(refusal.contains("is in use by another replica"), "{refusal}");
    drop(storage);
    let log = Logger::new("n2", LogFormat::Text);
    let other = Storage::open(directory.path(), ("n2 of n1", 1), BugSet::default(), &log);
    let refusal = other.expect_err("n1 owns it");
    assert!(refusal.contains("belongs to n1 of n1, not to n2 of n1"), "{refusal}");
}
