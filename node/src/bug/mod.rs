//! Registers the seeded bugs, with which the harness is tested: `node --unsafe NAME`.
//!
//! Each is a plausible mistake of an implementation, behind a guard `has_bug(Bug::…)` at the very
//! line that it breaks. All are compiled in always, and off unless the configuration names them.
//! While any bug is on, a follower accepts entries that contradict committed ones, so that the
//! damage becomes visible.
//!
//! Each area has a file with one [`BugRow`] for each bug: what it breaks, where, by what it can be
//! seen, and what a test needs to meet it. [`Variation`]s are the control group: they change what a
//! replica does, and break nothing.

mod bug_id;
mod clients;
mod column;
mod commit;
mod elections;
mod liveness;
mod membership;
mod persistence;
mod reads;
mod replication;
mod row;
mod snapshots;
mod switches;
mod variation;

pub use bug_id::Bug;
pub use column::{Area, Fault, Load, Place, SeenBy, Setting, SimGap};
pub use row::BugRow;
pub use switches::{Switch, Switches};
pub use variation::{VARIATIONS, Variation, VariationRow};

/// The bugs that are switched on.
pub type BugSet = Switches<Bug>;
/// The variations that are switched on.
pub type VariationSet = Switches<Variation>;

/// Every area and its bugs.
const AREAS: [(Area, &[BugRow]); 9] = [
    (Area::Elections, elections::ROWS),
    (Area::Replication, replication::ROWS),
    (Area::Commit, commit::ROWS),
    (Area::Reads, reads::ROWS),
    (Area::Persistence, persistence::ROWS),
    (Area::Snapshots, snapshots::ROWS),
    (Area::Membership, membership::ROWS),
    (Area::Clients, clients::ROWS),
    (Area::Liveness, liveness::ROWS),
];

/// Returns the row of every bug, and its area.
pub fn all_bugs() -> impl Iterator<Item = (Area, &'static BugRow)> {
    AREAS.iter().flat_map(|(area, rows)| rows.iter().map(|row| (*area, row)))
}

impl Bug {
    /// Returns its kebab-case name on the command line.
    pub fn name(self) -> &'static str {
        all_bugs().find(|(_, row)| row.bug == self).map_or("", |(_, row)| row.name)
    }

    /// Returns the bug with that name.
    pub fn from_name(name: &str) -> Option<Self> {
        all_bugs().find(|(_, row)| row.name == name).map(|(_, row)| row.bug)
    }
}

#[cfg(test)]
pub(crate) mod tests;
