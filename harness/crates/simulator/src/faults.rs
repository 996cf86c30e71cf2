//! Carries out the faults of a plan in a world, and takes each back when it is over.

use super::outcome::Failure;
use super::plan::{Aim, Fault, Kind};
use super::world::{Event, World};
use node::raft::ServerId;

impl World<'_> {
    pub(super) fn begin(&mut self, number: usize) -> Result<(), Failure> {
        let fault = &self.plan.faults[number];
        let targets: Vec<ServerId> = match &fault.aim {
            Aim::Leader => self.invariants.leader().into_iter().collect(),
            Aim::Servers(servers) => servers.iter().map(|id| self.nth(*id)).collect(),
        };
        if targets.is_empty() {
            return Ok(());
        }
        self.outcome.faults += 1;
        self.trace.record(self.now, [8, number as u64, 0, 0], format_args!("fault: {fault}"));
        self.apply(fault, &targets)?;
        self.hit.insert(number, targets);
        self.blink(number)
    }

    /// Restarts the replicas that such a fault has hit, again and again as long as it lasts.
    pub(super) fn blink(&mut self, number: usize) -> Result<(), Failure> {
        let (Kind::Blink(every), Some(targets)) =
            (self.plan.faults[number].kind, self.hit.get(&number).cloned())
        else {
            return Ok(());
        };
        for id in targets {
            if self.runs(id) {
                self.crash(id);
                self.start(id)?;
            }
        }
        self.after(every, Event::Blink(number));
        Ok(())
    }

    fn apply(&mut self, fault: &Fault, targets: &[ServerId]) -> Result<(), Failure> {
        for id in targets {
            match fault.kind {
                Kind::Crash => {
                    *self.down.entry(*id).or_default() += 1;
                    self.crash(*id);
                }
                Kind::BadDisk => {
                    *self.down.entry(*id).or_default() += 1;
                    self.bad.insert(*id);
                }
                Kind::Pause => *self.paused.entry(*id).or_default() += 1,
                Kind::SlowDisk(by) => self.slow.entry(*id).or_default().push(by),
                _ => {}
            }
        }
        match fault.kind {
            Kind::Partition | Kind::Mute | Kind::Deaf => {
                let links = self.links(fault.kind, targets);
                self.network.cut(&links);
            }
            Kind::Loss(loss) => self.network.degrade(loss, 0),
            Kind::Delay(delay) => self.network.degrade(0, delay),
            Kind::Replace => return self.replace(targets[0]),
            Kind::HandOver => return self.transfer_leadership(targets[0] % self.setting.nodes + 1),
            _ => {}
        }
        Ok(())
    }

    pub(super) fn end(&mut self, number: usize) -> Result<(), Failure> {
        let Some(targets) = self.hit.remove(&number) else { return Ok(()) };
        let fault = &self.plan.faults[number];
        self.trace.record(self.now, [9, number as u64, 0, 0], format_args!("over: {fault}"));
        match fault.kind {
            Kind::Partition | Kind::Mute | Kind::Deaf => {
                let links = self.links(fault.kind, &targets);
                self.network.heal_links(&links);
            }
            Kind::Loss(loss) => self.network.restore(loss, 0),
            Kind::Delay(delay) => self.network.restore(0, delay),
            _ => {}
        }
        targets.into_iter().try_for_each(|id| self.undo(fault.kind, id))
    }

    fn undo(&mut self, kind: Kind, id: ServerId) -> Result<(), Failure> {
        match kind {
            Kind::Crash | Kind::BadDisk => {
                self.bad.remove(&id);
                let count = self.down.entry(id).or_default();
                *count = count.saturating_sub(1);
                let stays = self.plan.leave_dead && self.is_spare(id);
                if *self.down.entry(id).or_default() == 0 && !self.runs(id) && !stays {
                    self.start(id)?;
                }
            }
            Kind::Pause => {
                let count = self.paused.entry(id).or_default();
                *count = count.saturating_sub(1);
            }
            Kind::SlowDisk(by) => {
                if let Some(all) = self.slow.get_mut(&id)
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
    fn is_spare(&self, id: ServerId) -> bool {
        let voters = &self.membership.voters;
        let others = voters.iter().filter(|other| **other != id && self.runs(**other));
        let settled = !self.membership.is_joint() && self.membership.joining.is_empty();
        self.now >= self.plan.span && settled && others.count() > voters.len() / 2
    }

    fn links(&self, kind: Kind, side: &[ServerId]) -> Vec<(ServerId, ServerId)> {
        let rest: Vec<ServerId> =
            self.nodes.keys().copied().filter(|id| !side.contains(id)).collect();
        let pairs = side.iter().flat_map(|one| rest.iter().map(move |other| (*one, *other)));
        match kind {
            Kind::Mute => pairs.collect(),
            Kind::Deaf => pairs.map(|(one, other)| (other, one)).collect(),
            _ => pairs.flat_map(|(one, other)| [(one, other), (other, one)]).collect(),
        }
    }
}
