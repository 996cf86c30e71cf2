//! Decides when which fault begins and ends, before the run, from the seed alone. Pure.
//!
//! A [`Schedule`] is a list of [`Entry`]s, one per fault, which [`super::script`] writes and reads as text; a fault's
//! number is its place in the list. [`super::agenda`] turns it into steps. Every kind that was asked for occurs, calm and faulty stretches take turns, some partitions turn
//! straight into another one (a server that was left behind meets a cluster that has lost its leader), and some
//! faults of different kinds overlap. At most one fault of a kind is active at a time. Whom a fault hits is
//! decided when it begins, from the fault's own stream: only then is it known who leads.

use super::Wanted;
use workloads::Rng;

/// One fault: when it begins, what it does, to whom and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// When it begins.
    pub when: When,
    /// The nemesis's name.
    pub kind: String,
    /// How it aims: a variant, or hosts by name.
    pub aim: String,
    /// How long it lasts, in milliseconds.
    pub(crate) for_ms: u64,
}

/// When a fault begins, counted from the start of the main phase.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum When {
    /// After so many milliseconds.
    At(u64),
    /// As soon as so many operations have succeeded.
    After {
        /// How many.
        count: u64,
        /// Of which function; `None` of any.
        function: Option<String>,
    },
}

/// All faults of a run; the planner's are in order of time.
pub(crate) type Schedule = Vec<Entry>;

/// Of 100 partitions, how many turn into the next one without healing in between.
const CHAINED_PERCENT: u64 = 50;
/// Of 100 such followers, how many go for the leader: who was left behind then finds a cluster that must elect.
const LEADER_NEXT_PERCENT: u64 = 60;
/// The variant that goes for the leader, in every nemesis that has one.
const LEADER: &str = "leader";
/// Of 100 faults, how many are joined by one of another kind.
const OVERLAP_PERCENT: u64 = 30;
/// A fault that joins another one lasts at least this long.
const LEAST_OVERLAP_MS: u64 = 600;
/// The main phase that a kind of fault needs to get its turn at full length: the fault and the calm after it.
const ROOM_PER_KIND_MS: u64 = 6_000;
/// What the calm at the beginning and the last fault need besides.
const ROOM_AT_THE_ENDS_MS: u64 = 3_500;

/// The schedule of a run on so many hosts whose main phase lasts `limit_ms`.
pub fn schedule(wanted: &[Wanted], hosts: usize, limit_ms: u64, rng: &Rng) -> Schedule {
    if wanted.is_empty() {
        return Vec::new();
    }
    let mut planner = Planner::new(wanted, hosts, limit_ms, rng);
    planner.run();
    planner.into_schedule()
}

/// One fault with its times, before faults are sorted into steps.
struct Interval<'a> {
    begin_ms: u64,
    end_ms: u64,
    wanted: &'a Wanted,
    variant: String,
}

struct Planner<'a> {
    wanted: &'a [Wanted],
    hosts: usize,
    limit_ms: u64,
    rng: Rng,
    now_ms: u64,
    /// Kinds that still have to get their first turn.
    due: Vec<&'a Wanted>,
    intervals: Vec<Interval<'a>>,
}

impl<'a> Planner<'a> {
    fn new(wanted: &'a [Wanted], hosts: usize, limit_ms: u64, rng: &Rng) -> Self {
        let mut rng = rng.fork("schedule");
        let mut due: Vec<&Wanted> = wanted.iter().collect();
        rng.shuffle(&mut due);
        Self { wanted, hosts, limit_ms, rng, now_ms: 0, due, intervals: Vec::new() }
    }

    fn run(&mut self) {
        self.wait(1_000, 2_000);
        while self.now_ms < self.last_begin_ms() {
            self.one_stretch();
            self.wait(700, 2_000);
        }
    }

    /// The last moment at which a fault may begin: it has to last a while and to end in time.
    fn last_begin_ms(&self) -> u64 {
        self.limit_ms.saturating_sub(self.scaled(1_500))
    }

    /// A faulty stretch: one fault or several that turn into each other, perhaps joined by another kind.
    fn one_stretch(&mut self) {
        let wanted = self.next_kind();
        let begin_ms = self.now_ms;
        let variant = self.variant(wanted);
        self.fault(wanted, variant);
        while self.may_chain(wanted) && self.rng.percent(CHAINED_PERCENT) {
            let variant = self.next_variant(wanted);
            self.fault(wanted, variant);
        }
        if self.rng.percent(OVERLAP_PERCENT) {
            self.overlap(wanted, begin_ms);
        }
    }

    fn may_chain(&self, wanted: &Wanted) -> bool {
        wanted.nemesis.chains() && self.due.is_empty() && self.now_ms < self.last_begin_ms()
    }

    /// Appends a fault that begins now, and moves on to its end.
    fn fault(&mut self, wanted: &'a Wanted, variant: String) {
        let begin_ms = self.now_ms;
        let (low, high) = wanted.nemesis.duration_ms();
        self.wait(low, high);
        self.now_ms = self.now_ms.min(self.limit_ms);
        self.intervals.push(Interval { begin_ms, end_ms: self.now_ms, wanted, variant });
    }

