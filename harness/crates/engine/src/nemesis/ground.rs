//! Holds what a nemesis works on: the network, the replicas, and what is wanted of both.
//!
//! Links are changed in two moves, [`Ground::want_links`] and [`Ground::settle`], so that a partition that turns
//! into another one is a single change of the network. A replica is *touched* from the moment something is done
//! to it on purpose until that is undone; only an untouched one can exit unasked.

mod tending;
#[cfg(test)]
mod tests;

use super::membership::{self, Exile, Newcomers};
use super::vitals::Vitals;
use crate::system::{Client, Program};
use anyhow::{Context as _, Result};
use records::logs::Logs;
use records::record::Death;
use records::sights::Life;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tending::{Crashing, MOST_REVIVALS, Starving};
use testbed::host::clock::{self, Skew};
use testbed::host::disk::{self, Disk, Loss, Scar};
use testbed::host::process::{Replica, Sample};
use testbed::net::plan::{HostId, LinkPlan};
use testbed::net::switch::shape::Shape;
use testbed::net::switch::{Counts, LinkCounts};
use testbed::net::{Fabric, Mark, PairEvidence};

/// For how long after its fault a replica may still stop because of what its disk refused it, if it was slow to.
pub(super) const EXCUSED: Duration = Duration::from_secs(2);
/// How long a stopped process may take to be seen stopped.
const STOP_PATIENCE: Duration = Duration::from_millis(500);

/// One replica and how to start it again.
pub struct Slot {
    pub(super) program: Program,
    /// How a new replica comes in here; nobody does where members do not change.
    pub(crate) newcomers: Option<Newcomers>,
    /// Where it keeps its data.
    pub(super) data: PathBuf,
    /// Whether it has been removed from the cluster, and what was seen of that.
    pub(super) exile: Exile,
    /// Where it says what it does.
    pub logs: Logs,
    pub(super) replica: Replica,
    /// What its data directory is on, where disks may fail. It goes after the replica.
    pub(super) disk: Option<Disk>,
    /// What the last power loss took from that.
    pub(super) loss: Loss,
    /// What is damaged there.
    pub(super) scar: Option<Scar>,
    /// It went on with damage that nobody can take back any more.
    pub(super) damaged: bool,
    pub(super) touched: bool,
    dead: bool,
    /// What is wrong with its wall clock; a replica that is started again shares its host's clock.
    pub(super) skew: Option<Skew>,
    /// It is being killed again and again.
    crashing: Option<Crashing>,
    /// It is being stopped again and again.
    starving: Option<Starving>,
    /// When it is to go on, where it stands still for a while.
    pub(super) resume: Option<Instant>,
    /// Since when its process is what it is: running, or dead.
    since: Instant,
    /// How often it has been started again after it had died by itself.
    revived: u32,
    /// How it had ended by itself when a kill came too late.
    missed_exit: Option<String>,
    /// Until when it may stop because of what its disk had refused it.
    pub(super) excused_until: Option<Instant>,
    /// It did, after its fault was over, and is to be started again.
    stopped_late: bool,
}

/// An exit of a replica that nobody killed.
#[derive(Debug)]
pub struct Exit {
    /// Which, and how.
    pub(crate) death: Death,
    /// Whether it may have been right to stop, for what it had was damaged.
    pub(crate) doubtful: bool,
}

/// The network and the replicas.
pub struct Ground {
    fabric: Fabric,
    slots: Vec<Slot>,
    clients: Vec<Arc<dyn Client>>,
    wanted: LinkPlan,
    applied: LinkPlan,
    mark: Mark,
    /// What the links had done to packets when they last changed shape.
    before_shapes: LinkCounts,
    /// What was seen when leadership was last handed on.
    pub(super) handed: Option<super::Seen>,
    /// Replicas that ended by themselves and have been started again since somebody last asked.
    pub(super) revived: Vec<HostId>,
    /// Who hears what becomes of replicas, for the eye.
    pub(super) vitals: Vitals,
}

impl Slot {
    /// Starts a replica in its host.
    pub(crate) fn start(
        fabric: &Fabric,
        host: HostId,
        program: Program,
        places: (&Path, &Path),
        disk: Option<Disk>,
    ) -> Result<Self> {
        let replica = fabric.spawn(host, &program.path, &program.args, places.1)?;
        Ok(Self::around(replica, program, places, disk))
    }

