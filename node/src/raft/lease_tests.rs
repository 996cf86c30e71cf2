//! Tests leases: when they hold, when they end, and which servers withhold votes meanwhile.

use super::tests::{
    complete_writes, heartbeat_message, receive_from, run_step, start_campaign, test_config,
    vote_reply, vote_request,
};
use super::*;

/// Server 1 of five as leader with leases, with its no-op committed.
fn elect_leaseholder() -> Raft {
    let mut raft = Raft::new(Config { lease_reads: true, ..test_config(7) }, Stored::default());
    start_campaign(&mut raft);
    complete_writes(&mut raft);
    let term = raft.term();
    for voter in [2, 3] {
        receive_from(&mut raft, voter, term, vote_reply(true));
    }
    complete_writes(&mut raft);
    for peer in [2, 3] {
        receive_from(&mut raft, peer, term, Content::AppendAccepted { index: 1, round: 0 });
    }
    assert_eq!((raft.role(), raft.status().commit_index), (Role::Leader, 1));
    raft
}

/// Ticks until the next heartbeat; returns its round.
fn heartbeat_round(raft: &mut Raft) -> u64 {
    assert_eq!(raft.role(), Role::Leader);
    loop {
        let round = |effect: &Effect| match effect {
            Effect::Send {
                message: Message { content: Content::AppendEntries(append), .. },
                ..
            } => Some(append.round),
            _ => None,
        };
        if let Some(round) = run_step(raft, Input::Tick).iter().find_map(round) {
            return round;
        }
    }
}

fn reads_by_lease(raft: &mut Raft) -> bool {
    let ready = Effect::ReadReady { token: 9, index: raft.status().commit_index };
    run_step(raft, Input::LeaseRead { token: 9 }).contains(&ready)
}

fn answer_round(raft: &mut Raft, round: u64) {
    for peer in [2, 3] {
        let term = raft.term();
        receive_from(raft, peer, term, Content::AppendAccepted { index: 1, round });
    }
}

#[test]
fn a_lease_counts_from_when_the_answered_message_was_sent() {
    let mut raft = elect_leaseholder();
    assert!(!raft.holds_lease(), "no round has been answered yet");
    let (first, second) = (heartbeat_round(&mut raft), heartbeat_round(&mut raft));
    assert!(second > first);
    answer_round(&mut raft, first);
    assert!(reads_by_lease(&mut raft));
    // The lease lasts 10 - 2 - 2 = 6 ticks; two of them passed between the heartbeats.
    run_step(&mut raft, Input::MissedTicks { ticks: 3 });
    assert!(reads_by_lease(&mut raft));
    run_step(&mut raft, Input::MissedTicks { ticks: 1 });
    assert!(!reads_by_lease(&mut raft));
}

#[test]
fn a_leader_that_sent_timeout_now_holds_no_lease() {
    let mut raft = elect_leaseholder();
    let round = heartbeat_round(&mut raft);
    answer_round(&mut raft, round);
    assert!(reads_by_lease(&mut raft));
    run_step(&mut raft, Input::TransferLeadership { to: 2 });
    assert!(!reads_by_lease(&mut raft));
    for _ in 0..5 {
        let round = heartbeat_round(&mut raft);
        answer_round(&mut raft, round);
    }
    assert!(!reads_by_lease(&mut raft), "TimeoutNow may still be in flight");
}

#[test]
fn with_leases_a_restarted_server_withholds_votes() {
    let mut raft = Raft::new(Config { lease_reads: true, ..test_config(7) }, Stored::default());
    assert_eq!(receive_from(&mut raft, 2, 1, vote_request(0, 0)), []);
    (0..9).for_each(|_| drop(run_step(&mut raft, Input::Tick)));
    run_step(&mut raft, Input::MissedTicks { ticks: 9 });
    assert_eq!(receive_from(&mut raft, 2, 1, vote_request(0, 0)), []);
    run_step(&mut raft, Input::Tick);
    assert_eq!(receive_from(&mut raft, 2, 1, vote_request(0, 0)), [vote_reply(true)]);
}

#[test]
fn with_leases_votes_are_withheld_even_without_a_known_leader() {
    let mut raft = Raft::new(Config { lease_reads: true, ..test_config(7) }, Stored::default());
    (0..10).for_each(|_| drop(run_step(&mut raft, Input::Tick)));
    receive_from(&mut raft, 2, 1, heartbeat_message(0, 0, 0));
    receive_from(&mut raft, 3, 2, Content::StaleTerm);
    assert_eq!((raft.term(), raft.leader), (2, None));
    assert_eq!(receive_from(&mut raft, 4, 2, vote_request(0, 0)), []);
    let transfer =
        Content::RequestVote { pre: false, last: Position { term: 0, index: 0 }, transfer: true };
    assert_eq!(receive_from(&mut raft, 4, 2, transfer), [vote_reply(true)]);
}
