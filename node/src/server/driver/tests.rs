//! Drives a replica without sockets or disk: what it answers, whom it hears first, when it gives up.

use super::super::inlets::Inlets;
use super::super::log::LogFormat;
use super::*;
use crate::kv::Command;
use crate::raft::{Config, Stored};
use crate::server::request::{Query, Reply};
use crate::wire::{MembersRequest, NewMember, Origin};
use tokio::sync::oneshot;

type Answered = oneshot::Receiver<(Finding, Origin)>;

/// A replica alone in its cluster, and what it writes.
fn alone() -> (Driver, mpsc::UnboundedReceiver<LogWrite>) {
    let members = Members::founding("n1", &BTreeMap::new(), 1);
    let config = Config {
        id: 1,
        voters: vec![1],
        heartbeat_ticks: 2,
        election_ticks: 10,
        seed: 1,
        lease_reads: false,
        compaction: crate::raft::Compaction::default(),
        unsafe_bugs: Vec::new(),
    };
    let raft = Raft::new(config, Stored::default());
    let links = Links::new(Vec::new(), Inlets::new(Vec::new()));
    let view = View::new(members.clone(), Vec::new(), links.clone(), raft.status());
    let (disk, writes) = mpsc::unbounded_channel();
    let (store, log, memory) =
        (Store::default(), Log::new("n1", LogFormat::Text), Memory::new(1, 1));
    (
        Driver {
            group: 0,
            groups: 1,
            raft,
            store,
            members,
            links,
            disk,
            view,
            log,
            memory,
            flaws: Flaws::new(Vec::new(), 1, 0, TICK),
            trace: None,
        },
        writes,
    )
}

/// The same as leader, with everything durable.
fn leader() -> (Driver, mpsc::UnboundedReceiver<LogWrite>) {
    let (mut driver, mut writes) = alone();
    (0..30).for_each(|_| driver.tick());
    sync(&mut driver, &mut writes);
    assert_eq!(driver.raft.status().leader, Some(1));
    (driver, writes)
}

/// Makes everything durable that was written so far.
fn sync(driver: &mut Driver, writes: &mut mpsc::UnboundedReceiver<LogWrite>) {
    while let Ok(LogWrite { persist, .. }) = writes.try_recv() {
        driver.written(Ok(Report::Durable(persist.sequence)));
    }
}

fn put(patience: Duration) -> (Ask, Answered) {
    let (reply, answer) = oneshot::channel();
    let request = Request::Write(Command::Put { key: "k".to_owned(), value: "v".to_owned() });
    (Ask { request, deadline: Instant::now() + patience, reply }, answer)
}

const LONG: Duration = Duration::from_secs(30);

#[test]
fn every_write_of_a_large_commit_is_told_its_outcome() {
    let (mut driver, mut writes) = leader();
    let ask = |driver: &mut Driver| {
        let (ask, answer) = put(LONG);
        driver.ask(ask);
        answer
    };
    let answers: Vec<_> = (0..6000).map(|_| ask(&mut driver)).collect();
    let last = std::iter::from_fn(|| writes.try_recv().ok()).last().expect("it writes");
    driver.written(Ok(Report::Durable(last.persist.sequence)));
    while driver.raft.has_undelivered() {
        driver.step(Input::Continue);
        assert!(driver.memory.outcomes.is_empty());
    }
    for mut answer in answers {
        let (finding, _) = answer.try_recv().expect("it is answered");
        assert!(matches!(finding, Finding::Written { .. }), "{finding:?}");
    }
}

#[test]
fn who_has_gone_or_was_told_already_is_not_proposed() {
    let (mut driver, _writes) = leader();
    let last = driver.raft.status().last_index;
    let (late, _answer) = put(Duration::ZERO);
    driver.ask(late);
    let (gone, answer) = put(LONG);
    drop(answer);
    driver.ask(gone);
    assert_eq!(driver.raft.status().last_index, last);
}

#[test]
fn a_peer_may_ask_for_any_patience() {
    let (mut driver, _writes) = leader();
    let last = driver.raft.status().last_index;
    for (timeout_ms, proposed) in [(0, 0), (1, 1), (u64::MAX, 2)] {
        let frame =
            Frame::Forward { request: 1, timeout_ms, proposal: Proposal::Command(Vec::new()) };
        driver.receive(2, frame);
        assert_eq!(driver.raft.status().last_index, last + proposed);
    }
}

#[test]
fn a_peer_is_admitted_by_the_rule_for_clients() {
    let (mut driver, _writes) = leader();
    let last = driver.raft.status().last_index;
    let frame = Frame::Forward {
        request: 1,
        timeout_ms: 1000,
        proposal: Proposal::Command(vec![0; 65 << 20]),
    };
    driver.receive(2, frame);
    assert_eq!(driver.raft.status().last_index, last);
}

