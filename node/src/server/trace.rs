//! Writes one JSON line for every protocol event, for tools that follow or check the protocol.
//!
//! The format is stable. Each line has `time` (RFC 3339, wall clock), `us` (microseconds since the
//! start, monotonic clock), `replica`, `term` and `event`, and `group` if there are several groups.
//! Further fields depend on `event`:
//!
//! - `start` (`from`, `to`, `of`): recovery found the entries after `from` up to `to`, the last of
//!   term `of`.
//! - `role` (`role`, `leader` or null): role, term or known leader changed.
//! - `vote` (`for`, `sequence`): a vote was granted in `term`; it is durable once `sequence` is.
//! - `append` (`from`, `to`, `of`, `entries`, `sequence`): entries from index `from` to `to`
//!   replace all from `from` on; they are durable once `sequence` is. `of` is the last one's term.
//! - `rewrite` (`base`, `entries`, `sequence`): the log was written anew, after index `base`.
//! - `durable` (`sequence`): every write up to this one is durable.
//! - `commit` (`from`, `to`, `entries`, `configs`): entries were committed and applied.
//! - `config` (`voters`, `outgoing`, `joining`, `learners`): another configuration is in force.
//! - `snapshot` (`index`, `of`, `taken`, false where it was received): the log was compacted.
//! - `lost` (`peer`, `acknowledged`, `rejected`): a peer lacks entries that it had acknowledged.
//! - `stop` (`why`): the replica cannot continue.
//!
//! `entries` holds `TERM:DIGEST` for each index; the digest is the CRC-32 of the payload, in
//! hexadecimal. `configs` holds the configurations among these entries, each with its `index`, and
//! members by their number: a name may become known later.
//!
//! Events and fields keep their meaning; new ones may be added. A restart appends to the file.
//! Every line is in the file before a message or reply that follows it leaves the replica, so a
//! replica that is killed leaves no trace of less than others can have learned from it.

use super::log;
use super::members::Members;
use crate::raft::{Effect, Entry, Membership, Payload, Persist, ServerId, Stored};
use crate::wal::GroupId;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// The trace file of a replica; clones share it.
#[derive(Clone, Debug)]
pub(super) struct Trace {
    file: Arc<Mutex<BufWriter<File>>>,
    members: Members,
    began: Instant,
    group: Option<GroupId>,
}

impl Trace {
    /// Opens the file for appending.
    pub(super) fn open(path: &Path, members: &Members) -> Result<Self, String> {
        let file = File::options().create(true).append(true).open(path);
        let file = file.map_err(|error| format!("cannot write {}: {error}", path.display()))?;
        let members = members.clone();
        let file = Arc::new(Mutex::new(BufWriter::new(file)));
        Ok(Self { file, members, began: Instant::now(), group: None })
    }

    /// Returns the same file for the events of one of several groups.
    pub(super) fn of_group(&self, group: GroupId) -> Self {
        Self { group: Some(group), ..self.clone() }
    }

    fn lock_file(&self) -> MutexGuard<'_, BufWriter<File>> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes what recovery found.
    pub(super) fn record_start(&self, stored: &Stored) {
        let last = stored.entries.last().map_or(stored.start.index, |entry| entry.index);
        let term = stored.entries.last().map_or(stored.start.term, |entry| entry.term);
        let event = json!({"event": "start", "from": stored.start.index, "to": last, "of": term});
        self.write_line(stored.hard_state.term, event);
        self.flush();
    }

    /// Writes that everything up to a write is durable.
    pub(super) fn record_durable(&self, term: u64, sequence: u64) {
        self.write_line(term, json!({"event": "durable", "sequence": sequence}));
    }

    /// Writes what a write holds, which is not durable yet.
    pub(super) fn record_write(&self, term: u64, persist: &Persist) {
        let voted = persist.hard_state.map_or(term, |hard| hard.term);
        if let Some(event) = vote_event(&self.members, persist) {
            self.write_line(voted, event);
        }
        for event in write_events(persist) {
            self.write_line(term, event);
        }
    }

    /// Writes the event that an effect stands for, in the order in which effects are carried out.
    pub(super) fn record_effect(&self, term: u64, effect: &Effect) {
        if let Some(event) = effect_event(&self.members, effect) {
            self.write_line(term, event);
        }
    }

    /// Records why the replica stops.
    pub(super) fn record_stop(&self, term: u64, why: &str) {
        self.write_line(term, json!({"event": "stop", "why": why}));
        self.flush();
    }

