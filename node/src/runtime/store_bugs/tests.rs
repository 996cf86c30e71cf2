//! Switches on one bug at a time, and expects exactly the failure that its description names.

use super::super::request::Query;
use super::*;
use crate::kv::Condition;

fn put_command(key: &str, value: &str) -> Command {
    Command::Put { key: key.to_owned(), value: value.to_owned() }
}

fn add_command(amount: i64) -> Command {
    Command::Txn(Txn { conditions: vec![], ops: vec![MicroOp::Add("n".to_owned(), amount)] })
}

fn new_buggy_store(bugs: impl Into<BugSet>) -> BuggyStore {
    BuggyStore::new(bugs.into(), 1, 4, Duration::from_secs(60))
}

fn read_key(store: &Store, key: &str) -> Option<String> {
    store.get(key).map(str::to_owned)
}

#[test]
fn without_bugs_a_command_does_what_it_says() {
    let (mut flawed, mut plain, mut bugs) =
        (Store::default(), Store::default(), new_buggy_store([]));
    for (command, index) in [
        put_command("a", "1"),
        add_command(2),
        add_command(3),
        add_command(4),
        put_command("b", "2"),
    ]
    .iter()
    .zip(1..)
    {
        let outcome = bugs.apply_command(&mut flawed, index, command, false);
        assert_eq!(outcome, plain.apply(index, command));
    }
    assert_eq!(flawed, plain);
}

#[test]
fn a_lane_of_a_follower_is_late_and_keeps_its_order() {
    let (mut store, mut bugs) = (Store::default(), new_buggy_store([Bug::ApplyLanes]));
    bugs.apply_command(&mut store, 1, &put_command("k0", "a"), false);
    bugs.apply_command(&mut store, 2, &put_command("k1", "b"), false);
    let late = BuggyStore::new(BugSet::default(), 2, 0, Duration::ZERO).lane;
    let (fast, slow) = if late == 0 { ("k0", "k1") } else { ("k1", "k0") };
    assert!(read_key(&store, slow).is_some() != read_key(&store, fast).is_some());
    bugs.apply_command(&mut store, 3, &add_command(1), false);
    bugs.apply_command(&mut store, 4, &add_command(1), false);
    (0..LANE_TICKS).for_each(|_| bugs.tick(&mut store));
    let all = ["k0", "k1", "n"].map(|key| read_key(&store, key));
    assert_eq!(all, ["a", "b", "2"].map(|value| Some(value.to_owned())));
}

#[test]
fn a_leader_shows_every_lane() {
    let (mut store, mut bugs) = (Store::default(), new_buggy_store([Bug::ApplyLanes]));
    bugs.apply_command(&mut store, 1, &put_command("k0", "a"), false);
    bugs.apply_command(&mut store, 2, &put_command("k1", "b"), true);
    assert_eq!(["k0", "k1"].map(|key| read_key(&store, key).is_some()), [true, true]);
}

#[test]
fn a_torn_transaction_shows_one_key_first() {
    let (mut store, mut bugs) = (Store::default(), new_buggy_store([Bug::TornTxn]));
    let write = |key: &str| MicroOp::Write(key.to_owned(), "1".to_owned());
    let both = Txn { conditions: vec![], ops: vec![write("a"), write("b")] };
    bugs.apply_command(&mut store, 1, &Command::Txn(both), true);
    assert_eq!(["a", "b"].map(|key| read_key(&store, key).is_some()), [true, false]);
    (0..TORN_TICKS).for_each(|_| bugs.tick(&mut store));
    assert_eq!(read_key(&store, "b"), Some("1".to_owned()));
}

#[test]
fn a_restart_applies_the_end_of_its_log_twice() {
    let (mut store, mut bugs) = (Store::default(), new_buggy_store([Bug::DoubleApply]));
    for index in 1..=6 {
        bugs.apply_command(&mut store, index, &add_command(1), false);
    }
    assert_eq!(read_key(&store, "n"), Some((6 + REAPPLIED_ENTRIES).to_string()));
}

#[test]
fn a_restart_of_an_empty_log_has_nothing_to_apply_twice() {
    let mut store = Store::default();
    let mut bugs = BuggyStore::new([Bug::DoubleApply].into(), 1, 0, Duration::ZERO);
    bugs.apply_command(&mut store, 1, &add_command(1), false);
    assert_eq!(read_key(&store, "n"), Some("1".to_owned()));
}

#[test]
fn an_early_transaction_keeps_the_results_of_when_it_was_asked() {
    let (mut store, bugs) = (Store::default(), new_buggy_store([Bug::EvaluateEarly]));
    let admitted = bugs.admit_request(&store, Request::Write(add_command(1)));
    let Ok((Request::Write(writes), early)) = admitted else { panic!("it is still a write") };
    store.apply(1, &put_command("n", "10"));
    let outcome = store.apply(2, &writes);
    assert_eq!(
        (outcome, read_key(&store, "n")),
        (Outcome::Results(vec![None]), Some("1".to_owned()))
    );
    assert_eq!(early, Some(vec![Some("1".to_owned())]));
}

#[test]
fn an_early_transaction_is_refused_by_what_was_there() {
    let (store, bugs) = (Store::default(), new_buggy_store([Bug::EvaluateEarly]));
    let conditions = vec![Condition::AtLeast("n".to_owned(), 1)];
    let txn = Command::Txn(Txn { conditions, ops: vec![] });
    let refused = bugs.admit_request(&store, Request::Write(txn));
    assert_eq!(refused, Err(Answer::Mismatch { current: None }));
}

#[test]
fn a_read_can_be_made_to_forget_its_token() {
    let read = || Request::ReadStale { query: Query::Key("a".to_owned()), after: 7 };
    let after = |bugs: BugSet| match new_buggy_store(bugs).admit_request(&Store::default(), read())
    {
        Ok((Request::ReadStale { after, .. }, None)) => Some(after),
        _ => None,
    };
    assert_eq!((after(BugSet::default()), after([Bug::IgnoreAfter].into())), (Some(7), Some(0)));
}

#[test]
fn a_lease_begins_with_a_confirmation_to_the_leader_and_ends_by_the_wall_clock_only() {
    let mut bugs = new_buggy_store([Bug::WallClockLease]);
    let now = Duration::from_secs(1_000);
    assert!(!bugs.is_leased(1, now) && !bugs.is_leased(2, now));
    bugs.confirm_read(2, true);
    bugs.confirm_read(1, false);
    assert!(!bugs.is_leased(3, now), "the first went to a follower, the second was not remembered");
    bugs.confirm_read(3, true);
    let lease = Duration::from_secs(48);
    assert!(bugs.is_leased(4, now) && bugs.is_leased(4, now + lease - Duration::from_millis(1)));
    assert!(!bugs.is_leased(5, now + lease));
    bugs.reject_read(5);
    assert!(bugs.lease_read.is_none());
}
