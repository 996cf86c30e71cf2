//! Cases of bugs of replication, and of acknowledgements that a disk takes back.

use super::*;

pub(super) const CASES: &[BugCase] = &[
    BugCase { bug: Bug::AckLogEnd, shows: a_tail_is_acknowledged },
    BugCase { bug: Bug::BacktrackOnce, shows: a_far_follower_stays_behind },
    BugCase { bug: Bug::CandidateDeaf, shows: a_candidate_ignores_its_leader },
    BugCase { bug: Bug::CountStaleAcks, shows: an_older_acknowledgement_commits },
    BugCase { bug: Bug::DurableByIndex, shows: a_replaced_entry_counts_as_durable },
    BugCase { bug: Bug::KeepConflictingTail, shows: a_conflicting_tail_stays },
    BugCase { bug: Bug::MatchByIndex, shows: another_term_before_new_entries_matches },
    BugCase { bug: Bug::MatchFromHint, shows: a_hint_counts_as_acknowledged },
    BugCase { bug: Bug::SendAckEarly, shows: an_acknowledgement_leaves_at_once },
    BugCase { bug: Bug::TruncateOnAppend, shows: a_late_message_truncates },
    BugCase { bug: Bug::VolatileTerm, shows: a_new_term_is_not_written },
];

fn a_tail_is_acknowledged(bugs: BugSet) -> bool {
    let mut raft = new_server(bugs, 2, &[1, 1, 1]);
    let answer = receive_from(&mut raft, 2, 2, heartbeat_message(1, 1, 0));
    answer == [Content::AppendAccepted { index: 3, round: 0 }]
}

fn a_far_follower_stays_behind(bugs: BugSet) -> bool {
    let mut raft = new_server(bugs, 1, &[1, 1, 1, 1]);
    elect(&mut raft);
    let rejected =
        Content::AppendRejected { rejected: 4, hint: Position { term: 1, index: 1 }, round: 0 };
    let effects = receive(&mut raft, 2, rejected);
    !sends(&effects, |to, content| {
        to == 2 && matches!(content, Content::AppendEntries(append) if append.previous.index == 1)
    })
}

fn a_candidate_ignores_its_leader(bugs: BugSet) -> bool {
    let mut raft = new_server(bugs, 1, &[1]);
    campaign(&mut raft);
    receive(&mut raft, 2, heartbeat_message(1, 1, 0));
    raft.status().leader.is_none()
}

fn an_older_acknowledgement_commits(bugs: BugSet) -> bool {
    let mut raft = new_server(bugs, 1, &[1]);
    elect(&mut raft);
    for peer in [2, 3] {
        receive_at(&mut raft, peer, 1, Content::AppendAccepted { index: 2, round: 0 });
    }
    commit_index(&raft) == 2
}

fn a_replaced_entry_counts_as_durable(bugs: BugSet) -> bool {
    let mut raft = new_server(bugs, 1, &[1]);
    receive(&mut raft, 2, append_message((1, 1), &[1, 1], 0));
    receive_at(&mut raft, 3, 2, append_message((1, 1), &[2, 2], 0));
    // The first write brought the entries that the last one replaces; the second one the term.
    run_step(&mut raft, Input::Persisted { sequence: 2 });
    let again = receive_at(&mut raft, 3, 2, append_message((1, 1), &[2, 2], 0));
    sent_messages(&again).iter().any(|(_, _, after)| *after == 0)
}

fn a_conflicting_tail_stays(bugs: BugSet) -> bool {
    let mut raft = new_server(bugs, 2, &[1, 1, 1]);
    receive(&mut raft, 2, append_message((1, 1), &[2], 0));
    log_terms(&raft) == [1, 2, 1]
}

fn another_term_before_new_entries_matches(bugs: BugSet) -> bool {
    let mut raft = new_server(bugs, 2, &[1, 1]);
    let answer = receive_from(&mut raft, 2, 2, append_message((2, 2), &[2], 0));
    answer == [Content::AppendAccepted { index: 3, round: 0 }]
}

fn a_hint_counts_as_acknowledged(bugs: BugSet) -> bool {
    let mut raft = new_server(bugs, 1, &[1, 1]);
    elect(&mut raft);
    let hint = Position { term: 1, index: 1 };
    receive(&mut raft, 2, Content::AppendRejected { rejected: 2, hint, round: 0 });
    matched_index(&raft) == 1
}

/// What the leader takes a follower to hold.
fn matched_index(raft: &Raft) -> Index {
    match &raft.state {
        role::RoleState::Leader(leading) => leading.peers[&2].match_index(),
        _ => 0,
    }
}

fn an_acknowledgement_leaves_at_once(bugs: BugSet) -> bool {
    let mut raft = new_server(bugs, 1, &[1]);
    let effects = receive(&mut raft, 2, append_message((1, 1), &[1], 0));
    sent_messages(&effects).iter().any(|(_, _, after)| *after == 0)
}

fn a_late_message_truncates(bugs: BugSet) -> bool {
    let mut raft = new_server(bugs, 1, &[1, 1, 1, 1]);
    receive(&mut raft, 2, append_message((1, 1), &[1], 0));
    raft.log().len() == 2
}

fn a_new_term_is_not_written(bugs: BugSet) -> bool {
    let mut raft = new_server(bugs, 1, &[1]);
    let effects = receive_at(&mut raft, 2, 5, heartbeat_message(1, 1, 0));
    raft.term() == 5 && !effects.iter().any(|effect| matches!(effect, Effect::Persist(_)))
}
