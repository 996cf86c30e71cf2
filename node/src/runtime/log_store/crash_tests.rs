//! Compares the log store with a brute-force twin under random writes and crashes: what was
//! reported durable is read back, and beyond it nothing but a prefix of what was written later.

use super::*;
use crate::raft::{Entry, HardState, Membership, Payload, Position, Snapshot};
use crate::runtime::MemoryDisk;
use proptest::prelude::*;

const GROUPS: GroupId = 2;

/// What is done to a store.
#[derive(Clone, Debug)]
enum Step {
    /// Write one batch.
    Write(Vec<DraftWrite>),
    /// Write one batch, in which power fails after so many operations.
    Crash { batch: Vec<DraftWrite>, budget: u64 },
    /// Stop the process, without a loss of power.
    Restart,
    /// Lose power in the start that follows, after so many operations.
    CrashAtStart { budget: u64 },
}

/// A write of one group, before it is fitted to the group's log.
#[derive(Clone, Debug)]
struct DraftWrite {
    group: GroupId,
    /// How many entries the log loses at its end, and gains.
    lost: u64,
    gained: u64,
    vote: Option<u64>,
    /// Cuts the log at this share of it, with a snapshot or without.
    cut: Option<(u64, bool)>,
}

fn any_drafts() -> impl Strategy<Value = Vec<DraftWrite>> {
    let cut = prop::option::weighted(0.15, (0u64..=100, any::<bool>()));
    let draft = (0..GROUPS, 0u64..3, 0u64..4, prop::option::of(1u64..4), cut);
    let draft = draft.prop_map(|(group, lost, gained, vote, cut)| DraftWrite {
        group,
        lost,
        gained,
        vote,
        cut,
    });
    prop::collection::vec(draft, 1..4)
}

fn any_steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => any_drafts().prop_map(Step::Write),
        3 => (any_drafts(), 0u64..24).prop_map(|(batch, budget)| Step::Crash { batch, budget }),
        1 => Just(Step::Restart),
        1 => (0u64..12).prop_map(|budget| Step::CrashAtStart { budget }),
    ];
    prop::collection::vec(step, 1..20)
}

/// What each group has after every write, in order.
#[derive(Clone, Debug)]
struct ReferenceModel {
    term: u64,
    states: Vec<Vec<Stored>>,
    /// How many writes were reported durable.
    reported: usize,
}

impl ReferenceModel {
    fn new() -> Self {
        let empty = || Stored::default();
        Self { term: 0, states: vec![(0..GROUPS).map(|_| empty()).collect()], reported: 0 }
    }

    /// Fits a draft to the group's log, and applies it.
    fn apply_draft(&mut self, draft: &DraftWrite) -> LogWrite {
        let mut groups = self.states.last().expect("the first").clone();
        let stored = &mut groups[draft.group as usize];
        self.term += 1;
        let term = self.term;
        let hard_state = draft.vote.map(|id| HardState { term, voted_for: Some(id) });
        let last = stored.start.index + stored.entries.len() as u64;
        let mut persist =
            Persist { sequence: term, hard_state, entries: vec![], snapshot: None, start: None };
        stored.hard_state = hard_state.unwrap_or(stored.hard_state);
        if let Some((share, with_snapshot)) = draft.cut {
            let at = stored.entries.len() as u64 * share / 100;
            let rest = stored.entries.split_off(usize::try_from(at).expect("small"));
            let position = stored
                .entries
                .last()
                .map_or(stored.start, |entry| Position { term: entry.term, index: entry.index });
            let known = stored.snapshot.as_ref().map_or(0, |snapshot| snapshot.last.index);
            if with_snapshot || known < position.index {
                let data = term.to_le_bytes().to_vec().into();
                let membership = Membership::from_voters(&[1, 2]);
                stored.snapshot = Some(Snapshot { last: position, membership, data });
                persist.snapshot.clone_from(&stored.snapshot);
            }
            (stored.start, stored.entries) = (position, rest);
            (persist.start, persist.hard_state) = (Some(position), Some(stored.hard_state));
            persist.entries.clone_from(&stored.entries);
        } else {
            let kept = last.saturating_sub(draft.lost).max(stored.start.index);
            let entries = (kept + 1..=kept + draft.gained).map(|index| Entry {
                term,
                index,
                payload: Payload::Command(term.to_le_bytes().to_vec()),
            });
            persist.entries = entries.collect();
            if draft.gained > 0 {
                let kept = usize::try_from(kept - stored.start.index).expect("small");
                stored.entries.truncate(kept);
                stored.entries.extend(persist.entries.iter().cloned());
            }
        }
        self.states.push(groups);
        LogWrite { group: draft.group, persist }
    }

