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
    pub(super) seen: String,
}

/// The digest of a prefix of a log.
type Chain = u64;

/// What is known of all servers, now and ever.
#[derive(Default)]
pub(super) struct InvariantChecker {
    logs: BTreeMap<ServerId, Vec<(Term, Chain)>>,
    leaders: BTreeMap<Term, ServerId>,
    /// Who leads now, and in what term.
    leading: BTreeMap<ServerId, Term>,
    /// For each index, every term of an entry there, and the prefix that ends with that entry.
    prefixes: Vec<Vec<(Term, Chain)>>,
    committed: Vec<Committed>,
    /// How many times another server came to lead.
    pub(super) changes: usize,
    latest: Option<ServerId>,
}

/// What is known to be committed at an index.
struct Committed {
    term: Term,
    chain: Chain,
    /// The term of the server that first knew.
    by: Term,
}

impl InvariantChecker {
    /// A server starts with what its disk holds: what its snapshot stands for was committed.
    pub(super) fn starts(&mut self, id: ServerId, stored: &Stored) {
        let last = stored.snapshot.as_ref().map_or(Position::default(), |snapshot| snapshot.last);
        let mut shadow = self.committed_upto(stored.start.index);
        shadow.extend(chained(&shadow, &stored.entries));
        // A snapshot may be there before the log that goes with it.
        if shadow.get(place(last.index)).is_none_or(|(term, _)| *term != last.term)
            && last.index > 0
        {
            shadow = self.committed_upto(last.index);
        }
        self.logs.insert(id, shadow);
        self.leading.remove(&id);
    }

    fn committed_upto(&self, index: Index) -> Vec<(Term, Chain)> {
        let known = self.committed.iter().take(usize::try_from(index).unwrap_or(usize::MAX));
        known.map(|known| (known.term, known.chain)).collect()
    }

    /// A server is no more.
    pub(super) fn stops(&mut self, id: ServerId) {
        self.leading.remove(&id);
    }

    /// The leader of the greatest term.
    pub(super) fn leader(&self) -> Option<ServerId> {
        self.leading.iter().max_by_key(|(_, term)| **term).map(|(id, _)| *id)
    }

    /// Everything that is known to be committed.
    pub(super) fn committed(&self) -> Index {
        self.committed.len() as Index
    }

