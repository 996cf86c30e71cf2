//! The states of a member's process. Pure.
//!
//! ```text
//!             pause                      kill (or an exit under a fault)
//!   Paused <---------- Running ------------------------------------------> Down
//!      |     resume       |                                                 |
//!      +----------------> |  exits by itself            restart             |
//!                         +-----------------> Crashed ----------> Running <-+
//! ```

use std::fmt;
use std::time::{Duration, Instant};
use testbed::host::process::ProcessExit;

/// How long a replica that exited by itself stays down before it is restarted.
const RESTART_DELAY: Duration = Duration::from_millis(500);
/// How often it is restarted. One that cannot run must not fill the verdict with exits.
pub(super) const MAX_RESTARTS: u32 = 2;

/// What a member's process does, as far as the harness has caused or noticed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Process {
    /// It runs, unless it has just exited by itself.
    Running,
    /// It is stopped by SIGSTOP; with a time, until then.
    Paused {
        /// When the supervisor resumes it. Without a time, the fault that paused it does.
        until: Option<Instant>,
    },
    /// It has ended, and is restarted by what ended it.
    Down {
        /// What ended it.
        by: DownCause,
    },
    /// It exited by itself, and that was reported.
    Crashed {
        /// How.
        exit: ProcessExit,
        /// When that was noticed.
        at: Instant,
    },
}

/// Why a process is down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum DownCause {
    /// A fault of this nemesis killed it.
    Fault(&'static str),
    /// It exited because of what its disk had refused, within [`super::DISK_FAULT_GRACE`].
    DiskGrace,
}

/// What the supervisor has to do to a process now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DueAction {
    /// Its pause is over.
    Resume,
    /// It exited because of a disk fault that is over.
    Restart,
    /// It exited by itself long enough ago.
    Revive,
}

impl Process {
    /// What is due after the process has been restarted `restarts` times by the supervisor.
    pub(super) fn due_action(&self, restarts: u32, now: Instant) -> Option<DueAction> {
        match *self {
            Self::Paused { until: Some(until) } if until <= now => Some(DueAction::Resume),
            Self::Down { by: DownCause::DiskGrace } => Some(DueAction::Restart),
            Self::Crashed { at, .. } => {
                let due = restarts < MAX_RESTARTS && now.duration_since(at) > RESTART_DELAY;
                due.then_some(DueAction::Revive)
            }
            Self::Running | Self::Paused { .. } | Self::Down { .. } => None,
        }
    }
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Running => f.write_str("running"),
            Self::Paused { .. } => f.write_str("paused"),
            Self::Down { by: DownCause::Fault(name) } => write!(f, "down ({name})"),
            Self::Down { by: DownCause::DiskGrace } => f.write_str("down (disk fault)"),
            Self::Crashed { exit, .. } => write!(f, "crashed ({exit})"),
        }
    }
}
