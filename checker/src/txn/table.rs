//! Parses transactions into dense tables: which transaction accessed which version of which key.
//!
//! A version of a key is its initial state or the *element* that was written last. The
//! micro-operations are those of the completion if the transaction is `ok`, else those of the
//! invocation, whose reads are unknown. Anything but a list of `["r" key value]`, `["append" key
//! element]` and `["w" key value]` is rejected with its index ([`InvalidTxn`]), and so is an
//! element that is written twice, because reads of it would be ambiguous.

use rustc_hash::FxHashMap;

use super::options::DataType;
use crate::history::{Kind, Operation, Value};

/// Stands for no transaction, no element, no position.
pub(super) const NONE: u32 = u32::MAX;

/// An event that is not a valid transaction.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("event index {index}: {why}")]
pub struct InvalidTxn {
    /// The index of the event.
    pub index: u64,
    /// Why it is invalid.
    pub why: String,
}

/// A transaction, numbered in order of invocation.
pub(super) struct Txn {
    /// Its position among the history's operations.
    pub(super) operation: u32,
    /// Its process, numbered in order of appearance.
    pub(super) process: u32,
    /// `Ok`, `Fail` or `Info`.
    pub(super) kind: Kind,
    pub(super) invoked: u64,
    pub(super) completed: u64,
    /// The end of its accesses; they begin where those of the previous transaction end.
    pub(super) end: u32,
}

/// A read or a write of a version.
#[derive(Clone, Copy)]
pub(super) struct Access {
    pub(super) key: u32,
    /// The element; [`NONE`] for the initial state.
    pub(super) element: u32,
    /// The previous access to the same key in the same transaction, counted from its first access.
    pub(super) earlier: u32,
    pub(super) write: bool,
}

/// A written value of a key.
pub(super) struct ElementInfo<'h> {
    pub(super) key: u32,
    pub(super) value: &'h Value,
    /// The transaction that wrote it; [`NONE`] if it was only read.
    pub(super) writer: u32,
    /// Whether its own writer overwrote it.
    pub(super) intermediate: bool,
}

/// A key, its elements and its longest read.
pub(super) struct KeyInfo<'h> {
    pub(super) value: &'h Value,
    elements: FxHashMap<&'h Value, u32>,
    /// The longest list that was read and is compatible with all lists read before it.
    pub(super) longest_read: &'h [Value],
    /// The elements of the longest read.
    pub(super) order: Vec<u32>,
    /// The transaction and access that touched the key last.
    last: (u32, u32),
}

/// A read of a list such that neither it nor the key's longest read is a prefix of the other.
pub(super) struct IncompatibleRead<'h> {
    pub(super) txn: u32,
    pub(super) key: u32,
    pub(super) list: &'h [Value],
    pub(super) elements: Vec<u32>,
}

/// A read that contradicts an earlier access of its own transaction (internal anomaly).
pub(super) struct InternalRead<'h> {
    pub(super) txn: u32,
    pub(super) key: u32,
    pub(super) read: &'h Value,
    /// The expected value, or the expected end of the list.
    pub(super) expected: String,
}

/// All transactions of a history.
#[derive(Default)]
pub(super) struct TxnTable<'h> {
    pub(super) txns: Vec<Txn>,
    pub(super) accesses: Vec<Access>,
    pub(super) elements: Vec<ElementInfo<'h>>,
    pub(super) keys: Vec<KeyInfo<'h>>,
    pub(super) incompatible_reads: Vec<IncompatibleRead<'h>>,
    pub(super) internal_reads: Vec<InternalRead<'h>>,
    names: FxHashMap<&'h Value, u32>,
    processes: FxHashMap<crate::history::Process, u32>,
    /// The values of the accesses of the current transaction.
    carried: Vec<&'h Value>,
}

