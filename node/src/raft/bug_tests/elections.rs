//! Cases of bugs of elections.

use super::*;

pub(super) const CASES: &[BugCase] = &[
    BugCase { bug: Bug::CountLearnerVotes, shows: a_stranger_elects },
    BugCase { bug: Bug::CountPreVotes, shows: a_late_pre_vote_elects },
    BugCase { bug: Bug::CountStaleVotes, shows: a_vote_of_an_older_term_elects },
    BugCase { bug: Bug::ForgetVote, shows: a_restart_frees_the_vote },
    BugCase { bug: Bug::FreeVoteOnStepDown, shows: a_loser_votes_again },
    BugCase { bug: Bug::SendVoteEarly, shows: a_vote_leaves_before_it_is_durable },
    BugCase { bug: Bug::VoteByLength, shows: an_older_longer_log_gets_the_vote },
    BugCase { bug: Bug::VoteByVector, shows: a_newer_shorter_log_gets_no_vote },
    BugCase { bug: Bug::VoteTwice, shows: two_candidates_get_the_vote },
    BugCase { bug: Bug::VoteWithoutLogCheck, shows: an_older_longer_log_gets_the_vote },
    BugCase { bug: Bug::ZeroLastTerm, shows: a_compacted_log_looks_old },
];

fn a_stranger_elects(bugs: BugSet) -> bool {
    let mut raft = new_server(bugs, 1, &[1]);
    campaign(&mut raft);
    receive(&mut raft, 2, vote_reply(true));
    receive(&mut raft, 9, vote_reply(true));
    raft.role() == Role::Leader
}

fn a_late_pre_vote_elects(bugs: BugSet) -> bool {
    let mut raft = new_server(bugs, 1, &[1]);
    campaign(&mut raft);
    let old = raft.term() - 1;
    for voter in [4, 5] {
        receive_at(&mut raft, voter, old, Content::VoteReply { pre: true, granted: true });
    }
    raft.role() == Role::Leader
}

fn a_vote_of_an_older_term_elects(bugs: BugSet) -> bool {
    let mut raft = new_server(bugs, 1, &[1]);
    campaign(&mut raft);
    for voter in [2, 3] {
        receive_at(&mut raft, voter, 1, vote_reply(true));
    }
    raft.role() == Role::Leader
}

fn a_restart_frees_the_vote(bugs: BugSet) -> bool {
    let hard_state = HardState { term: 1, voted_for: Some(2) };
    let stored = Stored { hard_state, ..Stored::default() };
    let mut raft = Raft::new(test_server(bugs), stored);
    receive_from(&mut raft, 3, 1, vote_request(0, 0)) == [vote_reply(true)]
}

fn a_loser_votes_again(bugs: BugSet) -> bool {
    let mut raft = new_server(bugs, 1, &[1]);
    campaign(&mut raft);
    let term = raft.term();
    receive(&mut raft, 2, heartbeat_message(1, 1, 0));
    tick(&mut raft, 10);
    receive_from(&mut raft, 3, term, vote_request(1, 1)).contains(&vote_reply(true))
}

fn a_vote_leaves_before_it_is_durable(bugs: BugSet) -> bool {
    let mut raft = new_server(bugs, 1, &[1]);
    let effects = receive_at(&mut raft, 2, 2, vote_request(1, 1));
    sent_messages(&effects).iter().any(|(_, content, after)| {
        matches!(content, Content::VoteReply { granted: true, .. }) && *after == 0
    })
}

fn an_older_longer_log_gets_the_vote(bugs: BugSet) -> bool {
    let mut raft = new_server(bugs, 2, &[1, 2]);
    receive_from(&mut raft, 2, 3, vote_request(1, 9)) == [vote_reply(true)]
}

fn a_newer_shorter_log_gets_no_vote(bugs: BugSet) -> bool {
    let mut raft = new_server(bugs, 2, &[1, 2]);
    receive_from(&mut raft, 2, 3, vote_request(3, 1)) == [vote_reply(false)]
}

fn two_candidates_get_the_vote(bugs: BugSet) -> bool {
    let mut raft = new_server(bugs, 1, &[1]);
    receive_from(&mut raft, 2, 2, vote_request(1, 1));
    receive_from(&mut raft, 3, 2, vote_request(1, 1)) == [vote_reply(true)]
}

fn a_compacted_log_looks_old(bugs: BugSet) -> bool {
    let last = Position { term: 2, index: 3 };
    let membership = Membership::from_voters(&[1, 2, 3, 4, 5]);
    let snapshot = Some(Snapshot { last, membership, data: [1].into() });
    let hard_state = HardState { term: 2, voted_for: None };
    let stored = Stored { hard_state, snapshot, start: last, ..Stored::default() };
    let mut raft = Raft::new(test_server(bugs), stored);
    receive_from(&mut raft, 2, 3, vote_request(1, 2)) == [vote_reply(true)]
}
