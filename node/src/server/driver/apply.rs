//! Brings the store up to what is committed, and serves the reads that waited for it.

use super::Driver;
use crate::kv::{Command, Outcome, Store};
use crate::raft::{Entry, Payload, Position, Role, Snapshot};
use crate::server::request::{Finding, Query};

/// How many bytes of keys and values one range holds, unless a single entry is larger.
const LARGEST_RANGE: usize = 1 << 20;

impl Driver {
    pub(super) fn apply(&mut self, entries: Vec<Entry>) {
        let leads = self.raft.status().role == Role::Leader;
        for Entry { index, payload, .. } in entries {
            let command = match &payload {
                Payload::Command(bytes) => Command::decode(bytes).ok(),
                Payload::Membership(_) => {
                    self.memory.outcomes.insert(index, Outcome::Done);
                    None
                }
                Payload::Noop => None,
            };
            match command {
                Some(command) => {
                    let outcome = self.flaws.apply(&mut self.store, index, &command, leads);
                    self.memory.outcomes.insert(index, outcome);
                }
                None => self.store.skip(index),
            }
        }
        self.serve_reads();
    }

    /// Puts the leader's store in the place of this one.
    pub(super) fn restore(&mut self, snapshot: &Snapshot) {
        match Store::decode(&snapshot.data) {
            Ok(store) => {
                let Position { term, index } = snapshot.last;
                self.log
                    .line(format_args!("took over a snapshot up to entry {index} of term {term}"));
                self.store = store;
                self.serve_reads();
            }
            Err(error) => self.fail(format!(
                "the leader's snapshot up to entry {} is not one of this version: {error}",
                snapshot.last.index
            )),
        }
    }

    pub(super) fn serve_reads(&mut self) {
        while let Some((query, reply)) = self.memory.waiting.leave_applied(self.store.applied()) {
            let finding = self.look_up(&query);
            self.answer(reply, finding);
        }
    }

    fn look_up(&self, query: &Query) -> Finding {
        match query {
            Query::Key(key) => Finding::Value(self.store.get(key).map(str::to_owned)),
            Query::Txn(txn) => match txn.run(&self.store) {
                Ok((results, _)) => Finding::Results { results, index: None },
                Err(current) => Finding::Mismatch { current },
            },
            Query::Members => Finding::Members(self.view.members().members),
            Query::Range { from, to, limit } => {
                Finding::Range(self.store.range(from, to.as_deref(), *limit, LARGEST_RANGE))
            }
        }
    }
}
