//! One replica of the system under test, and the transitions of its process.
//!
//! Each transition refuses a state that it does not fit, so that two faults cannot act on one
//! process.

use super::links::Links;
use super::process::{DownCause, Process};
use super::replacement::Replacements;
use super::telemetry::Telemetry;
use crate::system::Program;
use anyhow::{Context as _, Result, bail};
use records::logs::ReplicaLogs;
use records::replica_log::ProcessState;
use std::path::PathBuf;
use std::time::Instant;
use testbed::host::clock::Skew;
use testbed::host::disk::Disk;
use testbed::host::process::{ProcessExit, Replica, Sample};
use testbed::net::Network;
use testbed::net::plan::HostId;
use tokio::task::block_in_place;

/// How a replica is started, now and after each of its ends.
pub(crate) struct Startup {
    /// The program.
    pub(crate) program: Program,
    /// Its data directory.
    pub(crate) data: PathBuf,
    /// Its log files.
    pub(crate) logs: ReplicaLogs,
    /// How a new replica joins on this host, where the system can change its members.
    pub(crate) replacements: Option<Replacements>,
}

/// A host's replica.
pub(crate) struct Member {
    host: HostId,
    pub(in super::super) startup: Startup,
    pub(in super::super) replica: Replica,
    /// What its data directory is on, where disks may fail. It must be dropped after the replica.
    disk: Option<Disk>,
    pub(super) process: Process,
    /// The nemesis whose fault acts on it now. Its exit is no unexpected one.
    held_by: Option<&'static str>,
    pub(super) exits: Exits,
    /// What the wall clock of its host is set to. A replica that is restarted gets it too.
    pub(super) skew: Option<Skew>,
    pub(in super::super) lasting: LastingEffects,
    telemetry: Telemetry,
}

/// The exits of a member that are still to be reported, and how often it was restarted after such a
/// one.
#[derive(Debug, Default)]
pub(in super::super) struct Exits {
    /// An exit that was noticed only when the process was to be killed or restarted.
    pub(super) missed: Option<ProcessExit>,
    /// How often the supervisor has restarted the replica after an unexpected exit.
    pub(super) restarts: u32,
}

/// Effects on a member that outlast the fault that caused them.
#[derive(Debug, Default)]
pub(in super::super) struct LastingEffects {
    /// Its disk was corrupted and could not be repaired. It may find that later, and stop.
    pub(in super::super) unrepaired: bool,
    /// Until when it may exit because of what its disk had refused.
    pub(in super::super) disk_grace: Option<Instant>,
    /// Whether it takes part.
    pub(in super::super) roster: Roster,
}

/// Whether a host's replica is a member of the system under test.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in super::super) enum Roster {
    /// It takes part.
    #[default]
    Member,
    /// Its removal was requested, and it is unknown whether it will happen.
    RemovalPending,
    /// It was removed, killed and emptied, and no replica has joined in its place yet.
    Removed,
}

impl Member {
    /// Starts a replica on its host.
    pub(crate) fn start(
        network: &Network,
        host: HostId,
        startup: Startup,
        disk: Option<Disk>,
    ) -> Result<Self> {
        let Program { path, args } = &startup.program;
        let replica = network.spawn_replica(host, path, args, &startup.logs.output)?;
        Ok(Self::new(host, startup, replica, disk))
    }

    pub(super) fn new(
        host: HostId,
        startup: Startup,
        replica: Replica,
        disk: Option<Disk>,
    ) -> Self {
        Self {
            host,
            startup,
            replica,
            disk,
            process: Process::Running,
            held_by: None,
            exits: Exits::default(),
            skew: None,
            lasting: LastingEffects::default(),
            telemetry: Telemetry::default(),
        }
    }

    /// Its host.
    pub(in super::super) fn host(&self) -> HostId {
        self.host
    }

    /// Whether it runs and no fault holds it.
    pub(in super::super) fn is_free(&self) -> bool {
        self.held_by.is_none() && self.process == Process::Running
    }

    /// Why it is not free; `None` if it is.
    pub(super) fn explain_busy(&self) -> Option<String> {
        let (host, process) = (self.host, &self.process);
        match self.held_by {
            Some(fault) => Some(format!("{host} was held by {fault}")),
            None if self.is_free() => None,
            None => Some(format!("the process of {host} was {process}")),
        }
    }

    /// Whether a fault acts on it.
    pub(super) fn is_held(&self) -> bool {
        self.held_by.is_some()
    }

    /// Whether its process has ended.
    pub(in super::super) fn has_exited(&mut self) -> bool {
        self.replica.poll_exit().is_some()
    }