    fn apply_drafts(&mut self, drafts: &[DraftWrite]) -> Vec<LogWrite> {
        drafts.iter().map(|draft| self.apply_draft(draft)).collect()
    }

    /// Continues from what was recovered, which must be one of the states since the last report.
    fn check_recovered(&mut self, found: &[Stored]) -> Result<(), TestCaseError> {
        let fits = |at: &usize| {
            let next = self.states.get(at + 1);
            found.iter().enumerate().all(|(group, found)| {
                let next = next.map(|next| &next[group]);
                is_state(found, &self.states[*at][group], next)
            })
        };
        let at = (self.reported..self.states.len()).find(fits);
        prop_assert!(
            at.is_some(),
            "found {found:?}, reported {:?}, then {:?}",
            self.states[self.reported],
            &self.states[self.reported + 1..]
        );
        self.states = vec![found.to_vec()];
        self.reported = 0;
        Ok(())
    }
}

/// Whether a group's state was recovered. The snapshot of the next write may be there before its
/// log.
fn is_state(found: &Stored, expected: &Stored, next: Option<&Stored>) -> bool {
    let log = |it: &Stored| (it.hard_state, it.start, it.entries.clone());
    let snapshots = [Some(expected), next].into_iter().flatten().map(|it| &it.snapshot);
    log(found) == log(expected) && snapshots.into_iter().any(|it| *it == found.snapshot)
}

fn open_store(
    disk: &mut MemoryDisk,
) -> Result<(LogStore<&mut MemoryDisk>, Vec<Stored>), OpenError> {
    let opened = LogStore::open(disk, ("n1", GROUPS), BugSet::default());
    opened.map(|(store, recovery)| (store, recovery.stored))
}

fn run_steps(steps: &[Step], draw: &mut dyn FnMut(u64) -> u64) -> Result<(), TestCaseError> {
    let (mut disk, mut twin) = (MemoryDisk::default(), ReferenceModel::new());
    let mut steps = steps.iter();
    while steps.len() > 0 {
        let opened = open_store(&mut disk);
        prop_assert!(opened.is_ok(), "refused: {:?}", opened.err());
        let (mut store, found) = opened.expect("checked above");
        twin.check_recovered(&found)?;
        for step in steps.by_ref() {
            match step {
                Step::Write(batch) => {
                    store.persist_writes(twin.apply_drafts(batch)).expect("the disk works");
                    twin.reported = twin.states.len() - 1;
                    continue;
                }
                Step::Crash { batch, budget } => {
                    store.disk_mut().fail_after(*budget);
                    if store.persist_writes(twin.apply_drafts(batch)).is_ok() {
                        twin.reported = twin.states.len() - 1;
                    }
                    disk.lose_power(draw);
                }
                Step::Restart => {}
                Step::CrashAtStart { budget } => {
                    disk.fail_after(*budget);
                    let _ = open_store(&mut disk);
                    disk.lose_power(draw);
                }
            }
            break;
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn what_was_reported_durable_is_read_back(steps in any_steps(), seed in any::<u64>()) {
        let mut state = seed | 1;
        // xorshift64: enough to decide what survives.
        let mut draw = |n: u64| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state % n.max(1)
        };
        run_steps(&steps, &mut draw)?;
    }
}
