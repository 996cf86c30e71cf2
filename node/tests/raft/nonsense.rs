//! Sends a server messages that no correct peer would send: it may act on them, but must not panic.

use node::raft::{
    AppendEntries, Compaction, Config, Content, Effect, Entry, Input, InstallSnapshot, Membership,
    MembershipChange, Message, Payload, Position, Raft, Stored,
};
use proptest::prelude::*;

/// A small number, or one close to overflow.
fn number() -> impl Strategy<Value = u64> {
    prop_oneof![8 => 0u64..6, 1 => u64::MAX - 2..=u64::MAX]
}

fn position() -> impl Strategy<Value = Position> {
    (number(), number()).prop_map(|(term, index)| Position { term, index })
}

fn entry() -> impl Strategy<Value = Entry> {
    let entry = |(term, index, payload)| Entry { term, index, payload };
    (number(), number(), prop_oneof![Just(Payload::Noop), membership()]).prop_map(entry)
}

fn membership() -> impl Strategy<Value = Payload> {
    let set = || prop::collection::btree_set(number(), 0..4);
    (set(), set(), set()).prop_map(|(voters, outgoing, joining)| {
        Payload::Membership(Membership { voters, outgoing, joining, ..Membership::default() })
    })
}

fn chunk() -> impl Strategy<Value = InstallSnapshot> {
    let data = prop::collection::vec(any::<u8>(), 0..4);
    let parts = (position(), number(), number(), data, number());
    parts.prop_map(|(last, size, offset, data, round)| {
        let membership = Membership::default();
        InstallSnapshot { last, membership, size, offset, data, round }
    })
}

fn content() -> impl Strategy<Value = Content> {
    let append = (position(), prop::collection::vec(entry(), 0..4), number(), number());
    prop_oneof![
        any::<(bool, bool)>().prop_flat_map(|(pre, transfer)| {
            position().prop_map(move |last| Content::RequestVote { pre, last, transfer })
        }),
        any::<(bool, bool)>().prop_map(|(pre, granted)| Content::VoteReply { pre, granted }),
        append.prop_map(|(previous, entries, commit, round)| {
            Content::AppendEntries(AppendEntries { previous, entries, commit, round })
        }),
        (number(), number()).prop_map(|(index, round)| Content::AppendAccepted { index, round }),
        (number(), position(), number())
            .prop_map(|(rejected, hint, round)| Content::AppendRejected { rejected, hint, round }),
        Just(Content::StaleTerm),
        Just(Content::TimeoutNow),
        chunk().prop_map(Content::InstallSnapshot),
        (position(), number(), number()).prop_map(|(last, received, round)| {
            Content::SnapshotReceived { last, received, round }
        }),
        number().prop_map(|request| Content::ReadIndex { request }),
        (number(), prop::option::of(number()))
            .prop_map(|(request, index)| Content::ReadIndexReply { request, index }),
    ]
}

fn input() -> impl Strategy<Value = Input> {
    let message = (number(), content()).prop_map(|(term, content)| Message { term, content });
    let receive = (0u64..5, message).prop_map(|(from, message)| Input::Receive { from, message });
    prop_oneof![
        4 => Just(Input::Tick),
        8 => receive,
        1 => number().prop_map(|token| Input::Propose { token, command: Vec::new() }),
        1 => number().prop_map(|token| Input::Read { token }),
        1 => (number(), prop::collection::btree_set(number(), 0..3)).prop_map(|(token, remove)| {
            let add_voters = vec!["x".to_owned()];
            let change = MembershipChange { add_voters, remove, ..MembershipChange::default() };
            Input::ChangeMembership { token, change }
        }),
        1 => number().prop_map(|to| Input::TransferLeadership { to }),
        2 => number().prop_map(|sequence| Input::Persisted { sequence }),
        1 => Just(Input::Continue),
        1 => Just(Input::RewriteLog),
        1 => (position(), prop::collection::vec(any::<u8>(), 0..9))
            .prop_map(|(last, data)| Input::SnapshotTaken { last, data }),
    ]
}

proptest! {
    #[test]
    fn no_input_makes_a_server_panic(inputs in prop::collection::vec(input(), 0..120)) {
        let (heartbeat_ticks, election_ticks) = (1, 2);
        let (id, seed, voters, unsafe_bugs) = (1, 1, vec![1, 2, 3], Vec::new());
        let config = Config {
            id,
            voters,
            heartbeat_ticks,
            election_ticks,
            seed,
            lease_reads: true,
            compaction: Compaction { entries: 3, bytes: 0, keep_entries: 1, chunk_bytes: 4 },
            unsafe_bugs,
        };
        let mut raft = Raft::new(config, Stored::default());
        let mut effects: Vec<Effect> = Vec::new();
        for input in inputs {
            raft.step(input, &mut effects);
        }
    }
}
