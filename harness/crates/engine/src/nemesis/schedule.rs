//! Plans when each fault begins and ends, before the run, from the seed alone. Pure.
//!
//! A [`Schedule`] is a list of [`ScheduledFault`]s, which [`super::script`] writes and parses as
//! text; a fault's number is its place in the list. [`super::timeline`] turns it into steps.
//!
//! Every kind that was requested occurs. Calm and faulty stretches take turns. Some partitions turn
//! straight into another one: a server that was left behind then meets a cluster that has lost its
//! leader. Some faults of different kinds overlap, but never two of one kind. What a fault hits is
//! chosen when it begins, from the fault's own stream, because the leader is known only then.

use super::RequestedNemesis;
use workloads::Rng;

/// One fault: when it begins, its kind, its target and how long it lasts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScheduledFault {
    /// When it begins.
    pub when: When,
    /// The nemesis's name.
    pub kind: String,
    /// How it aims: a variant, or hosts by name.
    pub aim: String,
    /// How long it lasts, in milliseconds.
    pub for_ms: u64,
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
pub type Schedule = Vec<ScheduledFault>;

/// Of 100 partitions, how many turn into the next one without healing in between.
const CHAINED_PERCENT: u64 = 50;
/// Of 100 of those, how many cut off the leader: a replica that lags then joins a cluster that must
/// elect.
const LEADER_NEXT_PERCENT: u64 = 60;
/// The variant that hits the leader, in every nemesis that has one.
const LEADER: &str = "leader";
/// Of 100 faults, how many are joined by one of another kind.
const OVERLAP_PERCENT: u64 = 30;
/// A fault that joins another one lasts at least this long.
const MIN_OVERLAP_MS: u64 = 600;
/// The main phase that a kind of fault needs at full length: the fault and the calm after it.
const ROOM_PER_KIND_MS: u64 = 6_000;
/// What the calm at the beginning and the last fault need besides.
const ROOM_AT_THE_ENDS_MS: u64 = 3_500;

/// Plans a run on so many hosts whose main phase lasts `limit_ms`.
pub fn plan_schedule(
    requested: &[RequestedNemesis],
    hosts: usize,
    limit_ms: u64,
    rng: &Rng,
) -> Schedule {
    if requested.is_empty() {
        return Vec::new();
    }
    let mut planner = Planner::new(requested, hosts, limit_ms, rng);
    planner.plan_main_phase();
    planner.into_schedule()
}

/// One fault with its times, before faults are sorted into steps.
struct Interval<'a> {
    begin_ms: u64,
    end_ms: u64,
    requested: &'a RequestedNemesis,
    variant: String,
}

struct Planner<'a> {
    requested: &'a [RequestedNemesis],
    hosts: usize,
    limit_ms: u64,
    rng: Rng,
    now_ms: u64,
    /// Kinds that still have to get their first turn.
    due: Vec<&'a RequestedNemesis>,
    intervals: Vec<Interval<'a>>,
}

impl<'a> Planner<'a> {
    fn new(requested: &'a [RequestedNemesis], hosts: usize, limit_ms: u64, rng: &Rng) -> Self {
        let mut rng = rng.fork("schedule");
        let mut due: Vec<&RequestedNemesis> = requested.iter().collect();
        rng.shuffle(&mut due);
        Self { requested, hosts, limit_ms, rng, now_ms: 0, due, intervals: Vec::new() }
    }

    fn plan_main_phase(&mut self) {
        self.advance(1_000, 2_000);
        while self.now_ms < self.last_begin_ms() {
            self.plan_stretch();
            self.advance(700, 2_000);
        }
    }

    /// The last moment at which a fault may begin: it has to last a while and to end in time.
    fn last_begin_ms(&self) -> u64 {
        self.limit_ms.saturating_sub(self.scale(1_500))
    }

    /// A faulty stretch: one fault or several that turn into each other, perhaps joined by another
    /// kind.
    fn plan_stretch(&mut self) {
        let requested = self.choose_kind();
        let begin_ms = self.now_ms;
        let variant = self.choose_variant(requested);
        self.add_fault(requested, variant);
        while self.may_chain(requested) && self.rng.percent_chance(CHAINED_PERCENT) {
            let variant = self.choose_next_variant(requested);
            self.add_fault(requested, variant);
        }
        if self.rng.percent_chance(OVERLAP_PERCENT) {
            self.add_overlap(requested, begin_ms);
        }
    }

    fn may_chain(&self, requested: &RequestedNemesis) -> bool {
        requested.nemesis.can_chain() && self.due.is_empty() && self.now_ms < self.last_begin_ms()
    }

    /// Appends a fault that begins now, and moves on to its end.
    fn add_fault(&mut self, requested: &'a RequestedNemesis, variant: String) {
        let begin_ms = self.now_ms;
        let (low, high) = requested.nemesis.duration_ms();
        self.advance(low, high);
        self.now_ms = self.now_ms.min(self.limit_ms);
        self.intervals.push(Interval { begin_ms, end_ms: self.now_ms, requested, variant });
    }

