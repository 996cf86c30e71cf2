//! Sends single messages to one server and checks its reply: one test for each rule that a single
//! message can break.

use super::*;
use crate::bug::{Bug, BugSet, VariationSet};
use alloc::{vec, vec::Vec};

/// Server 1 of five, in this term, with a log of these terms.
fn new_server(term: Term, log: &[Term]) -> Raft {
    let entry = |(at, term): (usize, &Term)| Entry {
        term: *term,
        index: at as Index + 1,
        payload: Payload::Noop,
    };
    let entries = log.iter().enumerate().map(entry).collect();
    let hard_state = HardState { term, voted_for: None };
    Raft::new(test_config(7), Stored { hard_state, entries, ..Stored::default() })
}

pub(super) fn test_config(seed: u64) -> Config {
    let voters = (1..=5).collect();
    Config {
        id: 1,
        voters,
        heartbeat_ticks: 2,
        election_ticks: 10,
        seed,
        lease_reads: false,
        compaction: Compaction::default(),
        bugs: BugSet::default(),
        variations: VariationSet::default(),
    }
}

pub(super) fn run_step(raft: &mut Raft, input: Input) -> Vec<Effect> {
    let mut effects = Vec::new();
    raft.step(input, &mut effects);
    effects
}

/// Returns the replies of a server to a message.
pub(super) fn receive_from(
    raft: &mut Raft,
    from: ServerId,
    term: Term,
    content: Content,
) -> Vec<Content> {
    let effects = run_step(raft, Input::Receive { from, message: Message { term, content } });
    let sent = |effect| match effect {
        Effect::Send { message, .. } => Some(message.content),
        _ => None,
    };
    effects.into_iter().filter_map(sent).collect()
}

pub(super) fn heartbeat_message(term: Term, index: Index, commit: Index) -> Content {
    let previous = Position { term, index };
    Content::AppendEntries(AppendEntries { previous, entries: vec![], commit, round: 0 })
}

pub(super) fn vote_request(term: Term, index: Index) -> Content {
    Content::RequestVote { pre: false, last: Position { term, index }, transfer: false }
}

pub(super) fn vote_reply(granted: bool) -> Content {
    Content::VoteReply { pre: false, granted }
}

/// Ticks until the server requests pre-votes, and grants them.
pub(super) fn start_campaign(raft: &mut Raft) {
    while raft.role() != Role::PreCandidate {
        run_step(raft, Input::Tick);
    }
    for voter in [2, 3] {
        receive_from(raft, voter, raft.term(), Content::VoteReply { pre: true, granted: true });
    }
    assert_eq!(raft.role(), Role::Candidate);
}

/// Reports all writes as durable.
pub(super) fn complete_writes(raft: &mut Raft) -> Vec<Effect> {
    run_step(raft, Input::Persisted { sequence: u64::MAX })
}

#[test]
fn a_heartbeat_commits_only_up_to_its_previous_entry() {
    let mut raft = new_server(2, &[1, 1, 1]);
    receive_from(&mut raft, 2, 2, heartbeat_message(1, 1, 3));
    assert_eq!(raft.status().commit_index, 1);
    receive_from(&mut raft, 2, 2, heartbeat_message(1, 3, 2));
    assert_eq!(raft.status().commit_index, 2);
}

#[test]
fn a_match_with_an_earlier_leader_commits_nothing_for_the_next() {
    let mut raft = new_server(2, &[1, 1, 1]);
    receive_from(&mut raft, 2, 2, heartbeat_message(1, 3, 0));
    receive_from(&mut raft, 3, 3, heartbeat_message(1, 1, 3));
    assert_eq!(raft.status().commit_index, 1);
}

#[test]
fn an_acknowledgement_covers_the_message_not_the_log_behind_it() {
    let mut raft = new_server(2, &[1, 1, 1]);
    let answer = receive_from(&mut raft, 2, 2, heartbeat_message(1, 1, 0));
    assert_eq!(answer, [Content::AppendAccepted { index: 1, round: 0 }]);
}

