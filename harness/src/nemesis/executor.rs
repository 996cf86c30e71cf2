//! Carries out a schedule: waits for each step, ends and begins its faults as one change, and notes what was seen.
//!
//! Whatever happens, what was begun is ended and the links are healed before [`Executor::run`] returns. It keeps
//! no history: it sends [`Note`]s to whoever does.

use super::ground::Ground;
use super::grudge::majority_side;
use super::schedule::{Planned, Schedule, Step};
use super::{Before, Fault, Scene, Seen, Target, named};
use crate::run::clock::Clock;
use crate::store::record::{Death, FaultRecord, FaultState};
use anyhow::{Context as _, Result};
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use workloads::Rng;

/// How often replicas are looked at for an exit that nobody asked for.
const WATCH: Duration = Duration::from_millis(100);

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
    Died(Death),
}

/// The nemesis at work.
pub(crate) struct Executor {
    /// What it works on.
    pub(crate) ground: Ground,
    /// The run's clock.
    pub(crate) clock: Clock,
    /// Decides whom each fault hits.
    pub(crate) rng: Rng,
    /// Where it says what it does.
    pub(crate) notes: mpsc::UnboundedSender<Note>,
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
    ) -> Result<()> {
        let worked = self.all_steps(schedule, limit, &mut stop).await;
        let healed = self.heal().await;
        worked.and(healed)
    }

    /// A step is never cut off in the middle: only the waiting between steps is.
    async fn all_steps(
        &mut self,
        schedule: &Schedule,
        limit: Duration,
        stop: &mut watch::Receiver<bool>,
    ) -> Result<()> {
        let begun = Instant::now();
        for step in schedule {
            tokio::select! {
                () = self.watch_until(begun + Duration::from_millis(step.at_ms)) => (),
                _ = stop.wait_for(|stop| *stop) => return Ok(()),
            }
            self.step(step)
                .await
                .with_context(|| format!("the nemesis failed at {} ms", step.at_ms))?;
        }
        tokio::select! {
            () = self.watch_until(begun + limit) => Ok(()),
            _ = stop.wait_for(|stop| *stop) => Ok(()),
        }
    }

    /// Waits, and looks at the replicas meanwhile.
    pub(crate) async fn watch_until(&mut self, until: Instant) {
        loop {
            for death in self.ground.unasked_exits() {
                self.note(Note::Died(death));
            }
            let now = Instant::now();
            if now >= until {
                return;
            }
            tokio::time::sleep_until(until.min(now + WATCH)).await;
        }
    }

    async fn step(&mut self, step: &Step) -> Result<()> {
        let mut over = Vec::new();
        for id in &step.end {
            if let Some(position) = self.active.iter().position(|fault| fault.planned.id == *id) {
                let fault = self.active.remove(position);
                over.push(self.end(fault).await);
            }
        }
        let mut begun = Vec::new();
        for planned in &step.begin {
            begun.extend(self.begin(planned).await?);
        }
        self.ground.settle().await?;
        over.into_iter().for_each(|record| self.note(Note::Over(record)));
        for fault in begun {
            self.on(fault);
        }
        Ok(())
    }

    /// Ends everything, in the order in which it began, and heals the links.
    pub(crate) async fn heal(&mut self) -> Result<()> {
        let ids: Vec<u32> = self.active.iter().map(|fault| fault.planned.id).collect();
        let ended = self.step(&Step { at_ms: 0, end: ids, begin: Vec::new() }).await;
        // A step that failed half-way may have left something behind that no fault in the list owns.
        let whole = self.ground.make_whole().await;
        ended.and(whole).context("what the nemesis did could not be undone")
    }

    async fn begin(&mut self, planned: &Planned) -> Result<Option<Fault>> {
        let nemesis = named(&planned.kind).context("a schedule names only nemeses that exist")?;
        let scene = self.scene().await;
        let mut rng = self.rng.fork(&format!("fault {}", planned.id));
        let Some(target) = nemesis.aim(&planned.variant, &scene, &mut rng) else {
            self.note(Note::Over(skipped(planned, &scene)));
            return Ok(None);
        };
        let fault = |before| Fault {
            planned: planned.clone(),
            nemesis,
            target: target.clone(),
            before,
            started: 0,
        };
        match nemesis.begin(&target, &mut self.ground).await {
            Ok(before) => Ok(Some(fault(before))),
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
        let seen = seen.unwrap_or_else(|error| Seen { bit: false, text: format!("{error:#}") });
        let majority = able(&fault.target, self.ground.count());
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
    let touched: BTreeSet<_> = target.hosts.iter().copied().collect();
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

fn skipped(planned: &Planned, scene: &Scene) -> FaultRecord {
    let why = match scene.leader {
        None => "nobody led the cluster at that moment",
        Some(_) => "something else had already hit whom it aims at, or there are too few hosts",
    };
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
        evidence: why.to_owned(),
    }
}