/// Parses every transaction of a history; `None` if the time limit is exceeded.
pub(super) fn read_transactions<'h>(
    operations: &'h [Operation],
    data_type: DataType,
    expired: &dyn Fn() -> bool,
) -> Result<Option<TxnTable<'h>>, InvalidTxn> {
    let mut table = TxnTable::default();
    table.txns.reserve(operations.len());
    for (place, operation) in operations.iter().enumerate() {
        if place % 4096 == 4095 && expired() {
            return Ok(None);
        }
        table.add(place as u32, operation, data_type)?;
    }
    Ok(Some(table))
}

impl<'h> TxnTable<'h> {
    /// The accesses of a transaction.
    pub(super) fn accesses(&self, txn: u32) -> &[Access] {
        let begin = txn.checked_sub(1).map_or(0, |before| self.txns[before as usize].end);
        &self.accesses[begin as usize..self.txns[txn as usize].end as usize]
    }

    /// The number of versions: the elements, then each key's initial state.
    pub(super) fn versions(&self) -> usize {
        self.elements.len() + self.keys.len()
    }

    /// The version that an access reads or writes.
    pub(super) fn version(&self, access: Access) -> u32 {
        if access.element == NONE { self.initial(access.key) } else { access.element }
    }

    /// The initial state of a key.
    pub(super) fn initial(&self, key: u32) -> u32 {
        self.elements.len() as u32 + key
    }

    /// The element of a version; `None` for an initial state.
    pub(super) fn element(&self, version: u32) -> Option<&ElementInfo<'h>> {
        self.elements.get(version as usize)
    }

    /// The transaction that wrote a version, or [`NONE`].
    pub(super) fn writer(&self, version: u32) -> u32 {
        self.element(version).map_or(NONE, |element| element.writer)
    }

    fn add(
        &mut self,
        place: u32,
        operation: &'h Operation,
        data_type: DataType,
    ) -> Result<(), InvalidTxn> {
        let begin = self.accesses.len();
        self.carried.clear();
        let known = operation.kind() == Kind::Ok;
        for value in micro_ops_of(operation)? {
            let (index, txn) = (defining_index(operation), self.txns.len() as u32);
            let step = parse_micro_op(value, data_type)
                .map_err(|why| InvalidTxn { index, why: name_function(operation, why) })?;
            let key = self.key(step.key);
            let mut access = Access { key, element: NONE, earlier: NONE, write: step.write };
            let last = &mut self.keys[key as usize].last;
            if last.0 == txn {
                access.earlier = last.1;
            }
            *last = (txn, self.carried.len() as u32);
            self.carried.push(step.value);
            if step.write {
                access.element = self
                    .write(txn, begin, access, step.value)
                    .map_err(|why| InvalidTxn { index, why })?;
            } else if known {
                access.element = self
                    .observe(txn, key, step.value, data_type)
                    .map_err(|why| InvalidTxn { index, why })?;
            }
            self.accesses.push(access);
            if known && !step.write && access.earlier != NONE {
                self.check_internal(txn, begin, data_type);
            }
        }
        let count = self.processes.len() as u32;
        let process = *self.processes.entry(operation.process).or_insert(count);
        self.txns.push(Txn {
            operation: place,
            process,
            kind: operation.kind(),
            invoked: operation.invoked.index,
            completed: operation
                .completion
                .as_ref()
                .map_or(u64::MAX, |completion| completion.at.index),
            end: self.accesses.len() as u32,
        });
        Ok(())
    }

    fn key(&mut self, value: &'h Value) -> u32 {
        *self.names.entry(value).or_insert_with(|| {
            let elements = FxHashMap::default();
            let last = (NONE, NONE);
            self.keys.push(KeyInfo { value, elements, longest_read: &[], order: Vec::new(), last });
            self.keys.len() as u32 - 1
        })
    }

    fn intern(&mut self, key: u32, value: &'h Value) -> u32 {
        *self.keys[key as usize].elements.entry(value).or_insert_with(|| {
            self.elements.push(ElementInfo { key, value, writer: NONE, intermediate: false });
            self.elements.len() as u32 - 1
        })
    }

    fn write(
        &mut self,
        txn: u32,
        begin: usize,
        access: Access,
        value: &'h Value,
    ) -> Result<u32, String> {
        if *value == Value::Nil {
            return Err("writes nil, which is also the initial state".to_owned());
        }
        let id = self.intern(access.key, value);
        let key = self.keys[access.key as usize].value;
        let element = &mut self.elements[id as usize];
        if element.writer != NONE {
            let other = self.txns.get(element.writer as usize).map_or_else(
                || "the same transaction".to_owned(),
                |txn| format!("the transaction invoked at index {}", txn.invoked),
            );
            return Err(format!(
                "writes {value} to key {key}, which {other} also writes: reads of it are ambiguous"
            ));
        }
        element.writer = txn;
        let mut earlier = access.earlier;
        while earlier != NONE {
            let before = self.accesses[begin + earlier as usize];
            if before.write {
                self.elements[before.element as usize].intermediate = true;
                break;
            }
            earlier = before.earlier;
        }
        Ok(id)
    }

    /// The element that a read observed.
    fn observe(
        &mut self,
        txn: u32,
        key: u32,
        value: &'h Value,
        data_type: DataType,
    ) -> Result<u32, String> {
        match (data_type, value) {
            (_, Value::Nil) => Ok(NONE),
            (DataType::Registers, value) => Ok(self.intern(key, value)),
            (DataType::Lists, Value::List(list)) => Ok(self.list(txn, key, list)),
            (DataType::Lists, other) => Err(format!("reads {other}, expected a list")),
        }
    }

    fn list(&mut self, txn: u32, key: u32, list: &'h [Value]) -> u32 {
        let longest_read = self.keys[key as usize].longest_read;
        let common = longest_read.len().min(list.len());
        if list[..common] != longest_read[..common] {
            let elements: Vec<_> = list.iter().map(|value| self.intern(key, value)).collect();
            let last = elements[elements.len() - 1];
            self.incompatible_reads.push(IncompatibleRead { txn, key, list, elements });
            return last;
        }
        if list.len() > longest_read.len() {
            for value in &list[common..] {
                let element = self.intern(key, value);
                self.keys[key as usize].order.push(element);
            }
            self.keys[key as usize].longest_read = list;
        }
        list.len().checked_sub(1).map_or(NONE, |last| self.keys[key as usize].order[last])
    }

    /// Compares the last read with the earlier accesses of its transaction to the key.
    fn check_internal(&mut self, txn: u32, begin: usize, data_type: DataType) {
        let accesses = &self.accesses[begin..];
        let Some(read) = accesses.last() else { return };
        if let Some(expected) = find_contradiction(accesses, &self.carried, data_type)
            && self.internal_reads.last().is_none_or(|internal| internal.txn != txn)
        {
            let value = self.carried[accesses.len() - 1];
            self.internal_reads.push(InternalRead { txn, key: read.key, read: value, expected });
        }
    }
}

