//! States the five safety properties of Raft (paper, figure 3) and that of changing members (thesis
//! §4.3), one function each, over all servers at once.
//!
//! They are pure: what they need to know of the past is an argument, and [`SafetyChecker`] keeps it for
//! whoever looks after every step. A violation means that the brain, or a bug that was switched on,
//! broke a promise.

use super::{Entry, Index, Membership, Payload, Position, Raft, Role, ServerId, Term};
use alloc::{collections::BTreeMap, format, string::String, vec::Vec};
use core::fmt;

/// What an onlooker sees of one server.
#[derive(Clone, Copy, Debug)]
pub struct ServerView<'a> {
    /// Its name.
    pub id: ServerId,
    /// Its role.
    pub role: Role,
    /// Its term.
    pub term: Term,
    /// How far it knows the log to be committed.
    pub commit_index: Index,
    /// The last place that was cut off its log: what came up to there was committed.
    pub start: Position,
    /// Its log, from after `start`.
    pub log: &'a [Entry],
}

impl<'a> ServerView<'a> {
    /// What there is to see of `raft`.
    pub fn of(raft: &'a Raft) -> Self {
        let status = raft.status();
        let id = raft.config.id;
        let commit_index = status.commit_index;
        let (start, log) = (raft.start(), raft.log());
        Self { id, role: status.role, term: status.term, commit_index, start, log }
    }

    /// The entry at an index, if it was not cut off.
    fn entry(&self, index: Index) -> Option<&'a Entry> {
        let place = index.checked_sub(self.start.index)?.checked_sub(1)?;
        self.log.get(usize::try_from(place).ok()?)
    }

    /// The term of the entry at an index that is at the start of its log or after it.
    fn term(&self, index: Index) -> Option<Term> {
        let at_start = (index == self.start.index).then_some(self.start.term);
        at_start.or_else(|| self.entry(index).map(|entry| entry.term))
    }

    /// Whether its log has, or had, this entry. One that was cut off was committed, and what is in
    /// its place is what the server has applied.
    fn has(&self, entry: &Entry) -> bool {
        entry.index <= self.start.index || self.entry(entry.index) == Some(entry)
    }

    /// Its entries from an index on.
    fn from(&self, index: Index) -> &'a [Entry] {
        let gone =
            usize::try_from(index.saturating_sub(self.start.index + 1)).unwrap_or(usize::MAX);
        self.log.get(gone..).unwrap_or_default()
    }
}

/// An entry that some server knew to be committed.
#[derive(Clone, Debug)]
pub struct CommittedEntry {
    /// The entry.
    pub entry: Entry,
    /// The term of the server that first knew; it was committed in that term or before.
    pub by: Term,
}

/// A property that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Its name in the paper.
    pub property: &'static str,
    /// What was seen instead.
    pub seen: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.property, self.seen)
    }
}