#[test]
fn a_candidate_follows_the_leader_of_its_term_despite_a_log_mismatch() {
    let mut raft = new_server(1, &[1]);
    start_campaign(&mut raft);
    let answer = receive_from(&mut raft, 2, 2, heartbeat_message(1, 9, 9));
    let hint = Position { term: 1, index: 1 };
    assert_eq!(answer, [Content::AppendRejected { rejected: 9, hint, round: 0 }]);
    assert_eq!((raft.role(), raft.leader), (Role::Follower, Some(2)));
}

#[test]
fn a_vote_survives_a_change_of_role_within_its_term() {
    let mut raft = new_server(1, &[1]);
    start_campaign(&mut raft);
    receive_from(&mut raft, 2, 2, heartbeat_message(1, 9, 9));
    (0..10).for_each(|_| drop(run_step(&mut raft, Input::Tick)));
    assert_eq!(receive_from(&mut raft, 3, 2, vote_request(1, 1)).last(), Some(&vote_reply(false)));
}

#[test]
fn a_longer_log_of_an_older_term_gets_no_vote() {
    let request_vote = |last: (Term, Index)| {
        let mut raft = new_server(2, &[1, 2]);
        receive_from(&mut raft, 2, 3, vote_request(last.0, last.1))
    };
    assert_eq!(
        [(1, 9), (2, 1)].map(request_vote),
        [vec![vote_reply(false)], vec![vote_reply(false)]]
    );
    assert_eq!(
        [(2, 2), (3, 1)].map(request_vote),
        [vec![vote_reply(true)], vec![vote_reply(true)]]
    );
}

#[test]
fn a_vote_waits_for_the_disk_and_is_repeated_on_request() {
    let mut raft = new_server(1, &[]);
    let message = Message { term: 2, content: vote_request(0, 0) };
    let effects = run_step(&mut raft, Input::Receive { from: 2, message: message.clone() });
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Send { after: 2, .. })));
    let effects = run_step(&mut raft, Input::Receive { from: 2, message });
    assert!(matches!(effects.as_slice(), [Effect::Send { after: 2, .. }]));
    assert_eq!(receive_from(&mut raft, 3, 2, vote_request(0, 0)), [vote_reply(false)]);
}

#[test]
fn votes_of_an_earlier_term_are_not_counted() {
    let mut raft = new_server(1, &[]);
    start_campaign(&mut raft);
    complete_writes(&mut raft);
    for voter in [2, 3, 4] {
        receive_from(&mut raft, voter, 1, vote_reply(true));
        receive_from(&mut raft, 2, 2, vote_reply(true));
        receive_from(&mut raft, voter, 2, vote_reply(false));
    }
    assert_eq!(raft.role(), Role::Candidate);
    receive_from(&mut raft, 3, 2, vote_reply(true));
    assert_eq!(raft.role(), Role::Leader);
}

#[test]
fn a_server_that_hears_a_leader_ignores_vote_requests_and_their_term() {
    let mut raft = new_server(1, &[]);
    receive_from(&mut raft, 2, 1, heartbeat_message(0, 0, 0));
    (0..9).for_each(|_| drop(run_step(&mut raft, Input::Tick)));
    assert_eq!((receive_from(&mut raft, 3, 5, vote_request(9, 9)), raft.term()), (vec![], 1));
    run_step(&mut raft, Input::Tick);
    assert_eq!(
        (receive_from(&mut raft, 3, 5, vote_request(9, 9)), raft.term()),
        (vec![vote_reply(true)], 5)
    );
}

#[test]
fn a_stale_request_gets_a_reply_and_a_stale_reply_none() {
    let mut raft = new_server(3, &[1]);
    for content in
        [vote_request(9, 9), heartbeat_message(0, 0, 0), Content::ReadIndex { request: 1 }]
    {
        assert_eq!(receive_from(&mut raft, 2, 2, content), [Content::StaleTerm]);
    }
    for content in
        [vote_reply(true), Content::AppendAccepted { index: 1, round: 1 }, Content::StaleTerm]
    {
        assert_eq!(receive_from(&mut raft, 2, 2, content), []);
    }
}

#[test]
fn a_server_ignores_messages_from_itself() {
    let mut raft = new_server(1, &[]);
    assert_eq!((receive_from(&mut raft, 1, 9, vote_request(9, 9)), raft.term()), (vec![], 1));
}

