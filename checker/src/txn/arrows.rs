//! Draws the arrows between transactions that the order of versions makes: ww, wr and rw.
//!
//! The number of arrows is linear in reads, writes and known pairs of versions: where many read a version that has
//! many next ones, hubs stand between them. A reader may itself have written one of the next versions and must not
//! point at itself, so there are two rows of hubs: for every beginning of the row of writers, and for every end.

use rustc_hash::FxHashMap;

use super::graph::{Arrow, Graph, Relation, Time};
use super::log::{Log, NONE};
use super::versions::Versions;
use crate::history::Kind;

/// Below this many arrows per reader and writer, each reader points at each writer.
const DENSE: usize = 8;

/// The graph of all transactions.
pub(super) fn graph(log: &Log<'_>, versions: &Versions) -> Graph {
    let txns = log.txns.len() as u32;
    let mut drawing = Drawing {
        log,
        versions,
        arrows: Vec::with_capacity(log.micros.len() * 2),
        hubs: txns,
        rows: FxHashMap::default(),
    };
    drawing.rows();
    drawing.overwritings();
    drawing.readings();
    let Drawing { arrows, hubs, .. } = drawing;
    let spans = log.txns.iter().map(|txn| {
        let completed = if txn.kind == Kind::Ok { txn.completed } else { u64::MAX };
        (txn.invoked, completed)
    });
    Graph::new(txns, hubs - txns, &arrows, Time::of(spans))
}

/// The writers of a version's next ones, and the first hub of the two rows before them.
struct Row {
    writers: Vec<u32>,
    hub: u32,
}

struct Drawing<'l, 'h> {
    log: &'l Log<'h>,
    versions: &'l Versions,
    arrows: Vec<Arrow>,
    hubs: u32,
    rows: FxHashMap<u32, Row>,
}

impl Drawing<'_, '_> {
    fn draw(&mut self, from: u32, to: u32, relation: Relation) {
        if from != to {
            self.arrows.push(Arrow { from, to, relation });
        }
    }

    /// Puts hubs where every reader pointing at every writer would be too much.
    fn rows(&mut self) {
        let many = |version: u32| self.versions.next(version).len() > DENSE;
        let crowded: Vec<_> =
            (0..self.log.versions() as u32).filter(|version| many(*version)).collect();
        if crowded.is_empty() {
            return;
        }
        let mut readers = vec![0_usize; self.log.versions()];
        for (_, version) in reads(self.log) {
            readers[version as usize] += 1;
        }
        for version in crowded {
            let (reads, next) = (readers[version as usize], self.versions.next(version).len());
            if reads * next > DENSE * (reads + next) {
                self.row(version);
            }
        }
    }

    fn row(&mut self, version: u32) {
        let next = self.versions.next(version).iter();
        let mut writers: Vec<_> =
            next.filter_map(|next| self.versions.writer(self.log, *next)).collect();
        writers.sort_unstable();
        writers.dedup();
        let (hub, count) = (self.hubs, writers.len() as u32);
        self.hubs += 2 * count;
        for (place, writer) in (0..count).zip(&writers) {
            let (beginning, end) = (hub + place, hub + count + place);
            self.draw(beginning, *writer, Relation::Via);
            self.draw(end, *writer, Relation::Via);
            if place > 0 {
                self.draw(beginning, beginning - 1, Relation::Via);
                self.draw(end - 1, end, Relation::Via);
            }
        }
        self.rows.insert(version, Row { writers, hub });
    }

    fn overwritings(&mut self) {
        for version in 0..self.log.elements.len() as u32 {
            let Some(writer) = self.versions.writer(self.log, version) else { continue };
            for next in self.versions.next(version) {
                if let Some(other) = self.versions.writer(self.log, *next) {
                    self.draw(writer, other, Relation::Ww);
                }
            }
        }
    }

    fn readings(&mut self) {
        for (txn, version) in reads(self.log) {
            if let Some(writer) = self.versions.writer(self.log, version) {
                self.draw(writer, txn, Relation::Wr);
            }
            match self.rows.get(&version) {
                None => {
                    for next in self.versions.next(version) {
                        if let Some(writer) = self.versions.writer(self.log, *next) {
                            self.draw(txn, writer, Relation::Rw);
                        }
                    }
                }
                Some(row) => {
                    let (count, hub) = (row.writers.len() as u32, row.hub);
                    let (before, after) = match row.writers.binary_search(&txn) {
                        Ok(own) => (own as u32, own as u32 + 1),
                        Err(_) => (count, NONE),
                    };
                    if before > 0 {
                        self.draw(txn, hub + before - 1, Relation::Rw);
                    }
                    if after < count {
                        self.draw(txn, hub + count + after, Relation::Rw);
                    }
                }
            }
        }
    }
}

/// Who read which version.
pub(super) fn reads<'l>(log: &'l Log<'_>) -> impl Iterator<Item = (u32, u32)> + 'l {
    let txns = (0..log.txns.len() as u32).filter(|txn| log.txns[*txn as usize].kind == Kind::Ok);
    txns.flat_map(move |txn| {
        let reads = log.micros(txn).iter().filter(|micro| !micro.write);
        reads.map(move |read| (txn, log.version(*read)))
    })
}
