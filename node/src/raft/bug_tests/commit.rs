//! Cases of bugs of committing.

use super::*;

pub(super) const CASES: &[BugCase] = &[
    BugCase { bug: Bug::ApplyOnAppend, shows: an_uncommitted_entry_is_applied },
    BugCase { bug: Bug::CommitLeaderIndex, shows: a_heartbeat_commits_an_old_tail },
    BugCase { bug: Bug::CommitOldTerm, shows: an_older_entry_is_committed_by_counting },
    BugCase { bug: Bug::CountUnsynced, shows: an_entry_commits_before_it_is_durable },
    BugCase { bug: Bug::EarlyAck, shows: a_write_is_acknowledged_alone },
    BugCase { bug: Bug::HalfIsMajority, shows: two_of_four_commit },
    BugCase { bug: Bug::NoFsync, shows: an_entry_commits_before_it_is_durable },
    BugCase { bug: Bug::StopAtOldTerm, shows: an_older_entry_blocks_the_no_op },
];

fn an_uncommitted_entry_is_applied(bugs: BugSet) -> bool {
    let mut raft = new_server(bugs, 1, &[1]);
    let effects = receive(&mut raft, 2, append_message((1, 1), &[1], 0));
    effects.iter().any(|effect| matches!(effect, Effect::Commit { .. }))
}

fn a_heartbeat_commits_an_old_tail(bugs: BugSet) -> bool {
    let mut raft = new_server(bugs, 2, &[1, 1, 1]);
    receive(&mut raft, 2, heartbeat_message(1, 1, 3));
    commit_index(&raft) == 3
}

fn an_older_entry_is_committed_by_counting(bugs: BugSet) -> bool {
    let mut raft = new_server(bugs, 1, &[1]);
    elect(&mut raft);
    for peer in [2, 3] {
        acknowledge(&mut raft, peer, 1, 0);
    }
    commit_index(&raft) == 1
}

fn an_entry_commits_before_it_is_durable(bugs: BugSet) -> bool {
    let mut raft = new_server(bugs, 1, &[1]);
    win(&mut raft);
    for peer in [2, 3] {
        acknowledge(&mut raft, peer, 2, 0);
    }
    commit_index(&raft) == 2
}

fn a_write_is_acknowledged_alone(bugs: BugSet) -> bool {
    let mut raft = new_server(bugs, 1, &[1]);
    elect(&mut raft);
    let effects = run_step(&mut raft, Input::Propose { token: 1, command: vec![] });
    effects.iter().any(|effect| matches!(effect, Effect::Acknowledge { token: 1, .. }))
}

fn two_of_four_commit(bugs: BugSet) -> bool {
    let config = Config { voters: vec![1, 2, 3, 4], ..test_server(bugs) };
    let mut raft = start_server(config, 1, &[1]);
    elect(&mut raft);
    acknowledge(&mut raft, 2, 2, 0);
    commit_index(&raft) == 2
}

fn an_older_entry_blocks_the_no_op(bugs: BugSet) -> bool {
    let mut raft = new_server(bugs, 1, &[1]);
    elect(&mut raft);
    for peer in [2, 3] {
        acknowledge(&mut raft, peer, 2, 0);
    }
    commit_index(&raft) == 0
}
