//! Defines the row of a bug in the registry.

use super::bug_id::Bug;
use super::column::{Fault, Load, Place, SeenBy, Setting, SimGap};

/// A bug, and what a test has to do with it.
#[derive(Clone, Copy, Debug)]
pub struct BugRow {
    /// The bug.
    pub bug: Bug,
    /// Its kebab-case name.
    pub name: &'static str,
    /// What it breaks, in a sentence.
    pub doc: &'static str,
    /// Where it is.
    pub place: Place,
    /// By what it can be seen.
    pub seen_by: SeenBy,
    /// The faults of which one is needed; none: it shows without faults.
    pub faults: &'static [Fault],
    /// The workloads of which one is needed; none: any workload shows it.
    pub loads: &'static [Load],
    /// The settings that are all needed.
    pub settings: &'static [Setting],
    /// What the simulator lacks; none: it can show the bug.
    pub sim_gaps: &'static [SimGap],
}

impl BugRow {
    /// A bug of the core or the runtime that clients can see without a fault, in any workload.
    pub(super) const fn new(bug: Bug, name: &'static str, doc: &'static str) -> Self {
        Self {
            bug,
            name,
            doc,
            place: Place::Core,
            seen_by: SeenBy::Client,
            faults: &[],
            loads: &[],
            settings: &[],
            sim_gaps: &[],
        }
    }

    pub(super) const fn place(self, place: Place) -> Self {
        Self { place, ..self }
    }

    pub(super) const fn seen_by(self, seen_by: SeenBy) -> Self {
        Self { seen_by, ..self }
    }

    pub(super) const fn faults(self, faults: &'static [Fault]) -> Self {
        Self { faults, ..self }
    }

    pub(super) const fn loads(self, loads: &'static [Load]) -> Self {
        Self { loads, ..self }
    }

    pub(super) const fn settings(self, settings: &'static [Setting]) -> Self {
        Self { settings, ..self }
    }

    pub(super) const fn sim_gaps(self, sim_gaps: &'static [SimGap]) -> Self {
        Self { sim_gaps, ..self }
    }
}
