//! Checks that transfers between accounts preserve the total.
//!
//! Every read of all accounts must sum to the same total. If the total is not given, two reads that
//! differ prove that one of them is wrong.

use super::op::{ObjectOps, Op, key_suffix, split_by_key};
use super::verdict_builder::{AnomalyCase, VerdictBuilder, unsupported_history};
use crate::history::{History, Value};
use crate::verdict::{Check, Limits, Verdict};

const NAME: &str = "bank";

/// Facts about the accounts that are known in advance.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BankRules {
    /// The sum of all balances; `None` takes that of the first read.
    pub total: Option<i64>,
    /// The accounts; `None` accepts any.
    pub accounts: Option<Vec<String>>,
    /// Whether a balance may be below zero.
    pub overdraft: bool,
}

/// The total is conserved and no balance is negative.
pub(crate) struct Bank;

impl Check for Bank {
    fn name(&self) -> &'static str {
        NAME
    }

    fn doc(&self) -> &'static str {
        "every `read` of all accounts sums to the same total, and no balance is negative"
    }

    fn check(&self, history: &History, limits: &Limits<'_>) -> Verdict {
        check_bank(history, limits, &BankRules::default())
    }
}

/// Checks a history with these rules. An initial state in the history defines the total.
pub fn check_bank(history: &History, limits: &Limits<'_>, rules: &BankRules) -> Verdict {
    try_check(history, limits, rules).unwrap_or_else(|why| unsupported_history(NAME, why))
}

const KINDS: &[&str] =
    &["wrong-total", "negative-balance", "missing-balance", "unexpected-account"];

fn try_check(history: &History, limits: &Limits<'_>, rules: &BankRules) -> Result<Verdict, String> {
    let rules = BankRules { total: rules.total.or(initial_total(history)?), ..rules.clone() };
    let mut builder = VerdictBuilder::new(NAME, KINDS);
    for object in split_by_key(history, limits.keyed)? {
        check_object(&object, &rules, &mut builder)?;
    }
    let reads = builder.stats.operations;
    if reads == 0 {
        builder.add_unknown(|| "no read completed".to_owned());
    }
    Ok(builder.build(&format!("all {reads} reads sum to the same total")))
}

/// The total of the history's initial state, if it has exactly one.
fn initial_total(history: &History) -> Result<Option<i64>, String> {
    match history.initial() {
        Some([Value::Map(balances)]) => sum_balances(balances).map(Some),
        _ => Ok(None),
    }
}

pub(super) fn sum_balances(balances: &[(String, Value)]) -> Result<i64, String> {
    balances.iter().try_fold(0_i64, |sum, (account, balance)| match balance {
        Value::Int(balance) => sum
            .checked_add(*balance)
            .ok_or_else(|| "the sum of the balances exceeds 64 bits".to_owned()),
        Value::Nil => Ok(sum),
        other => Err(format!("the balance of account {account} is {other}, not an integer")),
    })
}

pub(super) type Balances<'h> = &'h [(String, Value)];

/// The balances that a completed read returned.
pub(super) fn read_balances<'h>(op: &Op<'h>) -> Result<Option<Balances<'h>>, String> {
    match (op.f, op.output) {
        ("transfer", _) => validate_transfer(op).map(|()| None),
        ("read", None) => Ok(None),
        ("read", Some(Value::Map(balances))) => Ok(Some(balances)),
        ("read", Some(other)) => {
            Err(op.invalid_output(&format!("expected a map of accounts, got {other}")))
        }
        _ => Err(op.unknown_function("read, transfer")),
    }
}

fn validate_transfer(op: &Op<'_>) -> Result<(), String> {
    let Value::Map(fields) = op.input else {
        return Err(op.invalid_input("expected {from, to, amount}"));
    };
    match ["from", "to", "amount"]
        .iter()
        .find(|name| !fields.iter().any(|(field, _)| field == *name))
    {
        Some(name) => Err(op.invalid_input(&format!("the transfer lacks {name}"))),
        None => Ok(()),
    }
}

fn check_object(
    object: &ObjectOps<'_>,
    rules: &BankRules,
    builder: &mut VerdictBuilder,
) -> Result<(), String> {
    let before = builder.case_count();
    let (mut reads, mut first) = (0, None);
    for op in &object.ops {
        let Some(balances) = read_balances(op)? else { continue };
        reads += 1;
        let total = sum_balances(balances).map_err(|why| op.invalid_output(&why))?;
        let place = key_suffix(object.key);
        check_balances(op, balances, rules, builder);
        let wanted = rules.total.or(first.map(|(_, total)| total));
        if wanted.is_some_and(|wanted| wanted != total) {
            builder.add_case("wrong-total", || wrong_total(op, total, rules.total, first, &place));
        }
        first = first.or(Some((op, total)));
    }
    if let Some((_, total)) = first {
        builder.set_measure("total", rules.total.unwrap_or(total));
    }
    builder.finish_object(reads, before);
    Ok(())
}

/// Reports the anomalies of a single read.
fn check_balances(
    op: &Op<'_>,
    balances: Balances<'_>,
    rules: &BankRules,
    builder: &mut VerdictBuilder,
) {
    let mut wrong = |kind, what: String| {
        builder.add_case(kind, || AnomalyCase {
            message: format!("{} {what}", op.describe()),
            operations: vec![op.begin],
            ..AnomalyCase::default()
        });
    };
    for (account, balance) in balances {
        match balance {
            Value::Int(..0) if !rules.overdraft => {
                wrong(
                    "negative-balance",
                    format!("returned the negative balance {balance} of account {account}"),
                );
            }
            Value::Nil => {
                wrong("missing-balance", format!("returned no balance of account {account}"))
            }
            _ => {}
        }
        if rules.accounts.as_ref().is_some_and(|known| !known.contains(account)) {
            wrong(
                "unexpected-account",
                format!("returned account {account}, which does not exist"),
            );
        }
    }
}

fn wrong_total(
    op: &Op<'_>,
    total: i64,
    given: Option<i64>,
    first: Option<(&Op<'_>, i64)>,
    place: &str,
) -> AnomalyCase {
    match (given, first) {
        (None, Some((first, wanted))) => AnomalyCase {
            message: format!(
                "{} sums to {wanted}{place} but {} sums to {total}: a read observed half of a \
                 transfer, or money was created or lost",
                first.describe(),
                op.describe()
            ),
            steps: vec![first.step(op, "total", format!("the sums are {wanted} and {total}"))],
            operations: vec![first.begin, op.begin],
        },
        (given, _) => AnomalyCase {
            message: format!(
                "{} sums to {total}{place} instead of {}",
                op.describe(),
                given.unwrap_or_default()
            ),
            operations: vec![op.begin],
            ..AnomalyCase::default()
        },
    }
}
