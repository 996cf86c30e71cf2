//! Checks Raft's safety properties (paper, figure 3) on the protocol traces of real replicas.
//!
//! Every rule compares what replicas wrote, whatever the order in which they wrote it: no clock is
//! shared. A trace may end early, because its replica was killed; nothing is concluded from what it
//! does not say.
//!
//! A replica whose disk a fault corrupted or emptied is excused for what it forgot. What replicas
//! then do together is unknown, not a violation: Raft promises nothing on such disks.

use super::breaches::Breaches;
use super::replica_trace::ReplayedLog;
use super::sources::{ReplicaFile, Sources};
use super::trace_line::{Config, EntryId, Event, TraceLine, parse_trace};

use records::record::CheckRecord;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

/// The name of the check.
const NAME: &str = "raft-invariants";

/// Checks the traces of a run, if its replicas wrote any.
pub(super) fn check_traces(sources: &Sources<'_>) -> Option<CheckRecord> {
    let mut groups: BTreeMap<u32, GroupTrace<'_>> = BTreeMap::new();
    for ReplicaFile { name, text, .. } in sources.traces {
        for (number, line) in parse_trace(text) {
            let place = format!("trace/{name}:{number}");
            let group = groups.entry(line.group).or_insert_with(|| GroupTrace::new(sources));
            group.add_line(&line, &place);
        }
    }
    groups.values_mut().for_each(GroupTrace::compare_leaders);
    groups.values_mut().for_each(GroupTrace::compare_configs);
    let leaders: usize = groups.values().map(|group| group.leaders.len()).sum();
    let committed: usize = groups.values().map(|group| group.committed.len()).sum();
    if leaders == 0 {
        return None;
    }
    let mut breaches = Breaches::default();
    for (invariant, example) in groups.into_values().flat_map(|group| group.breaches) {
        breaches.add_breach(invariant, example);
    }
    let excuse = sources.first_corruption().map(|fault| {
        format!("fault {} ({}) had corrupted a disk of {}", fault.id, fault.kind, fault.target)
    });
    let holds = format!(
        "raft-invariants: one leader in each of {leaders} terms, and the replicas agree on \
         {committed} committed entries{}",
        Sources::cut_note(sources.traces)
    );
    Some(breaches.into_record(NAME, holds, excuse))
}

/// What the replicas of one group wrote.
struct GroupTrace<'a> {
    /// The hosts whose disk was corrupted.
    damaged: BTreeSet<&'a str>,
    /// The hosts whose disk was emptied.
    emptied: BTreeSet<&'a str>,
    logs: BTreeMap<String, ReplayedLog>,
    leaders: BTreeMap<u64, Seen<String>>,
    votes: BTreeMap<(String, u64), Seen<String>>,
    pending_votes: BTreeMap<String, Vec<PendingVote>>,
    /// By index and term.
    digests: BTreeMap<(u64, u64), Seen<u32>>,
    committed: BTreeMap<u64, CommittedEntry>,
    configs: BTreeMap<u64, Config>,
    /// The log of each leader when its term began.
    first_logs: Vec<LeaderLog>,
    breaches: Vec<(&'static str, String)>,
}

/// A value, and the line that had it first.
struct Seen<T> {
    value: T,
    place: String,
}

/// A vote that may not be durable yet.
struct PendingVote {
    sequence: u64,
    term: u64,
    candidate: String,
    place: String,
}

struct CommittedEntry {
    id: EntryId,
    place: String,
    /// The lowest term of a replica that knew it to be committed.
    known_in: u64,
}

struct LeaderLog {
    replica: String,
    term: u64,
    log: ReplayedLog,
    place: String,
}

impl<'a> GroupTrace<'a> {
    fn new(sources: &'a Sources<'_>) -> Self {
        Self {
            damaged: sources.damaged_hosts(),
            emptied: sources.emptied_hosts(),
            logs: BTreeMap::new(),
            leaders: BTreeMap::new(),
            votes: BTreeMap::new(),
            pending_votes: BTreeMap::new(),
            digests: BTreeMap::new(),
            committed: BTreeMap::new(),
            configs: BTreeMap::new(),
            first_logs: Vec::new(),
            breaches: Vec::new(),
        }
    }

