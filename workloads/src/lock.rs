//! Takes locks and gives them back: never two hold one, and fencing tokens grow from holder to holder.
//!
//! Each attempt has a holder's name of its own. A client that does not know whether it got a lock gives it back
//! until it hears an answer. An attempt may come true later all the same and hold its lock for ever, so locks are
//! retired after a number of attempts.

use crate::generator::{Generator, Next, Turn, calls, each_thread};
use crate::keys::Fresh;
use crate::{
    Call, Freshness, Object, Outcome, Reply, Rng, Scene, Traffic, Workload, each_until_ok,
};

/// Locks in use at a time.
const ACTIVE: u64 = 2;
/// Attempts after which the locks in use are retired.
const ATTEMPTS: i64 = 100;

/// Locks with fencing tokens.
pub(crate) struct Lock;

impl Workload for Lock {
    fn name(&self) -> &'static str {
        "lock"
    }

    fn doc(&self) -> &'static str {
        "takes locks and gives them back; judged by whether two ever held one, and by its fencing tokens"
    }

    fn object(&self) -> Object {
        Object::Locks
    }

    fn functions(&self) -> &'static [&'static str] {
        &["acquire", "release"]
    }

    fn checks(&self, _: Freshness) -> &'static [&'static str] {
        &["fenced-lock", "lock"]
    }

    fn traffic(&self, rng: Rng, _: &Scene) -> Traffic {
        let attempts = Fresh::default();
        let own = attempts.clone();
        Traffic {
            main: each_thread(move |thread| {
                let rng = rng.fork(&format!("thread {thread}"));
                Box::new(Client { rng, attempts: own.clone(), held: None })
            }),
            recovery: Box::new(move || {
                let number = attempts.next();
                let (lock, holder) = (format!("recovery{number}"), format!("h{number}"));
                let release = Call::Release { lock: lock.clone(), holder: holder.clone() };
                let acquire = Call::Acquire { lock, holder };
                each_until_ok([calls(move |_| acquire.clone()), calls(move |_| release.clone())])
            }),
            finale: Box::new(|| each_until_ok([])),
        }
    }
}

/// A client with at most one lock.
struct Client {
    rng: Rng,
    attempts: Fresh,
    /// The lock it has or may have, and under what name.
    held: Option<(String, String)>,
}

impl Generator for Client {
    fn next(&mut self, _: &Turn) -> Next {
        let call = match self.held.clone() {
            Some((lock, holder)) => Call::Release { lock, holder },
            None => {
                let attempt = self.attempts.next();
                let lock = attempt / ATTEMPTS * ACTIVE.cast_signed()
                    + self.rng.below(ACTIVE).cast_signed();
                Call::Acquire { lock: format!("l{lock}"), holder: format!("h{attempt}") }
            }
        };
        Next::Call(call)
    }

    fn observe(&mut self, _: usize, call: &Call, reply: &Reply) {
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
