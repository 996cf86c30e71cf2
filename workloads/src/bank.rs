//! Moves money between accounts and reads all of them at once: no state shows more or less than there was.
//!
//! A transfer is refused where it would overdraw. Every account opens with the same balance, which each call
//! names, so that nobody has to set anything up.

use crate::generator::{calls, mix};
use crate::{Call, Freshness, Object, Rng, Scene, Traffic, Workload, each_until_ok};

/// How many accounts there are.
const ACCOUNTS: u64 = 8;
/// What is on each at first: little, so that a transfer that is not refused when it must be overdraws soon.
const OPENING: i64 = 10;
/// The most that is moved at once.
const LARGEST: u64 = 5;

/// Accounts.
pub(crate) struct Bank;

impl Workload for Bank {
    fn name(&self) -> &'static str {
        "bank"
    }

    fn doc(&self) -> &'static str {
        "moves money between accounts and reads all at once; judged by the total and by overdrafts"
    }

    fn object(&self) -> Object {
        Object::Bank
    }

    fn functions(&self) -> &'static [&'static str] {
        &["read", "transfer"]
    }

    fn checks(&self, _: Freshness) -> &'static [&'static str] {
        &["bank"]
    }

    fn traffic(&self, rng: Rng, _: &Scene) -> Traffic {
        let transfers = transfers(rng.fork("transfers"));
        Traffic {
            main: mix(rng.fork("mix"), vec![(1, transfers), (1, calls(|_| balances()))]),
            recovery: Box::new(move || {
                each_until_ok([self::transfers(rng.fork("recovery")), calls(|_| balances())])
            }),
            finale: Box::new(|| each_until_ok([calls(|_| balances())])),
        }
    }
}

fn balances() -> Call {
    Call::Balances { accounts: ACCOUNTS, opening: OPENING }
}

fn transfers(mut rng: Rng) -> crate::generator::Any {
    calls(move |_| {
        let from = rng.below(ACCOUNTS);
        let to = (from + rng.between(1, ACCOUNTS)) % ACCOUNTS;
        let amount = rng.between(1, LARGEST + 1).cast_signed();
        Call::Transfer { from, to, amount, opening: OPENING }
    })
}
