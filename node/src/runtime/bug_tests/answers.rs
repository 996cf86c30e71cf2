//! Cases of bugs in what clients and peers are told, and in what snapshots hold.

use super::*;

const LONG: Duration = Duration::from_secs(30);

type TestRuntime = Runtime<u32>;

/// Replica 1 of so many, which began at this offset of its log.
fn new_runtime(bugs: BugSet, voters: u64, start: u64) -> TestRuntime {
    let raft = Config {
        id: 1,
        voters: (1..=voters).collect(),
        heartbeat_ticks: 2,
        election_ticks: 10,
        seed: 1,
        lease_reads: false,
        compaction: Compaction::default(),
        bugs,
        variations: VariationSet::default(),
    };
    let election = Duration::from_millis(100);
    let config = RuntimeConfig { raft, group: 0, groups: 1, start, election };
    Runtime::new(config, Stored::default()).expect("an empty disk")
}

/// Makes everything durable; returns all that comes of it.
fn complete_writes(runtime: &mut TestRuntime) -> Vec<Output<u32>> {
    let mut all = Vec::new();
    loop {
        let outputs = runtime.take_outputs();
        let written = outputs.iter().filter_map(|output| match output {
            Output::Write(persist) => Some(persist.sequence),
            _ => None,
        });
        let sequence = written.max();
        all.extend(outputs);
        let Some(sequence) = sequence else { return all };
        runtime.step(Input::Persisted { sequence });
    }
}

/// A replica alone in its cluster, as leader.
fn new_leader(bugs: BugSet) -> TestRuntime {
    let mut runtime = new_runtime(bugs, 1, 1);
    (0..30).for_each(|_| runtime.tick());
    complete_writes(&mut runtime);
    assert_eq!(runtime.status().leader, Some(1));
    runtime
}

/// Replica 1 of three, which follows replica 2.
fn new_follower(bugs: BugSet, start: u64) -> TestRuntime {
    let mut runtime = new_runtime(bugs, 3, start);
    receive(&mut runtime, append(0, &[], 0));
    complete_writes(&mut runtime);
    runtime
}

/// Lets a message of replica 2 arrive.
fn receive(runtime: &mut TestRuntime, content: Content) {
    runtime.step(Input::Receive { from: 2, message: Message { term: 1, content } });
}

/// Entries with these commands behind an index.
fn append(previous: Index, commands: &[Command], commit: Index) -> Content {
    let entry = |(command, index): (&Command, Index)| Entry {
        term: 1,
        index,
        payload: Payload::Command(command.encode()),
    };
    let entries = commands.iter().zip(previous + 1..).map(entry).collect();
    let previous = Position { term: u64::from(previous > 0), index: previous };
    let append = crate::raft::AppendEntries { previous, entries, commit, round: 0 };
    Content::AppendEntries(append)
}

fn put(value: &str) -> Command {
    Command::Put { key: "k".to_owned(), value: value.to_owned() }
}

fn submit(runtime: &mut TestRuntime, request: Request) {
    runtime.submit_request(ClientRequest { request, deadline: LONG, client: 7 });
}

fn answers(outputs: Vec<Output<u32>>) -> Vec<Answer> {
    let answer = |output| match output {
        Output::Reply(Reply { answer, .. }) => Some(answer),
        _ => None,
    };
    outputs.into_iter().filter_map(answer).collect()
}

/// Whether the client is told that its request certainly failed.
fn is_definite(answers: &[Answer]) -> bool {
    let [Answer::Failed(reason)] = answers else { panic!("{answers:?}") };
    reason.describe().1
}

pub(super) fn a_lost_leadership_is_definite(bugs: BugSet) -> bool {
    let mut runtime = new_leader(bugs);
    submit(&mut runtime, Request::Write(put("a")));
    runtime.step(Input::Receive {
        from: 2,
        message: Message { term: 9, content: Content::StaleTerm },
    });
    is_definite(&answers(runtime.take_outputs()))
}

pub(super) fn a_lost_forward_is_definite(bugs: BugSet) -> bool {
    let mut runtime = new_follower(bugs, 1);
    submit(&mut runtime, Request::Write(put("a")));
    runtime.lose_connection(2);
    is_definite(&answers(runtime.take_outputs()))
}

/// The numbers under which a follower forwards a client's write.
fn forwarded(bugs: BugSet, start: u64) -> Vec<u64> {
    let mut runtime = new_follower(bugs, start);
    submit(&mut runtime, Request::Write(put("a")));
    let number = |output| match output {
        Output::Forward { request, .. } => Some(request),
        _ => None,
    };
    runtime.take_outputs().into_iter().filter_map(number).collect()
}

pub(super) fn a_write_is_forwarded_twice(bugs: BugSet) -> bool {
    forwarded(bugs, 1).len() == 2
}

pub(super) fn two_starts_share_numbers(bugs: BugSet) -> bool {
    forwarded(bugs, 1) == forwarded(bugs, 2)
}

pub(super) fn a_read_does_not_wait(bugs: BugSet) -> bool {
    let mut runtime = new_follower(bugs, 1);
    let query = Query::Key("k".to_owned());
    submit(&mut runtime, Request::Read { query, after: 0, lease: false });
    let request = runtime.take_outputs().iter().find_map(|output| match output {
        Output::Send { message, .. } => match message.content {
            Content::ReadIndex { request } => Some(request),
            _ => None,
        },
        _ => None,
    });
    let request = request.expect("the leader is asked");
    receive(&mut runtime, Content::ReadIndexReply { request, index: Some(5) });
    !answers(runtime.take_outputs()).is_empty()
}

pub(super) fn an_old_value_survives_a_snapshot(bugs: BugSet) -> bool {
    let mut runtime = new_follower(bugs, 1);
    receive(&mut runtime, append(0, &[put("old")], 1));
    let mut newer = Store::default();
    newer.apply(9, &put("new"));
    let last = Position { term: 1, index: 9 };
    let membership = Membership::from_voters(&[1, 2, 3]);
    let snapshot = Snapshot { last, membership, data: newer.encode().into() };
    runtime.carry_out(Effect::Restore { snapshot });
    runtime.store.get("k") == Some("old")
}

pub(super) fn a_snapshot_loses_the_sessions(bugs: BugSet) -> bool {
    let mut runtime = new_leader(bugs);
    submit(&mut runtime, Request::Write(Command::OpenSession { at_ms: 0 }));
    complete_writes(&mut runtime);
    Store::decode(&runtime.encode_store()).expect("a store").sessions().count() == 0
}

pub(super) fn a_clock_ends_a_session(bugs: BugSet) -> bool {
    let mut runtime = new_leader(bugs);
    let open = || Request::Write(Command::OpenSession { at_ms: 0 });
    submit(&mut runtime, open());
    complete_writes(&mut runtime);
    runtime.set_time(Duration::ZERO, Duration::from_secs(10_000));
    submit(&mut runtime, open());
    complete_writes(&mut runtime);
    runtime.store.sessions().count() == 1
}
