//! Names the regimes that faults are drawn from, and cuts a run into phases of them. Pure.
//!
//! A [`Regime`] says how faults follow each other. A [`Pace`] is what a run asks for: a regime, or
//! phases of several with recovery between. One regime = one line in [`REGIMES`].

use std::fmt;
use workloads::Rng;

/// How faults follow each other.
#[derive(Debug)]
pub struct Regime {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it does, in a sentence.
    pub doc: &'static str,
    /// Its numbers; `None` for stretches of faults that take turns with calm.
    pub(super) tempo: Option<Tempo>,
}

/// The numbers of a regime. All ranges are: at least, and less than.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tempo {
    /// How many faults make a burst.
    pub(super) burst: (u64, u64),
    /// From one start to the next within a burst, in milliseconds.
    pub(super) stagger_ms: (u64, u64),
    /// From the last start of a burst to the next burst, in milliseconds.
    pub(super) interval_ms: (u64, u64),
    /// That counts from the end of the last fault, so that bursts do not overlap.
    pub(super) counts_from_end: bool,
    /// How long a fault lasts, in milliseconds.
    pub(super) duration_ms: (u64, u64),
}

/// Many faults at once, then time to recover.
const BURSTS: Regime = Regime {
    name: "bursts",
    doc: "three to six faults within about two seconds, then 4 to 7 s without any",
    tempo: Some(Tempo {
        burst: (3, 7),
        stagger_ms: (100, 700),
        interval_ms: (4_000, 7_000),
        counts_from_end: true,
        duration_ms: (500, 2_000),
    }),
};

/// What every run had before there were regimes.
const CALM: Regime = Regime {
    name: "calm",
    doc: "one fault of 0.7 to 4 s or a few, then 0.7 to 2 s without any",
    tempo: None,
};

/// More elections than a calm run meets.
const DENSE: Regime = Regime {
    name: "dense",
    doc: "faults of 0.3 to 1.2 s, one every 1 to 2 s, half of them at the leader; some overlap",
    tempo: Some(Tempo {
        burst: (1, 2),
        stagger_ms: (0, 1),
        interval_ms: (1_000, 2_000),
        counts_from_end: false,
        duration_ms: (300, 1_200),
    }),
};

/// Time for slow failovers. The rest is longer than what the check of progress asks for.
const LONG: Regime = Regime {
    name: "long",
    doc: "one fault of 8 to 20 s at a time, 5 to 7 s apart: time for slow failovers",
    tempo: Some(Tempo {
        burst: (1, 2),
        stagger_ms: (0, 1),
        interval_ms: (5_200, 7_000),
        counts_from_end: true,
        duration_ms: (8_000, 20_000),
    }),
};

/// Every regime, in order of name.
pub const REGIMES: &[&Regime] = &[&BURSTS, &CALM, &DENSE, &LONG];

/// Phases of several regimes.
const MIXED: &str = "mixed";

/// From this length on, a mixed run has long phases.
const LONG_FROM_MS: u64 = 60_000;
/// A shorter mixed run has shorter phases, so that it has one of each regime.
const FULL_PHASES_MS: u64 = 24_000;
/// How long the phases of a mixed run last, and the recovery before each.
const DENSE_PHASE_MS: (u64, u64) = (6_000, 10_000);
const CALM_PHASE_MS: (u64, u64) = (8_000, 12_000);
const LONG_PHASE_MS: (u64, u64) = (8_000, 20_000);
const RECOVERY_MS: (u64, u64) = (2_500, 4_000);
/// A long partition is checked for progress only if no fault ended less than 5 s before.
const RECOVERY_BEFORE_LONG_MS: (u64, u64) = (5_200, 6_500);
/// The main phase that a mixed run needs at full length: for its phases, and for each kind.
const MIXED_ROOM_MS: u64 = 12_000;
const MIXED_ROOM_PER_KIND_MS: u64 = 3_000;

/// A stretch of the main phase with one regime.
#[derive(Clone, Copy, Debug)]
pub(super) struct RegimePhase {
    pub(super) regime: &'static Regime,
    pub(super) from_ms: u64,
    pub(super) to_ms: u64,
}

/// What a run asks for: which regimes, and the numbers that replace theirs.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// `None`: phases of several.
    regime: Option<&'static Regime>,
    /// From one start to the next, in milliseconds.
    pub(super) interval_ms: Option<u64>,
    /// How long a fault lasts, in milliseconds.
    pub(super) duration_ms: Option<u64>,
}

/// Every word that `--pace` accepts.
pub fn list_paces() -> Vec<&'static str> {
    let mut names: Vec<&str> = REGIMES.iter().map(|regime| regime.name).collect();
    names.push(MIXED);
    names.sort_unstable();
    names
}

impl Pace {
    /// The pace of that name.
    pub fn find(name: &str) -> Option<Self> {
        let regime = REGIMES.iter().copied().find(|regime| regime.name == name);
        (regime.is_some() || name == MIXED).then_some(Self {
            regime,
            interval_ms: None,
            duration_ms: None,
        })
    }

    /// The same with these numbers instead of its own.
    #[must_use]
    pub fn with_numbers(self, interval_ms: Option<u64>, duration_ms: Option<u64>) -> Self {
        Self { interval_ms, duration_ms, ..self }
    }

    /// The stream of a run's schedule. Workload and system take part, so that they meet different
    /// faults with one seed; not in calm runs, whose schedules are older than that.
    pub(super) fn schedule_rng(&self, rng: &Rng, system: &str, workload: &str) -> Rng {
        let rng = rng.fork("schedule");
        if self.is_calm() { rng } else { rng.fork(&format!("{self} {system} {workload}")) }
    }

