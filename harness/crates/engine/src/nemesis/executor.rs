//! Carries out a schedule: waits for each step, ends and begins its faults as one change, and notes what was seen.
//!
//! Whatever happens, what was begun is ended and the links are healed before [`Executor::run`] returns. It keeps
//! no history: it sends [`Note`]s to whoever does.

use super::agenda::{Agenda, Planned, Step, Succeeded, counted};
use super::ground::{Exit, Ground};
use super::grudge::majority_side;
use super::schedule::{Schedule, When};
use super::{Before, Fault, NotNow, Scene, Seen, Target, named};
use crate::clock::Clock;
use anyhow::{Context as _, Result};
use records::record::{FaultRecord, FaultState};
use std::collections::BTreeSet;
use std::time::Duration;
use testbed::net::plan::CLIENTS;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use workloads::Rng;

/// Why a fault that was due in time has not begun.
const TOO_LATE: &str = "what came before it took until the main phase was over";
/// Why a fault has not begun in a main phase that was stopped early.
const STOPPED: &str = "the main phase was stopped before it began";

/// What the nemesis has to say.
#[derive(Debug)]
pub(crate) enum Note {
    /// A fault is on.
    Began {
        /// Its number.
        id: u32,
        /// Kind and variant.
        name: String,
        /// Whom it hits.
        target: String,
    },
    /// A fault is over, or had no target.
    Over(FaultRecord),
    /// A replica exited unasked.
    Died(Exit),
    /// That replica was started again.
    Revived(String),
}

/// How the nemesis's work ended.
pub(crate) struct Ended {
    /// Whether all that was planned could be done.
    pub(crate) worked: Result<()>,
    /// Whether all that was done could be undone.
    pub healed: Result<()>,
}

/// The nemesis at work.
pub(crate) struct Executor {
    /// What it works on.
    pub ground: Ground,
    /// The run's clock.
    pub clock: Clock,
    /// Decides whom each fault hits.
    pub rng: Rng,
    /// How many operations have succeeded, for what waits for them.
    pub succeeded: watch::Receiver<Succeeded>,
    /// Where it says what it does.
    pub notes: mpsc::UnboundedSender<Note>,
    /// The faults that are on.
    pub(crate) active: Vec<Fault>,
}

impl Executor {
    /// Carries out the schedule, whose times count from now, until `limit` or until `stop` says so.
    pub(crate) async fn run(
        &mut self,
        schedule: &Schedule,
        limit: Duration,
        mut stop: watch::Receiver<bool>,
    ) -> Ended {
        let mut agenda = Agenda::new(schedule);
        let worked = self.all_steps(&mut agenda, limit, &mut stop).await;
        for (planned, when) in agenda.never_began() {
            let why = match when {
                When::At(_) if *stop.borrow() => STOPPED.to_owned(),
                _ => never(&when, &self.succeeded.borrow()),
            };
            self.note(Note::Over(skipped(&planned, why)));
        }
        Ended { worked, healed: self.heal().await }
    }

    /// A step is never cut off in the middle: only the waiting between steps is.
    async fn all_steps(
        &mut self,
        agenda: &mut Agenda,
        limit: Duration,
        stop: &mut watch::Receiver<bool>,
    ) -> Result<()> {
        let begun = Instant::now();
        while begun.elapsed() < limit && !*stop.borrow() {
            let now_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
            agenda.heed(&self.succeeded.borrow_and_update(), now_ms);
            if let Some(step) = agenda.take(now_ms) {
                let done = self.step(&step).await;
                done.with_context(|| format!("the nemesis failed at {} ms", step.at_ms))?;
                continue;
            }
            let next = agenda.next_ms().map_or(limit, Duration::from_millis);
            let mut succeeded = self.succeeded.clone();
            tokio::select! {
                watched = self.watch_until(begun + next.min(limit)) => watched?,
                more = succeeded.changed(), if agenda.waits() => {
                    // Whoever counts is gone only when the run is being torn down.
                    more.context("nobody counts operations any more")?;
                }
                _ = stop.wait_for(|stop| *stop) => (),
            }
        }
        if *stop.borrow() {
            // The next step stays on the agenda, so that what it would have begun is told, too.
            return Ok(());
        }
        // What ends with the main phase ends as planned, not as something left behind.
        match agenda.take(u64::try_from(limit.as_millis()).unwrap_or(u64::MAX)) {
            Some(step) => {
                for planned in &step.begin {
                    self.note(Note::Over(skipped(planned, TOO_LATE.to_owned())));
                }
                self.step(&Step { begin: Vec::new(), ..step }).await
            }
            None => Ok(()),
        }
    }

