//! Drives a runtime alone: what it answers, what it proposes, when it gives up.

use super::*;
use crate::bug::{BugSet, VariationSet};
use crate::kv::Command;
use crate::raft::{Compaction, Config, Content, Effect, Input, Message, Position, Stored};
use crate::wire::{MemberReply, MembersRequest, NewMember};
use alloc::vec;
use core::time::Duration;

type Outputs = Vec<Output<u32>>;

const LONG: Duration = Duration::from_secs(30);

/// A replica alone in its cluster, as leader, with everything durable.
fn new_leader() -> Runtime<u32> {
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
    let election = Duration::from_millis(100);
    let config = RuntimeConfig { raft, group: 0, groups: 1, start: 1, election };
    let mut runtime = Runtime::new(config, Stored::default()).expect("an empty disk");
    let me = MemberReply {
        id: 1,
        name: "n1".to_owned(),
        address: String::new(),
        role: "voter".to_owned(),
    };
    runtime.set_roster(vec![me]);
    (0..30).for_each(|_| runtime.tick());
    complete_writes(&mut runtime);
    assert_eq!(runtime.status().leader, Some(1));
    runtime
}

/// Makes everything durable, and returns all that comes of it.
fn complete_writes(runtime: &mut Runtime<u32>) -> Outputs {
    let mut all = Outputs::new();
    loop {
        let outputs = runtime.take_outputs();
        let sequence = outputs.iter().filter_map(|output| match output {
            Output::Write(persist) => Some(persist.sequence),
            _ => None,
        });
        let sequence = sequence.max();
        all.extend(outputs);
        match sequence {
            Some(sequence) => runtime.step(Input::Persisted { sequence }),
            None if runtime.has_undelivered() => runtime.step(Input::Continue),
            None => return all,
        }
    }
}

fn put_request(client: u32) -> ClientRequest<u32> {
    let request = Request::Write(Command::Put { key: "k".to_owned(), value: "v".to_owned() });
    ClientRequest { request, deadline: LONG, client }
}

fn client_answers(outputs: Outputs) -> Vec<(u32, Answer)> {
    let answer = |output| match output {
        Output::Reply(Reply { client, answer, .. }) => Some((client, answer)),
        _ => None,
    };
    outputs.into_iter().filter_map(answer).collect()
}

#[test]
fn every_write_of_a_large_commit_is_answered_once() {
    let mut runtime = new_leader();
    (0..6000).for_each(|client| runtime.submit_request(put_request(client)));
    let answers = client_answers(complete_writes(&mut runtime));
    assert!(answers.iter().all(|(_, answer)| matches!(answer, Answer::Written { .. })));
    assert!(answers.iter().map(|(client, _)| *client).eq(0..6000));
    assert!(runtime.outcomes.is_empty());
}

#[test]
fn a_request_whose_deadline_has_passed_is_not_proposed() {
    let mut runtime = new_leader();
    let last = runtime.status().last_index;
    runtime.set_time(LONG, Duration::ZERO);
    runtime.submit_request(put_request(1));
    assert_eq!(runtime.status().last_index, last);
}

#[test]
fn a_peer_may_forward_with_any_timeout() {
    let mut runtime = new_leader();
    let last = runtime.status().last_index;
    for (timeout, proposed) in [(0, 0), (1, 1), (u64::MAX, 2)] {
        let proposal = Proposal::Command(Vec::new());
        runtime.receive_forward((2, 1), proposal, Duration::from_millis(timeout));
        assert_eq!(runtime.status().last_index, last + proposed);
    }
}

#[test]
fn a_peer_is_admitted_by_the_rule_for_clients() {
    let mut runtime = new_leader();
    let last = runtime.status().last_index;
    let proposal = Proposal::Command(vec![0; 65 << 20]);
    runtime.receive_forward((2, 1), proposal, Duration::from_secs(1));
    assert_eq!(runtime.status().last_index, last);
    let refused = |output: &Output<u32>| {
        matches!(output, Output::ForwardResult { to: 2, result: ProposalResult::Refused, .. })
    };
    assert!(runtime.take_outputs().iter().any(refused));
}

#[test]
fn one_request_gives_a_name_to_one_newcomer() {
    let mut runtime = new_leader();
    let new = |port: u16| NewMember { name: "d".to_owned(), address: format!("d:{port}") };
    let twice = MembersRequest { add: vec![new(1), new(2)], ..Default::default() };
    let voter_and_learner =
        MembersRequest { add: vec![new(1)], learn: vec![new(2)], ..Default::default() };
    for request in [twice, voter_and_learner] {
        let request = Request::ChangeMembers(request);
        runtime.submit_request(ClientRequest { request, deadline: LONG, client: 7 });
        let declined = Answer::Declined("d is named twice as a newcomer".to_owned());
        assert_eq!(client_answers(complete_writes(&mut runtime)), [(7, declined)]);
    }
    assert_eq!(runtime.membership().members(), [1].into());
}

