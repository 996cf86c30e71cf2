//! Remembers what each client session has had carried out last, so that a retry is answered and not carried out again.
//!
//! A session is opened by an entry of the log and named by that entry's index. Its client numbers what it asks for,
//! one request at a time: the last number again is a retry and gets the first answer, a smaller one comes too late
//! and is refused, a greater one is new. All of it is part of the replicated state: it depends on the log alone.
//!
//! Time is what the entries say, never less than an earlier entry said. A session that nothing was asked of for
//! [`LIFETIME_MS`] of that time is forgotten, and so is the one used least recently where there would be more than
//! [`MOST_SESSIONS`]. Whoever comes with a forgotten session is told so: whether an earlier try of that request was
//! carried out is then unknown.

use super::{Outcome, Results};
use crate::raft::Index;
use alloc::{
    collections::{BTreeMap, BTreeSet},
    string::String,
};
use serde::{Deserialize, Serialize};

/// How long a session lives that nothing is asked of, in milliseconds of the log's time.
pub const LIFETIME_MS: u64 = 600_000;
/// The most sessions at once.
pub const MOST_SESSIONS: usize = 10_000;

/// What a request of a session found: the results of a transaction, or what stood against it.
pub type Found = Result<Results, Option<String>>;

/// All sessions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sessions {
    now_ms: u64,
    open: BTreeMap<u64, Session>,
    /// When each was last used, in order of that.
    used: BTreeSet<(u64, u64)>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Session {
    used_ms: u64,
    /// The last request that was carried out.
    last: Option<Done>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Done {
    sequence: u64,
    index: Index,
    found: Found,
}

impl Sessions {
    /// How many are open.
    pub fn count(&self) -> usize {
        self.open.len()
    }

    /// Opens the session that log entry `index` asks for.
    pub(super) fn open(&mut self, index: Index, at_ms: u64) {
        self.advance(at_ms);
        if self.open.len() >= MOST_SESSIONS
            && let Some((_, oldest)) = self.used.pop_first()
        {
            self.open.remove(&oldest);
        }
        self.open.insert(index, Session { used_ms: self.now_ms, last: None });
        self.used.insert((self.now_ms, index));
    }

    /// Lets a new request through; any other is answered.
    pub(super) fn admit(&mut self, id: u64, sequence: u64, at_ms: u64) -> Result<(), Outcome> {
        self.advance(at_ms);
        let session = self.open.get_mut(&id).ok_or(Outcome::NoSession)?;
        self.used.remove(&(session.used_ms, id));
        session.used_ms = self.now_ms;
        self.used.insert((self.now_ms, id));
        match &session.last {
            Some(last) if last.sequence == sequence => {
                Err(Outcome::Again { index: last.index, found: last.found.clone() })
            }
            Some(last) if last.sequence > sequence => {
                Err(Outcome::OldSequence { last: last.sequence })
            }
            _ => Ok(()),
        }
    }

    /// Remembers what the request that was let through found at `index`.
    pub(super) fn remember(&mut self, id: u64, sequence: u64, index: Index, found: Found) {
        if let Some(session) = self.open.get_mut(&id) {
            session.last = Some(Done { sequence, index, found });
        }
    }

    /// Time passes, as an entry says, and takes forgotten sessions with it.
    fn advance(&mut self, at_ms: u64) {
        self.now_ms = self.now_ms.max(at_ms);
        let dead = |used_ms: u64| used_ms.saturating_add(LIFETIME_MS) < self.now_ms;
        while let Some((_, id)) = self.used.first().copied().filter(|(used_ms, _)| dead(*used_ms)) {
            self.used.pop_first();
            self.open.remove(&id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Command, Micro, Store, Txn};
    use super::*;
    use proptest::prelude::*;

    fn open(store: &mut Store, at_ms: u64) -> u64 {
        let index = store.applied() + 1;
        assert_eq!(store.apply(index, &Command::OpenSession { at_ms }), Outcome::Done);
        index
    }

    /// Appends the number itself to a list, under that number.
    fn append(store: &mut Store, session: u64, sequence: u64, at_ms: u64) -> Outcome {
        let ops = vec![Micro::Append("l".into(), sequence.to_string())];
        let txn = Txn { conditions: Vec::new(), ops };
        let index = store.applied() + 1;
        store.apply(index, &Command::Once { session, sequence, at_ms, txn })
    }

    #[test]
    fn a_retry_gets_the_first_answer_and_an_old_request_none() {
        let mut store = Store::default();
        let session = open(&mut store, 0);
        let done = || Outcome::Results(vec![None]);
        assert_eq!(append(&mut store, session, 1, 0), done());
        let again = Outcome::Again { index: session + 1, found: Ok(vec![None]) };
        assert_eq!(append(&mut store, session, 1, 0), again);
        assert_eq!(append(&mut store, session, 5, 0), done());
        assert_eq!(append(&mut store, session, 1, 0), Outcome::OldSequence { last: 5 });
        assert_eq!(store.get("l"), Some("1 5"));
    }

    #[test]
    fn a_refusal_is_remembered_as_well() {
        let mut store = Store::default();
        let session = open(&mut store, 0);
        let add = |text: &str| Command::Put { key: "n".into(), value: text.into() };
        let txn = Txn { conditions: Vec::new(), ops: vec![Micro::Add("n".into(), 1)] };
        let once = Command::Once { session, sequence: 1, at_ms: 0, txn };
        store.apply(2, &add("x"));
        let mismatch = Outcome::Mismatch { current: Some("x".into()) };
        assert_eq!(store.apply(3, &once), mismatch);
        store.apply(4, &add("1"));
        let again = Outcome::Again { index: 3, found: Err(Some("x".into())) };
        assert_eq!((store.apply(5, &once), store.get("n")), (again, Some("1")));
    }

    #[test]
    fn sessions_end_by_the_logs_time_which_never_goes_back() {
        let mut store = Store::default();
        let (idle, busy) = (open(&mut store, 1000), open(&mut store, 1000));
        append(&mut store, busy, 1, 1000 + LIFETIME_MS);
        assert_eq!(store.sessions().count(), 2);
        append(&mut store, busy, 2, 1001 + LIFETIME_MS);
        assert_eq!(store.sessions().count(), 1);
        assert_eq!(append(&mut store, idle, 1, 0), Outcome::NoSession);
        assert_eq!(append(&mut store, busy, 3, 0), Outcome::Results(vec![None]));
        assert_eq!(append(&mut store, 99, 1, 0), Outcome::NoSession);
    }

    #[test]
    fn the_session_used_least_recently_makes_room() {
        let mut store = Store::default();
        let first = open(&mut store, 0);
        for at_ms in 1..MOST_SESSIONS as u64 {
            open(&mut store, at_ms);
        }
        append(&mut store, first, 1, MOST_SESSIONS as u64);
        open(&mut store, MOST_SESSIONS as u64);
        assert_eq!(store.sessions().count(), MOST_SESSIONS);
        assert_eq!(append(&mut store, first + 1, 1, 0), Outcome::NoSession);
        assert_eq!(append(&mut store, first, 2, 0), Outcome::Results(vec![None]));
    }

    proptest! {
        /// The obvious twin: a list has each number once, whatever is retried and in whatever order.
        #[test]
        fn each_number_is_carried_out_at_most_once(asked in prop::collection::vec((0..3_u64, 0..6_u64), 0..60)) {
            let mut store = Store::default();
            let sessions: Vec<_> = (0..3).map(|_| open(&mut store, 0)).collect();
            let mut greatest = [None; 3];
            let mut expected = Vec::new();
            for (who, sequence) in asked {
                let place = usize::try_from(who).expect("small");
                append(&mut store, sessions[place], sequence, 0);
                if greatest[place].is_none_or(|last| sequence > last) {
                    greatest[place] = Some(sequence);
                    expected.push(sequence.to_string());
                }
            }
            prop_assert_eq!(store.get("l").unwrap_or_default(), expected.join(" "));
        }
    }
}