    /// From now on an exit is an effect of that nemesis.
    pub(in super::super) fn hold(&mut self, by: &'static str) {
        self.held_by = Some(by);
    }

    /// From now on an exit is unexpected. A disk fault before excuses it for as long as if it had
    /// ended now.
    pub(in super::super) fn release(&mut self) {
        self.held_by = None;
        self.renew_disk_grace();
    }

    /// The disk under its data directory.
    pub(in super::super) fn disk(&self) -> Result<&Disk> {
        let disk = self.disk.as_ref();
        disk.with_context(|| format!("{} has no disk that can fail", self.host))
    }

    /// The same, to change what is on it.
    pub(in super::super) fn disk_mut(&mut self) -> Result<&mut Disk> {
        let disk = self.disk.as_mut();
        disk.with_context(|| format!("{} has no disk that can fail", self.host))
    }

    /// What the kernel reports of its process now.
    pub(in super::super) fn sample(&mut self) -> Result<Sample> {
        let sampled = self.replica.sample();
        sampled.with_context(|| format!("{} cannot be sampled", self.host))
    }

    /// Kills the process and waits until it is gone. One that had exited by itself is remembered as
    /// that.
    pub(in super::super) fn kill(&mut self, by: &'static str) -> Result<()> {
        let was_down = matches!(self.process, Process::Down { .. } | Process::Crashed { .. });
        self.kill_with(by, |replica, _| replica.kill())?;
        // It may have exited in the moment of the kill.
        let exit = self.replica.poll_exit().filter(|exit| !was_down && !exit.is_sigkill());
        self.record_missed_exit(exit);
        Ok(())
    }

    /// The same in another way than by a plain SIGKILL.
    pub(in super::super) fn kill_with(
        &mut self,
        by: &'static str,
        kill: impl FnOnce(&mut Replica, Option<&Disk>) -> Result<()>,
    ) -> Result<()> {
        if matches!(self.process, Process::Running | Process::Paused { .. }) {
            let exit = self.replica.poll_exit();
            self.record_missed_exit(exit);
        }
        self.hold(by);
        let killed = block_in_place(|| kill(&mut self.replica, self.disk.as_ref()));
        killed.with_context(|| format!("{} cannot be killed", self.host))?;
        self.process = Process::Down { by: DownCause::Fault(by) };
        self.report_life(ProcessState::Down);
        Ok(())
    }

    /// Starts the program again after its process has ended. No fault holds the new process.
    pub(super) fn restart(&mut self, links: &Links) -> Result<()> {
        if !self.has_exited() {
            bail!("{} cannot be restarted: its process is {}", self.host, self.process);
        }
        let Startup { program, logs, .. } = &self.startup;
        let started = block_in_place(|| links.spawn_replica(self.host, program, &logs.output));
        self.replica = started.with_context(|| format!("{} cannot be restarted", self.host))?;
        self.process = Process::Running;
        (self.held_by, self.lasting.disk_grace) = (None, None);
        self.report_life(ProcessState::Up);
        if self.skew.is_some() { self.apply_clock() } else { Ok(()) }
    }

    /// Stops the process.
    pub(in super::super) fn pause(&mut self, by: &'static str) -> Result<()> {
        self.pause_until(by, None)
    }

    /// Stops the process. With a time, the supervisor resumes and releases it then.
    pub(in super::super) fn pause_until(
        &mut self,
        by: &'static str,
        until: Option<Instant>,
    ) -> Result<()> {
        if self.process != Process::Running {
            bail!("{} cannot be paused: its process is {}", self.host, self.process);
        }
        self.replica.pause().with_context(|| format!("{} cannot be paused", self.host))?;
        self.hold(by);
        self.process = Process::Paused { until };
        self.report_life(ProcessState::Stopped);
        Ok(())
    }

    /// Lets the stopped process go on. It stays held.
    pub(in super::super) fn resume(&mut self) -> Result<()> {
        if !matches!(self.process, Process::Paused { .. }) {
            bail!("{} cannot be resumed: its process is {}", self.host, self.process);
        }
        self.replica.resume().with_context(|| format!("{} cannot be resumed", self.host))?;
        self.process = Process::Running;
        self.report_life(ProcessState::Up);
        Ok(())
    }

    pub(super) fn report_to(&mut self, telemetry: Telemetry) {
        self.telemetry = telemetry;
        self.report_life(ProcessState::Up);
    }

    pub(super) fn report_life(&self, life: ProcessState) {
        self.telemetry.report_life(self.host, life);
    }

    pub(super) fn report_clock(&self, skew: &Skew) {
        self.telemetry.report_clock(self.host, skew);
    }
}
