//! Plans when each fault begins and ends, before the run, from configuration and seed. Pure.
//!
//! A [`Schedule`] is a list of [`ScheduledFault`]s, which [`super::script`] writes and parses as
//! text; a fault's number is its place in the list. [`super::timeline`] turns it into steps.
//!
//! Every kind that was requested occurs. In calm phases, calm and faulty stretches take turns, and
//! some partitions turn straight into another one: a server that was left behind then meets a
//! cluster that has lost its leader. Some faults of different kinds overlap, but never two of one
//! kind. What a fault hits is chosen when it begins, from the fault's own stream: only then is the
//! leader known.

mod planner;
mod tempo;

use super::RequestedNemesis;
use super::regime::Pace;
use planner::{Interval, Planner};
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

/// The run that a schedule is planned for.
#[derive(Clone, Copy, Debug)]
pub struct ScheduleContext<'a> {
    /// How many hosts it has.
    pub hosts: usize,
    /// How long its main phase lasts, in milliseconds.
    pub limit_ms: u64,
    /// How faults follow each other.
    pub pace: Pace,
    /// The system's name.
    pub system: &'a str,
    /// The workload's name.
    pub workload: &'a str,
}

/// Plans the faults of a run.
pub fn plan_schedule(
    requested: &[RequestedNemesis],
    context: &ScheduleContext<'_>,
    rng: &Rng,
) -> Schedule {
    if requested.is_empty() {
        return Vec::new();
    }
    let ScheduleContext { hosts, limit_ms, pace, system, workload } = *context;
    let rng = pace.schedule_rng(rng, system, workload);
    let mut planner = Planner::new(requested, hosts, limit_ms, pace, rng);
    planner.plan_phases();
    let mut intervals = planner.intervals;
    intervals.sort_by_key(|interval| interval.begin_ms);
    intervals.into_iter().map(schedule_interval).collect()
}

fn schedule_interval(interval: Interval<'_>) -> ScheduledFault {
    ScheduledFault {
        when: When::At(interval.begin_ms),
        kind: interval.requested.nemesis.name().to_owned(),
        aim: interval.variant,
        for_ms: interval.end_ms - interval.begin_ms,
    }
}

#[cfg(test)]
mod tests;
