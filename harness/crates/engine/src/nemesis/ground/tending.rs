//! Goes on with what takes its time while nobody looks at a fault: loops of crashes, starving, standstills, and replicas
//! that died by themselves.
//!
//! Nothing here waits: each call does what is due at that moment.

use super::{Ground, Slot};
use crate::nemesis::grudge;
use anyhow::{Context as _, Result};
use records::sights::Life;
use std::time::{Duration, Instant};
use testbed::net::plan::HostId;

/// How long a replica in a loop of crashes is dead, and how long it runs.
const DOWN: Duration = Duration::from_millis(50);
const UP: Duration = Duration::from_millis(250);
/// How long a loop of crashes, or starving, may go on beyond its end for want of turns.
const TURN_PATIENCE: Duration = Duration::from_secs(2);
/// How long a starved replica is stopped, and how long it runs.
const STOPPED: Duration = Duration::from_millis(40);
const RUNNING: Duration = Duration::from_millis(10);
/// How often replicas are looked after, and how often while one is starved.
const WATCH: Duration = Duration::from_millis(100);
const PULSE: Duration = Duration::from_millis(5);
/// How long a replica that died by itself stays dead, and how often it is started again: one that cannot run is
/// not to fill the verdict with its deaths.
const REVIVAL: Duration = Duration::from_millis(500);
pub(super) const MOST_REVIVALS: u32 = 2;

/// A loop of crashes.
#[derive(Clone, Copy)]
pub(super) struct Crashing {
    /// How often it has killed the replica.
    kills: u32,
    /// It has started the replica since.
    is_up: bool,
}

/// Stops and slices of time, in turn.
#[derive(Clone, Copy)]
pub(super) struct Starving {
    /// How often the kernel said that it was stopped.
    stops: u32,
    is_stopped: bool,
    /// Since when.
    since: Instant,
}

impl Ground {
    /// Kills a replica, and from now on each time it has run for a while.
    pub(in super::super) fn begin_crashing(&mut self, host: HostId) -> Result<()> {
        self.kill(host)?;
        let slot = self.slot(host);
        (slot.crashing, slot.since) = (Some(Crashing { kills: 1, is_up: false }), Instant::now());
        Ok(())
    }

    /// Goes on until each of these replicas has been killed so often, or patience ends.
    pub(in super::super) async fn await_crashes(
        &mut self,
        hosts: &[HostId],
        least: u32,
    ) -> Result<()> {
        self.await_turns(hosts, |slot| slot.crashing.is_some_and(|it| it.kills < least)).await
    }

    /// Goes on until each of these replicas has been seen stopped so often, has ended, or patience ends.
    pub(in super::super) async fn await_slices(
        &mut self,
        hosts: &[HostId],
        least: u32,
    ) -> Result<()> {
        let few = |slot: &mut Slot| {
            slot.starving.is_some_and(|it| it.stops < least) && slot.replica.exited().is_none()
        };
        self.await_turns(hosts, few).await
    }

    /// What was done to others may have left no time for the turns of a fault that is to end.
    async fn await_turns(
        &mut self,
        hosts: &[HostId],
        few: impl Fn(&mut Slot) -> bool,
    ) -> Result<()> {
        let deadline = Instant::now() + TURN_PATIENCE;
        while hosts.iter().any(|host| few(self.slot(*host))) && Instant::now() < deadline {
            self.tend()?;
            tokio::time::sleep(PULSE).await;
        }
        Ok(())
    }

    /// Lets a replica run again, and says how often it was killed.
    pub(in super::super) fn end_crashing(&mut self, host: HostId) -> Result<u32> {
        let slot = self.slot(host);
        let crashing = slot.crashing.take();
        if slot.replica.exited().is_some() {
            self.note_exit_within(host, crashing);
            self.restart(host)?;
        }
        self.slot(host).touched = false;
        Ok(crashing.map_or(0, |crashing| crashing.kills))
    }