    /// Flushes the file. A replica goes on if its trace cannot be written.
    pub(super) fn flush(&self) {
        let _ = self.lock_file().flush();
    }

    fn write_line(&self, term: u64, event: Value) {
        let us = u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX);
        let replica = self.members.name(self.members.me());
        let head =
            json!({"time": log::current_timestamp(), "us": us, "replica": replica, "term": term});
        let group = self.group.map_or(Value::Null, |group| json!({"group": group}));
        let mut line = Map::new();
        for part in [head, group, event] {
            line.extend(part.as_object().cloned().unwrap_or_default());
        }
        let _ = writeln!(self.lock_file(), "{}", Value::Object(line));
    }
}

/// The event that an effect stands for.
fn effect_event(members: &Members, effect: &Effect) -> Option<Value> {
    match effect {
        Effect::Commit { entries } => {
            let (first, last) = entries.first().zip(entries.last())?;
            let mut event = json!({
                "event": "commit",
                "from": first.index,
                "to": last.index,
                "entries": entry_digests(entries),
            });
            let configs = committed_configs(entries);
            if !configs.is_empty() {
                event["configs"] = configs.into();
            }
            Some(event)
        }
        Effect::MembershipChanged { membership } => Some(config_event(members, membership)),
        Effect::Restore { snapshot } => {
            let last = snapshot.last;
            Some(json!({"event": "snapshot", "index": last.index, "of": last.term, "taken": false}))
        }
        Effect::PeerLostEntries { peer, acknowledged, rejected } => Some(json!({
            "event": "lost",
            "peer": members.name(*peer),
            "acknowledged": acknowledged,
            "rejected": rejected,
        })),
        Effect::StatusChanged(status) => {
            let role = super::published_status::role_name(status.role);
            let leader = status.leader.map(|id| members.name(id));
            Some(json!({"event": "role", "role": role, "leader": leader}))
        }
        _ => None,
    }
}

fn vote_event(members: &Members, persist: &Persist) -> Option<Value> {
    let hard = persist.hard_state.filter(|_| persist.start.is_none())?;
    hard.voted_for
        .map(|id| json!({"event": "vote", "for": members.name(id), "sequence": persist.sequence}))
}

fn write_events(persist: &Persist) -> Vec<Value> {
    let snapshot = persist.snapshot.as_ref().map(|snapshot| {
        let last = snapshot.last;
        json!({"event": "snapshot", "index": last.index, "of": last.term, "taken": true})
    });
    let ends = persist.entries.first().zip(persist.entries.last());
    let entries = entry_digests(&persist.entries);
    let sequence = persist.sequence;
    let log = match (persist.start, ends) {
        (Some(start), _) => Some(json!({
            "event": "rewrite",
            "base": start.index,
            "entries": entries,
            "sequence": sequence,
        })),
        (None, Some((first, last))) => Some(json!({
            "event": "append",
            "from": first.index,
            "to": last.index,
            "of": last.term,
            "entries": entries,
            "sequence": sequence,
        })),
        (None, None) => None,
    };
    snapshot.into_iter().chain(log).collect()
}

/// The term and digest of each entry.
fn entry_digests(entries: &[Entry]) -> Vec<String> {
    entries.iter().map(|entry| format!("{}:{:08x}", entry.term, payload_digest(entry))).collect()
}

fn payload_digest(entry: &Entry) -> u32 {
    crc32fast::hash(&postcard::to_allocvec(&entry.payload).unwrap_or_default())
}

/// The configurations among the entries, each with its index.
fn committed_configs(entries: &[Entry]) -> Vec<Value> {
    let config = |entry: &Entry| match &entry.payload {
        Payload::Membership(Membership { voters, outgoing, joining, learners, .. }) => {
            Some(json!({
                "index": entry.index,
                "voters": voters,
                "outgoing": outgoing,
                "joining": joining,
                "learners": learners,
            }))
        }
        Payload::Noop | Payload::Command(_) => None,
    };
    entries.iter().filter_map(config).collect()
}

fn config_event(members: &Members, membership: &Membership) -> Value {
    let names = |ids: &BTreeSet<ServerId>| -> Vec<String> {
        ids.iter().map(|id| members.name(*id)).collect()
    };
    json!({
        "event": "config",
        "voters": names(&membership.voters),
        "outgoing": names(&membership.outgoing),
        "joining": names(&membership.joining),
        "learners": names(&membership.learners),
    })
}