/// The expected value, or the expected end of the list, if the last access of a transaction is a
/// read that contradicts an earlier access to the same key. `carried` holds their values.
pub(super) fn find_contradiction(
    accesses: &[Access],
    carried: &[&Value],
    data_type: DataType,
) -> Option<String> {
    let (read, _) = accesses.split_last()?;
    let value = carried[accesses.len() - 1];
    match data_type {
        DataType::Registers => {
            let before = carried[read.earlier as usize];
            (before != value).then(|| before.to_string())
        }
        DataType::Lists => expected_list(accesses, carried, items(value)),
    }
}

/// The expected list, or its expected end, if the last read contradicts it.
fn expected_list(accesses: &[Access], carried: &[&Value], list: &[Value]) -> Option<String> {
    let (mut rest, mut earlier) = (list, accesses.last()?.earlier);
    let mut fits = true;
    while earlier != NONE && accesses[earlier as usize].write {
        fits = fits && rest.last() == Some(carried[earlier as usize]);
        rest = rest.split_last().map_or(rest, |(_, front)| front);
        earlier = accesses[earlier as usize].earlier;
    }
    let before = carried.get(earlier as usize);
    fits = fits && before.is_none_or(|before| items(before) == rest);
    (!fits).then(|| known_list(accesses, carried))
}