    fn around(
        replica: Replica,
        program: Program,
        (data, log): (&Path, &Path),
        disk: Option<Disk>,
    ) -> Self {
        Self {
            program,
            newcomers: None,
            data: data.to_owned(),
            exile: Exile::default(),
            logs: Logs { said: log.to_owned(), own: Vec::new() },
            replica,
            disk,
            loss: Loss::default(),
            scar: None,
            damaged: false,
            touched: false,
            dead: false,
            skew: None,
            crashing: None,
            starving: None,
            resume: None,
            since: Instant::now(),
            revived: 0,
            missed_exit: None,
            excused_until: None,
            stopped_late: false,
        }
    }
}

impl Slot {
    /// How the replica ended without being asked to; told once. One that its disk excuses is only to be started again.
    fn unasked_exit(&mut self) -> Option<String> {
        if let Some(how) = self.missed_exit.take() {
            return Some(how);
        }
        let ended = self.replica.exited();
        // When it ended is known no better than by looks: only one that is seen alive afterwards has outlived its excuse.
        let runs = ended.is_none() && !self.touched;
        self.excused_until.take_if(|until| runs && *until < Instant::now());
        let how = ended.filter(|_| !self.touched && !self.dead)?;
        self.since = Instant::now();
        if self.is_excused() {
            (self.touched, self.stopped_late) = (true, true);
            return None;
        }
        self.dead = true;
        Some(how)
    }

    fn is_excused(&self) -> bool {
        self.excused_until.is_some()
    }

    /// Excuses a replica that stood still while it was excused for as long again: it could not stop meanwhile.
    fn excuse_anew(&mut self) {
        let anew = Instant::now() + EXCUSED;
        if let Some(until) = &mut self.excused_until {
            *until = anew.max(*until);
        }
    }

    /// Remembers an exit that came before whoever was about to end the replica, unless its disk excuses it. The first is
    /// told, if several are.
    pub(super) fn miss_exit(&mut self, how: Option<String>) {
        if let Some(how) = how.filter(|_| !self.is_excused()) {
            self.missed_exit.get_or_insert(how);
        }
    }
}

impl Ground {
    /// Replicas that run, in order of host, over a network that is whole.
    pub fn new(fabric: Fabric, slots: Vec<Slot>, clients: Vec<Arc<dyn Client>>) -> Self {
        let (mark, before_shapes) = (fabric.mark(), fabric.counts().unwrap_or_default());
        Self {
            fabric,
            slots,
            clients,
            wanted: LinkPlan::healed(),
            applied: LinkPlan::healed(),
            mark,
            before_shapes,
            handed: None,
            revived: Vec::new(),
            vitals: Vitals::default(),
        }
    }

    /// How many hosts there are.
    pub fn count(&self) -> usize {
        self.slots.len()
    }

    /// Someone who speaks to each replica, in order of host.
    pub fn clients(&self) -> &[Arc<dyn Client>] {
        &self.clients
    }

    /// Hosts whose replica runs untouched.
    pub fn free(&self) -> BTreeSet<HostId> {
        let all = super::grudge::all(self.count()).into_iter();
        all.zip(&self.slots)
            .filter(|(_, slot)| !slot.touched && !slot.dead)
            .map(|(host, _)| host)
            .collect()
    }

    /// Who leads, as the one with the greatest term says. For aiming only: no check believes it.
    pub async fn leader(&self) -> Option<HostId> {
        crate::system::leadership(&self.clients).await.map(|leadership| leadership.leader)
    }

    /// What links shall be cut from the next [`Ground::settle`] on; their shapes stay.
    pub(crate) fn want_links(&mut self, links: LinkPlan) {
        self.wanted.cuts = links.cuts;
    }

    /// What links shall do to packets from the next [`Ground::settle`] on; cuts stay.
    pub(super) fn want_shapes(&mut self, shapes: BTreeMap<(HostId, HostId), Shape>) {
        self.wanted.shapes = shapes;
    }

