//! Switches on one bug at a time, and looks for exactly the harm that its sentence promises.

use super::super::request::Query;
use super::*;
use crate::kv::Condition;
use crate::wire::Origin;

fn put(key: &str, value: &str) -> Command {
    Command::Put { key: key.to_owned(), value: value.to_owned() }
}

fn add(amount: i64) -> Command {
    Command::Txn(Txn { conditions: vec![], ops: vec![MicroOp::Add("n".to_owned(), amount)] })
}

fn flaws(bugs: &[StoreBug]) -> Flaws {
    Flaws::new(bugs.to_vec(), 1, 4, Duration::from_secs(60))
}

fn has(store: &Store, key: &str) -> Option<String> {
    store.get(key).map(str::to_owned)
}

#[test]
fn without_bugs_a_command_does_what_it_says() {
    let (mut flawed, mut plain, mut flaws) = (Store::default(), Store::default(), flaws(&[]));
    for (command, index) in [put("a", "1"), add(2), add(3), add(4), put("b", "2")].iter().zip(1..) {
        let outcome = flaws.apply(&mut flawed, index, command, false);
        assert_eq!(outcome, plain.apply(index, command));
    }
    assert_eq!(flawed, plain);
}

#[test]
fn a_lane_of_a_follower_is_late_and_keeps_its_order() {
    let (mut store, mut flaws) = (Store::default(), flaws(&[StoreBug::ApplyLanes]));
    flaws.apply(&mut store, 1, &put("k0", "a"), false);
    flaws.apply(&mut store, 2, &put("k1", "b"), false);
    let late = Flaws::new(vec![], 2, 0, Duration::ZERO).lane;
    let (fast, slow) = if late == 0 { ("k0", "k1") } else { ("k1", "k0") };
    assert!(has(&store, slow).is_some() != has(&store, fast).is_some());
    flaws.apply(&mut store, 3, &add(1), false);
    flaws.apply(&mut store, 4, &add(1), false);
    (0..LANE_TICKS).for_each(|_| flaws.tick(&mut store));
    let all = ["k0", "k1", "n"].map(|key| has(&store, key));
    assert_eq!(all, ["a", "b", "2"].map(|value| Some(value.to_owned())));
}

#[test]
fn a_leader_shows_every_lane() {
    let (mut store, mut flaws) = (Store::default(), flaws(&[StoreBug::ApplyLanes]));
    flaws.apply(&mut store, 1, &put("k0", "a"), false);
    flaws.apply(&mut store, 2, &put("k1", "b"), true);
    assert_eq!(["k0", "k1"].map(|key| has(&store, key).is_some()), [true, true]);
}

#[test]
fn a_torn_transaction_shows_one_key_first() {
    let (mut store, mut flaws) = (Store::default(), flaws(&[StoreBug::TornTxn]));
    let write = |key: &str| MicroOp::Write(key.to_owned(), "1".to_owned());
    let both = Txn { conditions: vec![], ops: vec![write("a"), write("b")] };
    flaws.apply(&mut store, 1, &Command::Txn(both), true);
    assert_eq!(["a", "b"].map(|key| has(&store, key).is_some()), [true, false]);
    (0..TORN_TICKS).for_each(|_| flaws.tick(&mut store));
    assert_eq!(has(&store, "b"), Some("1".to_owned()));
}

#[test]
fn a_restart_applies_the_end_of_its_log_twice() {
    let (mut store, mut flaws) = (Store::default(), flaws(&[StoreBug::DoubleApply]));
    for index in 1..=6 {
        flaws.apply(&mut store, index, &add(1), false);
    }
    assert_eq!(has(&store, "n"), Some((6 + DOUBLED).to_string()));
}

#[test]
fn a_restart_of_an_empty_log_has_nothing_to_apply_twice() {
    let mut store = Store::default();
    let mut flaws = Flaws::new(vec![StoreBug::DoubleApply], 1, 0, Duration::ZERO);
    flaws.apply(&mut store, 1, &add(1), false);
    assert_eq!(has(&store, "n"), Some("1".to_owned()));
}

#[tokio::test]
async fn an_early_transaction_is_told_what_was_there_when_it_was_asked() {
    let (mut store, flaws) = (Store::default(), flaws(&[StoreBug::EvaluateEarly]));
    let (reply, answer) = oneshot::channel();
    let asked = flaws.receive(&store, Request::Write(add(1)), reply);
    let Ok((Request::Write(writes), reply)) = asked else { panic!("it is still a write") };
    store.apply(1, &put("n", "10"));
    let outcome = store.apply(2, &writes);
    assert_eq!((outcome, has(&store, "n")), (Outcome::Results(vec![None]), Some("1".to_owned())));
    let told = Finding::Results { results: vec![None], index: Some(2) };
    reply.send((told, Origin::default())).expect("it waits");
    let (finding, _) = answer.await.expect("an answer");
    let early = Finding::Results { results: vec![Some("1".to_owned())], index: Some(2) };
    assert_eq!(finding, early);
}

#[test]
fn an_early_transaction_is_refused_by_what_was_there() {
    let (store, flaws) = (Store::default(), flaws(&[StoreBug::EvaluateEarly]));
    let conditions = vec![Condition::AtLeast("n".to_owned(), 1)];
    let txn = Command::Txn(Txn { conditions, ops: vec![] });
    let refused = flaws.receive(&store, Request::Write(txn), oneshot::channel().0);
    assert!(matches!(refused, Err((_, Finding::Mismatch { current: None }))));
}

#[test]
fn a_read_can_be_made_to_forget_its_token() {
    let read = || Request::ReadStale { query: Query::Key("a".to_owned()), after: 7 };
    let after = |bugs: &[StoreBug]| {
        let received = flaws(bugs).receive(&Store::default(), read(), oneshot::channel().0);
        match received {
            Ok((Request::ReadStale { after, .. }, _)) => Some(after),
            _ => None,
        }
    };
    assert_eq!((after(&[]), after(&[StoreBug::IgnoreAfter])), (Some(7), Some(0)));
}

#[test]
fn a_lease_begins_with_a_majoritys_word_to_the_leader_and_ends_by_the_wall_clock_only() {
    let mut flaws = flaws(&[StoreBug::WallClockLease]);
    assert!(!flaws.is_leased(1) && !flaws.is_leased(2));
    flaws.confirmed(2, true);
    flaws.confirmed(1, false);
    assert!(
        !flaws.is_leased(3),
        "the first was confirmed to a follower, the second is not remembered"
    );
    flaws.confirmed(3, true);
    assert!(flaws.is_leased(4));
    flaws.leased_until = SystemTime::now();
    assert!(!flaws.is_leased(5));
    flaws.unconfirmed(5);
    assert!(flaws.asked.is_none());
}
