//! Records the last request of each client session, so that a retry is answered and not run again
//! (thesis §6.3).
//!
//! A log entry opens a session, and the entry's index is its id. The client numbers its requests
//! and sends one at a time. The last number again is a retry and gets the first answer; a smaller
//! number is rejected; a greater one is new. All of this is replicated state and depends on the
//! log alone.
//!
//! Time is the greatest time in any entry so far. A session that is not used for
//! [`SESSION_TTL_MS`] of that time expires; above [`MAX_SESSIONS`] the least recently used one
//! does. A request of an expired session is rejected: the outcome of its earlier tries is unknown.

use super::outcome::{Outcome, TxnResult};
use crate::raft::Index;
use alloc::collections::{BTreeMap, BTreeSet};
use serde::{Deserialize, Serialize};

/// How long an unused session lives, in milliseconds of the log's time.
pub const SESSION_TTL_MS: u64 = 600_000;
/// The most sessions at once.
pub const MAX_SESSIONS: usize = 10_000;

/// All open sessions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sessions {
    now_ms: u64,
    open: BTreeMap<u64, Session>,
    /// The sessions by the time of their last use.
    used: BTreeSet<(u64, u64)>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Session {
    used_ms: u64,
    /// The last request that was run.
    last: Option<LastRequest>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct LastRequest {
    sequence: u64,
    index: Index,
    found: TxnResult,
}

impl Sessions {
    /// Returns the number of open sessions.
    pub fn count(&self) -> usize {
        self.open.len()
    }

    /// Opens the session of log entry `index`.
    pub(super) fn open_session(&mut self, index: Index, at_ms: u64) {
        self.advance_time(at_ms);
        if self.open.len() >= MAX_SESSIONS
            && let Some((_, oldest)) = self.used.pop_first()
        {
            self.open.remove(&oldest);
        }
        self.open.insert(index, Session { used_ms: self.now_ms, last: None });
        self.used.insert((self.now_ms, index));
    }

    /// Checks a request; returns its outcome if it is not new.
    pub(super) fn check_request(
        &mut self,
        id: u64,
        sequence: u64,
        at_ms: u64,
    ) -> Result<(), Outcome> {
        self.advance_time(at_ms);
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

    /// Records the result of a new request, which ran at `index`.
    pub(super) fn record_result(&mut self, id: u64, sequence: u64, index: Index, found: TxnResult) {
        if let Some(session) = self.open.get_mut(&id) {
            session.last = Some(LastRequest { sequence, index, found });
        }
    }

    /// Advances the log's time and drops expired sessions. The replica's own clock must not decide
    /// this: replicas would disagree on which sessions exist (thesis §6.3).
    fn advance_time(&mut self, at_ms: u64) {
        self.now_ms = self.now_ms.max(at_ms);
        let expired = |used_ms: u64| used_ms.saturating_add(SESSION_TTL_MS) < self.now_ms;
        while let Some((_, id)) =
            self.used.first().copied().filter(|(used_ms, _)| expired(*used_ms))
        {
            self.used.pop_first();
            self.open.remove(&id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kv::{Command, MicroOp, Store, Txn};
    use proptest::prelude::*;

    fn open_session(store: &mut Store, at_ms: u64) -> u64 {
        let index = store.applied() + 1;
        assert_eq!(store.apply(index, &Command::OpenSession { at_ms }), Outcome::Done);
        index
    }

    /// Appends the request's number to a list.
    fn append_once(store: &mut Store, session: u64, sequence: u64, at_ms: u64) -> Outcome {
        let ops = vec![MicroOp::Append("l".into(), sequence.to_string())];
        let txn = Txn { conditions: Vec::new(), ops };
        let index = store.applied() + 1;
        store.apply(index, &Command::Once { session, sequence, at_ms, txn })
    }

    #[test]
    fn a_retry_gets_the_first_answer_and_an_old_request_is_rejected() {
        let mut store = Store::default();
        let session = open_session(&mut store, 0);
        let done = || Outcome::Results(vec![None]);
        assert_eq!(append_once(&mut store, session, 1, 0), done());
        let again = Outcome::Again { index: session + 1, found: Ok(vec![None]) };
        assert_eq!(append_once(&mut store, session, 1, 0), again);
        assert_eq!(append_once(&mut store, session, 5, 0), done());
        assert_eq!(append_once(&mut store, session, 1, 0), Outcome::OldSequence { last: 5 });
        assert_eq!(store.get("l"), Some("1 5"));
    }

    #[test]
    fn a_mismatch_is_recorded_too() {
        let mut store = Store::default();
        let session = open_session(&mut store, 0);
        let add = |text: &str| Command::Put { key: "n".into(), value: text.into() };
        let txn = Txn { conditions: Vec::new(), ops: vec![MicroOp::Add("n".into(), 1)] };
        let once = Command::Once { session, sequence: 1, at_ms: 0, txn };
        store.apply(2, &add("x"));
        let mismatch = Outcome::Mismatch { current: Some("x".into()) };
        assert_eq!(store.apply(3, &once), mismatch);
        store.apply(4, &add("1"));
        let again = Outcome::Again { index: 3, found: Err(Some("x".into())) };
        assert_eq!((store.apply(5, &once), store.get("n")), (again, Some("1")));
    }

    #[test]
    fn sessions_expire_by_the_logs_time_which_never_goes_back() {
        let mut store = Store::default();
        let (idle, busy) = (open_session(&mut store, 1000), open_session(&mut store, 1000));
        append_once(&mut store, busy, 1, 1000 + SESSION_TTL_MS);
        assert_eq!(store.sessions().count(), 2);
        append_once(&mut store, busy, 2, 1001 + SESSION_TTL_MS);
        assert_eq!(store.sessions().count(), 1);
        assert_eq!(append_once(&mut store, idle, 1, 0), Outcome::NoSession);
        assert_eq!(append_once(&mut store, busy, 3, 0), Outcome::Results(vec![None]));
        assert_eq!(append_once(&mut store, 99, 1, 0), Outcome::NoSession);
    }

    #[test]
    fn the_least_recently_used_session_is_dropped() {
        let mut store = Store::default();
        let first = open_session(&mut store, 0);
        for at_ms in 1..MAX_SESSIONS as u64 {
            open_session(&mut store, at_ms);
        }
        append_once(&mut store, first, 1, MAX_SESSIONS as u64);
        open_session(&mut store, MAX_SESSIONS as u64);
        assert_eq!(store.sessions().count(), MAX_SESSIONS);
        assert_eq!(append_once(&mut store, first + 1, 1, 0), Outcome::NoSession);
        assert_eq!(append_once(&mut store, first, 2, 0), Outcome::Results(vec![None]));
    }

    proptest! {
        /// A list has each number once, whatever is retried and in whatever order.
        #[test]
        fn each_request_runs_at_most_once(
            requests in prop::collection::vec((0..3_u64, 0..6_u64), 0..60)
        ) {
            let mut store = Store::default();
            let sessions: Vec<_> = (0..3).map(|_| open_session(&mut store, 0)).collect();
            let mut greatest = [None; 3];
            let mut expected = Vec::new();
            for (client, sequence) in requests {
                let client = usize::try_from(client).expect("small");
                append_once(&mut store, sessions[client], sequence, 0);
                if greatest[client].is_none_or(|last| sequence > last) {
                    greatest[client] = Some(sequence);
                    expected.push(sequence.to_string());
                }
            }
            prop_assert_eq!(store.get("l").unwrap_or_default(), expected.join(" "));
        }
    }
}
