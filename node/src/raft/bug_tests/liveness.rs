//! Cases of bugs that only block progress.

use super::*;

pub(super) const CASES: &[BugCase] = &[
    BugCase { bug: Bug::LoneHeartbeats, shows: leads_alone },
    BugCase { bug: Bug::NoCheckQuorum, shows: leads_alone },
    BugCase { bug: Bug::NoRetransmit, shows: lost_entries_stay_lost },
    BugCase { bug: Bug::PreVoteKeepsTerm, shows: a_refusal_teaches_no_term },
    BugCase { bug: Bug::RequestResetsTimer, shows: a_refused_request_delays_the_election },
    BugCase { bug: Bug::SameTimeouts, shows: every_timeout_is_the_same },
    BugCase { bug: Bug::TransferNeverExpires, shows: a_dead_target_blocks_writes },
];

/// A leader that hears no other server for long still leads.
fn leads_alone(bugs: BugSet) -> bool {
    let mut raft = new_server(bugs, 1, &[1]);
    elect(&mut raft);
    tick(&mut raft, 30);
    raft.role() == Role::Leader
}

fn lost_entries_stay_lost(bugs: BugSet) -> bool {
    let mut raft = new_server(bugs, 1, &[1]);
    elect(&mut raft);
    let effects = tick(&mut raft, 9);
    !sends(&effects, |to, content| {
        to == 2 && matches!(content, Content::AppendEntries(append) if !append.entries.is_empty())
    })
}

fn a_refusal_teaches_no_term(bugs: BugSet) -> bool {
    let mut raft = new_server(bugs, 1, &[1]);
    while raft.role() != Role::PreCandidate {
        run_step(&mut raft, Input::Tick);
    }
    receive_at(&mut raft, 2, 8, Content::StaleTerm);
    raft.term() == 1
}

fn a_refused_request_delays_the_election(bugs: BugSet) -> bool {
    let mut raft = new_server(bugs, 1, &[1]);
    let mut campaigned = false;
    for _ in 0..30 {
        tick(&mut raft, 1);
        campaigned |= raft.role() != Role::Follower;
        receive(&mut raft, 2, vote_request(0, 0));
    }
    !campaigned
}

fn every_timeout_is_the_same(bugs: BugSet) -> bool {
    let timeout = |seed| {
        let mut raft = start_server(Config { seed, ..test_server(bugs) }, 1, &[1]);
        (1..).find(|_| !tick(&mut raft, 1).is_empty())
    };
    (1..10).all(|seed| timeout(seed) == timeout(0))
}

fn a_dead_target_blocks_writes(bugs: BugSet) -> bool {
    let mut raft = new_server(bugs, 1, &[1]);
    elect(&mut raft);
    run_step(&mut raft, Input::TransferLeadership { to: 2 });
    for _ in 0..20 {
        tick(&mut raft, 1);
        for peer in [3, 4] {
            acknowledge(&mut raft, peer, 2, 0);
        }
    }
    assert_eq!(raft.role(), Role::Leader);
    let effects = run_step(&mut raft, Input::Propose { token: 1, command: vec![] });
    effects.contains(&Effect::Refused { token: 1, leader: Some(1) })
}