/// The sender may be a member that this log does not name yet.
#[test]
fn a_non_member_gets_an_answer_but_its_votes_do_not_count() {
    let mut raft = new_server(1, &[]);
    start_campaign(&mut raft);
    complete_writes(&mut raft);
    receive_from(&mut raft, 6, 2, vote_reply(true));
    receive_from(&mut raft, 7, 2, vote_reply(true));
    assert_eq!(raft.role(), Role::Candidate);
    assert_eq!(receive_from(&mut raft, 6, 3, vote_request(9, 9)), [vote_reply(true)]);
}

#[test]
fn a_forwarded_read_is_answered_once_and_fails_with_its_leader() {
    let mut raft = new_server(1, &[]);
    receive_from(&mut raft, 2, 1, heartbeat_message(0, 0, 0));
    let request_number = |effects: Vec<Effect>| match effects.as_slice() {
        [
            Effect::Send {
                message: Message { content: Content::ReadIndex { request }, .. }, ..
            },
        ] => *request,
        other => panic!("{other:?}"),
    };
    let request = request_number(run_step(&mut raft, Input::Read { token: 1 }));
    request_number(run_step(&mut raft, Input::Read { token: 2 }));
    let content = Content::ReadIndexReply { request, index: Some(4) };
    let reply = Input::Receive { from: 2, message: Message { term: 1, content } };
    let ready = [Effect::ReadReady { token: 1, index: 4 }];
    assert_eq!(run_step(&mut raft, reply.clone()), ready);
    assert_eq!(run_step(&mut raft, reply), []);
    let message = Message { term: 2, content: heartbeat_message(0, 0, 0) };
    let effects = run_step(&mut raft, Input::Receive { from: 3, message });
    assert_eq!(effects.first(), Some(&Effect::ReadFailed { token: 2 }));
}

#[test]
fn each_start_uses_new_request_numbers() {
    let first = |seed| Raft::new(test_config(seed), Stored::default()).forwarded_reads;
    assert_ne!(alloc::format!("{:?}", first(1)), alloc::format!("{:?}", first(2)));
}

#[test]
fn a_leader_answers_all_clients_when_it_steps_down() {
    let mut raft = new_server(1, &[]);
    start_campaign(&mut raft);
    complete_writes(&mut raft);
    receive_from(&mut raft, 2, 2, vote_reply(true));
    receive_from(&mut raft, 3, 2, vote_reply(true));
    run_step(&mut raft, Input::Propose { token: 1, command: vec![] });
    run_step(&mut raft, Input::Read { token: 2 });
    let message = Message { term: 3, content: Content::StaleTerm };
    let effects = run_step(&mut raft, Input::Receive { from: 2, message });
    let answers = [Effect::OutcomeUnknown { token: 1 }, Effect::ReadFailed { token: 2 }];
    assert!(effects.starts_with(&answers), "{effects:?}");
}

#[test]
fn a_committed_entry_is_overwritten_only_with_a_seeded_bug() {
    let overwrite = |bugs: BugSet| {
        let mut raft = new_server(2, &[1, 1]);
        raft.config.bugs = bugs;
        receive_from(&mut raft, 2, 2, heartbeat_message(1, 2, 2));
        let entries = vec![Entry { term: 3, index: 2, payload: Payload::Noop }];
        let previous = Position { term: 1, index: 1 };
        let content =
            Content::AppendEntries(AppendEntries { previous, entries, commit: 2, round: 0 });
        let effects =
            run_step(&mut raft, Input::Receive { from: 3, message: Message { term: 3, content } });
        (effects, raft.log().last().map(|entry| entry.term))
    };
    let (effects, last) = overwrite(BugSet::default());
    let (committed, new) = (Position { term: 1, index: 2 }, Position { term: 3, index: 2 });
    assert!(effects.contains(&Effect::Fatal { committed, new }), "{effects:?}");
    assert!(!effects.iter().any(|effect| matches!(
        effect,
        Effect::Persist(Persist { hard_state: None, .. })
            | Effect::Send { message: Message { content: Content::AppendAccepted { .. }, .. }, .. }
    )));
    assert_eq!((last, overwrite([Bug::NoFsync].into()).1), (Some(1), Some(3)));
}

