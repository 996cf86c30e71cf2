//! Checks Raft's five safety properties (paper, figure 3) after every step, in constant time.
//!
//! The checker keeps a chain of digests of every log. Each digest covers its entry and the digest
//! before it, so two equal digests mean two equal prefixes, and logs are compared by two numbers.
//! Its sources are what servers write (`Persist`), apply (`Commit`) and report (`StatusChanged`).

use node::raft::{Effect, Entry, Index, Payload, Persist, Position, Role, ServerId, Stored, Term};
use std::collections::BTreeMap;

/// A property of Raft that was seen broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Violation {
    /// Its name in the paper.
    pub(super) property: &'static str,
    /// What was seen.
    pub(super) message: String,
}

/// The digest of a prefix of a log.
type PrefixDigest = u64;

/// What is known of all servers, now and ever.
#[derive(Default)]
pub(super) struct InvariantChecker {
    logs: BTreeMap<ServerId, Vec<(Term, PrefixDigest)>>,
    leader_of_term: BTreeMap<Term, ServerId>,
    /// The current leaders and their terms.
    leading: BTreeMap<ServerId, Term>,
    /// For each index, every term of an entry there, and the prefix that ends with that entry.
    prefixes: Vec<Vec<(Term, PrefixDigest)>>,
    committed: Vec<CommittedEntry>,
    /// How many times another server came to lead.
    pub(super) leader_changes: usize,
    last_leader: Option<ServerId>,
}

/// What is known to be committed at an index.
struct CommittedEntry {
    term: Term,
    chain: PrefixDigest,
    /// The term of the server that first reported it committed.
    learned_term: Term,
}

impl InvariantChecker {
    /// A server starts with what its disk holds: what its snapshot stands for was committed.
    pub(super) fn observe_start(&mut self, id: ServerId, stored: &Stored) {
        let last = stored.snapshot.as_ref().map_or(Position::default(), |snapshot| snapshot.last);
        let mut shadow = self.committed_prefix(stored.start.index);
        shadow.extend(extend_digests(&shadow, &stored.entries));
        // A snapshot may be there before the log that goes with it.
        if shadow.get(array_index(last.index)).is_none_or(|(term, _)| *term != last.term)
            && last.index > 0
        {
            shadow = self.committed_prefix(last.index);
        }
        self.logs.insert(id, shadow);
        self.leading.remove(&id);
    }

    fn committed_prefix(&self, index: Index) -> Vec<(Term, PrefixDigest)> {
        let known = self.committed.iter().take(usize::try_from(index).unwrap_or(usize::MAX));
        known.map(|known| (known.term, known.chain)).collect()
    }

    /// Records that a server has stopped.
    pub(super) fn observe_stop(&mut self, id: ServerId) {
        self.leading.remove(&id);
    }

    /// The leader of the greatest term.
    pub(super) fn current_leader(&self) -> Option<ServerId> {
        self.leading.iter().max_by_key(|(_, term)| **term).map(|(id, _)| *id)
    }

    /// Everything that is known to be committed.
    pub(super) fn commit_index(&self) -> Index {
        self.committed.len() as Index
    }

