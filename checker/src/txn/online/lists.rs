//! Orders the elements of lists as reads show them: the longest read of each key, followed by the
//! committed elements that were not read yet.

use super::super::table::{Access, NONE, items};
use super::graph::{CheckEnd, OnlineGraph};
use super::rules::VersionRules;
use crate::history::Value;

/// The lists so far.
#[derive(Default)]
pub(super) struct ListRules {
    keys: Vec<ListOrder>,
    /// The position of each version in the longest read of its key, or [`NONE`].
    places: Vec<u32>,
}

#[derive(Clone, Default)]
struct ListOrder {
    longest: Value,
    order: Vec<u32>,
    /// Committed elements that are not in the longest read.
    unread: Vec<u32>,
}

impl ListRules {
    fn place(&self, version: u32) -> u32 {
        self.places.get(version as usize).copied().unwrap_or(NONE)
    }

    fn list(&mut self, key: u32) -> &mut ListOrder {
        let key = key as usize;
        if self.keys.len() <= key {
            self.keys.resize(key + 1, ListOrder::default());
        }
        &mut self.keys[key]
    }

    fn last(&mut self, graph: &OnlineGraph, key: u32) -> u32 {
        self.list(key).order.last().copied().unwrap_or_else(|| graph.initial(key))
    }

    /// Appends an element to the longest read of its key.
    fn append(&mut self, graph: &mut OnlineGraph, version: u32) -> Result<(), CheckEnd> {
        let writer = graph.legal_writer(version)?;
        let element = &graph.versions[version as usize];
        let (key, before) = (element.key, element.before);
        if self.place(version) != NONE {
            let what = graph.describe(version);
            return Err(CheckEnd::Violation(format!("{what} was read twice in one list")));
        }
        if before != NONE && self.place(before) == NONE {
            let (one, other) = (graph.describe(before), graph.describe(version));
            return Err(CheckEnd::Violation(format!(
                "one transaction appended {one} and then {other}, but a read shows another order"
            )));
        }
        self.commit(graph, writer)?;
        let last = self.last(graph, key);
        graph.add_edge_from_writer(last, writer)?;
        graph.add_edges_from_readers(last, writer)?;
        if self.places.len() <= version as usize {
            self.places.resize(version as usize + 1, NONE);
        }
        let list = self.list(key);
        list.unread.retain(|unread| *unread != version);
        list.order.push(version);
        self.places[version as usize] = self.keys[key as usize].order.len() as u32 - 1;
        Ok(())
    }
}

impl VersionRules for ListRules {
    fn begin(&mut self, _: &OnlineGraph, _: u32, _: &[u32]) {}

    fn commit(&mut self, graph: &mut OnlineGraph, txn: u32) -> Result<(), CheckEnd> {
        if !graph.commit(txn)? {
            return Ok(());
        }
        for version in graph.txns[txn as usize].writes.clone() {
            if self.place(version) == NONE {
                let key = graph.versions[version as usize].key;
                let last = self.last(graph, key);
                graph.add_edge_from_writer(last, txn)?;
                graph.add_edges_from_readers(last, txn)?;
                self.list(key).unread.push(version);
            }
        }
        Ok(())
    }

    fn observe(
        &mut self,
        graph: &mut OnlineGraph,
        key: u32,
        value: &Value,
    ) -> Result<u32, CheckEnd> {
        let (list, longest) = (items(value), self.list(key).longest.clone());
        let known = items(&longest);
        let common = known.len().min(list.len());
        if list[..common] != known[..common] {
            return Err(CheckEnd::Violation(format!(
                "two reads returned {longest} and {value}, neither of which is a prefix of the \
                 other"
            )));
        }
        if list.len() > known.len() {
            for element in &list[common..] {
                let version = graph.version(key, element);
                self.append(graph, version)?;
            }
            self.list(key).longest = value.clone();
            let last = self.last(graph, key);
            for unread in self.list(key).unread.clone() {
                let writer = graph.versions[unread as usize].writer;
                graph.add_edge_from_writer(last, writer)?;
            }
        }
        let last = list.len().checked_sub(1).map(|last| self.list(key).order[last]);
        Ok(last.unwrap_or_else(|| graph.initial(key)))
    }

    fn add_read(
        &mut self,
        graph: &mut OnlineGraph,
        txn: u32,
        version: u32,
    ) -> Result<(), CheckEnd> {
        let key = graph.versions[version as usize].key;
        // The initial state has no place, and the number after that is 0.
        let next = self.place(version).wrapping_add(1) as usize;
        let later = match self.list(key).order.get(next) {
            Some(next) => vec![*next],
            None => self.list(key).unread.clone(),
        };
        for version in later {
            graph.add_edge(txn, graph.versions[version as usize].writer)?;
        }
        Ok(())
    }

    fn shows(&self, read: u32, written: u32) -> bool {
        let (read, written) = (self.place(read), self.place(written));
        read != NONE && written != NONE && written <= read
    }

    fn end(&mut self, _: &mut OnlineGraph, _: u32, _: &[Access]) -> Result<(), CheckEnd> {
        Ok(())
    }

    fn forget(&mut self, _: u32) {}
}