    /// Makes the links what was wanted, in one change, and counts evidence from then on.
    pub(crate) async fn settle(&mut self) -> Result<()> {
        if self.wanted != self.applied {
            self.fabric.apply(&self.wanted).await?;
            let before = std::mem::replace(&mut self.applied, self.wanted.clone());
            if before.cuts != self.applied.cuts {
                self.mark = self.fabric.mark();
            }
            if before.shapes != self.applied.shapes {
                self.before_shapes = self.fabric.counts().unwrap_or_default();
            }
        }
        Ok(())
    }

    /// What the links have done to packets since they last changed shape.
    pub(super) fn shape_evidence(&self) -> Result<LinkCounts> {
        let counts = self.fabric.counts().context("nothing but the switch shapes links")?;
        let since = |(link, now): (_, Counts)| {
            (link, now - self.before_shapes.get(&link).copied().unwrap_or_default())
        };
        Ok(counts.into_iter().map(since).collect())
    }

    /// How replicas broke the protocol in which the harness carries what they say, in a sentence.
    pub(crate) fn breach(&self) -> Option<String> {
        self.fabric.breach()
    }

    /// What went wrong with the network itself, in a sentence.
    pub(crate) fn network_trouble(&self) -> Option<String> {
        self.fabric.trouble()
    }

    /// What the network counted since cuts last changed, but on links that are shaped and not cut: those may well
    /// be deaf.
    pub(crate) async fn link_evidence(&mut self) -> Result<Vec<PairEvidence>> {
        let mut evidence = self.fabric.since(&self.mark).await?;
        let LinkPlan { cuts, shapes } = &self.applied;
        evidence.retain(|pair| {
            let link = (pair.from, pair.to);
            cuts.contains(&link) || !shapes.contains_key(&link)
        });
        Ok(evidence)
    }

    /// Heals every link and disk, resumes every stopped replica, starts every killed one and sets every clock right; as
    /// much of it as can be done.
    pub(crate) async fn make_whole(&mut self) -> Result<()> {
        let hosts = super::grudge::all(self.count());
        let whole: Vec<Result<()>> =
            hosts.into_iter().map(|host| self.make_host_whole(host)).collect();
        self.wanted = LinkPlan::healed();
        let links = self.settle().await;
        whole.into_iter().collect::<Result<()>>().and(links)?;
        membership::complete(self).await
    }

    fn make_host_whole(&mut self, host: HostId) -> Result<()> {
        let slot = self.slot(host);
        (slot.crashing, slot.starving, slot.resume) = (None, None, None);
        slot.disk.iter().for_each(|disk| _ = disk.set(disk::Fault::Whole));
        let wrong = slot.skew.take().is_some() && slot.replica.exited().is_none();
        if slot.dead && slot.revived < MOST_REVIVALS {
            self.revive(host)?;
        } else if slot.exile.is_out() {
            // It has nothing to come back with, and joins anew when everything else is whole.
        } else if slot.touched && slot.replica.exited().is_some() {
            self.restart(host)?;
        } else if slot.touched {
            self.resume(host)?;
        }
        if wrong { self.apply_clock(host) } else { Ok(()) }
    }

    /// Whether some host has no member now, or may have none.
    pub(super) fn lacks_members(&self) -> bool {
        self.slots.iter().any(|slot| slot.exile.may_be_out())
    }

    /// Until when the last replica may stop that may still do so because of what its disk refused it.
    pub(super) fn excused_until(&self) -> Option<Instant> {
        let all = self.slots.iter().filter(|slot| slot.is_excused());
        all.filter_map(|slot| slot.excused_until).max()
    }

    /// Takes in new replicas where some could not be taken in while more was broken.
    pub(super) async fn readmit(&mut self) -> Result<()> {
        membership::readmit(self).await
    }

    pub(super) fn slot(&mut self, host: HostId) -> &mut Slot {
        &mut self.slots[usize::from(host.0)]
    }

    /// Kills a replica and waits until it is gone. One that had ended by itself is remembered as that.
    pub fn kill(&mut self, host: HostId) -> Result<()> {
        let slot = self.slot(host);
        slot.touched = true;
        let killed = tokio::task::block_in_place(|| slot.replica.kill());
        killed.with_context(|| format!("{host} could not be killed"))?;
        let how = slot.replica.exited().filter(|how| !how.contains("SIGKILL"));
        slot.miss_exit(how);
        self.vitals.life(host, Life::Down);
        Ok(())
    }