#[test]
fn a_long_log_is_delivered_in_slices_one_per_input() {
    let mut raft = new_server(2, &[1; 2500]);
    let sizes = |effects: Vec<Effect>| -> Vec<usize> {
        let commits = effects.into_iter().filter_map(|effect| match effect {
            Effect::Commit { entries } => Some(entries.len()),
            _ => None,
        });
        commits.collect()
    };
    let message = Message { term: 2, content: heartbeat_message(1, 2500, 2500) };
    assert_eq!(sizes(run_step(&mut raft, Input::Receive { from: 2, message })), [1024]);
    assert_eq!((raft.status().commit_index, raft.has_undelivered()), (2500, true));
    assert_eq!(sizes(run_step(&mut raft, Input::Tick)), [1024]);
    assert_eq!(sizes(run_step(&mut raft, Input::Continue)), [452]);
    assert!(!raft.has_undelivered() && sizes(run_step(&mut raft, Input::Continue)).is_empty());
}

#[test]
fn a_leader_refuses_commands_above_the_uncommitted_limit() {
    let mut raft = Raft::new(Config { voters: vec![1], ..test_config(7) }, Stored::default());
    (0..30).for_each(|_| drop(run_step(&mut raft, Input::Tick)));
    complete_writes(&mut raft);
    let refused = |raft: &mut Raft, token| {
        let effects = run_step(raft, Input::Propose { token, command: vec![0; 1 << 20] });
        effects.contains(&Effect::Refused { token, leader: Some(1) })
    };
    assert_eq!((1..).find(|token| refused(&mut raft, *token)), Some(16));
    complete_writes(&mut raft);
    assert!(!refused(&mut raft, 17));
}

#[test]
fn acknowledgements_follow_their_slice() {
    let mut raft = Raft::new(Config { voters: vec![1], ..test_config(7) }, Stored::default());
    (0..30).for_each(|_| drop(run_step(&mut raft, Input::Tick)));
    complete_writes(&mut raft);
    assert_eq!(raft.role(), Role::Leader);
    (1..=1500)
        .for_each(|token| drop(run_step(&mut raft, Input::Propose { token, command: vec![] })));
    for slice in [complete_writes(&mut raft), run_step(&mut raft, Input::Continue)] {
        let ([Effect::Commit { entries }, answers @ ..], false) =
            (slice.as_slice(), slice.is_empty())
        else {
            panic!("{slice:?}")
        };
        let delivered = entries.iter().filter(|entry| entry.payload != Payload::Noop);
        let delivered: Vec<_> = delivered.map(|entry| entry.index).collect();
        let acknowledged = answers.iter().filter_map(|effect| match effect {
            Effect::Acknowledge { index, .. } => Some(*index),
            _ => None,
        });
        assert_eq!(acknowledged.collect::<Vec<_>>(), delivered);
    }
    assert!(!raft.has_undelivered());
}

/// Server 1, which compacts its log after every two entries and keeps none.
fn compacting_server(entries: Index) -> Raft {
    let compaction = Compaction { entries: 2, bytes: 0, keep_entries: 0, chunk_bytes: 2 };
    let log = (1..=entries).map(|index| Entry { term: 1, index, payload: Payload::Noop });
    let hard_state = HardState { term: 1, voted_for: None };
    let stored = Stored { hard_state, entries: log.collect(), ..Stored::default() };
    Raft::new(Config { compaction, ..test_config(7) }, stored)
}

fn snapshot_chunk(term: Term, index: Index, offset: u64, data: &[u8]) -> Content {
    let last = Position { term, index };
    let membership = Membership::from_voters(&[1, 2, 3, 4, 5]);
    let (size, data) = (4, data.to_vec());
    Content::InstallSnapshot(InstallSnapshot { last, membership, size, offset, data, round: 0 })
}

fn snapshot_received(term: Term, index: Index, received: u64) -> Content {
    Content::SnapshotReceived { last: Position { term, index }, received, round: 0 }
}