#[test]
fn a_member_is_not_added_twice_and_a_stranger_not_removed() {
    let mut runtime = new_leader();
    let me = NewMember { name: "n1".to_owned(), address: "n1:1".to_owned() };
    let add = MembersRequest { add: vec![me], ..Default::default() };
    let remove = MembersRequest { remove: vec!["n9".to_owned()], ..Default::default() };
    for (request, why) in [(add, "n1 is a member already"), (remove, "n9 is not a member")] {
        let request = Request::ChangeMembers(request);
        runtime.submit_request(ClientRequest { request, deadline: LONG, client: 7 });
        let answers = client_answers(complete_writes(&mut runtime));
        let [(7, Answer::Declined(said))] = &answers[..] else { panic!("{answers:?}") };
        assert!(said.starts_with(why), "{said}");
    }
}

#[test]
fn a_request_that_is_not_served_is_told_why() {
    let mut runtime = new_leader();
    let read = Query::Key("k".to_owned());
    let mut told = |effect: Effect, stage: pending::Stage<u32>| {
        runtime.pending.insert(7, stage, LONG);
        runtime.carry_out(effect);
        client_answers(runtime.take_outputs()).pop().map(|(_, answer)| answer)
    };
    let confirming = || pending::Stage::Confirming { query: read.clone(), after: 0, client: 1 };
    let proposed = || pending::Stage::Proposed {
        proposal: Proposal::Command(Vec::new()),
        proposer: pending::Proposer::Client { client: 1, early: None },
    };
    let failed = |reason| Some(Answer::Failed(reason));
    let expired = told(Effect::ReadExpired { token: 7 }, confirming());
    assert_eq!(expired, failed(FailureReason::NoQuorum));
    let unread = told(Effect::ReadFailed { token: 7 }, confirming());
    assert_eq!(unread, failed(FailureReason::NoLeader));
    let full = told(Effect::Refused { token: 7, leader: Some(1) }, proposed());
    assert_eq!(full, failed(FailureReason::Overloaded));
    let no_leader = told(Effect::Refused { token: 7, leader: None }, proposed());
    assert_eq!(no_leader, failed(FailureReason::NoLeader));
}

#[test]
fn a_refused_write_is_forwarded_once_and_its_result_returned() {
    let mut runtime = new_leader();
    let proposed = pending::Stage::Proposed {
        proposal: Proposal::Command(Vec::new()),
        proposer: pending::Proposer::Client { client: 1, early: None },
    };
    runtime.pending.insert(7, proposed, LONG);
    runtime.carry_out(Effect::Refused { token: 7, leader: Some(2) });
    let outputs = runtime.take_outputs();
    assert!(matches!(outputs[..], [Output::Forward { to: 2, request: 7, .. }]), "{outputs:?}");
    runtime.receive_result(3, 7, ProposalResult::Lost);
    assert!(runtime.take_outputs().is_empty(), "another peer answers");
    runtime.receive_result(2, 7, ProposalResult::Refused);
    let refused = Answer::Failed(FailureReason::ForwardRefused);
    assert_eq!(client_answers(runtime.take_outputs()), [(1, refused)]);
    runtime.fail_forward(7);
    runtime.lose_connection(2);
    assert!(runtime.take_outputs().is_empty(), "it has been answered");
}

#[test]
fn a_message_leaves_when_the_write_it_depends_on_is_durable() {
    let mut runtime = new_leader();
    let message = || Message { term: 1, content: Content::StaleTerm };
    let durable = runtime.durable;
    for after in [durable + 1, durable, durable + 2] {
        runtime.carry_out(Effect::Send { to: after, message: message(), after });
    }
    let sent = |runtime: &mut Runtime<u32>| -> Vec<u64> {
        let to = |output| match output {
            Output::Send { to, .. } => Some(to),
            _ => None,
        };
        runtime.take_outputs().into_iter().filter_map(to).collect()
    };
    assert_eq!(sent(&mut runtime), [durable]);
    runtime.step(Input::Persisted { sequence: durable + 2 });
    assert_eq!(sent(&mut runtime), [durable + 1, durable + 2]);
}

#[test]
fn a_leader_that_contradicts_what_is_committed_ends_the_replica() {
    let mut runtime = new_leader();
    let [committed, new] = [1, 3].map(|term| Position { term, index: 2 });
    runtime.carry_out(Effect::Fatal { committed, new });
    let last = runtime.status().last_index;
    runtime.submit_request(put_request(1));
    assert_eq!(runtime.status().last_index, last);
    let outputs = runtime.take_outputs();
    let [Output::Done(Effect::Fatal { .. }), Output::Failed(why)] = &outputs[..] else {
        panic!("{outputs:?}")
    };
    assert!(why.starts_with("entry 2 is committed here with term 1"), "{why}");
}