    /// Whether all of the run is calm: then its schedule is what it was before there were others.
    pub(super) fn is_calm(&self) -> bool {
        self.regime.is_some_and(|regime| regime.tempo.is_none())
    }

    /// The phases of a main phase of that length, in order.
    pub(super) fn split_phases(&self, limit_ms: u64, rng: &mut Rng) -> Vec<RegimePhase> {
        match self.regime {
            Some(regime) => vec![RegimePhase { regime, from_ms: 0, to_ms: limit_ms }],
            None => mix_phases(limit_ms, rng),
        }
    }

    /// The length of a main phase in which so many kinds get their turn at full length.
    pub(super) fn needed_ms(&self, kinds: u64) -> u64 {
        match self.regime.map(|regime| regime.tempo) {
            None => MIXED_ROOM_MS + MIXED_ROOM_PER_KIND_MS * kinds,
            Some(None) => 3_500 + 6_000 * kinds,
            Some(Some(tempo)) => tempo.needed_ms(kinds),
        }
    }
}

impl fmt::Display for Pace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.regime.map_or(MIXED, |regime| regime.name))
    }
}

impl Tempo {
    fn needed_ms(&self, kinds: u64) -> u64 {
        let middle = |(low, high): (u64, u64)| (low + high) / 2;
        let rest_ms = middle(self.interval_ms) + self.burst.0 * middle(self.stagger_ms);
        let turn_ms = match self.counts_from_end {
            true => rest_ms + middle(self.duration_ms),
            false => rest_ms,
        };
        2_000 + turn_ms * kinds.div_ceil(self.burst.0)
    }
}

/// Calm and dense phases in turn, and long ones where there is time, with recovery between.
fn mix_phases(limit_ms: u64, rng: &mut Rng) -> Vec<RegimePhase> {
    let mut turns = vec![(&CALM, CALM_PHASE_MS), (&DENSE, DENSE_PHASE_MS)];
    rng.shuffle(&mut turns);
    if limit_ms >= LONG_FROM_MS {
        turns.push((&LONG, LONG_PHASE_MS));
    }
    let scale = |ms: u64| ms * limit_ms.min(FULL_PHASES_MS) / FULL_PHASES_MS;
    let mut phases: Vec<RegimePhase> = Vec::new();
    let mut from_ms = 0;
    for (regime, (low, high)) in turns.into_iter().cycle() {
        let is_long = regime.name == LONG.name;
        if let Some(last) = phases.last() {
            let recovery = if is_long { RECOVERY_BEFORE_LONG_MS } else { RECOVERY_MS };
            from_ms = last.to_ms + scale(rng.between(recovery.0, recovery.1));
        }
        let to_ms = (from_ms + scale(rng.between(low, high))).min(limit_ms);
        if is_long && to_ms < from_ms + low {
            continue;
        }
        // What is left at the end may be too short for a phase of its own.
        if !phases.is_empty() && to_ms < from_ms + scale(low / 2) {
            break;
        }
        phases.push(RegimePhase { regime, from_ms, to_ms });
    }
    phases
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regimes_are_sorted_and_explained_and_every_pace_is_found() {
        assert!(REGIMES.windows(2).all(|pair| pair[0].name < pair[1].name));
        assert!(REGIMES.iter().all(|regime| regime.doc.len() > 20));
        for name in list_paces() {
            let pace = Pace::find(name).expect("it is listed");
            assert_eq!(pace.to_string(), name);
        }
        assert!(Pace::find("hectic").is_none());
    }

    fn mixed_phases(limit_ms: u64, seed: u64) -> Vec<RegimePhase> {
        let pace = Pace::find(MIXED).expect("it exists");
        pace.split_phases(limit_ms, &mut Rng::new(seed))
    }

    #[test]
    fn a_mixed_run_has_calm_and_dense_phases_with_recovery_between() {
        for (limit_ms, seed) in
            [10_000, 15_000, 30_000, 59_000].into_iter().flat_map(|l| (0..100).map(move |s| (l, s)))
        {
            let phases = mixed_phases(limit_ms, seed);
            let names: Vec<&str> = phases.iter().map(|phase| phase.regime.name).collect();
            let context = format!("{limit_ms} ms, seed {seed}: {names:?}");
            assert!(names.contains(&"calm") && names.contains(&"dense"), "{context}");
            assert!(!names.contains(&"long"), "{context}");
            let least_ms = RECOVERY_MS.0 * limit_ms.min(FULL_PHASES_MS) / FULL_PHASES_MS;
            assert!(
                phases.windows(2).all(|pair| pair[1].from_ms >= pair[0].to_ms + least_ms),
                "{context}"
            );
            assert!(phases.iter().all(|phase| phase.to_ms <= limit_ms), "{context}");
        }
    }

    #[test]
    fn a_mixed_run_of_a_minute_has_a_long_phase_after_enough_recovery() {
        for seed in 0..100 {
            let phases = mixed_phases(LONG_FROM_MS, seed);
            let long: Vec<_> =
                phases.windows(2).filter(|pair| pair[1].regime.name == "long").collect();
            assert_eq!(long.len(), 1, "seed {seed}");
            assert!(long[0][1].from_ms >= long[0][0].to_ms + 5_000, "seed {seed}");
            assert!(long[0][1].to_ms >= long[0][1].from_ms + 8_000, "seed {seed}");
        }
    }
}
