//! Carries out a schedule: waits for each step, ends and begins its faults as one change, and
//! reports what happened.
//!
//! Whatever happens, faults that began are ended and the links are healed before [`Executor::run`]
//! returns. It keeps no history: it sends [`NemesisEvent`]s to the dispatcher.

use super::cluster::SUPERVISION_INTERVAL;
use super::event::{FaultOutcome, NemesisEvent};
use super::grudge::majority_side;
use super::no_target::explain_no_target;
use super::schedule::{Schedule, When};
use super::timeline::{PlannedFault, Step, SuccessCounts, Timeline, count_successes};
use super::waiting::{MAX_WAIT_MS, WaitingFault};
use super::{
    ActiveFault, Cluster, ClusterView, Evidence, Nemesis, Skip, Target, find_nemesis, membership,
};
use crate::clock::Clock;
use anyhow::{Context as _, Result};
use records::record::FaultState;
use std::collections::BTreeSet;
use std::time::Duration;
use testbed::net::plan::{CLIENTS, HostId};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep};
use workloads::Rng;

/// Why a fault that was due in time has not begun.
const TOO_LATE: &str = "an earlier step lasted until the main phase was over";
/// Why a fault has not begun in a main phase that was stopped early.
const STOPPED: &str = "the main phase was stopped before it began";

/// How often a fault that lasts longer than planned is looked at.
const EXTENSION_POLL: Duration = Duration::from_millis(5);
/// How often a fault that waits for its target is tried again.
const RETRY_INTERVAL: Duration = Duration::from_millis(50);
/// A fault that begins later than this lasts as long as planned, and so ends later, too.
const LATE_MS: u64 = 100;

/// How the nemesis's work ended.
pub(crate) struct NemesisOutcome {
    /// Whether the schedule could be carried out.
    pub(crate) applied: Result<()>,
    /// Whether all of it could be undone.
    pub(crate) healed: Result<()>,
}

/// Carries out a schedule on a cluster.
pub(crate) struct Executor {
    /// What it acts on.
    pub(crate) cluster: Cluster,
    clock: Clock,
    /// Decides what each fault hits.
    rng: Rng,
    /// How many operations have succeeded, for faults that wait for them.
    succeeded: watch::Receiver<SuccessCounts>,
    events: mpsc::UnboundedSender<NemesisEvent>,
    active: Vec<RunningFault>,
    /// Faults that were due and have no target yet.
    waiting: Vec<WaitingFault>,
    /// When those are tried again.
    next_retry: Instant,
    /// When the main phase began.
    began: Instant,
}

/// What became of an attempt to begin a fault.
enum Attempt {
    Began(Box<RunningFault>),
    /// It was reported as skipped or unconfirmed.
    Reported,
    /// It may begin later; this is why it cannot now.
    NotYet(String),
}

/// A fault of the schedule that is on.
struct RunningFault {
    planned: PlannedFault,
    target: Target,
    fault: Box<dyn ActiveFault>,
    /// When it was fully applied, in nanoseconds since the run began.
    started: u64,
}

impl Executor {
    /// An executor without an active fault.
    pub(crate) fn new(
        cluster: Cluster,
        clock: Clock,
        rng: Rng,
        succeeded: watch::Receiver<SuccessCounts>,
        events: mpsc::UnboundedSender<NemesisEvent>,
    ) -> Self {
        let (active, waiting, now) = (Vec::new(), Vec::new(), Instant::now());
        let (next_retry, began) = (now, now);
        Self { cluster, clock, rng, succeeded, events, active, waiting, next_retry, began }
    }

    /// Carries out the schedule, whose times count from now, until `limit` or until `stop` is true.
    pub(crate) async fn run(
        &mut self,
        schedule: &Schedule,
        limit: Duration,
        mut stop: watch::Receiver<bool>,
    ) -> NemesisOutcome {
        let mut timeline = Timeline::new(schedule);
        self.began = Instant::now();
        let worked = self.run_steps(&mut timeline, limit, &mut stop).await;
        for WaitingFault { planned, why, .. } in std::mem::take(&mut self.waiting) {
            self.report_skipped(&planned, why);
        }
        for (planned, when) in timeline.unstarted_faults() {
            let why = match when {
                When::At(_) if *stop.borrow() => STOPPED.to_owned(),
                _ => explain_unstarted(&when, &self.succeeded.borrow()),
            };
            self.report_skipped(&planned, why);
        }
        NemesisOutcome { applied: worked, healed: self.heal().await }
    }

