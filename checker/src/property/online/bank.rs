//! Finds a read whose total differs from that of an earlier one, and a negative or missing balance.

use super::super::bank::{read_balances, sum_balances};
use super::super::op::Op;
use super::OnlineObject;
use crate::history::Value;

/// The total of the first completed read, and the index of that read.
#[derive(Default)]
pub(crate) struct OnlineBank {
    first: Option<(i64, u64)>,
}

impl OnlineObject for OnlineBank {
    fn begin(&mut self, _: &Op<'_>) -> Result<(), String> {
        Ok(())
    }

    fn end(&mut self, op: &Op<'_>) -> Result<Option<String>, String> {
        let Some(balances) = read_balances(op)? else { return Ok(None) };
        let total = sum_balances(balances).map_err(|why| op.invalid_output(&why))?;
        let wrong = balances.iter().find_map(|(account, balance)| match balance {
            Value::Int(..0) => Some(format!("the negative balance {balance} of account {account}")),
            Value::Nil => Some(format!("no balance of account {account}")),
            _ => None,
        });
        if let Some(wrong) = wrong {
            return Ok(Some(format!("{} returned {wrong}", op.describe())));
        }
        let (wanted, index) = *self.first.get_or_insert((total, op.begin));
        Ok((total != wanted).then(|| {
            let read = op.describe();
            format!("{read} sums to {total}, but the read at index {index} sums to {wanted}")
        }))
    }

    fn held_bytes(&self) -> usize {
        size_of::<Self>()
    }
}
