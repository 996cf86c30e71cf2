//! Cases of bugs of snapshots and compaction.

use super::*;

pub(super) const CASES: &[BugCase] = &[
    BugCase { bug: Bug::AppendAnyChunk, shows: a_repeated_chunk_is_appended },
    BugCase { bug: Bug::CheckpointWithoutVote, shows: a_compaction_writes_no_term },
    BugCase { bug: Bug::InstallOlderSnapshot, shows: an_older_snapshot_is_installed },
    BugCase { bug: Bug::KeepTail, shows: a_tail_stays_behind_a_snapshot },
    BugCase { bug: Bug::MixSnapshotChunks, shows: two_snapshots_are_mixed },
    BugCase { bug: Bug::PurgedLeaderSilent, shows: a_purged_leader_sends_no_snapshot },
    BugCase { bug: Bug::RestartSnapshot, shows: the_first_chunk_is_sent_again },
    BugCase { bug: Bug::SnapshotLabelBehind, shows: a_snapshot_names_an_earlier_entry },
    BugCase { bug: Bug::SnapshotLatestConfig, shows: a_snapshot_holds_an_uncommitted_member },
    BugCase { bug: Bug::TermFromSnapshot, shows: a_snapshot_takes_the_term_back },
];

/// Server 1 of five, which compacts after every two entries and keeps none.
fn compacting_server(bugs: BugSet, log: &[Term]) -> Raft {
    let compaction = Compaction { entries: 2, bytes: 0, keep_entries: 0, chunk_bytes: 2 };
    start_server(Config { compaction, ..test_server(bugs) }, 2, log)
}

pub(super) fn chunk(last: (Term, Index), offset: u64, data: &[u8]) -> Content {
    let (term, index) = last;
    Content::InstallSnapshot(InstallSnapshot {
        last: Position { term, index },
        membership: Membership::from_voters(&[1, 2, 3, 4, 5]),
        size: 4,
        offset,
        data: data.to_vec(),
        round: 0,
    })
}

/// The data of the snapshot that effects install.
fn restored(effects: &[Effect]) -> Option<Vec<u8>> {
    effects.iter().find_map(|effect| match effect {
        Effect::Restore { snapshot } => Some(snapshot.data.to_vec()),
        _ => None,
    })
}

fn a_repeated_chunk_is_appended(bugs: BugSet) -> bool {
    let mut raft = new_server(bugs, 2, &[1]);
    receive(&mut raft, 2, chunk((2, 9), 0, &[1, 2]));
    let effects = receive(&mut raft, 2, chunk((2, 9), 0, &[1, 2]));
    restored(&effects) == Some(vec![1, 2, 1, 2])
}

fn two_snapshots_are_mixed(bugs: BugSet) -> bool {
    let mut raft = new_server(bugs, 2, &[1]);
    receive(&mut raft, 2, chunk((2, 8), 0, &[1, 2]));
    let effects = receive(&mut raft, 2, chunk((2, 9), 2, &[3, 4]));
    restored(&effects) == Some(vec![1, 2, 3, 4])
}

fn an_older_snapshot_is_installed(bugs: BugSet) -> bool {
    let mut raft = new_server(bugs, 2, &[1, 1, 1]);
    receive(&mut raft, 2, heartbeat_message(1, 3, 3));
    let effects = receive(&mut raft, 2, chunk((1, 2), 0, &[1, 2, 3, 4]));
    restored(&effects).is_some()
}

fn a_tail_stays_behind_a_snapshot(bugs: BugSet) -> bool {
    let mut raft = new_server(bugs, 2, &[1, 1, 1]);
    receive(&mut raft, 2, chunk((2, 2), 0, &[1, 2, 3, 4]));
    raft.log().len() == 1
}

fn a_snapshot_takes_the_term_back(bugs: BugSet) -> bool {
    let mut raft = new_server(bugs, 7, &[1]);
    receive(&mut raft, 2, chunk((2, 9), 0, &[1, 2, 3, 4]));
    raft.term() == 2
}

