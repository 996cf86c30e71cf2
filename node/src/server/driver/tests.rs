//! Drives a replica without sockets or disk: which queue it serves first, when it gives up.

use super::super::demux::Demux;
use super::super::log::LogFormat;
use super::*;
use crate::bug::{BugSet, VariationSet};
use crate::kv::Command;
use crate::raft::{Compaction, Config, Content, Message, Stored};
use crate::runtime::{Answer, RuntimeConfig};
use crate::wire::Origin;
use std::collections::BTreeMap;
use tokio::sync::oneshot;

type Answered = oneshot::Receiver<(Answer, Origin)>;

/// A replica alone in its cluster, and what it writes.
fn new_driver() -> (Driver, mpsc::UnboundedReceiver<LogWrite>) {
    let members = Members::from_founders("n1", &BTreeMap::new(), 1);
    let raft = Config {
        id: 1,
        voters: vec![1],
        heartbeat_ticks: 2,
        election_ticks: 10,
        seed: 1,
        lease_reads: false,
        compaction: Compaction::default(),
        bugs: BugSet::default(),
        variations: VariationSet::default(),
    };
    let config = RuntimeConfig { raft, group: 0, groups: 1, start: 1, election: TICK };
    let runtime = Runtime::new(config, Stored::default()).expect("an empty disk");
    let links = Links::new(Vec::new(), Demux::new(Vec::new()));
    let published =
        PublishedStatus::new(members.clone(), Vec::new(), links.clone(), runtime.status());
    let (disk, writes) = mpsc::unbounded_channel();
    let log = Logger::new("n1", LogFormat::Text);
    let clock = Clock::default();
    let driver =
        Driver { group: 0, runtime, members, links, disk, published, log, trace: None, clock };
    (driver, writes)
}

/// The same as leader, with everything durable.
fn new_leader() -> (Driver, mpsc::UnboundedReceiver<LogWrite>) {
    let (mut driver, mut writes) = new_driver();
    (0..30).for_each(|_| driver.tick());
    while let Ok(LogWrite { persist, .. }) = writes.try_recv() {
        driver.handle_disk_report(Ok(StorageReport::Durable(persist.sequence)));
    }
    assert_eq!(driver.runtime.status().leader, Some(1));
    (driver, writes)
}

fn put_request(patience: Duration) -> (QueuedRequest, Answered) {
    let (reply, answer) = oneshot::channel();
    let request = Request::Write(Command::Put { key: "k".to_owned(), value: "v".to_owned() });
    (QueuedRequest { request, deadline: Instant::now() + patience, reply }, answer)
}

const LONG: Duration = Duration::from_secs(30);

#[test]
fn a_client_that_has_gone_or_given_up_is_not_served() {
    let (mut driver, _writes) = new_leader();
    let last = driver.runtime.status().last_index;
    let (late, _answer) = put_request(Duration::ZERO);
    driver.handle_request(late);
    let (gone, answer) = put_request(LONG);
    drop(answer);
    driver.handle_request(gone);
    assert_eq!(driver.runtime.status().last_index, last);
}

#[test]
fn a_replica_ends_with_its_storage() {
    let (mut driver, writes) = new_leader();
    drop(writes);
    let (ask, _answer) = put_request(LONG);
    driver.handle_request(ask);
    let failure = driver.clock.failure.expect("it cannot continue");
    assert!(failure.contains("storage thread has stopped"), "{failure}");
}

#[tokio::test]
async fn many_clients_do_not_delay_the_disk_or_a_peer() {
    let (mut driver, mut writes) = new_leader();
    let (reports, disk) = mpsc::channel(9);
    let (events, peers) = mpsc::channel(9);
    let (asks, clients) = mpsc::channel(500);
    let mut inbox = Inbox { disk, peers, clients };
    let (first, mut done) = put_request(LONG);
    driver.handle_request(first);
    let mut answers = Vec::new();
    for _ in 0..500 {
        let (ask, answer) = put_request(LONG);
        asks.try_send(ask).expect("there is room");
        answers.push(answer);
    }
    let write = writes.try_recv().expect("the first is written");
    reports.try_send(Ok(StorageReport::Durable(write.persist.sequence))).expect("there is room");
    let frame = Frame::Raft(Message { term: 1, content: Content::StaleTerm });
    events.try_send(PeerEvent::Frame { from: 2, frame }).expect("there is room");
    let last = driver.runtime.status().last_index;
    let mut ticks = interval(TICK);
    for _ in 0..3 {
        driver.handle_events(&mut inbox, &mut ticks).await;
    }
    assert!(done.try_recv().is_ok() && inbox.peers.is_empty());
    let proposed = driver.runtime.status().last_index - last;
    assert!((1..=3 * (1 + MAX_REQUESTS_PER_TURN as u64)).contains(&proposed), "{proposed}");
}
