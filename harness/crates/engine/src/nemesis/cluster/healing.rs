//! Undoes whatever is left of faults when the main phase is over.

use super::Cluster;
use super::member::{Member, Roster};
use super::process::{MAX_RESTARTS, Process};
use anyhow::Result;
use testbed::host::disk;

/// How a member is healed.
enum HealAction {
    /// Nothing is to be done, or nothing can be.
    Nothing,
    /// It exited by itself and is restarted.
    Revive,
    /// Its process has ended and is started again.
    Restart,
    /// It is let go.
    Release,
}

impl Cluster {
    /// Heals every disk, process, clock and link, as far as possible. Members that were removed are
    /// not brought back.
    pub(in super::super) async fn heal(&mut self) -> Result<()> {
        let hosts = self.hosts();
        let members: Vec<Result<()>> =
            hosts.into_iter().map(|host| self.heal_member(host)).collect();
        let links = self.links.heal().await;
        members.into_iter().collect::<Result<()>>().and(links)
    }

    fn heal_member(&mut self, host: testbed::net::plan::HostId) -> Result<()> {
        let member = self.member(host);
        member.make_disk_whole();
        let clock_was_wrong = member.skew.take().is_some() && !member.has_exited();
        match member.heal_action() {
            HealAction::Nothing => {}
            HealAction::Revive => self.revive_replica(host)?,
            HealAction::Restart => self.restart_replica(host)?,
            HealAction::Release => self.member(host).resume_and_release()?,
        }
        if clock_was_wrong { self.member(host).apply_clock() } else { Ok(()) }
    }
}

impl Member {
    fn make_disk_whole(&self) {
        if let Ok(disk) = self.disk() {
            disk.set_fault(disk::Fault::Healthy);
        }
    }

    fn heal_action(&mut self) -> HealAction {
        let has_exited = self.has_exited();
        match self.process {
            Process::Crashed { .. } if self.exits.restarts < MAX_RESTARTS => HealAction::Revive,
            Process::Crashed { .. } => HealAction::Nothing,
            // It has no data to come back with, and joins anew when all else is healed.
            _ if self.lasting.roster == Roster::Removed => HealAction::Nothing,
            _ if self.is_held() && has_exited => HealAction::Restart,
            _ if self.is_held() => HealAction::Release,
            _ => HealAction::Nothing,
        }
    }

    /// Lets the process go on, if it is stopped. No fault holds it any more.
    pub(in super::super) fn resume_and_release(&mut self) -> Result<()> {
        if matches!(self.process, Process::Paused { .. }) {
            self.resume()?;
        }
        self.release();
        Ok(())
    }
}
