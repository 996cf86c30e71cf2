//! Sends a server messages that no correct peer would send: it may act on them, but must not panic.

use node::bug::{BugSet, VariationSet};
use node::raft::{
    AppendEntries, Compaction, Config, Content, Effect, Entry, Input, InstallSnapshot, Membership,
    MembershipChange, Message, Payload, Position, Raft, Stored,
};
use proptest::prelude::*;

/// A small number, or one close to overflow.
fn any_number() -> impl Strategy<Value = u64> {
    prop_oneof![8 => 0u64..6, 1 => u64::MAX - 2..=u64::MAX]
}

fn any_position() -> impl Strategy<Value = Position> {
    (any_number(), any_number()).prop_map(|(term, index)| Position { term, index })
}

fn any_entry() -> impl Strategy<Value = Entry> {
    let entry = |(term, index, payload)| Entry { term, index, payload };
    (any_number(), any_number(), prop_oneof![Just(Payload::Noop), any_membership()]).prop_map(entry)
}

fn any_membership() -> impl Strategy<Value = Payload> {
    let set = || prop::collection::btree_set(any_number(), 0..4);
    (set(), set(), set()).prop_map(|(voters, outgoing, joining)| {
        Payload::Membership(Membership { voters, outgoing, joining, ..Membership::default() })
    })
}

fn any_chunk() -> impl Strategy<Value = InstallSnapshot> {
    let data = prop::collection::vec(any::<u8>(), 0..4);
    let parts = (any_position(), any_number(), any_number(), data, any_number());
    parts.prop_map(|(last, size, offset, data, round)| {
        let membership = Membership::default();
        InstallSnapshot { last, membership, size, offset, data, round }
    })
}

fn any_content() -> impl Strategy<Value = Content> {
    let append =
        (any_position(), prop::collection::vec(any_entry(), 0..4), any_number(), any_number());
    prop_oneof![
        any::<(bool, bool)>().prop_flat_map(|(pre, transfer)| {
            any_position().prop_map(move |last| Content::RequestVote { pre, last, transfer })
        }),
        any::<(bool, bool)>().prop_map(|(pre, granted)| Content::VoteReply { pre, granted }),
        append.prop_map(|(previous, entries, commit, round)| {
            Content::AppendEntries(AppendEntries { previous, entries, commit, round })
        }),
        (any_number(), any_number())
            .prop_map(|(index, round)| Content::AppendAccepted { index, round }),
        (any_number(), any_position(), any_number())
            .prop_map(|(rejected, hint, round)| Content::AppendRejected { rejected, hint, round }),
        Just(Content::StaleTerm),
        Just(Content::TimeoutNow),
        any_chunk().prop_map(Content::InstallSnapshot),
        (any_position(), any_number(), any_number()).prop_map(|(last, received, round)| {
            Content::SnapshotReceived { last, received, round }
        }),
        any_number().prop_map(|request| Content::ReadIndex { request }),
        (any_number(), prop::option::of(any_number()))
            .prop_map(|(request, index)| Content::ReadIndexReply { request, index }),
    ]
}

fn any_input() -> impl Strategy<Value = Input> {
    let message =
        (any_number(), any_content()).prop_map(|(term, content)| Message { term, content });
    let receive = (0u64..5, message).prop_map(|(from, message)| Input::Receive { from, message });
    let removed = prop::collection::btree_set(any_number(), 0..3);
    let change = (any_number(), removed).prop_map(|(token, remove)| {
        let add_voters = vec!["x".to_owned()];
        let change = MembershipChange { add_voters, remove, ..MembershipChange::default() };
        Input::ChangeMembership { token, change }
    });
    prop_oneof![
        4 => Just(Input::Tick),
        8 => receive,
        1 => any_number().prop_map(|token| Input::Propose { token, command: Vec::new() }),
        1 => any_number().prop_map(|token| Input::Read { token }),
        1 => change,
        1 => any_number().prop_map(|to| Input::TransferLeadership { to }),
        2 => any_number().prop_map(|sequence| Input::Persisted { sequence }),
        1 => Just(Input::Continue),
        1 => Just(Input::RewriteLog),
        1 => (any_position(), prop::collection::vec(any::<u8>(), 0..9))
            .prop_map(|(last, data)| Input::SnapshotTaken { last, data }),
    ]
}

proptest! {
    #[test]
    fn no_input_makes_a_server_panic(inputs in prop::collection::vec(any_input(), 0..120)) {
        let (heartbeat_ticks, election_ticks) = (1, 2);
        let (id, seed, voters) = (1, 1, vec![1, 2, 3]);
        let config = Config {
            id,
            voters,
            heartbeat_ticks,
            election_ticks,
            seed,
            lease_reads: true,
            compaction: Compaction { entries: 3, bytes: 0, keep_entries: 1, chunk_bytes: 4 },
            bugs: BugSet::default(),
            variations: VariationSet::default(),
        };
        let mut raft = Raft::new(config, Stored::default());
        let mut effects: Vec<Effect> = Vec::new();
        for input in inputs {
            raft.step(input, &mut effects);
        }
    }
}
