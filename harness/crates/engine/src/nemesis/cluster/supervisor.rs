//! Notices replicas that exit by themselves and restarts them, and resumes those whose pause is
//! over.
//!
//! Nothing here waits: each call does what is due at that moment.

use super::exits::UnexpectedExit;
use super::process::DueAction;
use super::{Cluster, Member};
use anyhow::Result;
use records::replica_log::ProcessState;
use std::time::{Duration, Instant};
use testbed::net::plan::HostId;

/// How often the supervisor works.
pub(in super::super) const SUPERVISION_INTERVAL: Duration = Duration::from_millis(100);

impl Cluster {
    /// Replicas that exited though no fault explains it, each reported once.
    pub(crate) fn poll_unexpected_exits(&mut self) -> Vec<UnexpectedExit> {
        let mut exits = Vec::new();
        for member in &mut self.members {
            let unexpected = member.poll_unexpected_exit();
            let is_down = member.has_exited();
            if is_down {
                member.report_life(ProcessState::Down);
            }
            if let Some(exit) = unexpected {
                // One whose exit was missed has been restarted since.
                self.restarted.extend((!is_down).then_some(member.host()));
                exits.push(UnexpectedExit {
                    host: member.host(),
                    exit,
                    log: member.startup.logs.tail_lines(),
                    disk_was_corrupt: member.lasting.unrepaired,
                });
            }
        }
        exits
    }

    /// Does what is due: resumes members whose pause is over, and restarts those that exited by
    /// themselves.
    pub(in super::super) fn supervise_members(&mut self) -> Result<()> {
        for host in self.hosts() {
            match self.member(host).due_action() {
                None => {}
                Some(DueAction::Resume) => self.member(host).resume_and_release()?,
                Some(DueAction::Revive) => self.revive_replica(host)?,
                Some(DueAction::Restart) => {
                    self.restart_replica(host)?;
                    self.restarted.push(host);
                }
            }
        }
        Ok(())
    }

    /// Restarts a replica that exited by itself. The exit stays in the verdict.
    pub(super) fn revive_replica(&mut self, host: HostId) -> Result<()> {
        self.restart_replica(host)?;
        self.member(host).exits.restarts += 1;
        self.restarted.push(host);
        Ok(())
    }

    /// The replicas that have been restarted after they exited by themselves, since the last call.
    pub(in super::super) fn take_restarted(&mut self) -> Vec<HostId> {
        std::mem::take(&mut self.restarted)
    }

    /// Until when some replica may still exit because of what its disk had refused.
    pub(in super::super) fn disk_grace_ends(&self) -> Option<Instant> {
        self.members.iter().filter_map(|member| member.lasting.disk_grace).max()
    }
}

impl Member {
    fn due_action(&mut self) -> Option<DueAction> {
        let due = self.process.due_action(self.exits.restarts, Instant::now())?;
        // A stopped process that was killed from outside cannot be resumed. Healing restarts it.
        (due != DueAction::Resume || !self.has_exited()).then_some(due)
    }
}
