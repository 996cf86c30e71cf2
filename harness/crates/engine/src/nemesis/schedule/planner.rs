//! Places the faults of a run, phase by phase. Pure.
//!
//! Calm phases are planned here, all others in [`super::tempo`]. Two faults of one kind never
//! overlap.

use crate::nemesis::RequestedNemesis;
use crate::nemesis::regime::{Pace, RegimePhase};
use workloads::Rng;

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

/// One fault with its times, before faults are sorted into a schedule.
pub(super) struct Interval<'a> {
    pub(super) begin_ms: u64,
    pub(super) end_ms: u64,
    pub(super) requested: &'a RequestedNemesis,
    pub(super) variant: String,
}

/// The faults planned so far, and the stream that decides the next one.
pub(super) struct Planner<'a> {
    pub(super) requested: &'a [RequestedNemesis],
    pub(super) hosts: usize,
    pub(super) pace: Pace,
    pub(super) rng: Rng,
    pub(super) now_ms: u64,
    /// The end of the phase that is being planned.
    pub(super) end_ms: u64,
    /// Durations shrink to `limit_ms / room_ms` where the main phase is too short for every kind.
    limit_ms: u64,
    room_ms: u64,
    /// Kinds that still have to get their first turn.
    pub(super) due: Vec<&'a RequestedNemesis>,
    pub(super) intervals: Vec<Interval<'a>>,
}

impl<'a> Planner<'a> {
    pub(super) fn new(
        requested: &'a [RequestedNemesis],
        hosts: usize,
        limit_ms: u64,
        pace: Pace,
        mut rng: Rng,
    ) -> Self {
        let mut due: Vec<&RequestedNemesis> = requested.iter().collect();
        rng.shuffle(&mut due);
        let room_ms = pace.needed_ms(requested.len() as u64);
        let (now_ms, end_ms, intervals) = (0, limit_ms, Vec::new());
        Self { requested, hosts, pace, rng, now_ms, end_ms, limit_ms, room_ms, due, intervals }
    }

    /// Plans all phases, and then what no phase had room for.
    pub(super) fn plan_phases(&mut self) {
        let phases = self.pace.split_phases(self.limit_ms, &mut self.rng);
        for RegimePhase { regime, from_ms, to_ms } in &phases {
            (self.now_ms, self.end_ms) = (*from_ms, *to_ms);
            match &regime.tempo {
                None => self.plan_stretches(),
                Some(tempo) => self.plan_tempo(tempo),
            }
        }
        if !self.pace.is_calm() {
            self.place_missing_kinds(&phases);
        }
    }

    /// Faulty stretches and calm in turn.
    fn plan_stretches(&mut self) {
        self.advance(1_000, 2_000);
        while self.now_ms < self.last_begin_ms() {
            let begin_ms = self.now_ms;
            self.plan_stretch();
            match self.draw_number(self.pace.interval_ms) {
                Some(interval_ms) => self.now_ms = (self.now_ms + 1).max(begin_ms + interval_ms),
                None => self.advance(700, 2_000),
            }
        }
    }

    /// The last moment at which a fault may begin: it has to last a while and to end in time.
    fn last_begin_ms(&self) -> u64 {
        self.end_ms.saturating_sub(self.scale(1_500))
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
        let duration_ms = self.draw_duration(requested.nemesis.duration_ms());
        self.now_ms = (self.now_ms + duration_ms).min(self.end_ms);
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

    pub(super) fn choose_variant(&mut self, requested: &RequestedNemesis) -> String {
        let variants = requested.usable_variants(self.hosts);
        self.rng.choose(&variants).cloned().unwrap_or_default()
    }

    pub(super) fn advance(&mut self, low_ms: u64, high_ms: u64) {
        self.now_ms += self.draw_scaled((low_ms, high_ms));
    }

    /// How long a fault lasts: as the user says, or else within this range.
    pub(super) fn draw_duration(&mut self, range: (u64, u64)) -> u64 {
        self.draw_number(self.pace.duration_ms).unwrap_or_else(|| self.draw_scaled(range))
    }

    /// About the number that the user gave: a quarter more or less.
    pub(super) fn draw_number(&mut self, given: Option<u64>) -> Option<u64> {
        given.map(|given| self.rng.between(given - given / 4, given + given / 4 + 1))
    }

    pub(super) fn draw_scaled(&mut self, (low_ms, high_ms): (u64, u64)) -> u64 {
        let drawn_ms = self.rng.between(low_ms, high_ms);
        self.scale(drawn_ms)
    }

    /// Shorter where the main phase is too short for every kind to get its turn.
    pub(super) fn scale(&self, wait_ms: u64) -> u64 {
        (wait_ms * self.limit_ms.min(self.room_ms) / self.room_ms).max(1)
    }
}
