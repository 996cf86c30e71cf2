//! Finds an element that a read returned twice or that was never added and, if the set is
//! linearizable, one that was known before a read began and is missing from it.
//!
//! A later read may return a missing element of a set that is only eventually consistent, so a loss
//! from such a set is never final.

use rustc_hash::FxHashMap;

use super::super::op::{Op, abbreviate};
use super::OnlineObject;
use crate::history::{Kind, Value};

/// A set so far.
pub(crate) struct OnlineSet {
    /// Whether a read must return every element that was known when it began.
    linearizable: bool,
    numbers: FxHashMap<Value, u32>,
    elements: Vec<ElementState>,
    /// The indices at which elements became known, ascending.
    known: Vec<u64>,
    /// The number of reads so far.
    reads: u32,
    held: usize,
}

struct ElementState {
    /// The invocations of the adds that have not failed.
    adds: Vec<u64>,
    /// When its add was acknowledged or a read returned it; `u64::MAX` if neither happened.
    known: u64,
    /// When the first read that returns it completed; `u64::MAX` if none did.
    shown: u64,
    /// The last read that returned it.
    read: u32,
}

impl OnlineSet {
    pub(crate) fn linearizable() -> Self {
        Self { linearizable: true, ..Self::eventual() }
    }

    pub(crate) fn eventual() -> Self {
        Self {
            linearizable: false,
            numbers: FxHashMap::default(),
            elements: Vec::new(),
            known: Vec::new(),
            reads: 0,
            held: 0,
        }
    }

    fn number_of(&mut self, element: &Value) -> usize {
        if let Some(number) = self.numbers.get(element) {
            return *number as usize;
        }
        let number = self.elements.len();
        self.numbers.insert(element.clone(), number as u32);
        let (adds, known, shown, read) = (Vec::new(), u64::MAX, u64::MAX, 0);
        self.elements.push(ElementState { adds, known, shown, read });
        self.held += element.approximate_bytes() + size_of::<ElementState>() + 24;
        number
    }

    fn learn(&mut self, number: usize, index: u64) {
        if self.elements[number].known == u64::MAX {
            self.elements[number].known = index;
            self.known.push(index);
        }
    }

    /// Takes an add that failed.
    fn withdraw(&mut self, op: &Op<'_>) -> Option<String> {
        let number = self.number_of(op.input);
        let element = &mut self.elements[number];
        element.adds.retain(|add| *add != op.begin);
        let possible_from = element.adds.first().copied().unwrap_or(u64::MAX);
        (element.shown < possible_from).then(|| {
            let (index, element) = (element.shown, abbreviate(op.input));
            format!(
                "a read that completed at index {index} returned {element}, but {} failed",
                op.describe()
            )
        })
    }

    fn check_read(&mut self, op: &Op<'_>, returned: &[Value]) -> Option<String> {
        self.reads += 1;
        let due = self.known.partition_point(|index| *index < op.begin);
        let mut present = 0;
        for value in returned {
            let (reads, number) = (self.reads, self.number_of(value));
            let element = &mut self.elements[number];
            let again = std::mem::replace(&mut element.read, reads) == reads;
            if again || element.adds.is_empty() {
                let how = if again { "twice" } else { "which was not added by then" };
                return Some(format!("{} returned {} {how}", op.describe(), abbreviate(value)));
            }
            element.shown = element.shown.min(op.end);
            present += usize::from(element.known < op.begin);
            self.learn(number, op.end);
        }
        if !self.linearizable || present == due {
            return None;
        }
        let missing = self.numbers.iter().find(|(_, number)| {
            let element = &self.elements[**number as usize];
            element.known < op.begin && element.read != self.reads
        })?;
        let known = self.elements[*missing.1 as usize].known;
        Some(format!(
            "{} misses element {}, which was known from index {known}, before the read began",
            op.describe(),
            abbreviate(missing.0)
        ))
    }
}

impl OnlineObject for OnlineSet {
    fn begin(&mut self, op: &Op<'_>) -> Result<(), String> {
        if op.f != "read" {
            let number = self.number_of(op.input);
            self.elements[number].adds.push(op.begin);
        }
        Ok(())
    }

    fn end(&mut self, op: &Op<'_>) -> Result<Option<String>, String> {
        match (op.f, op.output, op.kind) {
            ("add" | "broadcast", _, Kind::Fail) => Ok(self.withdraw(op)),
            ("add" | "broadcast", Some(_), _) => {
                let number = self.number_of(op.input);
                self.learn(number, op.end);
                Ok(None)
            }
            ("read", Some(Value::List(returned)), _) => Ok(self.check_read(op, returned)),
            ("read", Some(other), _) => {
                Err(op.invalid_output(&format!("expected a list, got {}", abbreviate(other))))
            }
            ("add" | "broadcast" | "read", None, _) => Ok(None),
            _ => Err(op.unknown_function("add, broadcast, read")),
        }
    }

    fn held_bytes(&self) -> usize {
        self.held
    }
}