/// At most one leader can be elected in a given term (§5.2); `leaders` are those seen before.
pub fn election_safety(
    leaders: &BTreeMap<Term, ServerId>,
    servers: &[ServerView<'_>],
) -> Result<(), Violation> {
    let mut known = leaders.clone();
    for server in leading(servers) {
        let first = *known.entry(server.term).or_insert(server.id);
        if first != server.id {
            let seen = format!("servers {first} and {} both led term {}", server.id, server.term);
            return Err(Violation { property: "Election Safety", seen });
        }
    }
    Ok(())
}

/// A leader never overwrites or deletes entries in its log, it only appends new ones (§5.3); `logs`
/// are those of the leaders seen before.
pub fn leader_append_only(
    logs: &BTreeMap<Term, Vec<Entry>>,
    servers: &[ServerView<'_>],
) -> Result<(), Violation> {
    for server in leading(servers) {
        let before = logs.get(&server.term).map_or(&[][..], Vec::as_slice);
        let after_cut = usize::try_from(server.start.index).unwrap_or(usize::MAX);
        if !server.log.starts_with(before.get(after_cut..).unwrap_or_default()) {
            let seen = format!("leader {} of term {} changed its log", server.id, server.term);
            return Err(Violation { property: "Leader Append-Only", seen });
        }
    }
    Ok(())
}

/// If two logs contain an entry with the same index and term, they are identical up to there
/// (§5.3).
pub fn log_matching(servers: &[ServerView<'_>]) -> Result<(), Violation> {
    for (place, one) in servers.iter().enumerate() {
        for other in servers.get(place + 1..).unwrap_or_default() {
            let first = one.start.index.max(other.start.index) + 1;
            let pairs = || one.from(first).iter().zip(other.from(first));
            let agree = pairs().rposition(|(a, b)| a.term == b.term).map_or(0, |last| last + 1);
            if let Some((a, _)) = pairs().take(agree).find(|(a, b)| a != b) {
                let seen = format!("servers {} and {} differ at {}", one.id, other.id, a.index);
                return Err(Violation { property: "Log Matching", seen });
            }
            if agree > 0 && one.term(first - 1) != other.term(first - 1) {
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
    for server in leading(servers) {
        let earlier = committed.iter().filter(|c| c.by < server.term);
        if let Some(c) = earlier.into_iter().find(|c| !server.has(&c.entry)) {
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
        if let Some(c) = own.into_iter().find(|c| !server.has(&c.entry)) {
            let seen =
                format!("server {} has another committed entry {}", server.id, c.entry.index);
            return Err(Violation { property: "State Machine Safety", seen });
        }
    }
    Ok(())
}

/// Two committed configurations that follow one another share a set of voters that decided in both:
/// the same voters, or a joint one of the old and the new, which only the new may follow.
pub fn membership_safety(before: &Membership, after: &Membership) -> Result<(), Violation> {
    let same = after.voters == before.voters && !after.is_joint();
    let begins = !before.is_joint() && after.outgoing == before.voters;
    if same || begins {
        return Ok(());
    }
    let seen = format!("{after:?} follows {before:?}, and neither is a part of the other");
    Err(Violation { property: "Membership Safety", seen })
}

fn leading<'a>(servers: &[ServerView<'a>]) -> impl Iterator<Item = ServerView<'a>> {
    servers.iter().copied().filter(|server| server.role == Role::Leader)
}

/// What an onlooker remembers.
#[derive(Debug, Default)]
pub struct SafetyChecker {
    leaders: BTreeMap<Term, ServerId>,
    logs: BTreeMap<Term, Vec<Entry>>,
    committed: Vec<CommittedEntry>,
    /// The last committed configuration, and whether one followed that must not.
    membership: Option<Membership>,
    membership_violation: Option<Violation>,
}

impl SafetyChecker {
    /// Begins with a cluster of these voters.
    pub fn new(voters: &[ServerId]) -> Self {
        Self { membership: Some(Membership::from_voters(voters)), ..Self::default() }
    }

    /// The last configuration that any server ever knew to be committed.
    pub fn membership(&self) -> Option<&Membership> {
        self.membership.as_ref()
    }

    /// Checks all properties of what the running servers are now, and remembers it.
    pub fn observe(&mut self, servers: &[ServerView<'_>]) -> Result<(), Violation> {
        election_safety(&self.leaders, servers)?;
        leader_append_only(&self.logs, servers)?;
        log_matching(servers)?;
        servers.iter().for_each(|server| self.remember(server));
        self.membership_violation.clone().map_or(Ok(()), Err)?;
        leader_completeness(&self.committed, servers)?;
        state_machine_safety(&self.committed, servers)
    }

    /// Everything that any server ever knew to be committed, from index 1.
    pub fn committed(&self) -> &[CommittedEntry] {
        &self.committed
    }

    fn remember(&mut self, server: &ServerView<'_>) {
        if server.role == Role::Leader {
            self.leaders.insert(server.term, server.id);
            let known = self.committed.iter().map(|c| c.entry.clone());
            let cut_off = known.take(usize::try_from(server.start.index).unwrap_or(usize::MAX));
            let log = self.logs.entry(server.term).or_insert_with(|| cut_off.collect());
            log.extend_from_slice(server.from(log.len() as Index + 1));
        }
        let news = server.from(self.committed.len() as Index + 1);
        let upto = news.partition_point(|entry| entry.index <= server.commit_index);
        self.commits(server.term, &news[..upto]);
    }

    /// Learns that a server in this term knows these entries to be committed. It may cut them off in
    /// the same step.
    pub fn commits(&mut self, by: Term, entries: &[Entry]) {
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
            let step = membership_safety(before, after);
            self.membership_violation = self.membership_violation.take().or(step.err());
        }
        self.membership = Some(after.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raft::Payload;
    use alloc::vec;

    /// A log with these terms.
    fn log(terms: &[Term]) -> Vec<Entry> {
        let entry = |(place, term): (usize, &Term)| Entry {
            term: *term,
            index: place as Index + 1,
            payload: Payload::Noop,
        };
        terms.iter().enumerate().map(entry).collect()
    }

    fn leader(id: ServerId, term: Term, log: &[Entry]) -> ServerView<'_> {
        ServerView {
            id,
            role: Role::Leader,
            term,
            commit_index: 0,
            start: Position::default(),
            log,
        }
    }

    fn follower(id: ServerId, commit_index: Index, log: &[Entry]) -> ServerView<'_> {
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
    fn one_leader_a_term() {
        let past = BTreeMap::from([(2, 1)]);
        assert!(election_safety(&past, &[leader(1, 2, &[]), leader(3, 3, &[])]).is_ok());
        assert!(election_safety(&past, &[leader(2, 2, &[])]).is_err());
        assert!(election_safety(&past, &[leader(1, 3, &[]), leader(2, 3, &[])]).is_err());
    }

    #[test]
    fn a_leader_only_appends() {
        let past = BTreeMap::from([(2, log(&[1, 2]))]);
        assert!(leader_append_only(&past, &[leader(1, 2, &log(&[1, 2, 2]))]).is_ok());
        assert!(leader_append_only(&past, &[leader(1, 2, &log(&[1]))]).is_err());
        assert!(leader_append_only(&past, &[leader(1, 3, &log(&[1]))]).is_ok());
    }

    #[test]
    fn equal_terms_mean_equal_prefixes() {
        let logs = [log(&[1, 1, 2]), log(&[1, 1, 3]), log(&[1, 2, 2])];
        let [a, b, c] = [0, 1, 2].map(|n| follower(n, 0, &logs[n as usize]));
        assert!(log_matching(&[a, b]).is_ok());
        assert!(log_matching(&[a, b, c]).is_err());
    }

    #[test]
    fn later_leaders_have_what_was_committed() {
        let committed: Vec<_> =
            log(&[1, 2]).into_iter().map(|entry| CommittedEntry { entry, by: 2 }).collect();
        assert!(leader_completeness(&committed, &[leader(1, 3, &log(&[1, 2, 3]))]).is_ok());
        assert!(leader_completeness(&committed, &[leader(1, 3, &log(&[1, 1, 3]))]).is_err());
        assert!(leader_completeness(&committed, &[leader(1, 2, &[])]).is_ok());
    }

    #[test]
    fn voters_change_by_way_of_both_sets() {
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
    fn what_was_applied_stays() {
        let (one, other) = (log(&[1, 2]), log(&[1, 3]));
        let mut checker = SafetyChecker::default();
        assert_eq!(checker.observe(&[follower(1, 2, &one), follower(2, 1, &other)]), Ok(()));
        assert_eq!(checker.committed().len(), 2);
        let seen = checker.observe(&[follower(2, 2, &other)]).map_err(|v| v.property);
        assert_eq!(seen, Err("State Machine Safety"));
        assert_eq!(
            vec![1, 2],
            checker.committed().iter().map(|c| c.entry.term).collect::<Vec<_>>()
        );
    }
}