/// A server that was asked for a snapshot of the first three of its entries.
fn asked_server(bugs: BugSet, log: &[Term]) -> (Raft, Option<Position>) {
    let mut raft = compacting_server(bugs, log);
    let last = log.len() as Index;
    let effects = receive(&mut raft, 2, heartbeat_message(1, last, 3));
    let asked = effects.iter().find_map(|effect| match effect {
        Effect::TakeSnapshot { last } => Some(*last),
        _ => None,
    });
    (raft, asked)
}

fn a_snapshot_names_an_earlier_entry(bugs: BugSet) -> bool {
    asked_server(bugs, &[1, 1, 1]).1 == Some(Position { term: 1, index: 2 })
}

fn a_compaction_writes_no_term(bugs: BugSet) -> bool {
    let (mut raft, asked) = asked_server(bugs, &[1, 1, 1]);
    let last = asked.expect("three entries were delivered");
    let effects = run_step(&mut raft, Input::SnapshotTaken { last, data: vec![1] });
    let Some(Effect::Persist(persist)) = effects.first() else { panic!("{effects:?}") };
    persist.start.is_some() && persist.hard_state.is_none()
}

fn a_snapshot_holds_an_uncommitted_member(bugs: BugSet) -> bool {
    let (mut raft, asked) = asked_server(bugs, &[1, 1, 1]);
    let previous = Position { term: 1, index: 3 };
    let membership = Membership::from_voters(&[1, 2, 3, 4, 5, 6]);
    let entries = vec![Entry { term: 2, index: 4, payload: Payload::Membership(membership) }];
    let append = AppendEntries { previous, entries, commit: 3, round: 0 };
    receive(&mut raft, 2, Content::AppendEntries(append));
    let last = asked.expect("three entries were delivered");
    let effects = run_step(&mut raft, Input::SnapshotTaken { last, data: vec![1] });
    let Some(Effect::Persist(persist)) = effects.first() else { panic!("{effects:?}") };
    persist.snapshot.as_ref().is_some_and(|it| it.membership.contains(6))
}

/// A leader whose entries are all in a snapshot of four bytes.
fn purged_leader(bugs: BugSet) -> Raft {
    let mut raft = compacting_server(bugs, &[1, 1]);
    elect(&mut raft);
    let mut effects: Vec<_> =
        [2, 3].iter().flat_map(|peer| acknowledge(&mut raft, *peer, 3, 0)).collect();
    effects.retain(|effect| matches!(effect, Effect::TakeSnapshot { .. }));
    let [Effect::TakeSnapshot { last }] = effects[..] else { panic!("{effects:?}") };
    run_step(&mut raft, Input::SnapshotTaken { last, data: vec![1, 2, 3, 4] });
    assert!(raft.log().is_empty());
    raft
}

/// A follower that has nothing.
fn reject_all(raft: &mut Raft) -> Vec<Effect> {
    let hint = Position::default();
    receive(raft, 4, Content::AppendRejected { rejected: 2, hint, round: 0 })
}

/// The offset of the chunk among effects.
fn sent_offset(effects: &[Effect]) -> Option<u64> {
    sent_messages(effects).iter().find_map(|(_, content, _)| match content {
        Content::InstallSnapshot(chunk) => Some(chunk.offset),
        _ => None,
    })
}

fn a_purged_leader_sends_no_snapshot(bugs: BugSet) -> bool {
    sent_offset(&reject_all(&mut purged_leader(bugs))).is_none()
}

fn the_first_chunk_is_sent_again(bugs: BugSet) -> bool {
    let mut raft = purged_leader(bugs);
    reject_all(&mut raft);
    let last = raft.log_start();
    let received = Content::SnapshotReceived { last, received: 2, round: 0 };
    sent_offset(&receive(&mut raft, 4, received)) == Some(0)
}