    /// Kills a replica that is no member, or not yet: it may have been told so and have stopped, but not crashed.
    pub(super) fn put_down(&mut self, host: HostId) -> Result<()> {
        self.kill(host)?;
        self.slot(host).missed_exit.take_if(|how| !is_crash(how));
        Ok(())
    }

    /// Starts a killed replica again.
    pub(crate) fn restart(&mut self, host: HostId) -> Result<()> {
        let slot = &mut self.slots[usize::from(host.0)];
        let again =
            || self.fabric.spawn(host, &slot.program.path, &slot.program.args, &slot.logs.said);
        let started = tokio::task::block_in_place(again);
        slot.replica = started.with_context(|| format!("{host} could not be started again"))?;
        (slot.touched, slot.since) = (false, Instant::now());
        (slot.excused_until, slot.stopped_late) = (None, false);
        self.vitals.life(host, Life::Up);
        if slot.skew.is_some() { self.apply_clock(host) } else { Ok(()) }
    }

    /// Makes the clock of a replica, and of all it started, what it should be.
    pub(super) fn apply_clock(&mut self, host: HostId) -> Result<()> {
        let slot = self.slot(host);
        let skew = slot.skew.unwrap_or_default();
        let set = tokio::task::block_in_place(|| clock::set(&mut slot.replica, &skew));
        self.vitals.clock(host, &skew);
        set.with_context(|| format!("the clock of {host} could not be set"))
    }

    /// Lets wrong clocks follow replicas that have become another program or have started one.
    pub(crate) fn follow_clocks(&mut self) {
        for host in super::grudge::all(self.count()) {
            let slot = self.slot(host);
            if slot.skew.is_some() && !slot.touched && slot.replica.exited().is_none() {
                // One that dies in this moment needs no clock; what could not be set is seen when it is read.
                drop(self.apply_clock(host));
            }
        }
    }

    /// Stops a replica.
    pub fn pause(&mut self, host: HostId) -> Result<()> {
        let slot = self.slot(host);
        slot.replica.pause().with_context(|| format!("{host} could not be paused"))?;
        slot.touched = true;
        self.vitals.life(host, Life::Stopped);
        Ok(())
    }

    /// Lets a stopped replica go on.
    pub fn resume(&mut self, host: HostId) -> Result<()> {
        let slot = self.slot(host);
        slot.replica.resume().with_context(|| format!("{host} could not be resumed"))?;
        slot.touched = false;
        slot.excuse_anew();
        self.vitals.life(host, Life::Up);
        Ok(())
    }

    /// What the kernel says of these replicas now.
    pub fn samples(&mut self, hosts: &[HostId]) -> Result<Vec<Sample>> {
        let sample = |host: &HostId| {
            let sampled = self.slots[usize::from(host.0)].replica.sample();
            sampled.with_context(|| format!("{host} could not be looked at"))
        };
        hosts.iter().map(sample).collect()
    }

    /// The same, once all of them are stopped (or patience ends: then the samples say so).
    pub(crate) async fn stopped_samples(&mut self, hosts: &[HostId]) -> Result<Vec<Sample>> {
        let deadline = tokio::time::Instant::now() + STOP_PATIENCE;
        loop {
            let samples = self.samples(hosts)?;
            if samples.iter().all(Sample::is_stopped) || tokio::time::Instant::now() > deadline {
                return Ok(samples);
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Replicas that have exited though nobody killed them, each told once.
    pub(crate) fn unasked_exits(&mut self) -> Vec<Exit> {
        let mut exits = Vec::new();
        for (host, slot) in super::grudge::all(self.slots.len()).into_iter().zip(&mut self.slots) {
            let unasked = slot.unasked_exit();
            if slot.replica.exited().is_some() {
                self.vitals.life(host, Life::Down);
            }
            if let Some(how) = unasked {
                // One that was missed when it ended has been started again since.
                self.revived.extend(slot.replica.exited().is_none().then_some(host));
                let log = slot.logs.last_words();
                let death = Death { replica: host.to_string(), how, log };
                exits.push(Exit { death, doubtful: slot.damaged });
            }
        }
        exits
    }
}

/// Whether nobody ends like this on purpose: by a signal, or a panic.
fn is_crash(how: &str) -> bool {
    how.starts_with("signal") || how == "exit status: 101"
}