    /// Checks an effect of a server that is in this term after the step.
    pub(super) fn check_effect(
        &mut self,
        id: ServerId,
        term: Term,
        effect: &Effect,
    ) -> Result<(), Violation> {
        match effect {
            Effect::Restore { snapshot } => self.check_snapshot(id, snapshot.last),
            Effect::Commit { entries } => self.check_commit(id, term, entries),
            Effect::StatusChanged(status) if status.role == Role::Leader => {
                self.check_leader(id, status.term)
            }
            Effect::StatusChanged(_) => {
                self.leading.remove(&id);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Checks what a server writes, which is not durable yet.
    pub(super) fn check_write(
        &mut self,
        id: ServerId,
        term: Term,
        persist: &Persist,
    ) -> Result<(), Violation> {
        match persist.start {
            Some(start) => self.check_compaction(id, term, start, &persist.entries),
            None => self.check_append(id, term, &persist.entries),
        }
    }

    fn check_append(
        &mut self,
        id: ServerId,
        term: Term,
        entries: &[Entry],
    ) -> Result<(), Violation> {
        let Some(first) = entries.first() else { return Ok(()) };
        let log = self.logs.entry(id).or_default();
        let before = array_index(first.index);
        // A leader of an older term steps down in the step in which it takes the new entries.
        if before < log.len() && self.leading.get(&id) == Some(&term) {
            let seen = format!("n{id} leads and replaces entry {} of its log", first.index);
            return Err(Violation { property: "Leader Append-Only", message: seen });
        }
        log.truncate(before);
        let mut chain = log.last().map_or(0, |(_, chain)| *chain);
        for entry in entries {
            chain = entry_digest(chain, entry);
            log.push((entry.term, chain));
            check_log_matching(&mut self.prefixes, id, entry, chain)?;
        }
        Ok(())
    }

    /// A compacted log is unchanged, or begins after what is committed.
    fn check_compaction(
        &mut self,
        id: ServerId,
        term: Term,
        start: Position,
        entries: &[Entry],
    ) -> Result<(), Violation> {
        let before = self.logs.remove(&id).unwrap_or_default();
        let upto = usize::try_from(start.index).unwrap_or(usize::MAX);
        let agrees = start.index == 0
            || before.get(array_index(start.index)).is_some_and(|(term, _)| *term == start.term);
        let mut log = match before.get(..upto).filter(|_| agrees) {
            Some(prefix) => prefix.to_vec(),
            None => self.committed_prefix(start.index),
        };
        log.extend(extend_digests(&log, entries));
        for (entry, (_, chain)) in entries.iter().zip(log.iter().skip(upto)) {
            check_log_matching(&mut self.prefixes, id, entry, *chain)?;
        }
        let changed = self.leading.get(&id) == Some(&term) && !log.starts_with(&before);
        self.logs.insert(id, log);
        if changed {
            let seen = format!("n{id} leads and its log is another one after it was cut");
            return Err(Violation { property: "Leader Append-Only", message: seen });
        }
        Ok(())
    }

    /// Whatever a server takes over was committed.
    fn check_snapshot(&mut self, id: ServerId, last: Position) -> Result<(), Violation> {
        match self.committed.get(array_index(last.index)) {
            Some(known) if known.term == last.term => Ok(()),
            _ => {
                let Position { term, index } = last;
                let seen = format!(
                    "n{id} installs a snapshot up to entry {index} of term {term}, \
                     which was not committed"
                );
                Err(Violation { property: "State Machine Safety", message: seen })
            }
        }
    }

    fn check_commit(
        &mut self,
        id: ServerId,
        term: Term,
        entries: &[Entry],
    ) -> Result<(), Violation> {
        for entry in entries {
            let at = array_index(entry.index);
            let before = at.checked_sub(1).map_or(Some(0), |before| self.committed_digest(before));
            // Entries are applied without gaps: the one before must be known to be committed.
            let Some(before) = before else { continue };
            let chain = entry_digest(before, entry);
            match self.committed.get(at) {
                Some(known) if known.chain != chain => {
                    let seen =
                        format!("n{id} applies another entry {} than was applied", entry.index);
                    return Err(Violation { property: "State Machine Safety", message: seen });
                }
                Some(_) => {}
                None => {
                    self.committed.push(CommittedEntry {
                        term: entry.term,
                        chain,
                        learned_term: term,
                    });
                    self.check_leaders_complete(at, chain, term)?;
                }
            }
        }
        Ok(())
    }

    fn committed_digest(&self, at: usize) -> Option<PrefixDigest> {
        self.committed.get(at).map(|known| known.chain)
    }

    /// Leaders of later terms than `by` have the entry that was found to be committed.
    fn check_leaders_complete(
        &self,
        at: usize,
        chain: PrefixDigest,
        by: Term,
    ) -> Result<(), Violation> {
        let later = self.leading.iter().filter(|(_, term)| **term > by);
        later.into_iter().try_for_each(|(id, term)| self.check_completeness(*id, *term, at, chain))
    }

    fn check_leader(&mut self, id: ServerId, term: Term) -> Result<(), Violation> {
        let first = *self.leader_of_term.entry(term).or_insert(id);
        if first != id {
            let seen = format!("n{first} and n{id} both led term {term}");
            return Err(Violation { property: "Election Safety", message: seen });
        }
        if self.leading.insert(id, term) != Some(term) && self.last_leader.replace(id) != Some(id) {
            self.leader_changes += 1;
        }
        let last = self.committed.iter().rposition(|known| known.learned_term < term);
        last.map_or(Ok(()), |at| self.check_completeness(id, term, at, self.committed[at].chain))
    }

    fn check_completeness(
        &self,
        id: ServerId,
        term: Term,
        at: usize,
        chain: PrefixDigest,
    ) -> Result<(), Violation> {
        if self.logs.get(&id).and_then(|log| log.get(at)).is_some_and(|(_, own)| *own == chain) {
            return Ok(());
        }
        let seen = format!("n{id} leads term {term} and lacks committed entry {}", at + 1);
        Err(Violation { property: "Leader Completeness", message: seen })
    }
}

/// Two logs with an entry of the same index and term are the same up to there.
fn check_log_matching(
    prefixes: &mut Vec<Vec<(Term, PrefixDigest)>>,
    id: ServerId,
    entry: &Entry,
    chain: PrefixDigest,
) -> Result<(), Violation> {
    let at = array_index(entry.index);
    if prefixes.len() <= at {
        prefixes.resize(at + 1, Vec::new());
    }
    match prefixes[at].iter().find(|(term, _)| *term == entry.term) {
        Some((_, known)) if *known != chain => {
            let Entry { index, term, .. } = entry;
            let seen = format!("n{id} has another log before entry {index} of term {term}");
            Err(Violation { property: "Log Matching", message: seen })
        }
        Some(_) => Ok(()),
        None => {
            prefixes[at].push((entry.term, chain));
            Ok(())
        }
    }
}

/// The terms and digests of the prefixes that entries make behind those that are there.
fn extend_digests(before: &[(Term, PrefixDigest)], entries: &[Entry]) -> Vec<(Term, PrefixDigest)> {
    let mut chain = before.last().map_or(0, |(_, chain)| *chain);
    let next = |entry: &Entry| {
        chain = entry_digest(chain, entry);
        (entry.term, chain)
    };
    entries.iter().map(next).collect()
}

fn array_index(index: Index) -> usize {
    usize::try_from(index.saturating_sub(1)).unwrap_or(usize::MAX)
}

/// The digest of a prefix and the entry after it.
fn entry_digest(before: PrefixDigest, entry: &Entry) -> PrefixDigest {
    let head = [u64::from(matches!(entry.payload, Payload::Noop)), entry.term, entry.index];
    let start = head.into_iter().fold(before.rotate_left(17), mix_word);
    match &entry.payload {
        Payload::Noop => start,
        Payload::Command(bytes) => hash_bytes(start, bytes),
        Payload::Membership(membership) => hash_bytes(start, format!("{membership:?}").as_bytes()),
    }
}

/// A digest of bytes, eight at a time: it runs for every entry that a server writes or applies.
fn hash_bytes(start: u64, bytes: &[u8]) -> u64 {
    let mut chunks = bytes.chunks_exact(8);
    let word = |chunk: &[u8]| chunk.iter().fold(0, |word, byte| word << 8 | u64::from(*byte));
    let whole = chunks.by_ref().fold(start, |hash, chunk| mix_word(hash, word(chunk)));
    mix_word(mix_word(whole, word(chunks.remainder())), bytes.len() as u64)
}

fn mix_word(hash: u64, word: u64) -> u64 {
    // The multiplier of FNV-1a; the rotation lets the high bits count, too.
    (hash ^ word).wrapping_mul(0x0100_0000_01b3).rotate_left(29)
}

#[cfg(test)]
mod tests {
    use super::*;
    use node::raft::Status;

    fn noop_entries(from: Index, terms: &[Term]) -> Vec<Entry> {
        let entry = |(place, term): (usize, &Term)| Entry {
            term: *term,
            index: from + place as Index,
            payload: Payload::Noop,
        };
        terms.iter().enumerate().map(entry).collect()
    }

    fn persist_effect(entries: Vec<Entry>) -> Effect {
        Effect::Persist(Persist {
            sequence: 1,
            hard_state: None,
            entries,
            snapshot: None,
            start: None,
        })
    }

    fn leader_status(term: Term) -> Effect {
        let (last_index, commit_index) = (0, 0);
        Effect::StatusChanged(Status {
            role: Role::Leader,
            term,
            leader: None,
            last_index,
            commit_index,
        })
    }

    /// Checks the effects in order; returns the property that the last one breaks.
    fn broken_property(trace: &[(ServerId, Term, Effect)]) -> Option<&'static str> {
        let mut invariants = InvariantChecker::default();
        let (last, before) = trace.split_last().expect("a trace");
        let mut see = |(id, term, effect): &(ServerId, Term, Effect)| match effect {
            Effect::Persist(persist) => invariants.check_write(*id, *term, persist),
            effect => invariants.check_effect(*id, *term, effect),
        };
        for step in before {
            assert_eq!(see(step), Ok(()));
        }
        see(last).err().map(|violation| violation.property)
    }

    #[test]
    fn each_property_is_seen_broken_and_its_neighbour_is_not() {
        let logs = |terms: &[Term]| persist_effect(noop_entries(1, terms));
        let commit = |terms: &[Term]| Effect::Commit { entries: noop_entries(1, terms) };
        assert_eq!(broken_property(&[(1, 2, leader_status(2)), (2, 3, leader_status(3))]), None);
        assert_eq!(
            broken_property(&[(1, 2, leader_status(2)), (2, 2, leader_status(2))]),
            Some("Election Safety")
        );
        assert_eq!(
            broken_property(&[(1, 2, logs(&[1, 1])), (1, 2, leader_status(2)), (1, 2, logs(&[2]))]),
            Some("Leader Append-Only")
        );
        assert_eq!(broken_property(&[(1, 2, logs(&[1, 1])), (1, 2, logs(&[2]))]), None);
        assert_eq!(
            broken_property(&[(1, 3, logs(&[1, 3])), (2, 3, logs(&[2, 3]))]),
            Some("Log Matching")
        );
        assert_eq!(broken_property(&[(1, 3, logs(&[1, 3])), (2, 3, logs(&[1, 2]))]), None);
        let told = [(1, 1, logs(&[1])), (1, 1, commit(&[1])), (2, 2, leader_status(2))];
        assert_eq!(broken_property(&told), Some("Leader Completeness"));
        let told = [(1, 1, logs(&[1])), (1, 1, commit(&[1])), (2, 1, leader_status(1))];
        assert_eq!(broken_property(&told), None, "only leaders of later terms must have it");
        assert_eq!(
            broken_property(&[(1, 1, commit(&[1])), (2, 2, commit(&[2]))]),
            Some("State Machine Safety")
        );
    }
}
