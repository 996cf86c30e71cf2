//! Transfers money between accounts and reads all of them at once: every state preserves the total.
//!
//! A transfer that would overdraw must be rejected. Every account opens with the same balance,
//! which each call carries, so that no setup is needed.

use crate::call::Call;
use crate::combinator::{each_until_ok, mix};
use crate::generator::{BoxGenerator, repeat_with};
use crate::object::Object;
use crate::read_consistency::ReadConsistency;
use crate::rng::Rng;
use crate::workload::{Traffic, TrafficConfig, Workload};

/// The number of accounts.
const ACCOUNTS: u64 = 8;
/// The opening balance of each account: low, so that a missing overdraft check shows soon.
const OPENING_BALANCE: i64 = 10;
/// The largest amount of a transfer.
const MAX_AMOUNT: u64 = 5;

/// Bank accounts.
pub(crate) struct Bank;

impl Workload for Bank {
    fn name(&self) -> &'static str {
        "bank"
    }

    fn doc(&self) -> &'static str {
        "transfers money between accounts and reads all at once; judged by the total and by \
         overdrafts"
    }

    fn object(&self) -> Object {
        Object::Bank
    }

    fn function_names(&self) -> &'static [&'static str] {
        &["read", "transfer"]
    }

    fn check_names(&self, _: ReadConsistency) -> &'static [&'static str] {
        &["bank"]
    }

    fn make_traffic(&self, rng: Rng, _: &TrafficConfig) -> Traffic {
        let transfers = generate_transfers(rng.fork("transfers"));
        Traffic {
            main: mix(rng.fork("mix"), vec![(1, transfers), (1, repeat_with(|_| read_accounts()))]),
            recovery: Box::new(move || {
                each_until_ok([
                    self::generate_transfers(rng.fork("recovery")),
                    repeat_with(|_| read_accounts()),
                ])
            }),
            final_reads: Box::new(|| each_until_ok([repeat_with(|_| read_accounts())])),
        }
    }
}

fn read_accounts() -> Call {
    Call::ReadAccounts { accounts: ACCOUNTS, opening: OPENING_BALANCE }
}

fn generate_transfers(mut rng: Rng) -> BoxGenerator {
    repeat_with(move |_| {
        let from = rng.below(ACCOUNTS);
        let to = (from + rng.between(1, ACCOUNTS)) % ACCOUNTS;
        let amount = rng.between(1, MAX_AMOUNT + 1).cast_signed();
        Call::Transfer { from, to, amount, opening: OPENING_BALANCE }
    })
}
