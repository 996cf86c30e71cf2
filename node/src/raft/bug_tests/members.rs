//! Cases of bugs of changes of members.

use super::*;

pub(super) const CASES: &[BugCase] = &[
    BugCase { bug: Bug::CountLearnerAcks, shows: a_learner_commits },
    BugCase { bug: Bug::JointForever, shows: a_new_leader_stays_joint },
    BugCase { bug: Bug::JointNewMajority, shows: the_new_voters_commit_alone },
    BugCase { bug: Bug::JointUnion, shows: a_majority_of_all_elects },
    BugCase { bug: Bug::KeepOverwrittenConfig, shows: an_overwritten_member_stays },
    BugCase { bug: Bug::LeaveJointEarly, shows: an_uncommitted_joint_is_left },
    BugCase { bug: Bug::PromoteAtOnce, shows: an_empty_newcomer_votes },
    BugCase { bug: Bug::RestoreKeepsConfig, shows: a_snapshot_changes_no_members },
    BugCase { bug: Bug::SwapVoters, shows: a_removal_is_not_joint },
    BugCase { bug: Bug::TransferUnready, shows: a_lagging_target_campaigns },
];

/// A log of one entry without content and one with this configuration, both of term 1.
fn log_with(membership: Membership) -> Vec<Entry> {
    let mut log = make_log(&[1, 1]);
    log[1].payload = Payload::Membership(membership);
    log
}

/// Server 1 with this configuration in its log.
fn member(bugs: BugSet, membership: Membership) -> Raft {
    let hard_state = HardState { term: 1, voted_for: None };
    let entries = log_with(membership);
    Raft::new(test_server(bugs), Stored { hard_state, entries, ..Stored::default() })
}

fn joint(voters: &[ServerId], outgoing: &[ServerId]) -> Membership {
    let outgoing = outgoing.iter().copied().collect();
    Membership { outgoing, ..Membership::from_voters(voters) }
}

fn a_learner_commits(bugs: BugSet) -> bool {
    let three = Membership::from_voters(&[1, 2, 3]);
    let mut raft = member(bugs, Membership { learners: [6].into(), ..three });
    elect(&mut raft);
    acknowledge(&mut raft, 6, 3, 0);
    commit_index(&raft) == 3
}

fn the_new_voters_commit_alone(bugs: BugSet) -> bool {
    let mut raft = member(bugs, joint(&[1, 2, 3], &[3, 4, 5]));
    elect_joint(&mut raft);
    acknowledge(&mut raft, 2, 3, 0);
    commit_index(&raft) == 3
}

/// Lets every voter of a joint configuration elect the server.
fn elect_joint(raft: &mut Raft) {
    while raft.role() != Role::PreCandidate {
        run_step(raft, Input::Tick);
    }
    for pre in [true, false] {
        for voter in [2, 3, 4, 5] {
            receive(raft, voter, Content::VoteReply { pre, granted: true });
        }
        complete_writes(raft);
    }
    assert_eq!(raft.role(), Role::Leader);
}

fn a_majority_of_all_elects(bugs: BugSet) -> bool {
    // Three of five servers, which are all of the new voters and one of three old ones.
    let mut raft = member(bugs, joint(&[1, 2, 3], &[3, 4, 5]));
    while raft.role() != Role::PreCandidate {
        run_step(&mut raft, Input::Tick);
    }
    for voter in [2, 3] {
        receive(&mut raft, voter, Content::VoteReply { pre: true, granted: true });
    }
    raft.role() == Role::Candidate
}

fn a_new_leader_stays_joint(bugs: BugSet) -> bool {
    let mut raft = member(bugs, joint(&[1, 2, 3], &[3, 4, 5]));
    elect_joint(&mut raft);
    for peer in [2, 3, 4, 5] {
        acknowledge(&mut raft, peer, 3, 0);
    }
    commit_index(&raft) == 3 && raft.membership().is_joint()
}

fn an_uncommitted_joint_is_left(bugs: BugSet) -> bool {
    let mut raft = new_server(bugs, 1, &[1]);
    elect(&mut raft);
    for peer in [2, 3] {
        acknowledge(&mut raft, peer, 2, 0);
    }
    let change = MembershipChange { remove: [5].into(), ..MembershipChange::default() };
    run_step(&mut raft, Input::ChangeMembership { token: 1, change });
    complete_writes(&mut raft);
    commit_index(&raft) == 2 && !raft.membership().contains(5)
}

fn a_removal_is_not_joint(bugs: BugSet) -> bool {
    an_uncommitted_joint_is_left(bugs)
}

fn an_overwritten_member_stays(bugs: BugSet) -> bool {
    let mut raft = member(bugs, Membership::from_voters(&[1, 2, 3, 4, 5, 6]));
    receive_at(&mut raft, 2, 2, append_message((1, 1), &[2], 0));
    raft.membership().contains(6)
}

fn an_empty_newcomer_votes(bugs: BugSet) -> bool {
    let five = Membership::from_voters(&[1, 2, 3, 4, 5]);
    let mut raft = member(bugs, Membership { joining: [6].into(), ..five });
    elect(&mut raft);
    for peer in [2, 3] {
        acknowledge(&mut raft, peer, 3, 0);
    }
    tick(&mut raft, 4);
    raft.membership().is_voter(6)
}

fn a_snapshot_changes_no_members(bugs: BugSet) -> bool {
    let mut raft = member(bugs, Membership::from_voters(&[1, 2, 3, 4, 5, 6]));
    receive_at(&mut raft, 2, 2, snapshots::chunk((2, 9), 0, &[1, 2, 3, 4]));
    raft.membership().contains(6)
}

fn a_lagging_target_campaigns(bugs: BugSet) -> bool {
    let mut raft = new_server(bugs, 1, &[1]);
    elect(&mut raft);
    let effects = run_step(&mut raft, Input::TransferLeadership { to: 2 });
    sends(&effects, |to, content| to == 2 && *content == Content::TimeoutNow)
}
