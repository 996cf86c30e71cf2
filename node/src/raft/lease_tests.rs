//! Tries leases: when they hold, when they end, and who must not vote meanwhile.

use super::tests::{answers, config, heartbeat, request, stand, step, sync, vote};
use super::*;

/// Server 1 of five as leader of term 2 with leases, whose no-op is committed.
fn lessor() -> Raft {
    let mut raft = Raft::new(Config { lease_reads: true, ..config(7) }, Stored::default());
    stand(&mut raft);
    sync(&mut raft);
    let term = raft.term();
    for voter in [2, 3] {
        answers(&mut raft, voter, term, vote(true));
    }
    sync(&mut raft);
    for peer in [2, 3] {
        answers(&mut raft, peer, term, Content::AppendAccepted { index: 1, round: 0 });
    }
    assert_eq!((raft.role(), raft.status().commit_index), (Role::Leader, 1));
    raft
}

/// The round that the next heartbeat carries.
fn beat(raft: &mut Raft) -> u64 {
    assert_eq!(raft.role(), Role::Leader);
    loop {
        let round = |effect: &Effect| match effect {
            Effect::Send {
                message: Message { content: Content::AppendEntries { round, .. }, .. },
                ..
            } => Some(*round),
            _ => None,
        };
        if let Some(round) = step(raft, Input::Tick).iter().find_map(round) {
            return round;
        }
    }
}

fn reads_by_lease(raft: &mut Raft) -> bool {
    let ready = Effect::ReadReady { token: 9, index: raft.status().commit_index };
    step(raft, Input::LeaseRead { token: 9 }).contains(&ready)
}

fn answer_round(raft: &mut Raft, round: u64) {
    for peer in [2, 3] {
        let term = raft.term();
        answers(raft, peer, term, Content::AppendAccepted { index: 1, round });
    }
}

#[test]
fn a_lease_counts_from_when_the_answered_question_left() {
    let mut raft = lessor();
    assert!(!raft.holds_lease(), "nobody has answered a question with a time");
    let (first, second) = (beat(&mut raft), beat(&mut raft));
    assert!(second > first);
    answer_round(&mut raft, first);
    assert!(reads_by_lease(&mut raft));
    // Ten ticks less a fifth and less two are six; two have passed between the heartbeats.
    step(&mut raft, Input::MissedTicks { ticks: 3 });
    assert!(reads_by_lease(&mut raft));
    step(&mut raft, Input::MissedTicks { ticks: 1 });
    assert!(!reads_by_lease(&mut raft));
}

#[test]
fn whoever_has_told_another_to_stand_holds_no_lease_any_more() {
    let mut raft = lessor();
    let round = beat(&mut raft);
    answer_round(&mut raft, round);
    assert!(reads_by_lease(&mut raft));
    step(&mut raft, Input::TransferLeadership { to: 2 });
    assert!(!reads_by_lease(&mut raft));
    for _ in 0..5 {
        let round = beat(&mut raft);
        answer_round(&mut raft, round);
    }
    assert!(!reads_by_lease(&mut raft), "the word to stand may still be under way");
}

#[test]
fn with_leases_whoever_has_just_started_gives_no_vote() {
    let mut raft = Raft::new(Config { lease_reads: true, ..config(7) }, Stored::default());
    assert_eq!(answers(&mut raft, 2, 1, request(0, 0)), []);
    (0..9).for_each(|_| drop(step(&mut raft, Input::Tick)));
    step(&mut raft, Input::MissedTicks { ticks: 9 });
    assert_eq!(answers(&mut raft, 2, 1, request(0, 0)), []);
    step(&mut raft, Input::Tick);
    assert_eq!(answers(&mut raft, 2, 1, request(0, 0)), [vote(true)]);
}

#[test]
fn with_leases_a_vote_is_withheld_though_the_leader_of_the_term_is_unknown() {
    let mut raft = Raft::new(Config { lease_reads: true, ..config(7) }, Stored::default());
    (0..10).for_each(|_| drop(step(&mut raft, Input::Tick)));
    answers(&mut raft, 2, 1, heartbeat(0, 0, 0));
    answers(&mut raft, 3, 2, Content::StaleTerm);
    assert_eq!((raft.term(), raft.leader), (2, None));
    assert_eq!(answers(&mut raft, 4, 2, request(0, 0)), []);
    let transfer =
        Content::RequestVote { pre: false, last: Position { term: 0, index: 0 }, transfer: true };
    assert_eq!(answers(&mut raft, 4, 2, transfer), [vote(true)]);
}