    /// Adds a fault of another kind that begins within the stretch since `begin_ms` and ends with it or before.
    fn overlap(&mut self, first: &'a Wanted, begin_ms: u64) {
        let others: Vec<&Wanted> = self
            .wanted
            .iter()
            .filter(|other| other.nemesis.name() != first.nemesis.name())
            .collect();
        let Some(other) = self.rng.choose(&others).copied() else { return };
        // Long enough to be seen: at least the last part of the stretch, or all of a short one.
        let least_ms = self.scaled(LEAST_OVERLAP_MS).min(self.now_ms - begin_ms);
        let begin_ms = self.rng.between(begin_ms, self.now_ms - least_ms + 1);
        let end_ms = self.rng.between(begin_ms + least_ms, self.now_ms + 1);
        let variant = self.variant(other);
        self.intervals.push(Interval { begin_ms, end_ms, wanted: other, variant });
    }

    fn next_kind(&mut self) -> &'a Wanted {
        self.due.pop().unwrap_or_else(|| {
            let pick = self.rng.below(self.wanted.len() as u64) as usize;
            &self.wanted[pick]
        })
    }

    /// How a fault aims into which another one of its kind turns.
    fn next_variant(&mut self, wanted: &Wanted) -> String {
        let variant = self.variant(wanted);
        let able = wanted.variants(self.hosts).iter().any(|name| name == LEADER);
        if able && self.rng.percent(LEADER_NEXT_PERCENT) { LEADER.to_owned() } else { variant }
    }

    fn variant(&mut self, wanted: &Wanted) -> String {
        let able = wanted.variants(self.hosts);
        self.rng.choose(&able).cloned().unwrap_or_default()
    }

    fn wait(&mut self, low_ms: u64, high_ms: u64) {
        let wait_ms = self.rng.between(low_ms, high_ms);
        self.now_ms += self.scaled(wait_ms);
    }

    /// Shorter where the main phase is too short for every kind to get its turn.
    fn scaled(&self, wait_ms: u64) -> u64 {
        let room_ms = ROOM_AT_THE_ENDS_MS + ROOM_PER_KIND_MS * self.wanted.len() as u64;
        (wait_ms * self.limit_ms.min(room_ms) / room_ms).max(1)
    }

    fn into_schedule(mut self) -> Schedule {
        self.intervals.sort_by_key(|interval| interval.begin_ms);
        let entry = |interval: Interval<'_>| Entry {
            when: When::At(interval.begin_ms),
            kind: interval.wanted.nemesis.name().to_owned(),
            aim: interval.variant,
            for_ms: interval.end_ms - interval.begin_ms,
        };
        self.intervals.into_iter().map(entry).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::agenda::{Agenda, Step};
    use super::super::wanted;
    use super::*;
    use std::collections::{BTreeMap, BTreeSet};

    fn plan(text: &str, limit_ms: u64, seed: u64) -> Schedule {
        let wanted = wanted(text).expect("these nemeses exist");
        schedule(&wanted, 5, limit_ms, &Rng::new(seed))
    }

    fn steps(schedule: &Schedule) -> Vec<Step> {
        let mut agenda = Agenda::new(schedule);
        std::iter::from_fn(|| agenda.take(u64::MAX)).collect()
    }

    #[test]
    fn a_seed_decides_the_schedule() {
        assert_eq!(plan("partition,kill", 30_000, 1), plan("partition,kill", 30_000, 1));
        assert_ne!(plan("partition,kill", 30_000, 1), plan("partition,kill", 30_000, 2));
    }

    #[test]
    fn every_kind_occurs_however_short_the_run() {
        for (limit_ms, seed) in
            [3_000, 8_000, 30_000].into_iter().flat_map(|l| (0..50).map(move |s| (l, s)))
        {
            let kinds: BTreeSet<String> = plan("partition,kill,pause", limit_ms, seed)
                .iter()
                .map(|entry| entry.kind.clone())
                .collect();
            assert_eq!(kinds.len(), 3, "{limit_ms} ms, seed {seed}: {kinds:?}");
        }
    }

    #[test]
    fn what_begins_ends_later_and_within_the_main_phase_and_kinds_never_overlap_themselves() {
        for seed in 0..200 {
            let mut active = BTreeMap::new();
            for step in steps(&plan("partition,kill,pause", 30_000, seed)) {
                assert!(step.at_ms <= 30_000, "seed {seed}: {step:?}");
                for id in &step.end {
                    let (begun, _) = active.remove(id).expect("it had begun");
                    assert!(step.at_ms > begun, "seed {seed}: fault {id} lasts");
                }
                for planned in step.begin {
                    assert!(
                        active.values().all(|(_, kind)| *kind != planned.kind),
                        "seed {seed}: two faults of kind {} at {} ms",
                        planned.kind,
                        step.at_ms
                    );
                    active.insert(planned.id, (step.at_ms, planned.kind));
                }
            }
            assert!(active.is_empty(), "seed {seed}: {active:?} never ends");
        }
    }

    #[test]
    fn some_partitions_turn_straight_into_the_next() {
        let chained = (0..20).flat_map(|seed| steps(&plan("partition", 60_000, seed)));
        let chained = chained.filter(|step| !step.begin.is_empty() && !step.end.is_empty()).count();
        assert!(chained > 20, "{chained}");
    }

    #[test]
    fn a_named_variant_is_the_only_one() {
        let schedule = plan("partition:leader", 60_000, 1);
        assert!(schedule.iter().all(|entry| entry.aim == "leader"));
    }

    #[test]
    fn nothing_wanted_is_nothing_planned() {
        assert_eq!(plan("none", 30_000, 1), Vec::new());
    }
}