    /// Sees what a server does in a step after which it is in this term.
    pub(super) fn see(
        &mut self,
        id: ServerId,
        term: Term,
        effect: &Effect,
    ) -> Result<(), Violation> {
        match effect {
            Effect::Restore { snapshot } => self.restores(id, snapshot.last),
            Effect::Commit { entries } => self.commits(id, term, entries),
            Effect::StatusChanged(status) if status.role == Role::Leader => {
                self.leads(id, status.term)
            }
            Effect::StatusChanged(_) => {
                self.leading.remove(&id);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Sees what a server writes, which is not durable yet.
    pub(super) fn writes(
        &mut self,
        id: ServerId,
        term: Term,
        persist: &Persist,
    ) -> Result<(), Violation> {
        match persist.start {
            Some(start) => self.cuts(id, term, start, &persist.entries),
            None => self.appends(id, term, &persist.entries),
        }
    }

    fn appends(&mut self, id: ServerId, term: Term, entries: &[Entry]) -> Result<(), Violation> {
        let Some(first) = entries.first() else { return Ok(()) };
        let log = self.logs.entry(id).or_default();
        let before = place(first.index);
        // A leader of an older term steps down in the step in which it takes the new entries.
        if before < log.len() && self.leading.get(&id) == Some(&term) {
            let seen = format!("n{id} leads and replaces entry {} of its log", first.index);
            return Err(Violation { property: "Leader Append-Only", seen });
        }
        log.truncate(before);
        let mut chain = log.last().map_or(0, |(_, chain)| *chain);
        for entry in entries {
            chain = link(chain, entry);
            log.push((entry.term, chain));
            log_matching(&mut self.prefixes, id, entry, chain)?;
        }
        Ok(())
    }

    /// A log whose front was cut off is what it was, or begins after what is committed.
    fn cuts(
        &mut self,
        id: ServerId,
        term: Term,
        start: Position,
        entries: &[Entry],
    ) -> Result<(), Violation> {
        let before = self.logs.remove(&id).unwrap_or_default();
        let upto = usize::try_from(start.index).unwrap_or(usize::MAX);
        let agrees = start.index == 0
            || before.get(place(start.index)).is_some_and(|(term, _)| *term == start.term);
        let mut log = match before.get(..upto).filter(|_| agrees) {
            Some(prefix) => prefix.to_vec(),
            None => self.committed_upto(start.index),
        };
        log.extend(chained(&log, entries));
        for (entry, (_, chain)) in entries.iter().zip(log.iter().skip(upto)) {
            log_matching(&mut self.prefixes, id, entry, *chain)?;
        }
        let changed = self.leading.get(&id) == Some(&term) && !log.starts_with(&before);
        self.logs.insert(id, log);
        if changed {
            let seen = format!("n{id} leads and its log is another one after it was cut");
            return Err(Violation { property: "Leader Append-Only", seen });
        }
        Ok(())
    }

    /// Whatever a server takes over was committed.
    fn restores(&mut self, id: ServerId, last: Position) -> Result<(), Violation> {
        match self.committed.get(place(last.index)) {
            Some(known) if known.term == last.term => Ok(()),
            _ => {
                let Position { term, index } = last;
                let seen = format!(
                    "n{id} installs a snapshot up to entry {index} of term {term}, \
                     which was not committed"
                );
                Err(Violation { property: "State Machine Safety", seen })
            }
        }
    }

    fn commits(&mut self, id: ServerId, term: Term, entries: &[Entry]) -> Result<(), Violation> {
        for entry in entries {
            let at = place(entry.index);
            let before = at.checked_sub(1).map_or(Some(0), |before| self.chain(before));
            // Entries are applied without gaps: the one before must be known to be committed.
            let Some(before) = before else { continue };
            let chain = link(before, entry);
            match self.committed.get(at) {
                Some(known) if known.chain != chain => {
                    let seen =
                        format!("n{id} applies another entry {} than was applied", entry.index);
                    return Err(Violation { property: "State Machine Safety", seen });
                }
                Some(_) => {}
                None => {
                    self.committed.push(Committed { term: entry.term, chain, by: term });
                    self.leaders_have(at, chain, term)?;
                }
            }
        }
        Ok(())
    }

    fn chain(&self, at: usize) -> Option<Chain> {
        self.committed.get(at).map(|known| known.chain)
    }

    /// Leaders of later terms than `by` have the entry that was found to be committed.
    fn leaders_have(&self, at: usize, chain: Chain, by: Term) -> Result<(), Violation> {
        let later = self.leading.iter().filter(|(_, term)| **term > by);
        later.into_iter().try_for_each(|(id, term)| self.has(*id, *term, at, chain))
    }

    fn leads(&mut self, id: ServerId, term: Term) -> Result<(), Violation> {
        let first = *self.leaders.entry(term).or_insert(id);
        if first != id {
            let seen = format!("n{first} and n{id} both led term {term}");
            return Err(Violation { property: "Election Safety", seen });
        }
        if self.leading.insert(id, term) != Some(term) && self.latest.replace(id) != Some(id) {
            self.changes += 1;
        }
        let last = self.committed.iter().rposition(|known| known.by < term);
        last.map_or(Ok(()), |at| self.has(id, term, at, self.committed[at].chain))
    }

    fn has(&self, id: ServerId, term: Term, at: usize, chain: Chain) -> Result<(), Violation> {
        if self.logs.get(&id).and_then(|log| log.get(at)).is_some_and(|(_, own)| *own == chain) {
            return Ok(());
        }
        let seen = format!("n{id} leads term {term} and lacks committed entry {}", at + 1);
        Err(Violation { property: "Leader Completeness", seen })
    }
}

/// Two logs with an entry of the same index and term are the same up to there.
fn log_matching(
    prefixes: &mut Vec<Vec<(Term, Chain)>>,
    id: ServerId,
    entry: &Entry,
    chain: Chain,
) -> Result<(), Violation> {
    let at = place(entry.index);
    if prefixes.len() <= at {
        prefixes.resize(at + 1, Vec::new());
    }
    match prefixes[at].iter().find(|(term, _)| *term == entry.term) {
        Some((_, known)) if *known != chain => {
            let Entry { index, term, .. } = entry;
            let seen = format!("n{id} has another log before entry {index} of term {term}");
            Err(Violation { property: "Log Matching", seen })
        }
        Some(_) => Ok(()),
        None => {
            prefixes[at].push((entry.term, chain));
            Ok(())
        }
    }
}

/// The terms and digests of the prefixes that entries make behind those that are there.
fn chained(before: &[(Term, Chain)], entries: &[Entry]) -> Vec<(Term, Chain)> {
    let mut chain = before.last().map_or(0, |(_, chain)| *chain);
    let next = |entry: &Entry| {
        chain = link(chain, entry);
        (entry.term, chain)
    };
    entries.iter().map(next).collect()
}

fn place(index: Index) -> usize {
    usize::try_from(index.saturating_sub(1)).unwrap_or(usize::MAX)
}

/// The digest of a prefix and the entry after it.
fn link(before: Chain, entry: &Entry) -> Chain {
    let head = [u64::from(matches!(entry.payload, Payload::Noop)), entry.term, entry.index];
    let start = head.into_iter().fold(before.rotate_left(17), mix);
    match &entry.payload {
        Payload::Noop => start,
        Payload::Command(bytes) => digest(start, bytes),
        Payload::Membership(membership) => digest(start, format!("{membership:?}").as_bytes()),
    }
}

/// A digest of bytes, eight at a time: it runs for every entry that a server writes or applies.
fn digest(start: u64, bytes: &[u8]) -> u64 {
    let mut chunks = bytes.chunks_exact(8);
    let word = |chunk: &[u8]| chunk.iter().fold(0, |word, byte| word << 8 | u64::from(*byte));
    let whole = chunks.by_ref().fold(start, |hash, chunk| mix(hash, word(chunk)));
    mix(mix(whole, word(chunks.remainder())), bytes.len() as u64)
}

fn mix(hash: u64, word: u64) -> u64 {
    // The multiplier of FNV-1a; the rotation lets the high bits count, too.
    (hash ^ word).wrapping_mul(0x0100_0000_01b3).rotate_left(29)
}

#[cfg(test)]
mod tests {
    use super::*;
    use node::raft::Status;

    fn entries(from: Index, terms: &[Term]) -> Vec<Entry> {
        let entry = |(place, term): (usize, &Term)| Entry {
            term: *term,
            index: from + place as Index,
            payload: Payload::Noop,
        };
        terms.iter().enumerate().map(entry).collect()
    }

    fn persist(entries: Vec<Entry>) -> Effect {
        Effect::Persist(Persist {
            sequence: 1,
            hard_state: None,
            entries,
            snapshot: None,
            start: None,
        })
    }

    fn leads(term: Term) -> Effect {
        let (last_index, commit_index) = (0, 0);
        Effect::StatusChanged(Status {
            role: Role::Leader,
            term,
            leader: None,
            last_index,
            commit_index,
        })
    }

    /// Shows the effects one after the other; the property that the last one breaks.
    fn broken(trace: &[(ServerId, Term, Effect)]) -> Option<&'static str> {
        let mut invariants = InvariantChecker::default();
        let (last, before) = trace.split_last().expect("a trace");
        let mut see = |(id, term, effect): &(ServerId, Term, Effect)| match effect {
            Effect::Persist(persist) => invariants.writes(*id, *term, persist),
            effect => invariants.see(*id, *term, effect),
        };
        for step in before {
            assert_eq!(see(step), Ok(()));
        }
        see(last).err().map(|violation| violation.property)
    }

    #[test]
    fn each_property_is_seen_broken_and_its_neighbour_is_not() {
        let logs = |terms: &[Term]| persist(entries(1, terms));
        let commit = |terms: &[Term]| Effect::Commit { entries: entries(1, terms) };
        assert_eq!(broken(&[(1, 2, leads(2)), (2, 3, leads(3))]), None);
        assert_eq!(broken(&[(1, 2, leads(2)), (2, 2, leads(2))]), Some("Election Safety"));
        assert_eq!(
            broken(&[(1, 2, logs(&[1, 1])), (1, 2, leads(2)), (1, 2, logs(&[2]))]),
            Some("Leader Append-Only")
        );
        assert_eq!(broken(&[(1, 2, logs(&[1, 1])), (1, 2, logs(&[2]))]), None);
        assert_eq!(broken(&[(1, 3, logs(&[1, 3])), (2, 3, logs(&[2, 3]))]), Some("Log Matching"));
        assert_eq!(broken(&[(1, 3, logs(&[1, 3])), (2, 3, logs(&[1, 2]))]), None);
        let told = [(1, 1, logs(&[1])), (1, 1, commit(&[1])), (2, 2, leads(2))];
        assert_eq!(broken(&told), Some("Leader Completeness"));
        let told = [(1, 1, logs(&[1])), (1, 1, commit(&[1])), (2, 1, leads(1))];
        assert_eq!(broken(&told), None, "only leaders of later terms must have it");
        assert_eq!(
            broken(&[(1, 1, commit(&[1])), (2, 2, commit(&[2]))]),
            Some("State Machine Safety")
        );
    }
}
