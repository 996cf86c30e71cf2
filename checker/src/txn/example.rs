//! Tells a cycle in one sentence about clients: what one of them read although another one had
//! changed it. The whole proof is in [`super::explain`].

use super::component::Cycle;
use super::explain::{TxnExplainer, shorten_list};
use super::graph::Relation;
use super::options::DataType;
use super::table::NONE;
use crate::history::Value;

/// An edge of a cycle.
#[derive(Clone, Copy)]
struct ToldEdge {
    from: u32,
    to: u32,
    relation: Relation,
}

impl TxnExplainer<'_, '_> {
    /// The cycle in one sentence: an anti-dependency first, if there is one.
    pub(super) fn tell_cycle(&self, cycle: &Cycle) -> String {
        let links = &cycle.links;
        let is_missed = |(_, relation): &(u32, Relation)| *relation == Relation::Rw;
        let begin = links.iter().position(is_missed).unwrap_or(0);
        let edge = |number: usize| {
            let (from, relation) = links[(begin + number) % links.len()];
            let to = links[(begin + number + 1) % links.len()].0;
            ToldEdge { from, to, relation }
        };
        let (first, second) = (edge(0), edge(1));
        let in_time = matches!(second.relation, Relation::Realtime | Relation::Process);
        match links.len() {
            2 if first.relation == Relation::Rw && in_time => self.tell_stale_read(first),
            2 => format!("{}, and {}", self.tell_edge(first), self.tell_edge(second)),
            count => {
                let told = self.tell_edge(first);
                format!("{told}, and {} further dependencies lead back", count - 1)
            }
        }
    }

    /// A read that misses what had completed before.
    fn tell_stale_read(&self, edge: ToldEdge) -> String {
        let writer = self.client(edge.to);
        match (self.tell_read(edge), self.data_type) {
            (Some((read, value)), DataType::Lists) => {
                format!("{read} after {writer} had appended {value} to it")
            }
            (Some((read, value)), DataType::Registers) => {
                format!("{read} after {writer} had overwritten it with {value}")
            }
            (None, _) => self.tell_order(edge),
        }
    }

    fn tell_edge(&self, edge: ToldEdge) -> String {
        let told = match edge.relation {
            Relation::Ww => self.tell_overwrite(edge),
            Relation::Wr => self.tell_observation(edge),
            Relation::Rw => self.tell_miss(edge),
            Relation::Process | Relation::Realtime | Relation::Via => None,
        };
        told.unwrap_or_else(|| self.tell_order(edge))
    }

    fn tell_order(&self, edge: ToldEdge) -> String {
        format!("{} precedes {}", self.client(edge.from), self.client(edge.to))
    }

    fn tell_miss(&self, edge: ToldEdge) -> Option<String> {
        let ((read, value), writer) = (self.tell_read(edge)?, self.client(edge.to));
        Some(match self.data_type {
            DataType::Lists => format!("{read} without {value}, which {writer} appended"),
            DataType::Registers => format!("{read}, which {writer} overwrote with {value}"),
        })
    }

    fn tell_observation(&self, edge: ToldEdge) -> Option<String> {
        let reads = self.table.accesses(edge.to).iter().enumerate();
        let of_writer = |read: u32| read != NONE && self.table.writer(read) == edge.from;
        let (place, read) =
            reads.filter(|(_, access)| !access.write).find(|(_, it)| of_writer(it.element))?;
        let (reader, writer) = (self.client(edge.to), self.client(edge.from));
        let (key, list, value) =
            (self.key_text(read.key), self.read_text(edge.to, place), self.value(read.element));
        Some(match self.data_type {
            DataType::Lists => {
                format!("{reader} read {key} = {list}, where {writer} appended {value}")
            }
            DataType::Registers => format!("{reader} read {key} = {value}, which {writer} wrote"),
        })
    }

    fn tell_overwrite(&self, edge: ToldEdge) -> Option<String> {
        let written = self.table.accesses(edge.from).iter().filter(|access| access.write);
        let mut pairs = written.flat_map(|access| self.successors_by(access.element, edge.to));
        let (before, next) = pairs.next()?;
        let key = self.key_text(self.table.element(next)?.key);
        let (one, other) = (self.client(edge.from), self.client(edge.to));
        let (before, next) = (self.value(before), self.value(next));
        Some(match self.data_type {
            DataType::Lists => format!("{other} appended {next} to {key} after {before} of {one}"),
            DataType::Registers => {
                format!("{other} overwrote {before} of {one} with {next} in {key}")
            }
        })
    }

    /// What a transaction read of a key, such as `process 3 read x = [1 2]`, and the value written
    /// next by the other one.
    fn tell_read(&self, edge: ToldEdge) -> Option<(String, &Value)> {
        let reads = self.table.accesses(edge.from).iter().enumerate();
        let mut missed = reads.filter(|(_, access)| !access.write).filter_map(|(place, read)| {
            let next = self.successors_by(self.table.version(*read), edge.to).next()?.1;
            Some((place, read.key, next))
        });
        let (place, key, next) = missed.next()?;
        let (reader, key) = (self.client(edge.from), self.key_text(key));
        let read = format!("{reader} read {key} = {}", self.read_text(edge.from, place));
        Some((read, self.value(next)))
    }

    /// A key as text: its name, or `key 3`.
    fn key_text(&self, key: u32) -> String {
        match self.table.keys[key as usize].value {
            Value::Str(name) => name.to_string(),
            other => format!("key {other}"),
        }
    }

    /// The value that a micro-operation returned. The initial state of a list is empty.
    fn read_text(&self, txn: u32, place: usize) -> String {
        let operation = &self.operations[self.txn(txn).operation as usize];
        let step = match operation.completion.as_ref().map(|completion| &completion.output) {
            Some(Value::List(steps)) => steps.get(place),
            _ => None,
        };
        match step {
            Some(Value::List(parts)) if parts.len() == 3 => match &parts[2] {
                Value::Nil if self.data_type == DataType::Lists => "[]".to_owned(),
                value => shorten_list(value),
            },
            _ => "?".to_owned(),
        }
    }
}