    /// A step is never cut off in the middle: only the waiting between steps is.
    async fn run_steps(
        &mut self,
        timeline: &mut Timeline,
        limit: Duration,
        stop: &mut watch::Receiver<bool>,
    ) -> Result<()> {
        while self.began.elapsed() < limit && !*stop.borrow() {
            let now_ms = self.elapsed_ms();
            timeline.release_triggered(&self.succeeded.borrow_and_update(), now_ms);
            let step = timeline.take_due(now_ms);
            if let Some(step) = step.or_else(|| self.take_retry()) {
                let done = self.run_step(timeline, &step).await;
                done.with_context(|| format!("the nemesis failed at {} ms", step.at_ms))?;
                continue;
            }
            let next = timeline.next_ms().map_or(limit, Duration::from_millis).min(limit);
            let retry = (!self.waiting.is_empty()).then_some(self.next_retry);
            let next = retry.into_iter().fold(self.began + next, Instant::min);
            let mut succeeded = self.succeeded.clone();
            tokio::select! {
                supervised = self.supervise_until(next) => supervised?,
                more = succeeded.changed(), if timeline.has_waiting() => {
                    // The dispatcher is gone only when the run is being torn down.
                    more.context("operations are no longer counted")?;
                }
                _ = stop.wait_for(|stop| *stop) => (),
            }
        }
        if *stop.borrow() {
            // The next step stays in the timeline, so that the faults it would have begun are
            // reported, too.
            return Ok(());
        }
        self.end_main_phase(timeline, limit).await
    }

    /// Faults that end with the main phase end as planned, not as something left behind.
    async fn end_main_phase(&mut self, timeline: &mut Timeline, limit: Duration) -> Result<()> {
        let limit_ms = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
        let Some(step) = timeline.take_due(limit_ms) else { return Ok(()) };
        for planned in &step.begin {
            self.report_skipped(planned, TOO_LATE.to_owned());
        }
        self.run_step(timeline, &Step { begin: Vec::new(), ..step }).await
    }

    fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// The fault that has waited longest, as a step of its own, if it is time to try it again.
    fn take_retry(&mut self) -> Option<Step> {
        if self.waiting.is_empty() || Instant::now() < self.next_retry {
            return None;
        }
        let WaitingFault { planned, due_ms, .. } = self.waiting.remove(0);
        Some(Step { at_ms: due_ms, end: Vec::new(), begin: vec![planned] })
    }

    /// Waits until then, and supervises replicas and faults meanwhile.
    async fn supervise_until(&mut self, until: Instant) -> Result<()> {
        loop {
            self.supervise()?;
            let now = Instant::now();
            if now >= until {
                return Ok(());
            }
            let intervals = self.active.iter().map(|active| active.fault.tick_interval());
            let interval = intervals.min().unwrap_or(SUPERVISION_INTERVAL);
            tokio::time::sleep_until(until.min(now + interval)).await;
        }
    }

    /// Reports unexpected exits, gives every fault its turn, and restarts replicas that exited by
    /// themselves.
    fn supervise(&mut self) -> Result<()> {
        self.report_exits();
        for active in &mut self.active {
            active.fault.tick(&mut self.cluster)?;
        }
        self.cluster.supervise_members()?;
        self.report_restarts();
        Ok(())
    }

    /// Ends and begins the faults of a step, and changes the network once.
    async fn run_step(&mut self, timeline: &mut Timeline, step: &Step) -> Result<()> {
        self.extend_until_observed(&step.end).await;
        let mut over = Vec::new();
        for id in &step.end {
            if let Some(place) = self.active.iter().position(|active| active.planned.id == *id) {
                let active = self.active.remove(place);
                over.push(self.end_fault(active).await);
            }
        }
        let mut begun = Vec::new();
        let began = self.begin_all(step, &mut begun).await;
        let applied = self.cluster.links.apply().await;
        // Even after an error, faults that ended are reported, and faults that began are ended
        // later.
        over.into_iter().for_each(|outcome| self.send_event(NemesisEvent::FaultEnded(outcome)));
        let now_ms = self.elapsed_ms();
        for active in begun {
            if now_ms > step.at_ms + LATE_MS {
                timeline.move_end(active.planned.id, now_ms + active.planned.for_ms);
            }
            self.activate(active);
        }
        began.and(applied)?;
        if self.active.is_empty() {
            membership::rejoin_removed(&mut self.cluster).await
        } else {
            Ok(())
        }
    }

    /// Lets faults that are to end last longer while their effect is still to be observed.
    ///
    /// An error ends the extension: what can still be sampled is sampled when the fault ends.
    async fn extend_until_observed(&mut self, ids: &[u32]) {
        let began = Instant::now();
        while self.needs_more_time(ids, began.elapsed()) {
            if self.supervise().is_err() || self.cluster.links.apply().await.is_err() {
                return;
            }
            sleep(EXTENSION_POLL).await;
        }
    }