#[test]
fn a_snapshot_is_requested_once_and_an_older_one_compacts_nothing() {
    let mut raft = compacting_server(4);
    let effects = run_step(
        &mut raft,
        Input::Receive {
            from: 2,
            message: Message { term: 1, content: heartbeat_message(1, 4, 3) },
        },
    );
    let last = Position { term: 1, index: 3 };
    assert!(effects.contains(&Effect::TakeSnapshot { last }), "{effects:?}");
    assert!(!run_step(&mut raft, Input::Tick).contains(&Effect::TakeSnapshot { last }));
    run_step(&mut raft, Input::SnapshotTaken { last, data: vec![3] });
    assert_eq!((raft.log_start(), raft.log().len()), (last, 1));
    run_step(
        &mut raft,
        Input::SnapshotTaken { last: Position { term: 1, index: 2 }, data: vec![2] },
    );
    run_step(
        &mut raft,
        Input::SnapshotTaken { last: Position { term: 1, index: 4 }, data: vec![4] },
    );
    assert_eq!(raft.log_start(), last, "a snapshot cannot contain undelivered entries");
}

#[test]
fn snapshot_chunks_may_arrive_late_twice_or_early() {
    let mut raft = compacting_server(1);
    assert_eq!(
        receive_from(&mut raft, 2, 1, snapshot_chunk(1, 9, 2, &[3, 4])),
        [snapshot_received(1, 9, 0)]
    );
    assert_eq!(
        receive_from(&mut raft, 2, 1, snapshot_chunk(1, 9, 0, &[1, 2])),
        [snapshot_received(1, 9, 2)]
    );
    assert_eq!(
        receive_from(&mut raft, 2, 1, snapshot_chunk(1, 9, 0, &[1, 2])),
        [snapshot_received(1, 9, 2)]
    );
    // Another snapshot, then the first one again from the start.
    assert_eq!(
        receive_from(&mut raft, 2, 1, snapshot_chunk(1, 8, 0, &[9])),
        [snapshot_received(1, 8, 1)]
    );
    assert_eq!(
        receive_from(&mut raft, 2, 1, snapshot_chunk(1, 9, 2, &[3, 4])),
        [snapshot_received(1, 9, 0)]
    );
    receive_from(&mut raft, 2, 1, snapshot_chunk(1, 9, 0, &[1, 2]));
    let message = Message { term: 1, content: snapshot_chunk(1, 9, 2, &[3, 4]) };
    let effects = run_step(&mut raft, Input::Receive { from: 2, message });
    let last = Position { term: 1, index: 9 };
    let snapshot = Snapshot {
        last,
        membership: Membership::from_voters(&[1, 2, 3, 4, 5]),
        data: [1, 2, 3, 4].into(),
    };
    assert!(effects.contains(&Effect::Restore { snapshot }), "{effects:?}");
    assert_eq!((raft.log_start(), raft.status().commit_index, raft.log().len()), (last, 9, 0));
    // An older snapshot is acknowledged and changes nothing.
    let matched = Content::AppendAccepted { index: 8, round: 0 };
    let replies = receive_from(&mut raft, 2, 1, snapshot_chunk(1, 8, 0, &[9, 9, 9, 9]));
    assert!(matches!(replies[..], [ref reply] if *reply == matched), "{replies:?}");
    assert_eq!(raft.log_start(), last);
}

#[test]
fn a_snapshot_beside_an_unrelated_log_replaces_it() {
    let last = Position { term: 2, index: 9 };
    let snapshot = Some(Snapshot {
        last,
        membership: Membership::from_voters(&[1, 2, 3, 4, 5]),
        data: [1].into(),
    });
    let log = (1..=3).map(|index| Entry { term: 1, index, payload: Payload::Noop }).collect();
    let hard_state = HardState { term: 2, voted_for: None };
    let stored = Stored { hard_state, snapshot, entries: log, ..Stored::default() };
    let mut raft = Raft::new(test_config(7), stored);
    assert_eq!((raft.log_start(), raft.log().len(), raft.status().commit_index), (last, 0, 9));
    let effects = run_step(&mut raft, Input::Tick);
    let written = effects.iter().find_map(|effect| match effect {
        Effect::Persist(persist) => persist.start,
        _ => None,
    });
    assert_eq!(written, Some(last));
}
