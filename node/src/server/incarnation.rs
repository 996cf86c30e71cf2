//! Tells a replica from one that took its name with an emptied directory, and has forgotten what the first had promised.
//!
//! Whoever writes in a directory first gives it a number that nobody else has, its incarnation. Each replica writes down
//! the number of each peer that it meets, durably and before it listens to it, and never again listens to another number
//! under the same id. So whoever has counted a vote or an entry of a founder will not count what is left of it; a peer
//! that it never met cannot know, and a directory that is copied back from long ago has its old number.

use super::members::Members;
use crate::raft::ServerId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// The file in the data directory.
const FILE: &str = "incarnations";

/// The number of a directory since it was empty.
pub(super) type Incarnation = u64;

/// What the file says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    own: Incarnation,
    met: BTreeMap<ServerId, Incarnation>,
}

/// The number of this directory, and those of the peers that were met; clones share them.
#[derive(Clone, Debug)]
pub(super) struct Incarnations {
    directory: PathBuf,
    own: Incarnation,
    record: Arc<Mutex<Record>>,
}

impl Incarnations {
    /// Reads them from a directory that is this process's alone, or begins them.
    pub(super) fn open(directory: &Path) -> Result<Self, String> {
        let path = directory.join(FILE);
        let record = match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map_err(|error| format!("{} cannot be read: {error}", path.display()))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => begin(directory)
                .map_err(|error| format!("cannot write {}: {error}", path.display()))?,
            Err(error) => return Err(format!("cannot read {}: {error}", path.display())),
        };
        let (directory, own) = (directory.to_owned(), record.own);
        Ok(Self { directory, own, record: Arc::new(Mutex::new(record)) })
    }

    /// This directory's.
    pub(super) fn own(&self) -> Incarnation {
        self.own
    }

    /// Whether this peer may be listened to: it is new, and that is durable now, or it is who it was.
    pub(super) async fn meet(&self, peer: ServerId, number: Incarnation) -> io::Result<bool> {
        let shared = self.clone();
        tokio::task::spawn_blocking(move || shared.meet_blocking(peer, number)).await?
    }

    fn meet_blocking(&self, peer: ServerId, number: Incarnation) -> io::Result<bool> {
        let mut record = self.record.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = record.met.get(&peer) {
            return Ok(*known == number);
        }
        let mut next = record.clone();
        next.met.insert(peer, number);
        keep(&self.directory, &next)?;
        *record = next;
        Ok(true)
    }
}

fn begin(directory: &Path) -> io::Result<Record> {
    let mut random = [0; 8];
    File::open("/dev/urandom")?.read_exact(&mut random)?;
    let record = Record { own: Incarnation::from_le_bytes(random), met: BTreeMap::new() };
    keep(directory, &record)?;
    Ok(record)
}

fn keep(directory: &Path, record: &Record) -> io::Result<()> {
    let temporary = directory.join("incarnations.new");
    let mut file = File::create(&temporary)?;
    file.write_all(&serde_json::to_vec(record)?)?;
    file.sync_all()?;
    fs::rename(temporary, directory.join(FILE))?;
    File::open(directory)?.sync_all()
}

/// What a peer is told that is not who it was.
pub(super) fn refusal(peer: ServerId, members: &Members) -> String {
    let (name, me) = (members.name(peer), members.name(members.me()));
    format!(
        "{me} refuses {name}: its data directory is not the one with which {me} met it, so what it had promised is \
         lost; restore that directory, or remove {name} and add a replica under a new name"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use tempfile::TempDir;

    #[test]
    fn a_peer_is_who_it_was_when_it_was_first_met_whatever_starts_again() {
        let ours = TempDir::new().expect("a directory");
        let incarnations = Incarnations::open(ours.path()).expect("it is empty");
        assert!(incarnations.meet_blocking(2, 7).expect("the disk has room"));
        assert!(incarnations.meet_blocking(2, 7).expect("the disk has room"));
        assert!(!incarnations.meet_blocking(2, 8).expect("the disk has room"));
        let again = Incarnations::open(ours.path()).expect("it is ours");
        assert_eq!(again.own(), incarnations.own());
        assert!(!again.meet_blocking(2, 8).expect("the disk has room"));
        assert!(again.meet_blocking(3, 8).expect("the disk has room"));
    }

    #[test]
    fn an_emptied_directory_is_another() {
        let directory = TempDir::new().expect("a directory");
        let first = Incarnations::open(directory.path()).expect("it is empty").own();
        fs::remove_file(directory.path().join(FILE)).expect("ours");
        assert_ne!(Incarnations::open(directory.path()).expect("it is empty").own(), first);
    }

    #[test]
    fn who_cannot_write_it_down_does_not_listen() {
        let directory = TempDir::new().expect("a directory");
        let incarnations = Incarnations::open(directory.path()).expect("it is empty");
        fs::remove_dir_all(directory.path()).expect("ours");
        assert!(incarnations.meet_blocking(2, 7).is_err());
        fs::create_dir(directory.path()).expect("ours");
        assert!(incarnations.meet_blocking(2, 7).expect("the disk has room"));
    }

    #[test]
    fn a_damaged_file_is_an_error() {
        let directory = TempDir::new().expect("a directory");
        fs::write(directory.path().join(FILE), "{").expect("ours");
        let error = Incarnations::open(directory.path()).expect_err("damaged");
        assert!(error.contains("cannot be read"), "{error}");
    }
}