    /// Adds a fault of another kind that begins within the stretch since `begin_ms` and ends with
    /// it or before.
    fn add_overlap(&mut self, first: &'a RequestedNemesis, begin_ms: u64) {
        let others: Vec<&RequestedNemesis> = self
            .requested
            .iter()
            .filter(|other| other.nemesis.name() != first.nemesis.name())
            .collect();
        let Some(other) = self.rng.choose(&others).copied() else { return };
        // Long enough to be seen: at least the last part of the stretch, or all of a short one.
        let min_ms = self.scale(MIN_OVERLAP_MS).min(self.now_ms - begin_ms);
        let begin_ms = self.rng.between(begin_ms, self.now_ms - min_ms + 1);
        let end_ms = self.rng.between(begin_ms + min_ms, self.now_ms + 1);
        let variant = self.choose_variant(other);
        self.intervals.push(Interval { begin_ms, end_ms, requested: other, variant });
    }

    fn choose_kind(&mut self) -> &'a RequestedNemesis {
        self.due.pop().unwrap_or_else(|| {
            let pick = self.rng.below(self.requested.len() as u64) as usize;
            &self.requested[pick]
        })
    }

    /// The variant of a fault that another one of its kind turns into.
    fn choose_next_variant(&mut self, requested: &RequestedNemesis) -> String {
        let variant = self.choose_variant(requested);
        let can = requested.usable_variants(self.hosts).iter().any(|name| name == LEADER);
        if can && self.rng.percent_chance(LEADER_NEXT_PERCENT) {
            LEADER.to_owned()
        } else {
            variant
        }
    }

    fn choose_variant(&mut self, requested: &RequestedNemesis) -> String {
        let variants = requested.usable_variants(self.hosts);
        self.rng.choose(&variants).cloned().unwrap_or_default()
    }

    fn advance(&mut self, low_ms: u64, high_ms: u64) {
        let wait_ms = self.rng.between(low_ms, high_ms);
        self.now_ms += self.scale(wait_ms);
    }

    /// Shorter where the main phase is too short for every kind to get its turn.
    fn scale(&self, wait_ms: u64) -> u64 {
        let room_ms = ROOM_AT_THE_ENDS_MS + ROOM_PER_KIND_MS * self.requested.len() as u64;
        (wait_ms * self.limit_ms.min(room_ms) / room_ms).max(1)
    }

    fn into_schedule(mut self) -> Schedule {
        self.intervals.sort_by_key(|interval| interval.begin_ms);
        let entry = |interval: Interval<'_>| ScheduledFault {
            when: When::At(interval.begin_ms),
            kind: interval.requested.nemesis.name().to_owned(),
            aim: interval.variant,
            for_ms: interval.end_ms - interval.begin_ms,
        };
        self.intervals.into_iter().map(entry).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse_request;
    use super::super::timeline::{Step, Timeline};
    use super::*;
    use std::collections::{BTreeMap, BTreeSet};

    fn plan_for_seed(text: &str, limit_ms: u64, seed: u64) -> Schedule {
        let requested = parse_request(text).expect("these nemeses exist");
        plan_schedule(&requested, 5, limit_ms, &Rng::new(seed))
    }

    fn list_steps(schedule: &Schedule) -> Vec<Step> {
        let mut timeline = Timeline::new(schedule);
        std::iter::from_fn(|| timeline.take_due(u64::MAX)).collect()
    }

    #[test]
    fn a_seed_decides_the_schedule() {
        assert_eq!(
            plan_for_seed("partition,kill", 30_000, 1),
            plan_for_seed("partition,kill", 30_000, 1)
        );
        assert_ne!(
            plan_for_seed("partition,kill", 30_000, 1),
            plan_for_seed("partition,kill", 30_000, 2)
        );
    }

    #[test]
    fn every_kind_occurs_however_short_the_run() {
        for (limit_ms, seed) in
            [3_000, 8_000, 30_000].into_iter().flat_map(|l| (0..50).map(move |s| (l, s)))
        {
            let kinds: BTreeSet<String> = plan_for_seed("partition,kill,pause", limit_ms, seed)
                .iter()
                .map(|entry| entry.kind.clone())
                .collect();
            assert_eq!(kinds.len(), 3, "{limit_ms} ms, seed {seed}: {kinds:?}");
        }
    }

    #[test]
    fn faults_end_within_the_main_phase_and_two_of_a_kind_never_overlap() {
        for seed in 0..200 {
            let mut active = BTreeMap::new();
            for step in list_steps(&plan_for_seed("partition,kill,pause", 30_000, seed)) {
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
        let chained =
            (0..20).flat_map(|seed| list_steps(&plan_for_seed("partition", 60_000, seed)));
        let chained = chained.filter(|step| !step.begin.is_empty() && !step.end.is_empty()).count();
        assert!(chained > 20, "{chained}");
    }

    #[test]
    fn a_named_variant_is_the_only_one() {
        let schedule = plan_for_seed("partition:leader", 60_000, 1);
        assert!(schedule.iter().all(|entry| entry.aim == "leader"));
    }

    #[test]
    fn no_request_is_no_schedule() {
        assert_eq!(plan_for_seed("none", 30_000, 1), Vec::new());
    }
}
