//! Checks the five safety properties of Raft (paper, figure 3) and that of membership changes
//! (thesis §4.3), one function each, over all servers at once.
//!
//! The functions are pure and take earlier observations as arguments. [`SafetyChecker`] records
//! those, for tests that check after every step. A violation is a defect of the core, or the work
//! of a seeded bug.

use super::entry::{Entry, Payload};
use super::membership::Membership;
use super::server::Raft;
use super::types::{Index, Position, Role, ServerId, Term};
use alloc::{collections::BTreeMap, format, string::String, vec::Vec};
use core::fmt;

/// The observable state of one server.
#[derive(Clone, Copy, Debug)]
pub struct ServerView<'a> {
    /// Its id.
    pub id: ServerId,
    /// Its role.
    pub role: Role,
    /// Its term.
    pub term: Term,
    /// The last entry that it knows to be committed.
    pub commit_index: Index,
    /// The position up to which its log was compacted: everything up to there was committed.
    pub start: Position,
    /// Its log, from after `start`.
    pub log: &'a [Entry],
}

impl<'a> ServerView<'a> {
    /// Returns the observable state of `raft`.
    pub fn from_raft(raft: &'a Raft) -> Self {
        let status = raft.status();
        let id = raft.config.id;
        let commit_index = status.commit_index;
        let (start, log) = (raft.log_start(), raft.log());
        Self { id, role: status.role, term: status.term, commit_index, start, log }
    }

    /// Returns the entry at an index, unless it was compacted.
    fn entry_at(&self, index: Index) -> Option<&'a Entry> {
        let offset = index.checked_sub(self.start.index)?.checked_sub(1)?;
        self.log.get(usize::try_from(offset).ok()?)
    }

    /// Returns the term of the entry at an index, from the start of its log on.
    fn term_at(&self, index: Index) -> Option<Term> {
        let at_start = (index == self.start.index).then_some(self.start.term);
        at_start.or_else(|| self.entry_at(index).map(|entry| entry.term))
    }

    /// Whether its log contains this entry. A compacted entry was committed, and its index holds
    /// what the server has applied.
    fn contains_entry(&self, entry: &Entry) -> bool {
        entry.index <= self.start.index || self.entry_at(entry.index) == Some(entry)
    }

    /// Returns its entries from an index on.
    fn entries_from(&self, index: Index) -> &'a [Entry] {
        let gone =
            usize::try_from(index.saturating_sub(self.start.index + 1)).unwrap_or(usize::MAX);
        self.log.get(gone..).unwrap_or_default()
    }
}

/// An entry that some server knows to be committed.
#[derive(Clone, Debug)]
pub struct CommittedEntry {
    /// The entry.
    pub entry: Entry,
    /// The term of the first server that knew; the entry was committed in that term or before.
    pub by: Term,
}

/// A property that was violated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Its name in the paper.
    pub property: &'static str,
    /// The observation.
    pub seen: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.property, self.seen)
    }
}

