//! Shows each bug of the core in the smallest case: one server, and the messages that it gets.

use super::tests::{
    complete_writes, heartbeat_message, receive_from, run_step, test_config, vote_reply,
    vote_request,
};
use super::*;
use crate::bug::tests::BugCase;
use crate::bug::{Bug, BugSet};
use alloc::{vec, vec::Vec};

mod commit;
mod elections;
mod liveness;
mod members;
mod reads;
mod replication;
mod snapshots;

/// The cases of every area.
pub(crate) const ALL_CASES: &[&[BugCase]] = &[
    commit::CASES,
    elections::CASES,
    liveness::CASES,
    members::CASES,
    reads::CASES,
    replication::CASES,
    snapshots::CASES,
];

/// Server 1 of five.
fn test_server(bugs: BugSet) -> Config {
    Config { bugs, ..test_config(7) }
}

/// Entries from index 1 on, with these terms.
fn make_log(terms: &[Term]) -> Vec<Entry> {
    let entry =
        |(term, index): (&Term, Index)| Entry { term: *term, index, payload: Payload::Noop };
    terms.iter().zip(1..).map(entry).collect()
}

/// A server in this term, with a log of these terms.
fn start_server(config: Config, term: Term, log: &[Term]) -> Raft {
    let hard_state = HardState { term, voted_for: None };
    Raft::new(config, Stored { hard_state, entries: make_log(log), ..Stored::default() })
}

/// Server 1 of five with these bugs, in this term, with a log of these terms.
fn new_server(bugs: BugSet, term: Term, log: &[Term]) -> Raft {
    start_server(test_server(bugs), term, log)
}

/// Lets time pass.
fn tick(raft: &mut Raft, count: usize) -> Vec<Effect> {
    (0..count).flat_map(|_| run_step(raft, Input::Tick)).collect()
}

/// Lets a message of this term arrive.
fn receive_at(raft: &mut Raft, from: ServerId, term: Term, content: Content) -> Vec<Effect> {
    run_step(raft, Input::Receive { from, message: Message { term, content } })
}

/// Lets a message of the server's own term arrive.
fn receive(raft: &mut Raft, from: ServerId, content: Content) -> Vec<Effect> {
    receive_at(raft, from, raft.term(), content)
}

/// Lets the server campaign: its pre-vote succeeds, its term and vote are durable.
fn campaign(raft: &mut Raft) {
    while raft.role() != Role::PreCandidate {
        run_step(raft, Input::Tick);
    }
    for voter in [2, 3, 4] {
        receive(raft, voter, Content::VoteReply { pre: true, granted: true });
    }
    assert_eq!(raft.role(), Role::Candidate);
    complete_writes(raft);
}

/// Lets the server win an election without completing the write of its no-op.
fn win(raft: &mut Raft) {
    campaign(raft);
    for voter in [2, 3, 4] {
        receive(raft, voter, vote_reply(true));
    }
    assert_eq!(raft.role(), Role::Leader);
}

/// Lets the server win an election; its own log is durable then.
fn elect(raft: &mut Raft) {
    win(raft);
    complete_writes(raft);
}

/// Lets a peer acknowledge everything up to an index, in the latest round.
fn acknowledge(raft: &mut Raft, peer: ServerId, index: Index, round: u64) -> Vec<Effect> {
    receive(raft, peer, Content::AppendAccepted { index, round })
}

/// A message with entries of these terms behind a position.
fn append_message(previous: (Term, Index), terms: &[Term], commit: Index) -> Content {
    let (term, index) = previous;
    let entry =
        |(term, index): (&Term, Index)| Entry { term: *term, index, payload: Payload::Noop };
    let entries = terms.iter().zip(index + 1..).map(entry).collect();
    let previous = Position { term, index };
    Content::AppendEntries(AppendEntries { previous, entries, commit, round: 0 })
}

/// The messages among effects: receiver, content, and the write that each waits for.
fn sent_messages(effects: &[Effect]) -> Vec<(ServerId, &Content, u64)> {
    let sent = |effect| match effect {
        &Effect::Send { to, ref message, after } => Some((to, &message.content, after)),
        _ => None,
    };
    effects.iter().filter_map(sent).collect()
}

/// Whether one of the messages among effects is like that.
fn sends(effects: &[Effect], is_wanted: impl Fn(ServerId, &Content) -> bool) -> bool {
    sent_messages(effects).iter().any(|(to, content, _)| is_wanted(*to, content))
}

/// The terms of the log.
fn log_terms(raft: &Raft) -> Vec<Term> {
    raft.log().iter().map(|entry| entry.term).collect()
}

fn commit_index(raft: &Raft) -> Index {
    raft.status().commit_index
}
