//! What the nemesis reports to the run, as types. They become text where history, view and record
//! are written.

use super::UnexpectedExit;
use records::record::{FaultRecord, FaultState, ReplicaExit};
use testbed::net::plan::HostId;

/// Something that happened to the cluster.
#[derive(Debug)]
pub(crate) enum NemesisEvent {
    /// A fault is on.
    FaultBegan {
        /// Its number.
        id: u32,
        /// The nemesis's name.
        kind: String,
        /// The variant or the hosts that were asked for.
        variant: String,
        /// Its target, as text.
        target: String,
    },
    /// A fault is over, or was skipped.
    FaultEnded(FaultOutcome),
    /// A replica exited, and no fault explains it.
    ReplicaExited(UnexpectedExit),
    /// That replica was restarted.
    ReplicaRestarted(HostId),
}

/// What became of a planned fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FaultOutcome {
    /// Its number in the schedule, from 1.
    pub(crate) id: u32,
    /// The nemesis's name.
    pub(crate) kind: String,
    /// The variant or the hosts that were asked for.
    pub(crate) variant: String,
    /// Its target, as text.
    pub(crate) target: String,
    /// The hosts whose replica it acted on.
    pub(crate) hosts: Vec<HostId>,
    /// The directed links that it cut.
    pub(crate) cut: Vec<(HostId, HostId)>,
    /// The hosts that could still form a majority while it lasted; empty where none could.
    pub(crate) majority: Vec<HostId>,
    /// When it was fully applied and when it began to be undone, in nanoseconds since the run
    /// began; `None` if it never began.
    pub(crate) span: Option<(u64, u64)>,
    /// Whether it was confirmed.
    pub(crate) state: FaultState,
    /// What was sampled, or why it was skipped.
    pub(crate) evidence: String,
}

impl UnexpectedExit {
    /// The same, in the form of `verdict.json`.
    pub(crate) fn to_record(&self) -> ReplicaExit {
        let (replica, how) = (self.host.to_string(), self.exit.to_string());
        ReplicaExit { replica, how, log: self.log.clone() }
    }
}

impl FaultOutcome {
    /// The same, in the form of `verdict.json`.
    pub(crate) fn into_record(self) -> FaultRecord {
        let names = |hosts: Vec<HostId>| hosts.iter().map(ToString::to_string).collect();
        let cut = self.cut.iter().map(|(from, to)| (from.to_string(), to.to_string()));
        FaultRecord {
            id: self.id,
            kind: self.kind,
            variant: self.variant,
            target: self.target,
            cut: cut.collect(),
            hosts: names(self.hosts),
            majority: names(self.majority),
            started: self.span.map(|(started, _)| started),
            ended: self.span.map(|(_, ended)| ended),
            state: self.state,
            evidence: self.evidence,
        }
    }
}