/// At most one leader can be elected in a term (§5.2); `leaders` are those observed before.
pub fn election_safety(
    leaders: &BTreeMap<Term, ServerId>,
    servers: &[ServerView<'_>],
) -> Result<(), Violation> {
    let mut known = leaders.clone();
    for server in current_leaders(servers) {
        let first = *known.entry(server.term).or_insert(server.id);
        if first != server.id {
            let seen = format!("servers {first} and {} both led term {}", server.id, server.term);
            return Err(Violation { property: "Election Safety", seen });
        }
    }
    Ok(())
}

/// A leader never overwrites or deletes entries in its log; it only appends (§5.3). `logs` are
/// those of the leaders observed before.
pub fn leader_append_only(
    logs: &BTreeMap<Term, Vec<Entry>>,
    servers: &[ServerView<'_>],
) -> Result<(), Violation> {
    for server in current_leaders(servers) {
        let before = logs.get(&server.term).map_or(&[][..], Vec::as_slice);
        let compacted = usize::try_from(server.start.index).unwrap_or(usize::MAX);
        if !server.log.starts_with(before.get(compacted..).unwrap_or_default()) {
            let seen = format!("leader {} of term {} changed its log", server.id, server.term);
            return Err(Violation { property: "Leader Append-Only", seen });
        }
    }
    Ok(())
}

/// If two logs contain an entry with the same index and term, they are identical up to there
/// (§5.3).
pub fn log_matching(servers: &[ServerView<'_>]) -> Result<(), Violation> {
    for (at, one) in servers.iter().enumerate() {
        for other in servers.get(at + 1..).unwrap_or_default() {
            let first = one.start.index.max(other.start.index) + 1;
            let pairs = || one.entries_from(first).iter().zip(other.entries_from(first));
            let agree = pairs().rposition(|(a, b)| a.term == b.term).map_or(0, |last| last + 1);
            if let Some((a, _)) = pairs().take(agree).find(|(a, b)| a != b) {
                let seen = format!("servers {} and {} differ at {}", one.id, other.id, a.index);
                return Err(Violation { property: "Log Matching", seen });
            }
            if agree > 0 && one.term_at(first - 1) != other.term_at(first - 1) {
                let seen = format!("servers {} and {} differ at {}", one.id, other.id, first - 1);
                return Err(Violation { property: "Log Matching", seen });
            }
        }
    }
    Ok(())
}

/// An entry committed in a term is in the logs of the leaders of all later terms (§5.4).
pub fn leader_completeness(
    committed: &[CommittedEntry],
    servers: &[ServerView<'_>],
) -> Result<(), Violation> {
    for server in current_leaders(servers) {
        let earlier = committed.iter().filter(|c| c.by < server.term);
        if let Some(c) = earlier.into_iter().find(|c| !server.contains_entry(&c.entry)) {
            let (id, term) = (server.id, server.term);
            let seen =
                format!("leader {id} of term {term} lacks committed entry {}", c.entry.index);
            return Err(Violation { property: "Leader Completeness", seen });
        }
    }
    Ok(())
}

/// No two servers apply different entries for the same index (§5.4.3).
pub fn state_machine_safety(
    committed: &[CommittedEntry],
    servers: &[ServerView<'_>],
) -> Result<(), Violation> {
    for server in servers {
        let own = committed.iter().take_while(|c| c.entry.index <= server.commit_index);
        if let Some(c) = own.into_iter().find(|c| !server.contains_entry(&c.entry)) {
            let seen =
                format!("server {} has another committed entry {}", server.id, c.entry.index);
            return Err(Violation { property: "State Machine Safety", seen });
        }
    }
    Ok(())
}

/// Consecutive committed configurations share a set of voters that decides in both (thesis §4.3):
/// either the voters are the same, or one of the two is joint and contains the other's voters.
pub fn membership_safety(before: &Membership, after: &Membership) -> Result<(), Violation> {
    let same = after.voters == before.voters && !after.is_joint();
    let begins = !before.is_joint() && after.outgoing == before.voters;
    if same || begins {
        return Ok(());
    }
    let seen =
        format!("{after:?} follows {before:?}, without a set of voters that decides in both");
    Err(Violation { property: "Membership Safety", seen })
}

fn current_leaders<'a>(servers: &[ServerView<'a>]) -> impl Iterator<Item = ServerView<'a>> {
    servers.iter().copied().filter(|server| server.role == Role::Leader)
}

/// Checks all properties after every step, and records what the checks need.
#[derive(Debug, Default)]
pub struct SafetyChecker {
    leaders: BTreeMap<Term, ServerId>,
    logs: BTreeMap<Term, Vec<Entry>>,
    committed: Vec<CommittedEntry>,
    /// The last committed configuration, and whether an invalid one followed.
    membership: Option<Membership>,
    membership_violation: Option<Violation>,
}

impl SafetyChecker {
    /// Starts with a cluster of these voters.
    pub fn new(voters: &[ServerId]) -> Self {
        Self { membership: Some(Membership::from_voters(voters)), ..Self::default() }
    }

    /// Returns the last configuration that any server knew to be committed.
    pub fn membership(&self) -> Option<&Membership> {
        self.membership.as_ref()
    }

    /// Checks all properties of the running servers, and records their state.
    pub fn check_servers(&mut self, servers: &[ServerView<'_>]) -> Result<(), Violation> {
        election_safety(&self.leaders, servers)?;
        leader_append_only(&self.logs, servers)?;
        log_matching(servers)?;
        servers.iter().for_each(|server| self.record_server(server));
        self.membership_violation.clone().map_or(Ok(()), Err)?;
        leader_completeness(&self.committed, servers)?;
        state_machine_safety(&self.committed, servers)
    }

    /// Returns all entries that any server knew to be committed, from index 1.
    pub fn committed(&self) -> &[CommittedEntry] {
        &self.committed
    }

    fn record_server(&mut self, server: &ServerView<'_>) {
        if server.role == Role::Leader {
            self.leaders.insert(server.term, server.id);
            let known = self.committed.iter().map(|c| c.entry.clone());
            let compacted = known.take(usize::try_from(server.start.index).unwrap_or(usize::MAX));
            let log = self.logs.entry(server.term).or_insert_with(|| compacted.collect());
            log.extend_from_slice(server.entries_from(log.len() as Index + 1));
        }
        let new = server.entries_from(self.committed.len() as Index + 1);
        let upto = new.partition_point(|entry| entry.index <= server.commit_index);
        self.record_commits(server.term, &new[..upto]);
    }

    /// Records that a server in this term knows these entries to be committed. It may compact them
    /// in the same step, so `observe` alone can miss them.
    pub fn record_commits(&mut self, by: Term, entries: &[Entry]) {
        for entry in entries {
            if entry.index == self.committed.len() as Index + 1 {
                self.committed.push(CommittedEntry { entry: entry.clone(), by });
                self.track_membership(entry);
            }
        }
    }

    fn track_membership(&mut self, entry: &Entry) {
        let Payload::Membership(after) = &entry.payload else { return };
        if let Some(before) = &self.membership {
            let checked = membership_safety(before, after);
            self.membership_violation = self.membership_violation.take().or(checked.err());
        }
        self.membership = Some(after.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    /// Returns a log with these terms.
    fn log_of_terms(terms: &[Term]) -> Vec<Entry> {
        let entry = |(at, term): (usize, &Term)| Entry {
            term: *term,
            index: at as Index + 1,
            payload: Payload::Noop,
        };
        terms.iter().enumerate().map(entry).collect()
    }

    fn leader_view(id: ServerId, term: Term, log: &[Entry]) -> ServerView<'_> {
        ServerView {
            id,
            role: Role::Leader,
            term,
            commit_index: 0,
            start: Position::default(),
            log,
        }
    }

    fn follower_view(id: ServerId, commit_index: Index, log: &[Entry]) -> ServerView<'_> {
        ServerView {
            id,
            role: Role::Follower,
            term: 9,
            commit_index,
            start: Position::default(),
            log,
        }
    }

    #[test]
    fn a_term_has_one_leader() {
        let past = BTreeMap::from([(2, 1)]);
        assert!(election_safety(&past, &[leader_view(1, 2, &[]), leader_view(3, 3, &[])]).is_ok());
        assert!(election_safety(&past, &[leader_view(2, 2, &[])]).is_err());
        assert!(election_safety(&past, &[leader_view(1, 3, &[]), leader_view(2, 3, &[])]).is_err());
    }

    #[test]
    fn a_leader_only_appends() {
        let past = BTreeMap::from([(2, log_of_terms(&[1, 2]))]);
        assert!(leader_append_only(&past, &[leader_view(1, 2, &log_of_terms(&[1, 2, 2]))]).is_ok());
        assert!(leader_append_only(&past, &[leader_view(1, 2, &log_of_terms(&[1]))]).is_err());
        assert!(leader_append_only(&past, &[leader_view(1, 3, &log_of_terms(&[1]))]).is_ok());
    }

    #[test]
    fn entries_of_equal_index_and_term_have_equal_prefixes() {
        let logs = [log_of_terms(&[1, 1, 2]), log_of_terms(&[1, 1, 3]), log_of_terms(&[1, 2, 2])];
        let [a, b, c] = [0, 1, 2].map(|n| follower_view(n, 0, &logs[n as usize]));
        assert!(log_matching(&[a, b]).is_ok());
        assert!(log_matching(&[a, b, c]).is_err());
    }

    #[test]
    fn later_leaders_have_all_committed_entries() {
        let committed: Vec<_> = log_of_terms(&[1, 2])
            .into_iter()
            .map(|entry| CommittedEntry { entry, by: 2 })
            .collect();
        assert!(
            leader_completeness(&committed, &[leader_view(1, 3, &log_of_terms(&[1, 2, 3]))])
                .is_ok()
        );
        assert!(
            leader_completeness(&committed, &[leader_view(1, 3, &log_of_terms(&[1, 1, 3]))])
                .is_err()
        );
        assert!(leader_completeness(&committed, &[leader_view(1, 2, &[])]).is_ok());
    }

    #[test]
    fn voters_change_through_a_joint_configuration() {
        let of = |voters: &[ServerId], outgoing: &[ServerId]| {
            let outgoing = outgoing.iter().copied().collect();
            Membership { outgoing, ..Membership::from_voters(voters) }
        };
        let [three, joint, other] =
            [of(&[1, 2, 3], &[]), of(&[1, 4], &[1, 2, 3]), of(&[1, 4], &[])];
        assert!(membership_safety(&three, &joint).is_ok());
        assert!(membership_safety(&joint, &other).is_ok());
        assert!(membership_safety(&three, &other).is_err());
        assert!(membership_safety(&joint, &three).is_err());
        assert!(membership_safety(&joint, &of(&[5], &[1, 4])).is_err());
    }

    #[test]
    fn an_applied_entry_never_changes() {
        let (one, other) = (log_of_terms(&[1, 2]), log_of_terms(&[1, 3]));
        let mut checker = SafetyChecker::default();
        assert_eq!(
            checker.check_servers(&[follower_view(1, 2, &one), follower_view(2, 1, &other)]),
            Ok(())
        );
        assert_eq!(checker.committed().len(), 2);
        let seen = checker.check_servers(&[follower_view(2, 2, &other)]).map_err(|v| v.property);
        assert_eq!(seen, Err("State Machine Safety"));
        assert_eq!(
            vec![1, 2],
            checker.committed().iter().map(|c| c.entry.term).collect::<Vec<_>>()
        );
    }
}
