//! Registers harmless variations: replicas with one behave differently, and as correctly as without
//! it. A checker that convicts one raises a false alarm.

use super::switches::Switch;

/// A harmless variation that can be switched on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "its row in VARIATIONS describes it")]
pub enum Variation {
    DeliverSingly,
    ExtraNoops,
    LinearBacktracking,
    NoPreVote,
    RefuseVotes,
    RepeatHeartbeats,
    SnapshotOften,
    StepDownOften,
}

/// A variation in the registry.
#[derive(Clone, Copy, Debug)]
pub struct VariationRow {
    /// The variation.
    pub variation: Variation,
    /// Its kebab-case name.
    pub name: &'static str,
    /// What it changes, in a sentence.
    pub doc: &'static str,
}

const fn row(variation: Variation, name: &'static str, doc: &'static str) -> VariationRow {
    VariationRow { variation, name, doc }
}

/// Every variation, ordered by name.
pub const VARIATIONS: &[VariationRow] = &[
    row(
        Variation::DeliverSingly,
        "deliver-singly",
        "a step of the core delivers a single committed entry, however many wait",
    ),
    row(
        Variation::ExtraNoops,
        "extra-noops",
        "a leader appends entries without effect among those of clients",
    ),
    row(
        Variation::LinearBacktracking,
        "linear-backtracking",
        "a leader looks for the last common entry one index at a time, if it is near",
    ),
    row(
        Variation::NoPreVote,
        "no-pre-vote",
        "a replica campaigns without asking first whether it could win",
    ),
    row(
        Variation::RefuseVotes,
        "refuse-votes",
        "a replica refuses every fifth vote that it could give",
    ),
    row(Variation::RepeatHeartbeats, "repeat-heartbeats", "a leader sends each heartbeat twice"),
    row(
        Variation::SnapshotOften,
        "snapshot-often",
        "a replica takes a snapshot after every ten entries",
    ),
    row(
        Variation::StepDownOften,
        "step-down-often",
        "a leader steps down every few seconds for no reason",
    ),
];

impl Switch for Variation {
    fn bit(self) -> u32 {
        self as u32
    }
}

impl Variation {
    /// Returns its kebab-case name on the command line.
    pub fn name(self) -> &'static str {
        VARIATIONS.iter().find(|row| row.variation == self).map_or("", |row| row.name)
    }

    /// Returns the variation with that name.
    pub fn from_name(name: &str) -> Option<Self> {
        VARIATIONS.iter().find(|row| row.name == name).map(|row| row.variation)
    }
}
