//! Cases of bugs of reads and leases.

use super::*;

pub(super) const CASES: &[BugCase] = &[
    BugCase { bug: Bug::FollowerReads, shows: a_follower_answers_alone },
    BugCase { bug: Bug::JoinOpenRound, shows: an_earlier_round_serves_a_read },
    BugCase { bug: Bug::LateReplyConfirms, shows: an_earlier_answer_serves_a_read },
    BugCase { bug: Bug::LeaseCountsTicks, shows: a_lease_outlives_a_pause },
    BugCase { bug: Bug::LeaseFromReply, shows: a_late_answer_extends_the_lease },
    BugCase { bug: Bug::LeaseSurvivesTransfer, shows: a_lease_outlives_a_transfer },
    BugCase { bug: Bug::ReadBeforeCommit, shows: a_new_leader_answers_at_once },
    BugCase { bug: Bug::ReadWithoutLeader, shows: a_server_without_leader_answers },
    BugCase { bug: Bug::ReuseReadNumbers, shows: two_starts_share_numbers },
    BugCase { bug: Bug::StaleReads, shows: a_leader_answers_alone },
    BugCase { bug: Bug::VoteWithinLease, shows: a_vote_breaks_a_lease },
];

fn is_ready(effects: &[Effect]) -> bool {
    effects.iter().any(|effect| matches!(effect, Effect::ReadReady { .. }))
}

fn ask(raft: &mut Raft, token: Token) -> bool {
    is_ready(&run_step(raft, Input::Read { token }))
}

/// A leader with leases whose no-op is committed.
fn new_leader(bugs: BugSet) -> Raft {
    let config = Config { lease_reads: true, ..test_server(bugs) };
    let mut raft = start_server(config, 1, &[1]);
    elect(&mut raft);
    for peer in [2, 3] {
        acknowledge(&mut raft, peer, 2, 0);
    }
    assert_eq!(commit_index(&raft), 2);
    raft
}

/// The number of the latest round.
fn latest_round(raft: &Raft) -> u64 {
    match &raft.state {
        role::RoleState::Leader(leading) => leading.reads.latest_round(),
        _ => 0,
    }
}

fn answer_round(raft: &mut Raft, round: u64) -> bool {
    let all: Vec<_> = [2, 3].iter().flat_map(|peer| acknowledge(raft, *peer, 2, round)).collect();
    is_ready(&all)
}

fn reads_by_lease(raft: &mut Raft) -> bool {
    is_ready(&run_step(raft, Input::LeaseRead { token: 9 }))
}

/// A leader that holds a lease of six ticks.
fn new_leaseholder(bugs: BugSet) -> Raft {
    let mut raft = new_leader(bugs);
    tick(&mut raft, 2);
    let round = latest_round(&raft);
    answer_round(&mut raft, round);
    assert!(reads_by_lease(&mut raft));
    raft
}

fn a_follower_answers_alone(bugs: BugSet) -> bool {
    let mut raft = new_server(bugs, 1, &[1]);
    receive(&mut raft, 2, heartbeat_message(1, 1, 1));
    ask(&mut raft, 1)
}

fn a_leader_answers_alone(bugs: BugSet) -> bool {
    ask(&mut new_leader(bugs), 1)
}

fn an_earlier_round_serves_a_read(bugs: BugSet) -> bool {
    let mut raft = new_leader(bugs);
    ask(&mut raft, 1);
    let round = latest_round(&raft);
    ask(&mut raft, 2);
    let effects: Vec<_> =
        [2, 3].iter().flat_map(|peer| acknowledge(&mut raft, *peer, 2, round)).collect();
    effects.contains(&Effect::ReadReady { token: 2, index: 2 })
}

fn an_earlier_answer_serves_a_read(bugs: BugSet) -> bool {
    let mut raft = new_leader(bugs);
    let earlier = latest_round(&raft);
    ask(&mut raft, 1);
    answer_round(&mut raft, earlier)
}

fn a_lease_outlives_a_pause(bugs: BugSet) -> bool {
    let mut raft = new_leaseholder(bugs);
    run_step(&mut raft, Input::MissedTicks { ticks: 50 });
    reads_by_lease(&mut raft)
}

fn a_late_answer_extends_the_lease(bugs: BugSet) -> bool {
    let mut raft = new_leader(bugs);
    tick(&mut raft, 2);
    let round = latest_round(&raft);
    run_step(&mut raft, Input::MissedTicks { ticks: 8 });
    answer_round(&mut raft, round);
    reads_by_lease(&mut raft)
}

fn a_lease_outlives_a_transfer(bugs: BugSet) -> bool {
    let mut raft = new_leaseholder(bugs);
    run_step(&mut raft, Input::TransferLeadership { to: 2 });
    reads_by_lease(&mut raft)
}

fn a_new_leader_answers_at_once(bugs: BugSet) -> bool {
    let mut raft = new_server(bugs, 1, &[1]);
    elect(&mut raft);
    ask(&mut raft, 1);
    let round = latest_round(&raft);
    let all: Vec<_> =
        [2, 3].iter().flat_map(|peer| acknowledge(&mut raft, *peer, 0, round)).collect();
    is_ready(&all)
}

fn a_server_without_leader_answers(bugs: BugSet) -> bool {
    ask(&mut new_server(bugs, 1, &[1]), 1)
}

fn two_starts_share_numbers(bugs: BugSet) -> bool {
    let number = |seed| {
        let mut raft = start_server(Config { seed, ..test_server(bugs) }, 1, &[1]);
        receive(&mut raft, 2, heartbeat_message(1, 1, 0));
        let effects = run_step(&mut raft, Input::Read { token: 1 });
        sent_messages(&effects).iter().find_map(|(_, content, _)| match content {
            Content::ReadIndex { request } => Some(*request),
            _ => None,
        })
    };
    number(1).is_some() && number(1) == number(2)
}

fn a_vote_breaks_a_lease(bugs: BugSet) -> bool {
    let mut raft = start_server(Config { lease_reads: true, ..test_server(bugs) }, 1, &[1]);
    receive(&mut raft, 2, heartbeat_message(1, 1, 0));
    receive_from(&mut raft, 3, 2, vote_request(1, 1)) == [vote_reply(true)]
}
