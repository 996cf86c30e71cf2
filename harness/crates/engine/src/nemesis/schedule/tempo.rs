//! Plans the phases of regimes with a tempo: faults whose starts are counted, whatever else is on.
//! Pure.

use super::planner::{Interval, Planner};
use crate::nemesis::RequestedNemesis;
use crate::nemesis::regime::{RegimePhase, Tempo};

/// Of 100 faults that can aim at the leader, how many must.
const LEADER_PERCENT: u64 = 50;
/// Between two faults of a kind.
const GAP_MS: u64 = 20;
/// A fault that the end of its phase would cut shorter than this, or than its regime wants, is left
/// out.
const MIN_MS: u64 = 500;
/// How long a fault lasts that only the end of the planning had room for.
const MISSING_MS: (u64, u64) = (500, 1_200);

impl<'a> Planner<'a> {
    pub(super) fn plan_tempo(&mut self, tempo: &Tempo) {
        if self.now_ms == 0 {
            self.advance(1_000, 2_000);
        }
        loop {
            let mut begin_ms = self.now_ms;
            let mut end_ms = begin_ms;
            for _ in 0..self.rng.between(tempo.burst.0, tempo.burst.1) {
                let Some(placed) = self.place_fault(tempo) else { return };
                (begin_ms, end_ms) = (placed.0, end_ms.max(placed.1));
                self.now_ms = begin_ms + self.draw_scaled(tempo.stagger_ms);
            }
            self.now_ms = match self.draw_number(self.pace.interval_ms) {
                Some(interval_ms) if tempo.counts_from_end => {
                    (end_ms + GAP_MS).max(begin_ms + interval_ms)
                }
                Some(interval_ms) => begin_ms + interval_ms,
                None if tempo.counts_from_end => end_ms + self.draw_scaled(tempo.interval_ms),
                None => begin_ms + self.draw_scaled(tempo.interval_ms),
            };
        }
    }

    /// Places a fault that begins now, or as soon as one of its kind may; returns its times. `None`
    /// where the phase has no room for it.
    fn place_fault(&mut self, tempo: &Tempo) -> Option<(u64, u64)> {
        let (requested, begin_ms) = self.choose_free_kind()?;
        let duration_ms = self.draw_duration(tempo.duration_ms);
        let least_ms = match self.pace.duration_ms {
            Some(_) => duration_ms.min(MIN_MS),
            None => self.scale(tempo.duration_ms.0),
        };
        if begin_ms + least_ms > self.end_ms {
            return None;
        }
        self.due.retain(|due| due.nemesis.name() != requested.nemesis.name());
        let end_ms = (begin_ms + duration_ms).min(self.end_ms);
        let variant = self.choose_aimed_variant(requested);
        self.intervals.push(Interval { begin_ms, end_ms, requested, variant });
        Some((begin_ms, end_ms))
    }

    /// A kind of which no fault is on, and when it begins: now, unless a fault of every kind is on.
    fn choose_free_kind(&mut self) -> Option<(&'a RequestedNemesis, u64)> {
        let free_ms = |planner: &Self, one: &RequestedNemesis| {
            let same = planner.intervals.iter();
            let same = same.filter(|other| other.requested.nemesis.name() == one.nemesis.name());
            let end_ms = same.map(|other| other.end_ms + GAP_MS).max().unwrap_or(0);
            end_ms.max(planner.now_ms)
        };
        if let Some(due) = self.due.last() {
            return Some((*due, free_ms(self, due)));
        }
        let free: Vec<_> = self.requested.iter().map(|one| (one, free_ms(self, one))).collect();
        let first_ms = free.iter().map(|(_, at_ms)| *at_ms).min()?;
        let first: Vec<_> = free.into_iter().filter(|(_, at_ms)| *at_ms == first_ms).collect();
        self.rng.choose(&first).copied()
    }

    /// A variant that hits the leader in half of all cases, where there is one.
    fn choose_aimed_variant(&mut self, requested: &RequestedNemesis) -> String {
        let aims = requested.leader_aims(self.hosts);
        let aimed = self.rng.percent_chance(LEADER_PERCENT).then(|| self.rng.choose(&aims));
        match aimed.flatten() {
            Some(aim) => aim.clone(),
            None => self.choose_variant(requested),
        }
    }

    /// Gives the kinds that had no turn a fault of their own somewhere: without one the run could
    /// not be valid.
    pub(super) fn place_missing_kinds(&mut self, phases: &[RegimePhase]) {
        let mut missing = std::mem::take(&mut self.due);
        // One that joined a fault of another kind had its turn.
        missing.retain(|one| {
            let mut planned = self.intervals.iter().map(|other| other.requested.nemesis.name());
            planned.all(|name| name != one.nemesis.name())
        });
        for requested in missing {
            let Some(phase) = self.rng.choose(phases).copied() else { return };
            let length_ms = phase.to_ms - phase.from_ms;
            let duration_ms = self.draw_duration(MISSING_MS).clamp(1, length_ms.max(1));
            let last_ms = phase.to_ms.saturating_sub(duration_ms).max(phase.from_ms);
            let begin_ms = self.rng.between(phase.from_ms, last_ms + 1);
            let end_ms = begin_ms + duration_ms;
            let variant = self.choose_aimed_variant(requested);
            self.intervals.push(Interval { begin_ms, end_ms, requested, variant });
        }
    }
}