#[test]
fn one_request_gives_a_name_to_one_newcomer() {
    let (mut driver, mut writes) = leader();
    sync(&mut driver, &mut writes);
    let new = |port: u16| NewMember { name: "d".to_owned(), address: format!("d:{port}") };
    let twice = MembersRequest { add: vec![new(1), new(2)], ..Default::default() };
    let voter_and_learner =
        MembersRequest { add: vec![new(1)], learn: vec![new(2)], ..Default::default() };
    for request in [twice, voter_and_learner] {
        let (reply, mut answer) = oneshot::channel();
        let (request, deadline) = (Request::Members(request), Instant::now() + LONG);
        driver.ask(Ask { request, deadline, reply });
        let declined = Finding::Declined("d is named twice as a newcomer".to_owned());
        assert_eq!(answer.try_recv().map(|(finding, _)| finding), Ok(declined));
    }
    assert_eq!(driver.raft.membership().members(), [1].into());
}

#[test]
fn who_is_not_served_is_told_why() {
    let (mut driver, _writes) = leader();
    let mut told = |effect: Effect, stage: fn(Reply) -> Stage| {
        let (reply, mut answer) = oneshot::channel();
        driver.memory.waiting.enter(7, stage(reply), Instant::now() + LONG);
        driver.carry_out(effect);
        answer.try_recv().map(|(finding, _)| finding)
    };
    let read = |reply| Stage::Confirming { query: Query::Key("k".to_owned()), after: 0, reply };
    let write = |reply| Stage::Proposed {
        proposal: Proposal::Command(Vec::new()),
        writer: Writer::Client(reply),
    };
    let failed = |reason| Ok(Finding::Failed(reason));
    assert_eq!(told(Effect::ReadExpired { token: 7 }, read), failed(Reason::NoQuorum));
    assert_eq!(told(Effect::ReadFailed { token: 7 }, read), failed(Reason::NoLeader));
    let full = Effect::Refused { token: 7, leader: Some(1) };
    assert_eq!(told(full, write), failed(Reason::Overloaded));
    let nobody = Effect::Refused { token: 7, leader: None };
    assert_eq!(told(nobody, write), failed(Reason::NoLeader));
}

#[test]
fn a_leader_that_contradicts_what_is_committed_ends_the_replica() {
    let (mut driver, _writes) = leader();
    let [committed, new] = [1, 3].map(|term| Position { term, index: 2 });
    driver.carry_out(Effect::Fatal { committed, new });
    let last = driver.raft.status().last_index;
    let (ask, mut answer) = put(LONG);
    driver.ask(ask);
    assert!(answer.try_recv().is_err() && driver.raft.status().last_index == last);
    let failure = driver.memory.failure.expect("it cannot go on");
    assert!(failure.starts_with("entry 2 is committed here with term 1"), "{failure}");
}

#[test]
fn without_its_storage_a_replica_ends() {
    let (mut driver, writes) = leader();
    drop(writes);
    let (ask, _answer) = put(LONG);
    driver.ask(ask);
    let failure = driver.memory.failure.expect("it cannot go on");
    assert!(failure.contains("storage thread has stopped"), "{failure}");
}

#[tokio::test]
async fn a_crowd_of_clients_does_not_keep_the_disk_or_a_peer_waiting() {
    let (mut driver, _writes) = leader();
    let (reports, disk) = mpsc::channel(9);
    let (events, peers) = mpsc::channel(9);
    let (asks, clients) = mpsc::channel(500);
    let mut inbox = Inbox { disk, peers, clients };
    let mut answers = Vec::new();
    for _ in 0..500 {
        let (ask, answer) = put(LONG);
        asks.try_send(ask).expect("there is room");
        answers.push(answer);
    }
    reports.try_send(Ok(Report::Durable(driver.memory.durable + 1))).expect("there is room");
    let outdated = Message { term: 1, content: crate::raft::Content::StaleTerm };
    let frame = Frame::Raft(outdated);
    events.try_send(Event::Frame { from: 2, frame }).expect("there is room");
    let (durable, last) = (driver.memory.durable, driver.raft.status().last_index);
    let mut ticks = interval(TICK);
    for _ in 0..3 {
        driver.turn(&mut inbox, &mut ticks).await;
    }
    assert_eq!((driver.memory.durable, inbox.peers.len()), (durable + 1, 0));
    let proposed = driver.raft.status().last_index - last;
    assert!((1..=3 * (1 + MOST_CLIENTS as u64)).contains(&proposed), "{proposed}");
}
