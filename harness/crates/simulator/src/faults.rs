//! Carries out the faults of a plan in a world, and takes each back when it is over.

use super::outcome::Failure;
use super::plan::{Fault, FaultKind, FaultTarget};
use super::world::{Event, World};
use node::raft::ServerId;

impl World<'_> {
    pub(super) fn begin_fault(&mut self, number: usize) -> Result<(), Failure> {
        let fault = &self.plan.faults[number];
        let targets: Vec<ServerId> = match &fault.target {
            FaultTarget::Leader => self.invariants.current_leader().into_iter().collect(),
            FaultTarget::Servers(servers) => servers.iter().map(|id| self.member_at(*id)).collect(),
        };
        if targets.is_empty() {
            return Ok(());
        }
        self.outcome.faults += 1;
        self.trace.record_event(self.now, [8, number as u64, 0, 0], format_args!("fault: {fault}"));
        self.apply_fault(fault, &targets)?;
        self.active_targets.insert(number, targets);
        self.restart_targets(number)
    }

    /// Restarts the replicas that such a fault has hit, again and again as long as it lasts.
    pub(super) fn restart_targets(&mut self, number: usize) -> Result<(), Failure> {
        let (FaultKind::RestartLoop(every), Some(targets)) =
            (self.plan.faults[number].kind, self.active_targets.get(&number).cloned())
        else {
            return Ok(());
        };
        for id in targets {
            if self.is_running(id) {
                self.crash_replica(id);
                self.start_replica(id)?;
            }
        }
        self.schedule_after(every, Event::RestartTargets(number));
        Ok(())
    }

    fn apply_fault(&mut self, fault: &Fault, targets: &[ServerId]) -> Result<(), Failure> {
        for id in targets {
            match fault.kind {
                FaultKind::Crash => {
                    *self.down.entry(*id).or_default() += 1;
                    self.crash_replica(*id);
                }
                FaultKind::FsyncFailure => {
                    *self.down.entry(*id).or_default() += 1;
                    self.failing_disks.insert(*id);
                }
                FaultKind::Pause => *self.paused.entry(*id).or_default() += 1,
                FaultKind::SlowDisk(by) => self.slow_disks.entry(*id).or_default().push(by),
                _ => {}
            }
        }
        match fault.kind {
            FaultKind::Partition | FaultKind::BlockOutgoing | FaultKind::BlockIncoming => {
                let links = self.links_to_cut(fault.kind, targets);
                self.network.cut_links(&links);
            }
            FaultKind::Loss(loss) => self.network.add_degradation(loss, 0),
            FaultKind::Delay(delay) => self.network.add_degradation(0, delay),
            FaultKind::Replace => return self.replace_member(targets[0]),
            FaultKind::TransferLeadership => {
                return self.transfer_leadership(targets[0] % self.setting.nodes + 1);
            }
            _ => {}
        }
        Ok(())
    }

    pub(super) fn end_fault(&mut self, number: usize) -> Result<(), Failure> {
        let Some(targets) = self.active_targets.remove(&number) else { return Ok(()) };
        let fault = &self.plan.faults[number];
        self.trace.record_event(self.now, [9, number as u64, 0, 0], format_args!("over: {fault}"));
        match fault.kind {
            FaultKind::Partition | FaultKind::BlockOutgoing | FaultKind::BlockIncoming => {
                let links = self.links_to_cut(fault.kind, &targets);
                self.network.heal_links(&links);
            }
            FaultKind::Loss(loss) => self.network.remove_degradation(loss, 0),
            FaultKind::Delay(delay) => self.network.remove_degradation(0, delay),
            _ => {}
        }
        targets.into_iter().try_for_each(|id| self.undo_fault(fault.kind, id))
    }

    fn undo_fault(&mut self, kind: FaultKind, id: ServerId) -> Result<(), Failure> {
        match kind {
            FaultKind::Crash | FaultKind::FsyncFailure => {
                self.failing_disks.remove(&id);
                let count = self.down.entry(id).or_default();
                *count = count.saturating_sub(1);
                let stays = self.plan.leave_down && self.can_stay_down(id);
                if *self.down.entry(id).or_default() == 0 && !self.is_running(id) && !stays {
                    self.start_replica(id)?;
                }
            }
            FaultKind::Pause => {
                let count = self.paused.entry(id).or_default();
                *count = count.saturating_sub(1);
            }
            FaultKind::SlowDisk(by) => {
                if let Some(all) = self.slow_disks.get_mut(&id)
                    && let Some(place) = all.iter().position(|it| *it == by)
                {
                    all.remove(place);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Whether the others make a majority without it, and the end is near: it may stay dead.
    fn can_stay_down(&self, id: ServerId) -> bool {
        let voters = &self.membership.voters;
        let others = voters.iter().filter(|other| **other != id && self.is_running(**other));
        let settled = !self.membership.is_joint() && self.membership.joining.is_empty();
        self.now >= self.plan.span && settled && others.count() > voters.len() / 2
    }

    fn links_to_cut(&self, kind: FaultKind, side: &[ServerId]) -> Vec<(ServerId, ServerId)> {
        let rest: Vec<ServerId> =
            self.nodes.keys().copied().filter(|id| !side.contains(id)).collect();
        let pairs = side.iter().flat_map(|one| rest.iter().map(move |other| (*one, *other)));
        match kind {
            FaultKind::BlockOutgoing => pairs.collect(),
            FaultKind::BlockIncoming => pairs.map(|(one, other)| (other, one)).collect(),
            _ => pairs.flat_map(|(one, other)| [(one, other), (other, one)]).collect(),
        }
    }
}