    /// Whether a replica may have forgotten something: `all` of it, or a part.
    fn is_excused(&self, replica: &str, all: bool) -> bool {
        let host = replica.split('.').next().unwrap_or(replica);
        self.damaged.contains(host) || all && self.emptied.contains(host)
    }

    fn add_line(&mut self, line: &TraceLine, place: &str) {
        self.check_leader_log(line, place);
        let log = self.logs.entry(line.replica.clone()).or_default();
        let lost = log.apply_event(&line.event);
        let lost = lost.filter(|lost| !self.is_excused(&line.replica, lost.found == 0));
        if let Some(lost) = lost {
            let example = format!(
                "{} restarted with its log up to entry {}, and entry {} had been durable ({place})",
                line.replica, lost.found, lost.durable
            );
            self.breaches.push(("durability", example));
        }
        match &line.event {
            Event::Role { role } => self.add_role(line, role == "leader", place),
            Event::Vote { candidate, sequence } => {
                let (candidate, place) = (candidate.clone(), place.to_owned());
                let vote = PendingVote { sequence: *sequence, term: line.term, candidate, place };
                self.pending_votes.entry(line.replica.clone()).or_default().push(vote);
            }
            Event::Durable { sequence } => self.add_durable_votes(&line.replica, *sequence),
            Event::Start { .. } => drop(self.pending_votes.remove(&line.replica)),
            Event::Append { from, entries, .. } => self.add_entries(*from, entries, place),
            Event::Rewrite { base, entries, .. } => self.add_entries(base + 1, entries, place),
            Event::Commit { from, entries, configs } => {
                self.add_entries(*from, entries, place);
                self.add_commit(line, (*from, entries), place);
                self.configs.extend(configs.iter().map(|config| (config.index, config.clone())));
            }
            Event::Lost { peer, .. } if self.is_excused(peer, true) => {}
            Event::Lost { peer, acknowledged, rejected } => {
                let example = format!(
                    "{peer} had acknowledged entry {acknowledged} and lacked entry {rejected} \
                     later ({place})"
                );
                self.breaches.push(("durability", example));
            }
            Event::Other => {}
        }
    }

    /// A leader only appends to its log.
    fn check_leader_log(&mut self, line: &TraceLine, place: &str) {
        let Event::Append { from, .. } = &line.event else { return };
        let Some(log) = self.logs.get(&line.replica) else { return };
        if log.leads == Some(line.term) && *from <= log.last_index() {
            let TraceLine { replica, term, .. } = line;
            let example =
                format!("{replica} led term {term} and replaced entry {from} of its log ({place})");
            self.breaches.push(("leader append-only", example));
        }
    }

    /// At most one replica leads a term.
    fn add_role(&mut self, line: &TraceLine, leads: bool, place: &str) {
        let TraceLine { replica, term, .. } = line;
        let log = self.logs.entry(replica.clone()).or_default();
        let was_leader = log.leads == Some(*term);
        log.leads = leads.then_some(*term);
        if !leads || was_leader {
            return;
        }
        let (replica, place) = (replica.clone(), place.to_owned());
        let log = log.clone();
        match self.leaders.entry(*term) {
            Entry::Vacant(free) => {
                free.insert(Seen { value: replica.clone(), place: place.clone() });
            }
            Entry::Occupied(first) if first.get().value != replica => {
                let Seen { value, place: before } = first.get();
                let example =
                    format!("{value} and {replica} both led term {term} ({before}, {place})");
                self.breaches.push(("election safety", example));
            }
            Entry::Occupied(_) => {}
        }
        self.first_logs.push(LeaderLog { replica, term: *term, log, place });
    }

