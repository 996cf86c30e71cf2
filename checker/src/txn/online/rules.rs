//! Defines what differs between lists and registers while a history is recorded.

use super::super::table::Access;
use super::graph::{CheckEnd, OnlineGraph};
use crate::history::Value;

/// The rules that order the versions of a key.
pub(super) trait VersionRules {
    /// Takes a transaction that is invoked and the keys that it accesses.
    fn begin(&mut self, graph: &OnlineGraph, txn: u32, keys: &[u32]);
    /// Adds a transaction to the graph, if it is new, and orders its writes.
    fn commit(&mut self, graph: &mut OnlineGraph, txn: u32) -> Result<(), CheckEnd>;
    /// The version that a read returned; commits the writers of what it shows.
    fn observe(
        &mut self,
        graph: &mut OnlineGraph,
        key: u32,
        value: &Value,
    ) -> Result<u32, CheckEnd>;
    /// Adds the anti-dependencies of a transaction that read a version.
    fn add_read(&mut self, graph: &mut OnlineGraph, txn: u32, version: u32)
    -> Result<(), CheckEnd>;
    /// Whether a read of a version shows this written one.
    fn shows(&self, read: u32, written: u32) -> bool;
    /// Takes the accesses of a transaction that is ok.
    fn end(
        &mut self,
        graph: &mut OnlineGraph,
        txn: u32,
        accesses: &[Access],
    ) -> Result<(), CheckEnd>;
    /// Takes a transaction that can no longer become ok.
    fn forget(&mut self, txn: u32);
}