    /// Waits, and looks after the replicas meanwhile.
    pub(crate) async fn watch_until(&mut self, until: Instant) -> Result<()> {
        loop {
            self.look()?;
            self.ground.follow_clocks();
            let now = Instant::now();
            if now >= until {
                return Ok(());
            }
            tokio::time::sleep_until(until.min(now + self.ground.pulse())).await;
        }
    }

    /// Tells who has died, and goes on with what takes its time.
    fn look(&mut self) -> Result<()> {
        for exit in self.ground.unasked_exits() {
            self.note(Note::Died(exit));
        }
        self.ground.tend()?;
        self.note_revivals();
        Ok(())
    }

    fn note_revivals(&mut self) {
        for host in std::mem::take(&mut self.ground.revived) {
            self.note(Note::Revived(host.to_string()));
        }
    }

    async fn step(&mut self, step: &Step) -> Result<()> {
        for fault in self.active.iter_mut().filter(|fault| step.end.contains(&fault.planned.id)) {
            // What can still be seen is seen at its end; what cannot be looked at any more is no evidence there.
            drop(fault.nemesis.linger(fault, &mut self.ground).await);
        }
        let mut over = Vec::new();
        for id in &step.end {
            if let Some(position) = self.active.iter().position(|fault| fault.planned.id == *id) {
                let fault = self.active.remove(position);
                over.push(self.end(fault).await);
            }
        }
        let mut begun = Vec::new();
        let begins = self.begin_all(&step.begin, &mut begun).await;
        let settled = self.ground.settle().await;
        // Whatever failed: what was done is told, and what is on is ended one day.
        over.into_iter().for_each(|record| self.note(Note::Over(record)));
        for fault in begun {
            self.on(fault);
        }
        begins.and(settled)?;
        if self.active.is_empty() { self.ground.readmit().await } else { Ok(()) }
    }

    async fn begin_all(&mut self, all: &[Planned], begun: &mut Vec<Fault>) -> Result<()> {
        for planned in all {
            let fault = self.begin(planned, begun).await?;
            begun.extend(fault);
        }
        Ok(())
    }

    /// Ends everything, in the order in which it began, and heals the links.
    pub(crate) async fn heal(&mut self) -> Result<()> {
        let ids: Vec<u32> = self.active.iter().map(|fault| fault.planned.id).collect();
        let ended = self.step(&Step { end: ids, ..Step::default() }).await;
        self.ground.unasked_exits().into_iter().for_each(|exit| self.note(Note::Died(exit)));
        // Whoever still may stop because of its disk does so while it is looked after and started again.
        let excused = self.watch_the_excused().await;
        // A step that failed half-way may have left something behind that no fault in the list owns.
        let whole = self.ground.make_whole().await;
        self.note_revivals();
        ended.and(excused).and(whole).context("what the nemesis did could not be undone")
    }

    /// Waits until nobody may stop any more because of its disk. Who stood still meanwhile has a while longer.
    async fn watch_the_excused(&mut self) -> Result<()> {
        let now = std::time::Instant::now;
        while let Some(until) = self.ground.excused_until().filter(|until| *until > now()) {
            self.watch_until(until.into()).await?;
        }
        Ok(())
    }

    /// Begins a fault, in the same step as those that have `begun` already.
    async fn begin(&mut self, planned: &Planned, begun: &[Fault]) -> Result<Option<Fault>> {
        let nemesis = named(&planned.kind).context("a schedule names only nemeses that exist")?;
        let mut on = self.active.iter().chain(begun);
        if let Some(other) = on.find(|fault| fault.planned.kind == planned.kind) {
            let why = format!(
                "fault {} was still on, and two of a kind undo each other",
                other.planned.id
            );
            self.note(Note::Over(skipped(planned, why)));
            return Ok(None);
        }
        // Nobody aims at a replica that has just ended.
        self.look()?;
        let scene = self.scene().await;
        let mut rng = self.rng.fork(&format!("fault {}", planned.id));
        let Some(target) = nemesis.aim(&planned.variant, &scene, &mut rng) else {
            self.note(Note::Over(skipped(planned, no_target(&scene).to_owned())));
            return Ok(None);
        };
        let fault = |before| Fault {
            planned: planned.clone(),
            nemesis,
            target: target.clone(),
            before,
            started: 0,
        };
        let began = self.clock.now_ns();
        match nemesis.begin(&target, &mut self.ground).await {
            Ok(before) => Ok(Some(fault(before))),
            Err(error) if error.is::<NotNow>() => {
                let begun = Fault { started: began, ..fault(Before::new()) };
                self.note(Note::Over(undone(begun, self.clock.now_ns(), error.to_string())));
                Ok(None)
            }
            // A replica that died by itself meanwhile cannot be hit; the watch tells of its death.
            Err(error) => {
                let now = self.clock.now_ns();
                let begun = Fault { started: now, ..fault(Before::new()) };
                let seen = Seen { bit: false, text: format!("{error:#}") };
                self.note(Note::Over(record(begun, now, seen, Vec::new())));
                Ok(None)
            }
        }
    }