/// The part of the last list that the earlier accesses of its transaction determine.
fn known_list(accesses: &[Access], carried: &[&Value]) -> String {
    let mut earlier = accesses.last().map_or(NONE, |read| read.earlier);
    let mut known = Vec::new();
    while earlier != NONE && accesses[earlier as usize].write {
        known.push(carried[earlier as usize]);
        earlier = accesses[earlier as usize].earlier;
    }
    let front = carried.get(earlier as usize).map(|before| items(before).iter());
    let unknown = front.is_none().then(|| "…".to_owned());
    let front = front.into_iter().flatten().map(ToString::to_string);
    let all: Vec<_> = unknown
        .into_iter()
        .chain(front)
        .chain(known.into_iter().rev().map(ToString::to_string))
        .collect();
    format!("[{}]", all.join(" "))
}

/// The items of a list; nil is the empty list.
pub(super) fn items(value: &Value) -> &[Value] {
    match value {
        Value::List(items) => items,
        _ => &[],
    }
}

/// The micro-operations of a transaction, from the event with [`defining_index`].
pub(super) fn micro_ops_of(operation: &Operation) -> Result<&[Value], InvalidTxn> {
    let bad =
        |index, why: &str| InvalidTxn { index, why: name_function(operation, why.to_owned()) };
    let asked = &operation.input;
    let Some(completion) = operation.completion.as_ref().filter(|_| operation.is_ok()) else {
        return match asked {
            Value::List(steps) => Ok(steps),
            _ => Err(bad(operation.invoked.index, "expected a list of micro-operations")),
        };
    };
    let Value::List(steps) = &completion.output else {
        return Err(bad(completion.at.index, "expected a list of micro-operations"));
    };
    match asked {
        Value::Nil => Ok(steps),
        Value::List(asked) if matches_invocation(asked, steps) => Ok(steps),
        _ => Err(bad(completion.at.index, "the completion does not match the invocation")),
    }
}

/// The index of the event that defines the micro-operations of a transaction.
fn defining_index(operation: &Operation) -> u64 {
    let completion = operation.completion.as_ref().filter(|_| operation.is_ok());
    completion.map_or(operation.invoked.index, |completion| completion.at.index)
}

fn name_function(operation: &Operation, why: String) -> String {
    if operation.f == "txn" {
        why
    } else {
        format!("{why} (the function is {:?}, not \"txn\")", operation.f)
    }
}

/// Whether invocation and completion agree, except for the values of reads.
fn matches_invocation(asked: &[Value], told: &[Value]) -> bool {
    asked.len() == told.len()
        && asked.iter().zip(told).all(|(asked, told)| match (asked, told) {
            (Value::List(asked), Value::List(told)) => match (&**asked, &**told) {
                ([f, key, value], [g, same, result]) => {
                    f == g && key == same && (is_read(f) || value == result)
                }
                // The shape is validated where the completion is parsed.
                _ => true,
            },
            _ => true,
        })
}

fn is_read(f: &Value) -> bool {
    matches!(f, Value::Str(f) if f == "r")
}

/// A micro-operation.
pub(super) struct ParsedOp<'h> {
    pub(super) write: bool,
    pub(super) key: &'h Value,
    pub(super) value: &'h Value,
}

pub(super) fn parse_micro_op(value: &Value, data_type: DataType) -> Result<ParsedOp<'_>, String> {
    let Value::List(parts) = value else {
        return Err(format!("{value} is not a micro-operation"));
    };
    let [Value::Str(f), key, value] = &**parts else {
        return Err(format!("{value} is not a micro-operation [function key value]"));
    };
    let write = match (f.as_str(), data_type) {
        ("r", _) => false,
        ("append", DataType::Lists) | ("w", DataType::Registers) => true,
        (other, DataType::Lists) => {
            return Err(format!("unknown function {other:?}, lists have \"r\" and \"append\""));
        }
        (other, DataType::Registers) => {
            return Err(format!("unknown function {other:?}, registers have \"r\" and \"w\""));
        }
    };
    Ok(ParsedOp { write, key, value })
}
