//! Judges that transfers between accounts create and destroy no money.
//!
//! Every read of all accounts must sum to one total. Where nobody says which, two reads that differ prove that one
//! of them is wrong, whatever the total is.

use super::objects::{Object, Op, objects, of_key};
use super::tally::{Case, Tally, meaningless};
use crate::history::{History, Value};
use crate::verdict::{Check, Limits, Verdict};

const NAME: &str = "bank";

/// What is known of the accounts beforehand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// The sum of all balances; `None`: whatever the first read says.
    pub total: Option<i64>,
    /// The accounts; `None`: whichever are read.
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
        judge(history, limits, &Rules::default())
    }
}

/// Judges with what is known beforehand. A history that says where it started gives the total.
pub fn judge(history: &History, limits: &Limits<'_>, rules: &Rules) -> Verdict {
    judged(history, limits, rules).unwrap_or_else(|why| meaningless(NAME, why))
}

const KINDS: &[&str] =
    &["wrong-total", "negative-balance", "missing-balance", "unexpected-account"];

fn judged(history: &History, limits: &Limits<'_>, rules: &Rules) -> Result<Verdict, String> {
    let rules = Rules { total: rules.total.or(initial_total(history)?), ..rules.clone() };
    let mut tally = Tally::new(NAME, KINDS);
    for object in objects(history, limits.keyed)? {
        one(&object, &rules, &mut tally)?;
    }
    let reads = tally.stats.operations;
    if reads == 0 {
        tally.doubt(|| "the accounts were never read".to_owned());
    }
    Ok(tally.verdict(&format!("all {reads} reads sum to the same total")))
}

/// The total of the state a history says it started in; of several, none.
fn initial_total(history: &History) -> Result<Option<i64>, String> {
    match history.initial() {
        Some([Value::Map(balances)]) => sum(balances).map(Some),
        _ => Ok(None),
    }
}

fn sum(balances: &[(String, Value)]) -> Result<i64, String> {
    balances.iter().try_fold(0_i64, |sum, (account, balance)| match balance {
        Value::Int(balance) => {
            sum.checked_add(*balance).ok_or_else(|| "the balances do not fit 64 bits".to_owned())
        }
        Value::Nil => Ok(sum),
        other => Err(format!("account {account} holds {other}, which is no integer")),
    })
}

type Balances<'h> = &'h [(String, Value)];

/// The balances a read returned, if it returned.
fn balances<'h>(op: &Op<'h>) -> Result<Option<Balances<'h>>, String> {
    match (op.f, op.output) {
        ("transfer", _) => transfer(op).map(|()| None),
        ("read", None) => Ok(None),
        ("read", Some(Value::Map(balances))) => Ok(Some(balances)),
        ("read", Some(other)) => Err(op.bad_output(&format!("it returned {other}, not accounts"))),
        _ => Err(op.unknown_function("read, transfer")),
    }
}

fn transfer(op: &Op<'_>) -> Result<(), String> {
    let Value::Map(fields) = op.input else {
        return Err(op.bad_input("a transfer is {from, to, amount}"));
    };
    match ["from", "to", "amount"]
        .iter()
        .find(|name| !fields.iter().any(|(field, _)| field == *name))
    {
        Some(name) => Err(op.bad_input(&format!("the transfer does not say {name}"))),
        None => Ok(()),
    }
}

fn one(object: &Object<'_>, rules: &Rules, tally: &mut Tally) -> Result<(), String> {
    let before = tally.wrongs();
    let (mut reads, mut first) = (0, None);
    for op in &object.ops {
        let Some(balances) = balances(op)? else { continue };
        reads += 1;
        let total = sum(balances).map_err(|why| op.bad_output(&why))?;
        let place = of_key(object.key);
        whole(op, balances, rules, tally);
        let wanted = rules.total.or(first.map(|(_, total)| total));
        if wanted.is_some_and(|wanted| wanted != total) {
            tally.found("wrong-total", || wrong_total(op, total, rules.total, first, &place));
        }
        first = first.or(Some((op, total)));
    }
    if let Some((_, total)) = first {
        tally.measure("total", rules.total.unwrap_or(total));
    }
    tally.count(reads, before);
    Ok(())
}

/// What is wrong with a read by itself.
fn whole(op: &Op<'_>, balances: Balances<'_>, rules: &Rules, tally: &mut Tally) {
    let mut wrong = |kind, what: String| {
        tally.found(kind, || Case {
            message: format!("{} {what}", op.named()),
            operations: vec![op.begin],
            ..Case::default()
        });
    };
    for (account, balance) in balances {
        match balance {
            Value::Int(..0) if !rules.overdraft => {
                wrong("negative-balance", format!("shows {balance} on account {account}"));
            }
            Value::Nil => wrong("missing-balance", format!("shows nothing on account {account}")),
            _ => {}
        }
        if rules.accounts.as_ref().is_some_and(|known| !known.contains(account)) {
            wrong("unexpected-account", format!("shows account {account}, which does not exist"));
        }
    }
}

fn wrong_total(
    op: &Op<'_>,
    total: i64,
    given: Option<i64>,
    first: Option<(&Op<'_>, i64)>,
    place: &str,
) -> Case {
    match (given, first) {
        (None, Some((first, wanted))) => Case {
            message: format!(
                "{} sums to {wanted}{place} and {} to {total}: a transfer was seen half done, or money \
                 was made or lost",
                first.named(),
                op.named()
            ),
            steps: vec![first.step(op, "total", format!("the sums are {wanted} and {total}"))],
            operations: vec![first.begin, op.begin],
        },
        (given, _) => Case {
            message: format!(
                "{} sums to {total}{place} instead of {}",
                op.named(),
                given.unwrap_or_default()
            ),
            operations: vec![op.begin],
            ..Case::default()
        },
    }
}