    /// A replica votes once in a term, also after a restart. A vote counts once it is durable:
    /// before, the replica has told no other.
    fn add_durable_votes(&mut self, replica: &str, sequence: u64) {
        let pending = self.pending_votes.remove(replica).unwrap_or_default();
        let (durable, pending) = pending.into_iter().partition(|vote| vote.sequence <= sequence);
        self.pending_votes.insert(replica.to_owned(), pending);
        let durable: Vec<PendingVote> = durable;
        for PendingVote { term, candidate, place, .. } in durable {
            let seen = Seen { value: candidate.clone(), place: place.clone() };
            let first = self.votes.entry((replica.to_owned(), term)).or_insert(seen);
            if first.value == candidate {
                continue;
            }
            let Seen { value, place: before } = first;
            let example = format!(
                "{replica} voted for {value} and {candidate} in term {term} ({before}, {place})"
            );
            if !self.is_excused(replica, true) {
                self.breaches.push(("one vote in a term", example));
            }
        }
    }

    /// Entries of the same index and term are the same.
    fn add_entries(&mut self, from: u64, entries: &[EntryId], place: &str) {
        for (index, id) in (from..).zip(entries) {
            let key = (index, id.term);
            match self.digests.entry(key) {
                Entry::Vacant(free) => {
                    free.insert(Seen { value: id.digest, place: place.to_owned() });
                }
                Entry::Occupied(first) if first.get().value != id.digest => {
                    let example = format!(
                        "entry {index} of term {} differs between {} and {place}",
                        id.term,
                        first.get().place
                    );
                    self.breaches.push(("log matching", example));
                }
                Entry::Occupied(_) => {}
            }
        }
    }

    /// Replicas commit the same entry at an index.
    fn add_commit(&mut self, line: &TraceLine, (from, entries): (u64, &[EntryId]), place: &str) {
        for (index, id) in (from..).zip(entries) {
            match self.committed.entry(index) {
                Entry::Vacant(free) => {
                    let place = place.to_owned();
                    free.insert(CommittedEntry { id: *id, place, known_in: line.term });
                }
                Entry::Occupied(mut first) if first.get().id == *id => {
                    let known = first.get_mut();
                    known.known_in = known.known_in.min(line.term);
                }
                Entry::Occupied(first) => {
                    let example = format!(
                        "{} committed an entry {index} of term {} and another replica one of term \
                         {} ({place}, {})",
                        line.replica,
                        id.term,
                        first.get().id.term,
                        first.get().place
                    );
                    self.breaches.push(("state machine safety", example));
                }
            }
        }
    }

    /// The leader of a term has every entry that was known to be committed in an earlier one.
    fn compare_leaders(&mut self) {
        for leader in &self.first_logs {
            let LeaderLog { replica, term, log, place } = leader;
            let earlier = self.committed.range(log.base() + 1..);
            let mut earlier = earlier.filter(|(_, entry)| entry.known_in < *term);
            let lacking = earlier.find(|(index, entry)| log.entry_at(**index) != Some(entry.id));
            if let Some((index, entry)) = lacking {
                let example = format!(
                    "{replica} led term {term} without committed entry {index} ({place}; committed \
                     in {})",
                    entry.place
                );
                self.breaches.push(("leader completeness", example));
            }
        }
    }

    /// Consecutive configurations have a majority in common (thesis, section 4.3).
    fn compare_configs(&mut self) {
        let pairs = self.configs.values().zip(self.configs.values().skip(1));
        for (before, after) in pairs {
            let between = (before.index + 1..after.index).count();
            let known = self.committed.range(before.index + 1..after.index).count();
            let same = after.voters == before.voters && after.outgoing.is_empty();
            let begins = before.outgoing.is_empty() && after.outgoing == before.voters;
            if known == between && !same && !begins {
                let example = format!(
                    "the configuration of entry {} follows that of entry {}, without a majority in \
                     common",
                    after.index, before.index
                );
                self.breaches.push(("membership safety", example));
            }
        }
    }
}