    /// Remembers the exit of a replica that a loop had started and not killed.
    fn note_exit_within(&mut self, host: HostId, crashing: Option<Crashing>) {
        let slot = self.slot(host);
        if crashing.is_some_and(|crashing| crashing.is_up) {
            let how = slot.replica.exited();
            slot.miss_exit(how);
        }
    }

    /// Stops a replica, and from now on lets it run for a slice of time now and then.
    pub(in super::super) fn begin_starving(&mut self, host: HostId) -> Result<()> {
        self.pause(host)?;
        let since = Instant::now();
        self.slot(host).starving = Some(Starving { stops: 0, is_stopped: true, since });
        Ok(())
    }

    /// Lets a replica run as it likes, and says how often it was seen stopped. One that has ended meanwhile is left to
    /// those who watch for deaths.
    pub(in super::super) fn end_starving(&mut self, host: HostId) -> Result<u32> {
        let starving = self.slot(host).starving.take();
        if self.slot(host).replica.exited().is_none() {
            self.resume(host)?;
        }
        self.slot(host).touched = false;
        Ok(starving.map_or(0, |starving| starving.stops))
    }

    /// Goes on with the starving of a replica.
    fn starve(&mut self, host: HostId) -> Result<()> {
        let slot = self.slot(host);
        let Some(starving) = slot.starving else { return Ok(()) };
        let waited = starving.since.elapsed();
        if slot.replica.exited().is_some()
            || waited < if starving.is_stopped { STOPPED } else { RUNNING }
        {
            return Ok(());
        }
        let mut stops = starving.stops;
        let turned = if starving.is_stopped {
            stops += u32::from(slot.replica.sample().is_ok_and(|sample| sample.is_stopped()));
            slot.replica.resume()
        } else {
            slot.replica.pause()
        };
        // One that has ended in this moment is its watchers' business, not a fault that failed.
        if slot.replica.exited().is_some() {
            return Ok(());
        }
        turned?;
        let (is_stopped, since) = (!starving.is_stopped, Instant::now());
        slot.starving = Some(Starving { stops, is_stopped, since });
        self.vitals.life(host, if is_stopped { Life::Stopped } else { Life::Up });
        Ok(())
    }

    /// How long replicas may be left alone.
    pub(crate) fn pulse(&self) -> Duration {
        if self.slots.iter().any(|slot| slot.starving.is_some()) { PULSE } else { WATCH }
    }

    /// Goes on with what takes its time: replicas that are starved, loops of crashes, standstills, and replicas that died by themselves and are started again.
    pub(crate) fn tend(&mut self) -> Result<()> {
        for host in grudge::all(self.count()) {
            self.starve(host).with_context(|| format!("{host} could not be starved"))?;
            let slot = self.slot(host);
            let (waited, is_dead) = (slot.since.elapsed(), slot.replica.exited().is_some());
            if !is_dead && slot.resume.take_if(|until| *until <= Instant::now()).is_some() {
                self.resume(host)?;
            }
            let slot = self.slot(host);
            match slot.crashing {
                Some(crashing) if is_dead && waited > DOWN => {
                    self.note_exit_within(host, Some(crashing));
                    self.restart(host)?;
                    let slot = self.slot(host);
                    slot.touched = true;
                    slot.crashing = Some(Crashing { is_up: true, ..crashing });
                }
                Some(Crashing { kills, .. }) if !is_dead && waited > UP => {
                    self.kill(host)?;
                    let slot = self.slot(host);
                    slot.since = Instant::now();
                    slot.crashing = Some(Crashing { kills: kills + 1, is_up: false });
                }
                None if slot.stopped_late => {
                    self.restart(host)?;
                    self.revived.push(host);
                }
                None if slot.dead && slot.revived < MOST_REVIVALS && waited > REVIVAL => {
                    self.revive(host)?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Starts a replica again that died by itself. Its death has been told and stays in the verdict.
    pub(super) fn revive(&mut self, host: HostId) -> Result<()> {
        self.restart(host)?;
        let slot = self.slot(host);
        (slot.dead, slot.revived) = (false, slot.revived + 1);
        self.revived.push(host);
        Ok(())
    }
}
