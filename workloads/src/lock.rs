//! Acquires and releases locks: a lock has at most one holder, and fencing tokens grow from holder
//! to holder.
//!
//! Each attempt uses its own holder name. A client whose acquire is indeterminate releases the lock
//! until a release is answered. The acquire may still take effect later and hold the lock for ever,
//! so locks are retired after a number of attempts.

use crate::call::Call;
use crate::combinator::{each_thread, each_until_ok};
use crate::generator::{Context, Generator, Next, repeat_with};
use crate::object::Object;
use crate::read_consistency::ReadConsistency;
use crate::reply::{Outcome, Reply};
use crate::rng::Rng;
use crate::sequence::Sequence;
use crate::workload::{Traffic, TrafficConfig, Workload};

/// The number of active locks.
const ACTIVE_LOCKS: u64 = 2;
/// Attempts after which the active locks are retired.
const ATTEMPTS_PER_LOCK: i64 = 100;

/// Locks with fencing tokens.
pub(crate) struct Lock;

impl Workload for Lock {
    fn name(&self) -> &'static str {
        "lock"
    }

    fn doc(&self) -> &'static str {
        "acquires and releases locks; judged by mutual exclusion and by fencing tokens"
    }

    fn object(&self) -> Object {
        Object::Locks
    }

    fn function_names(&self) -> &'static [&'static str] {
        &["acquire", "release"]
    }

    fn check_names(&self, _: ReadConsistency) -> &'static [&'static str] {
        &["fenced-lock", "lock"]
    }

    fn make_traffic(&self, rng: Rng, _: &TrafficConfig) -> Traffic {
        let attempts = Sequence::default();
        let own = attempts.clone();
        Traffic {
            main: each_thread(move |thread| {
                let rng = rng.fork(&format!("thread {thread}"));
                Box::new(LockClient { rng, attempts: own.clone(), held: None })
            }),
            recovery: Box::new(move || {
                let number = attempts.next_number();
                let (lock, holder) = (format!("recovery{number}"), format!("h{number}"));
                let release = Call::Release { lock: lock.clone(), holder: holder.clone() };
                let acquire = Call::Acquire { lock, holder };
                each_until_ok([
                    repeat_with(move |_| acquire.clone()),
                    repeat_with(move |_| release.clone()),
                ])
            }),
            final_reads: Box::new(|| each_until_ok([])),
        }
    }
}

/// A client that holds at most one lock.
struct LockClient {
    rng: Rng,
    attempts: Sequence,
    /// The lock it holds or may hold, and the holder name.
    held: Option<(String, String)>,
}

impl Generator for LockClient {
    fn next_call(&mut self, _: &Context) -> Next {
        let call = match self.held.clone() {
            Some((lock, holder)) => Call::Release { lock, holder },
            None => {
                let attempt = self.attempts.next_number();
                let lock = attempt / ATTEMPTS_PER_LOCK * ACTIVE_LOCKS.cast_signed()
                    + self.rng.below(ACTIVE_LOCKS).cast_signed();
                Call::Acquire { lock: format!("l{lock}"), holder: format!("h{attempt}") }
            }
        };
        Next::Call(call)
    }

    fn observe_reply(&mut self, _: usize, call: &Call, reply: &Reply) {
        match call {
            Call::Acquire { lock, holder } if reply.outcome != Outcome::Fail => {
                self.held = Some((lock.clone(), holder.clone()));
            }
            Call::Release { .. } if reply.outcome == Outcome::Ok || reply.is_mismatch() => {
                self.held = None;
            }
            _ => {}
        }
    }
}
