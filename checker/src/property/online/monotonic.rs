//! Finds a number that is lower than one that was read before.
//!
//! Rows with timestamps are only judged by the last read, which only the end shows.

use rustc_hash::FxHashMap;

use super::super::op::{Op, abbreviate};
use super::OnlineObject;
use crate::history::Value;

/// The rising numbers of each key, each with the completion of the read that first returned it.
#[derive(Default)]
pub(crate) struct OnlineMonotonic {
    risen: FxHashMap<Option<String>, Vec<(u64, i64)>>,
    held: usize,
}

impl OnlineMonotonic {
    fn add_number(&mut self, op: &Op<'_>, key: Option<&str>, number: i64) -> Option<String> {
        let risen = self.risen.entry(key.map(str::to_owned)).or_default();
        let before = risen.partition_point(|(end, _)| *end < op.begin);
        let highest = before.checked_sub(1).map(|place| risen[place]);
        if risen.last().is_none_or(|(_, highest)| *highest < number) {
            risen.push((op.end, number));
            self.held += size_of::<(u64, i64)>();
        }
        let (end, highest) = highest.filter(|(_, highest)| *highest > number)?;
        let of = key.map_or_else(String::new, |key| format!(" of key {key}"));
        Some(format!(
            "{} returned {number}{of} after a read that completed at index {end} returned \
             {highest}: the value decreased",
            op.describe()
        ))
    }
}

impl OnlineObject for OnlineMonotonic {
    fn begin(&mut self, _: &Op<'_>) -> Result<(), String> {
        Ok(())
    }

    fn end(&mut self, op: &Op<'_>) -> Result<Option<String>, String> {
        let mut found = None;
        match (op.f, op.output) {
            ("read", Some(Value::Int(number))) => found = self.add_number(op, None, *number),
            ("read" | "inc", Some(Value::Map(numbers))) => {
                for (key, value) in numbers {
                    match value {
                        Value::Nil => {}
                        Value::Int(number) => {
                            found = self.add_number(op, Some(key), *number).or(found);
                        }
                        _ => return Err(op.invalid_output("expected a number")),
                    }
                }
            }
            ("read", None | Some(Value::Nil | Value::List(_))) => {}
            ("read", Some(other)) => {
                let what = format!("expected a number, got {}", abbreviate(other));
                return Err(op.invalid_output(&what));
            }
            ("inc" | "add" | "write", _) => {}
            _ => return Err(op.unknown_function("add, inc, read, write")),
        }
        Ok(found)
    }

    fn held_bytes(&self) -> usize {
        self.held
    }
}