    fn needs_more_time(&mut self, ids: &[u32], extended: Duration) -> bool {
        let mut needed = false;
        for active in self.active.iter_mut().filter(|active| ids.contains(&active.planned.id)) {
            needed |= active.fault.needs_more_time(&mut self.cluster, extended).unwrap_or(false);
        }
        needed
    }

    async fn begin_all(&mut self, step: &Step, begun: &mut Vec<RunningFault>) -> Result<()> {
        for planned in &step.begin {
            match self.begin_fault(planned, begun).await? {
                Attempt::Began(active) => begun.push(*active),
                Attempt::Reported => (),
                Attempt::NotYet(why) if self.elapsed_ms() < step.at_ms + MAX_WAIT_MS => {
                    self.next_retry = Instant::now() + RETRY_INTERVAL;
                    let (planned, due_ms) = (planned.clone(), step.at_ms);
                    self.waiting.push(WaitingFault { planned, due_ms, why });
                }
                Attempt::NotYet(why) => self.report_skipped(planned, why),
            }
        }
        Ok(())
    }

    /// Begins a fault, in the same step as those that have `begun` already.
    async fn begin_fault(
        &mut self,
        planned: &PlannedFault,
        begun: &[RunningFault],
    ) -> Result<Attempt> {
        let nemesis = find_nemesis(&planned.kind);
        let nemesis = nemesis.with_context(|| format!("there is no nemesis {:?}", planned.kind))?;
        let mut on = self.active.iter().chain(begun);
        if let Some(other) = on.find(|active| active.planned.kind == planned.kind) {
            let other = other.planned.id;
            let why = format!("fault {other} was still on, and two of a kind undo each other");
            return Ok(Attempt::NotYet(why));
        }
        // A replica that has just exited is no target.
        self.supervise()?;
        let view = self.observe_cluster().await;
        let label = format!("fault {}", planned.id);
        let mut rng = self.rng.fork(&label);
        let Some(target) = nemesis.choose_target(&planned.variant, &view, &mut rng) else {
            let has_target = |view: &ClusterView| {
                let mut rng = self.rng.fork(&label);
                nemesis.choose_target(&planned.variant, view, &mut rng).is_some()
            };
            let why = explain_no_target(&view, &self.cluster.explain_busy_hosts(), has_target);
            return Ok(Attempt::NotYet(why));
        };
        let began = self.begin_aimed(nemesis, planned, target).await;
        Ok(began.map_or(Attempt::Reported, |active| Attempt::Began(Box::new(active))))
    }

    async fn begin_aimed(
        &mut self,
        nemesis: &'static dyn Nemesis,
        planned: &PlannedFault,
        target: Target,
    ) -> Option<RunningFault> {
        let began = self.clock.now_ns();
        match nemesis.begin_fault(&target, &mut self.cluster).await {
            Ok(fault) => {
                Some(RunningFault { planned: planned.clone(), target, fault, started: began })
            }
            Err(error) => {
                let now = self.clock.now_ns();
                // A fault that was skipped may have broken something for a moment. Another error
                // means that a replica exited by itself meanwhile and could not be hit; the
                // supervisor reports that.
                let began = if error.is::<Skip>() { began } else { now };
                let outcome =
                    conclude_fault(planned.clone(), target, (began, now), Err(error), Vec::new());
                self.send_event(NemesisEvent::FaultEnded(outcome));
                None
            }
        }
    }

    /// Everything of the step is applied: from now on the fault counts.
    fn activate(&mut self, mut active: RunningFault) {
        active.started = self.clock.now_ns();
        self.send_event(NemesisEvent::FaultBegan {
            id: active.planned.id,
            kind: active.planned.kind.clone(),
            variant: active.planned.variant.clone(),
            target: active.target.text.clone(),
        });
        self.active.push(active);
    }

    /// Ends a fault. An error makes it unconfirmed, and is no reason to stop the run.
    async fn end_fault(&mut self, active: RunningFault) -> FaultOutcome {
        let RunningFault { planned, target, mut fault, started } = active;
        let ended = self.clock.now_ns();
        let undone = fault.end_fault(&mut self.cluster).await;
        let evidence = undone.and_then(|()| fault.weigh_evidence());
        // With fewer members than hosts, the hosts alone do not decide which of them are a
        // majority.
        let majority = match self.cluster.may_lack_members() {
            true => Vec::new(),
            false => majority_under(&target, self.cluster.host_count()),
        };
        conclude_fault(planned, target, (started, ended), evidence, majority)
    }

