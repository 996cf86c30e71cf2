//! Shows each bug of the server in the smallest case.

use super::http::GroupHandle;
use super::incarnation::Incarnations;
use super::links::Links;
use super::members::Members;
use super::published_status::PublishedStatus;
use crate::bug::tests::BugCase;
use crate::bug::{Bug, BugSet};
use crate::kv::Command;
use crate::raft::{Role, Status};
use crate::runtime::{Answer, Request};
use std::collections::BTreeMap;
use std::time::Duration;
use tempfile::TempDir;
use tokio::runtime::Builder;
use tokio::sync::mpsc;

/// The cases of the server.
pub(crate) const CASES: &[BugCase] = &[
    BugCase { bug: Bug::AcceptWipedPeer, shows: a_wiped_peer_is_accepted },
    BugCase { bug: Bug::FailOnTimeout, shows: a_late_write_is_definite },
];

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(future)
}

fn a_wiped_peer_is_accepted(bugs: BugSet) -> bool {
    let directory = TempDir::new().expect("a directory");
    let incarnations = Incarnations::open(directory.path()).expect("it is empty").with_bugs(bugs);
    block_on(async {
        let mut accepted = Vec::new();
        for number in [7, 8] {
            accepted.push(incarnations.check_peer(2, number).await.expect("the disk has room"));
        }
        accepted == [true, true]
    })
}

fn a_late_write_is_definite(bugs: BugSet) -> bool {
    let members = Members::from_founders("n1", &BTreeMap::new(), 1);
    let status =
        Status { role: Role::Follower, term: 0, leader: None, last_index: 0, commit_index: 0 };
    let links = Links::new(Vec::new(), super::demux::Demux::new(Vec::new()));
    let published = PublishedStatus::new(members, Vec::new(), links, status);
    // The queue has room, and its other end answers nothing.
    let (driver, _requests) = mpsc::channel(1);
    let handle = GroupHandle { driver, published, timeout: Duration::ZERO, bugs };
    let request = Request::Write(Command::Delete { key: "k".to_owned() });
    let (answer, _) = block_on(handle.send_request(request, Some(1)));
    let Answer::Failed(reason) = answer else { panic!("{answer:?}") };
    reason.describe().1
}
