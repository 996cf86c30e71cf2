//! Handles AppendEntries at a follower: its log follows the leader's, and each reply covers
//! exactly the entries of the message, once they are durable (paper §5.3).

use super::effect::Effect;
use super::entry::Entry;
use super::message::{AppendEntries, Content};
use super::role::RoleState;
use super::server::Raft;
use super::types::{Index, Position, ServerId};
use crate::bug::Bug;

impl Raft {
    /// Handles entries, or a heartbeat, from the leader of the current term.
    pub(super) fn on_append(&mut self, from: ServerId, append: AppendEntries) {
        // A term has one leader (paper §5.2), so only a seeded bug reaches this line. A leader
        // never overwrites its own log, even then (Leader Append-Only, paper §5.3).
        if matches!(self.state, RoleState::Leader(_)) {
            return;
        }
        // Seeded bug: a candidate hears only votes.
        let campaigns = matches!(self.state, RoleState::PreCandidate(_) | RoleState::Candidate(_));
        if campaigns && self.config.has_bug(Bug::CandidateDeaf) {
            return;
        }
        // Before the log check: a candidate that ignored its term's leader because their logs
        // differ would go on campaigning against it (paper §5.2).
        self.become_follower(Some(from));
        self.reset_election_timer();
        self.withhold_votes();
        // Log Matching (paper §5.3): entries go only behind an entry that both logs share.
        // Otherwise two logs could hold the same entry and differ before it.
        if self.log.matches(append.previous) || self.matches_by_index(append.previous) {
            self.accept_append(from, append);
        } else {
            let AppendEntries { previous, round, .. } = append;
            let hint = self.log.find_conflict_by_term(previous);
            // The rejection reports nothing durable, so it waits for no write.
            self.send_message(
                from,
                Content::AppendRejected { rejected: previous.index, hint, round },
                0,
            );
        }
    }

    fn accept_append(&mut self, from: ServerId, append: AppendEntries) {
        // Entries with a gap come from no correct leader; storing them would misplace the rest.
        let Some(last) = append.last_index() else { return };
        let mut entries = append.entries;
        // Truncate from the first conflict on, not from `previous` on (paper §5.3). A delayed
        // message would otherwise cut off later entries that the leader has counted as replicated.
        let mut known = self.log.count_known(&entries);
        if self.config.has_bug(Bug::TruncateOnAppend) {
            let start = self.log.start_position().index;
            known = entries.iter().take_while(|entry| entry.index <= start).count();
        }
        let mut new = entries.split_off(known);
        if self.would_overwrite_committed(&new) {
            return self.report_overwrite(&new);
        }
        if !new.is_empty() {
            if self.config.has_bug(Bug::KeepConflictingTail) {
                let beyond = self.log.entries_between(last.saturating_add(1), Index::MAX);
                new.extend_from_slice(beyond);
            }
            self.log.truncate_and_append(&new, self.config.bugs);
            self.persist_changes(None, new);
        }
        self.leader_match = self.leader_match.max(last);
        // Bounded by what is known to match, not by the end of this log (paper, figure 2): the
        // tail may be an old leader's, and a heartbeat would commit it.
        let own_last = self.log.last_position().index;
        let commits_tail = self.config.has_bug(Bug::CommitLeaderIndex);
        let bound = if commits_tail { own_last } else { self.leader_match };
        self.commit_to(append.commit.min(bound));
        if self.config.has_bug(Bug::ApplyOnAppend) {
            self.commit_to(last);
        }
        // The reply waits for the disk: the leader counts it towards a majority, and a crash must
        // not take the entries back (removed by --unsafe no-fsync).
        let early = self.config.has_bug(Bug::SendAckEarly);
        let after = if early { 0 } else { self.writes.entry_barrier(last) };
        // `last`, not the end of this log: the leader would count a divergent tail as replicated.
        let index = if self.config.has_bug(Bug::AckLogEnd) { own_last } else { last };
        self.send_message(from, Content::AppendAccepted { index, round: append.round }, after);
    }

    /// Seeded bug: compares only the index of the position before new entries.
    fn matches_by_index(&self, previous: Position) -> bool {
        self.config.has_bug(Bug::MatchByIndex) && previous.index <= self.log.last_position().index
    }

    /// Whether these entries would replace a committed one. Every leader has all committed entries
    /// (Leader Completeness, paper §5.4.3), so this happens only after some server lost entries
    /// that it had acknowledged. With a seeded bug it is allowed, so that the bug becomes visible.
    fn would_overwrite_committed(&self, new: &[Entry]) -> bool {
        let committed = new.first().is_some_and(|first| first.index <= self.commit_index);
        committed && self.config.bugs.is_empty()
    }

    /// Stops this server without a reply: an acknowledgement would help to commit the new entry.
    fn report_overwrite(&mut self, new: &[Entry]) {
        let Some(new) = new.first().map(|entry| Position { term: entry.term, index: entry.index })
        else {
            return;
        };
        let committed = self.log.position_at(new.index);
        self.effects.push(Effect::Fatal { committed, new });
    }
}