    /// Everything of the step is applied: from now on the fault counts.
    fn on(&mut self, mut fault: Fault) {
        fault.started = self.clock.now_ns();
        self.note(Note::Began {
            id: fault.planned.id,
            name: format!("{}:{}", fault.planned.kind, fault.planned.variant),
            target: fault.target.text.clone(),
        });
        self.active.push(fault);
    }

    /// Ends a fault. What cannot be seen any more is no evidence, and no reason to stop the run.
    async fn end(&mut self, fault: Fault) -> FaultRecord {
        let ended = self.clock.now_ns();
        let seen = fault.nemesis.end(&fault, &mut self.ground).await;
        if let Err(error) = &seen
            && error.is::<NotNow>()
        {
            return undone(fault, ended, error.to_string());
        }
        let seen = seen.unwrap_or_else(|error| Seen { bit: false, text: format!("{error:#}") });
        // With fewer members than hosts nobody can tell from the hosts who is a majority.
        let majority = match self.ground.lacks_members() {
            true => Vec::new(),
            false => able(&fault.target, self.ground.count()),
        };
        record(fault, ended, seen, majority)
    }

    async fn scene(&self) -> Scene {
        Scene {
            count: self.ground.count(),
            leader: self.ground.leader().await,
            free: self.ground.free(),
        }
    }

    fn note(&self, note: Note) {
        // Nobody listens any more only when the run is being torn down.
        drop(self.notes.send(note));
    }
}

/// The hosts that can still form a majority under this fault, as far as it alone decides.
fn able(target: &Target, count: usize) -> Vec<String> {
    // Who only has a wrong clock can still take part.
    let stopped = target.hosts.iter().filter(|_| target.skew.is_none());
    let mut touched: BTreeSet<_> = stopped.copied().collect();
    // Who hears late or little may still take part, but need not.
    let ends = target.links.shapes.keys().flat_map(|(from, to)| [*from, *to]);
    touched.extend(ends.filter(|end| *end != CLIENTS));
    if target.links.shapes.keys().any(|(from, to)| [*from, *to].contains(&CLIENTS)) {
        return Vec::new();
    }
    let side = majority_side(&target.links, count);
    let able: Vec<String> = side.difference(&touched).map(ToString::to_string).collect();
    if count - touched.len() > count / 2 { able } else { Vec::new() }
}

fn record(fault: Fault, ended: u64, seen: Seen, majority: Vec<String>) -> FaultRecord {
    let Fault { planned, target, started, .. } = fault;
    FaultRecord {
        id: planned.id,
        kind: planned.kind,
        variant: planned.variant,
        hosts: target.hosts.iter().map(ToString::to_string).collect(),
        cut: target
            .links
            .cuts
            .iter()
            .map(|(from, to)| (from.to_string(), to.to_string()))
            .collect(),
        target: target.text,
        majority,
        started: Some(started),
        ended: Some(ended),
        state: if seen.bit { FaultState::Witnessed } else { FaultState::Unwitnessed },
        evidence: seen.text,
    }
}

/// The record of a fault that came to nothing. When it was on is told: who was touched could not do what others must.
fn undone(fault: Fault, ended: u64, why: String) -> FaultRecord {
    let seen = Seen { bit: false, text: why };
    FaultRecord { state: FaultState::Skipped, ..record(fault, ended, seen, Vec::new()) }
}

fn no_target(scene: &Scene) -> &'static str {
    match scene.leader {
        None => "nobody led the cluster at that moment",
        Some(_) => "something else had already hit whom it aims at, or there are too few hosts",
    }
}

/// Why a fault that waited for operations has never begun.
fn never(when: &When, succeeded: &Succeeded) -> String {
    match when {
        When::After { count, function } => {
            let seen = counted(succeeded, function.as_ref());
            let what = function.as_deref().unwrap_or("operation");
            format!("it waited for {count} successful operations ({what}), and there were {seen}")
        }
        When::At(_) => TOO_LATE.to_owned(),
    }
}

fn skipped(planned: &Planned, why: String) -> FaultRecord {
    FaultRecord {
        id: planned.id,
        kind: planned.kind.clone(),
        variant: planned.variant.clone(),
        target: "nobody".to_owned(),
        hosts: Vec::new(),
        cut: Vec::new(),
        majority: Vec::new(),
        started: None,
        ended: None,
        state: FaultState::Skipped,
        evidence: why,
    }
}

#[cfg(test)]
mod tests;
