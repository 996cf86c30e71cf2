//! Distinguishes a replica from one that has its name and an emptied data directory, and so has
//! lost its votes and acknowledgements.
//!
//! The first start in a directory draws a random number, its incarnation. Each replica records the
//! incarnation of every peer, durably and before it accepts messages, and rejects another one under
//! the same id. So a server that counted a vote or an entry of a founder never accepts its wiped
//! successor. Known gaps: a peer that never met the original cannot detect this, and a restored old
//! copy of a directory has the original incarnation.

use super::members::Members;
use crate::bug::{Bug, BugSet};
use crate::raft::ServerId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// The file in the data directory.
const FILE: &str = "incarnations";

/// The random number of a data directory.
pub(super) type Incarnation = u64;

/// The content of the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct IncarnationFile {
    own: Incarnation,
    met: BTreeMap<ServerId, Incarnation>,
}

/// The incarnations of this replica and of the peers it met; clones share them.
#[derive(Clone, Debug)]
pub(super) struct Incarnations {
    directory: PathBuf,
    own: Incarnation,
    record: Arc<Mutex<IncarnationFile>>,
    bugs: BugSet,
}

impl Incarnations {
    /// Reads them from the data directory, which this process has locked, or creates them.
    pub(super) fn open(directory: &Path) -> Result<Self, String> {
        let path = directory.join(FILE);
        let record = match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map_err(|error| format!("{} cannot be read: {error}", path.display()))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => create_incarnation(directory)
                .map_err(|error| format!("cannot write {}: {error}", path.display()))?,
            Err(error) => return Err(format!("cannot read {}: {error}", path.display())),
        };
        let (directory, own) = (directory.to_owned(), record.own);
        let bugs = BugSet::default();
        Ok(Self { directory, own, record: Arc::new(Mutex::new(record)), bugs })
    }

    /// Switches seeded bugs on.
    pub(super) fn with_bugs(self, bugs: BugSet) -> Self {
        Self { bugs, ..self }
    }

    /// Returns the incarnation of this directory.
    pub(super) fn own(&self) -> Incarnation {
        self.own
    }

    /// Whether to accept a peer: it has the recorded incarnation, or is new and recorded now.
    pub(super) async fn check_peer(&self, peer: ServerId, number: Incarnation) -> io::Result<bool> {
        let shared = self.clone();
        tokio::task::spawn_blocking(move || shared.check_peer_blocking(peer, number)).await?
    }

    fn check_peer_blocking(&self, peer: ServerId, number: Incarnation) -> io::Result<bool> {
        let mut record = self.record.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = record.met.get(&peer) {
            return Ok(*known == number || self.bugs.contains(Bug::AcceptWipedPeer));
        }
        let mut next = record.clone();
        next.met.insert(peer, number);
        write_file(&self.directory, &next)?;
        *record = next;
        Ok(true)
    }
}

fn create_incarnation(directory: &Path) -> io::Result<IncarnationFile> {
    let mut random = [0; 8];
    File::open("/dev/urandom")?.read_exact(&mut random)?;
    let record = IncarnationFile { own: Incarnation::from_le_bytes(random), met: BTreeMap::new() };
    write_file(directory, &record)?;
    Ok(record)
}

fn write_file(directory: &Path, record: &IncarnationFile) -> io::Result<()> {
    let temporary = directory.join("incarnations.new");
    let mut file = File::create(&temporary)?;
    file.write_all(&serde_json::to_vec(record)?)?;
    file.sync_all()?;
    fs::rename(temporary, directory.join(FILE))?;
    File::open(directory)?.sync_all()
}

/// Returns the message to a peer with another incarnation.
pub(super) fn rejection_message(peer: ServerId, members: &Members) -> String {
    let (name, me) = (members.name(peer), members.name(members.me()));
    format!(
        "{me} refuses {name}: its data directory is not the original one, so its votes and \
         acknowledgements are lost; restore that directory, or remove {name} and add a replica \
         under a new name"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use tempfile::TempDir;

    #[test]
    fn a_peer_keeps_its_first_incarnation_across_restarts() {
        let ours = TempDir::new().expect("a directory");
        let incarnations = Incarnations::open(ours.path()).expect("it is empty");
        assert!(incarnations.check_peer_blocking(2, 7).expect("the disk has room"));
        assert!(incarnations.check_peer_blocking(2, 7).expect("the disk has room"));
        assert!(!incarnations.check_peer_blocking(2, 8).expect("the disk has room"));
        let again = Incarnations::open(ours.path()).expect("it is ours");
        assert_eq!(again.own(), incarnations.own());
        assert!(!again.check_peer_blocking(2, 8).expect("the disk has room"));
        assert!(again.check_peer_blocking(3, 8).expect("the disk has room"));
    }

    #[test]
    fn an_emptied_directory_gets_a_new_incarnation() {
        let directory = TempDir::new().expect("a directory");
        let first = Incarnations::open(directory.path()).expect("it is empty").own();
        fs::remove_file(directory.path().join(FILE)).expect("ours");
        assert_ne!(Incarnations::open(directory.path()).expect("it is empty").own(), first);
    }

    #[test]
    fn a_peer_that_cannot_be_recorded_is_not_accepted() {
        let directory = TempDir::new().expect("a directory");
        let incarnations = Incarnations::open(directory.path()).expect("it is empty");
        fs::remove_dir_all(directory.path()).expect("ours");
        assert!(incarnations.check_peer_blocking(2, 7).is_err());
        fs::create_dir(directory.path()).expect("ours");
        assert!(incarnations.check_peer_blocking(2, 7).expect("the disk has room"));
    }

    #[test]
    fn a_damaged_file_is_an_error() {
        let directory = TempDir::new().expect("a directory");
        fs::write(directory.path().join(FILE), "{").expect("ours");
        let error = Incarnations::open(directory.path()).expect_err("damaged");
        assert!(error.contains("cannot be read"), "{error}");
    }
}
