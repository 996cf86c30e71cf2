//! Cases of bugs in how the store applies, and what reads wait for.

use super::*;

/// Replica 1 with these bugs, whose log ended with entry 4 when it started.
fn new_buggy(bugs: BugSet) -> BuggyStore {
    BuggyStore::new(bugs, 1, 4, Duration::from_secs(60))
}

fn put(key: &str, value: &str) -> Command {
    Command::Put { key: key.to_owned(), value: value.to_owned() }
}

fn txn(ops: Vec<MicroOp>) -> Command {
    Command::Txn(Txn { conditions: vec![], ops })
}

pub(super) fn a_key_is_late_at_a_follower(bugs: BugSet) -> bool {
    let (mut store, mut buggy) = (Store::default(), new_buggy(bugs));
    buggy.apply_command(&mut store, 1, &put("k0", "a"), false);
    buggy.apply_command(&mut store, 2, &put("k1", "b"), false);
    store.get("k0").is_none() || store.get("k1").is_none()
}

pub(super) fn an_entry_is_applied_twice(bugs: BugSet) -> bool {
    let (mut store, mut buggy) = (Store::default(), new_buggy(bugs));
    let add = txn(vec![MicroOp::Add("n".to_owned(), 1)]);
    for index in 1..=6 {
        buggy.apply_command(&mut store, index, &add, false);
    }
    store.get("n") != Some("6")
}

pub(super) fn a_transaction_is_evaluated_at_once(bugs: BugSet) -> bool {
    let add = Request::Write(txn(vec![MicroOp::Add("n".to_owned(), 1)]));
    let admitted = new_buggy(bugs).admit_request(&Store::default(), add);
    admitted.is_ok_and(|(_, early)| early.is_some())
}

pub(super) fn a_transaction_shows_half(bugs: BugSet) -> bool {
    let (mut store, mut buggy) = (Store::default(), new_buggy(bugs));
    let write = |key: &str| MicroOp::Write(key.to_owned(), "1".to_owned());
    buggy.apply_command(&mut store, 1, &txn(vec![write("a"), write("b")]), true);
    store.get("a").is_some() && store.get("b").is_none()
}

pub(super) fn a_read_forgets_what_was_seen(bugs: BugSet) -> bool {
    let read = Request::ReadStale { query: Query::Key("a".to_owned()), after: 7 };
    let admitted = new_buggy(bugs).admit_request(&Store::default(), read);
    matches!(admitted, Ok((Request::ReadStale { after: 0, .. }, None)))
}

pub(super) fn a_wall_clock_confirms_a_read(bugs: BugSet) -> bool {
    let (mut buggy, now) = (new_buggy(bugs), Duration::from_secs(1_000));
    let asked = buggy.is_leased(1, now);
    buggy.confirm_read(1, true);
    !asked && buggy.is_leased(2, now)
}

pub(super) fn a_failed_condition_changes_a_key(bugs: BugSet) -> bool {
    let (mut store, mut buggy) = (Store::default(), new_buggy(bugs));
    let cas = Command::Cas { key: "k".to_owned(), old: Some("a".to_owned()), new: "b".to_owned() };
    let outcome = buggy.apply_command(&mut store, 1, &cas, false);
    matches!(outcome, Outcome::Mismatch { .. }) && store.get("k") == Some("b")
}

/// A request in session 1 that adds to a number.
fn once(sequence: u64) -> Command {
    let txn = Txn { conditions: vec![], ops: vec![MicroOp::Add("n".to_owned(), 1)] };
    Command::Once { session: 1, sequence, at_ms: 0, txn }
}

/// The number after a request and its retry.
fn added_by_retry(bugs: BugSet, leads: bool) -> Option<String> {
    let (mut store, mut buggy) = (Store::default(), new_buggy(bugs));
    buggy.apply_command(&mut store, 1, &Command::OpenSession { at_ms: 0 }, leads);
    for index in [2, 3] {
        buggy.apply_command(&mut store, index, &once(1), leads);
    }
    store.get("n").map(str::to_owned)
}

pub(super) fn a_retry_runs_again(bugs: BugSet) -> bool {
    added_by_retry(bugs, true).as_deref() == Some("2")
}

pub(super) fn a_follower_forgets_a_request(bugs: BugSet) -> bool {
    added_by_retry(bugs, false).as_deref() == Some("2")
}