    /// Ends everything, in the order in which it began, and heals what is left.
    async fn heal(&mut self) -> Result<()> {
        let ids: Vec<u32> = self.active.iter().map(|active| active.planned.id).collect();
        let ended =
            self.run_step(&mut Timeline::default(), &Step { end: ids, ..Step::default() }).await;
        self.report_exits();
        // A replica that may still stop because of its disk is supervised until it may not any
        // more.
        let graceful = self.await_disk_grace().await;
        // A step that failed half-way may have left something broken that no active fault owns.
        let healed = self.cluster.heal().await;
        let rejoined = match healed {
            Ok(()) => membership::finish_changes(&mut self.cluster).await,
            Err(error) => Err(error),
        };
        self.report_restarts();
        ended.and(graceful).and(rejoined).context("the faults could not be undone")
    }

    /// Waits until no exit can be due to a past disk fault. A pause restarts that period.
    async fn await_disk_grace(&mut self) -> Result<()> {
        let now = std::time::Instant::now;
        while let Some(until) = self.cluster.disk_grace_ends().filter(|until| *until > now()) {
            self.supervise_until(until.into()).await?;
        }
        Ok(())
    }

    async fn observe_cluster(&self) -> ClusterView {
        ClusterView {
            count: self.cluster.host_count(),
            leader: self.cluster.fetch_leader().await,
            free: self.cluster.free_hosts(),
        }
    }

    fn report_exits(&mut self) {
        for exit in self.cluster.poll_unexpected_exits() {
            self.send_event(NemesisEvent::ReplicaExited(exit));
        }
    }

    fn report_restarts(&mut self) {
        for host in self.cluster.take_restarted() {
            self.send_event(NemesisEvent::ReplicaRestarted(host));
        }
    }

    fn report_skipped(&self, planned: &PlannedFault, why: String) {
        self.send_event(NemesisEvent::FaultEnded(FaultOutcome {
            id: planned.id,
            kind: planned.kind.clone(),
            variant: planned.variant.clone(),
            target: "none".to_owned(),
            hosts: Vec::new(),
            cut: Vec::new(),
            majority: Vec::new(),
            span: None,
            state: FaultState::Skipped,
            evidence: why,
        }));
    }

    fn send_event(&self, event: NemesisEvent) {
        // The dispatcher is gone only when the run is being torn down.
        drop(self.events.send(event));
    }
}

/// The hosts that can still form a majority, considering this fault only.
fn majority_under(target: &Target, count: usize) -> Vec<HostId> {
    let shaped = || target.links.shapes.keys().flat_map(|(from, to)| [*from, *to]);
    if shaped().any(|end| end == CLIENTS) {
        return Vec::new();
    }
    // A replica with a wrong clock can take part. One whose packets are late or lost may, but need
    // not.
    let stopped = target.hosts.iter().filter(|_| target.skew.is_none()).copied();
    let affected: BTreeSet<HostId> = stopped.chain(shaped()).collect();
    if count - affected.len() <= count / 2 {
        return Vec::new();
    }
    majority_side(&target.links, count).difference(&affected).copied().collect()
}

/// The outcome of a fault that began, or of one that could not begin after it was aimed.
fn conclude_fault(
    planned: PlannedFault,
    target: Target,
    span: (u64, u64),
    evidence: Result<Evidence>,
    majority: Vec<HostId>,
) -> FaultOutcome {
    let (state, majority, evidence) = match evidence {
        Ok(Evidence { confirmed: true, text }) => (FaultState::Witnessed, majority, text),
        Ok(Evidence { confirmed: false, text }) => (FaultState::Unwitnessed, majority, text),
        Err(skip) if skip.is::<Skip>() => (FaultState::Skipped, Vec::new(), skip.to_string()),
        Err(error) => (FaultState::Unwitnessed, majority, format!("{error:#}")),
    };
    FaultOutcome {
        id: planned.id,
        kind: planned.kind,
        variant: planned.variant,
        target: target.text,
        hosts: target.hosts,
        cut: target.links.cuts.into_iter().collect(),
        majority,
        // Also of one that was skipped: whatever it broke for a moment explains what others could
        // not do.
        span: Some(span),
        state,
        evidence,
    }
}

/// Why a fault has not begun.
fn explain_unstarted(when: &When, succeeded: &SuccessCounts) -> String {
    match when {
        When::After { count, function } => {
            let seen = count_successes(succeeded, function.as_ref());
            let what = function.as_deref().unwrap_or("operation");
            format!("it waited for {count} successful operations ({what}), and there were {seen}")
        }
        When::At(_) => TOO_LATE.to_owned(),
    }
}

#[cfg(test)]
mod tests;
