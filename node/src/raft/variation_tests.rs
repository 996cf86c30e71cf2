//! Shows that each harmless variation changes what a server does.

use super::tests::{complete_writes, heartbeat_message, run_step, test_config, vote_request};
use super::*;
use crate::bug::{VARIATIONS, Variation, VariationSet};
use alloc::{vec, vec::Vec};

/// Server 1 of five with these variations and a log of four entries of term 1.
fn new_server(variations: VariationSet) -> Raft {
    let log = (1..=4).map(|index| Entry { term: 1, index, payload: Payload::Noop });
    let hard_state = HardState { term: 1, voted_for: None };
    let stored = Stored { hard_state, entries: log.collect(), ..Stored::default() };
    Raft::new(Config { variations, ..test_config(7) }, stored)
}

fn receive(raft: &mut Raft, from: ServerId, content: Content) -> Vec<Effect> {
    let message = Message { term: raft.status().term, content };
    run_step(raft, Input::Receive { from, message })
}

fn elect(variations: VariationSet) -> Raft {
    let mut raft = new_server(variations);
    (0..25).for_each(|_| drop(run_step(&mut raft, Input::Tick)));
    for pre in [true, false] {
        for voter in [2, 3] {
            receive(&mut raft, voter, Content::VoteReply { pre, granted: true });
        }
        complete_writes(&mut raft);
    }
    complete_writes(&mut raft);
    raft
}

/// What a server does in a few situations, as text.
fn describe_behaviour(variations: VariationSet) -> Vec<String> {
    let mut follower = new_server(variations);
    let mut all = vec![receive(&mut follower, 2, heartbeat_message(1, 4, 4))];
    let ticks = |raft: &mut Raft, count: usize| {
        (0..count).flat_map(|_| run_step(raft, Input::Tick)).collect()
    };
    all.push(ticks(&mut follower, 25));
    let mut long = new_server(variations);
    let entries = (5..=14).map(|index| Entry { term: 1, index, payload: Payload::Noop }).collect();
    let previous = Position { term: 1, index: 4 };
    let append = AppendEntries { previous, entries, commit: 14, round: 0 };
    all.push(receive(&mut long, 2, Content::AppendEntries(append)));
    all.push((0..20).flat_map(|_| run_step(&mut long, Input::Continue)).collect());
    let mut leader = elect(variations);
    let hint = Position { term: 1, index: 1 };
    all.push(receive(&mut leader, 2, Content::AppendRejected { rejected: 4, hint, round: 0 }));
    for _ in 0..500 {
        all.push(ticks(&mut leader, 1));
        for peer in [2, 3] {
            let reply = Content::AppendAccepted { index: 1, round: 0 };
            all.push(receive(&mut leader, peer, reply));
        }
    }
    for seed in 0..20 {
        let mut voter = new_server(variations);
        voter.config.seed = seed;
        (0..seed).for_each(|_| _ = voter.random.next_u64());
        all.push(receive(&mut voter, 2, vote_request(9, 9)));
    }
    all.iter().map(|effects| alloc::format!("{effects:?}")).collect()
}

#[test]
fn each_variation_changes_what_a_server_does() {
    let plain = describe_behaviour(VariationSet::default());
    for row in VARIATIONS {
        let varied = describe_behaviour([row.variation].into());
        assert!(plain != varied, "{} changes nothing", row.name);
    }
}

#[test]
fn a_varied_server_without_pre_votes_campaigns_at_once() {
    let mut raft = new_server([Variation::NoPreVote].into());
    let asks = |effects: &[Effect]| {
        effects.iter().any(|effect| {
            let Effect::Send { message, .. } = effect else { return false };
            matches!(message.content, Content::RequestVote { pre: false, .. })
        })
    };
    assert!((0..25).any(|_| asks(&run_step(&mut raft, Input::Tick))));
}
