//! Drives a run from one task, which owns the history, the generator and the counters.
//!
//! An interval may only be widened: an invocation is journaled before its call is handed to a
//! client, a completion after the whole answer has arrived.

use super::clients::{Clients, Completion, PendingCall};
use super::counters::Counters;
use super::journal::{Journal, JournalEntry};
use super::online_check::{EarlyViolation, OnlineMonitor};
use crate::clock::Clock;
use crate::live::{LiveView, Snapshot};
use crate::nemesis::UnexpectedExit;
use crate::nemesis::event::{FaultOutcome, NemesisEvent};
use crate::system::Leadership;
use anyhow::Result;
use checker::history::{Kind, Process, Value};
use records::record::{FaultRecord, LeaderChange};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use testbed::net::plan::HostId;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior};
use workloads::{BoxGenerator, Call, Context, Next, Outcome, Reply, Traffic};

/// The history is at most this far behind.
const FLUSH_INTERVAL: Duration = Duration::from_millis(100);
/// How long a failed call of the last phases waits before it is tried again.
const RETRY_DELAY: Duration = Duration::from_millis(200);

/// How long the last phases wait for more when they make progress, so that long runs get the time
/// they need.
const PROGRESS_EXTENSION: Duration = Duration::from_secs(5);

/// What the dispatcher works with.
pub(crate) struct DispatcherInput {
    /// The run's clock.
    pub clock: Clock,
    /// The history.
    pub(crate) journal: Journal,
    /// What clients ask.
    pub(crate) traffic: Traffic,
    /// The clients.
    pub clients: Clients,
    /// What the nemesis reports.
    pub events: mpsc::UnboundedReceiver<NemesisEvent>,
    /// The leader, for display.
    pub leader: watch::Receiver<Option<Leadership>>,
    /// Becomes true when the run is to stop early.
    pub stop: watch::Receiver<bool>,
    /// The online checks, if the run is to stop at the first violation.
    pub online_check: Option<OnlineMonitor>,
    /// The terminal.
    pub live: LiveView,
}

/// The task that orders everything that happens in a run.
pub(crate) struct Dispatcher {
    input: DispatcherInput,
    /// The counts.
    pub counters: Counters,
    /// Faults that are over.
    pub faults: Vec<FaultOutcome>,
    /// Replicas that exited unexpectedly.
    pub(crate) exits: Vec<UnexpectedExit>,
    /// Those of them that have not been restarted.
    dead: BTreeSet<HostId>,
    /// The leaders over time, as the system reports them.
    led: Vec<LeaderChange>,
    /// When the first operation was invoked.
    pub(crate) first_op: Option<Instant>,
    /// When the main phase was over, in nanoseconds since the run began.
    pub(crate) main_end: u64,
    /// Whether every call of the main phase was answered.
    main_is_over: bool,
    /// When and why the main phase was over early, if a violation ended it.
    pub(crate) stopped_early: Option<(Duration, EarlyViolation)>,
    active: BTreeMap<u32, String>,
    /// Hosts that did not answer in the recovery phase.
    silent: BTreeSet<usize>,
    flush: tokio::time::Interval,
    live_state: LiveState,
}

/// What a run does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Setup,
    Main,
    Heal,
    Recovery,
    FinalReads,
    Judge,
}

impl Phase {
    fn name(self) -> &'static str {
        match self {
            Self::Setup => "setup",
            Self::Main => "main",
            Self::Heal => "heal",
            Self::Recovery => "recovery",
            Self::FinalReads => "final reads",
            Self::Judge => "judge",
        }
    }
}

/// What the live view shows besides counts.
struct LiveState {
    phase: Phase,
    began: Instant,
    limit: Duration,
    /// When faults begin and end.
    changes: Vec<Duration>,
}

/// The final phases: the calls for each host, when the next may start, and whether all are done.
struct FinalPhase {
    generators: Vec<BoxGenerator>,
    next_call_at: Vec<Instant>,
    done: Vec<bool>,
}

/// An answer that was journaled.
struct Completed {
    thread: usize,
    call: Call,
    reply: Reply,
}

/// What happened next.
enum DispatcherEvent {
    Completion(Completion),
    Nemesis(NemesisEvent),
    Flush,
    Deadline,
}

impl Dispatcher {
    /// A dispatcher that has done nothing yet.
    pub(crate) fn new(input: DispatcherInput) -> Self {
        let mut flush = tokio::time::interval(FLUSH_INTERVAL);
        flush.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let live_state = LiveState {
            phase: Phase::Setup,
            began: Instant::now(),
            limit: Duration::ZERO,
            changes: Vec::new(),
        };
        Self {
            input,
            counters: Counters::new(),
            faults: Vec::new(),
            exits: Vec::new(),
            dead: BTreeSet::new(),
            led: Vec::new(),
            first_op: None,
            main_end: 0,
            main_is_over: false,
            stopped_early: None,
            active: BTreeMap::new(),
            silent: BTreeSet::new(),
            flush,
            live_state,
        }
    }

    /// Whether the run was told to stop early.
    pub(crate) fn is_stopped(&self) -> bool {
        *self.input.stop.borrow()
    }

    /// The main phase: calls arrive at a steady rate; one that finds all clients busy is skipped.
    pub(crate) async fn run_main_phase(
        &mut self,
        limit: Duration,
        rate: u64,
        changes: Vec<Duration>,
    ) -> Result<()> {
        let began = Instant::now();
        let gap = Duration::from_nanos(1_000_000_000 / rate.max(1));
        self.live_state = LiveState { phase: Phase::Main, began, limit, changes };
        let mut arrival = began;
        while arrival < began + limit && !self.is_stopped() && self.stopped_early.is_none() {
            if arrival <= Instant::now() {
                self.start_call(arrival, arrival - began)?;
                arrival += gap;
            }
            self.handle_next_event(arrival).await?;
            self.poll_online_check(began);
        }
        self.main_end = self.input.clock.now_ns();
        self.input.online_check = None;
        Ok(())
    }

    /// Where the violation of the online check arrives.
    pub(crate) fn violation_receiver(&self) -> Option<watch::Receiver<Option<EarlyViolation>>> {
        self.input.online_check.as_ref().map(OnlineMonitor::violation)
    }

    fn poll_online_check(&mut self, began: Instant) {
        let Some(check) = &mut self.input.online_check else { return };
        check.feed_events(self.input.journal.events());
        if let Some(violation) = check.violation().borrow().as_ref() {
            let after = began.elapsed();
            let seconds = after.as_secs_f64();
            self.input
                .live
                .print_line(&format!("violation after {seconds:.1} s: healing, then checking"));
            self.stopped_early = Some((after, violation.clone()));
        }
    }

    /// Starts the next call of the first idle thread that has one.
    fn start_call(&mut self, intended: Instant, into: Duration) -> Result<()> {
        let late = u64::try_from(intended.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let intended = self.input.clock.now_ns().saturating_sub(late);
        let time = u64::try_from(into.as_nanos()).unwrap_or(u64::MAX);
        let idle = self.input.clients.idle_threads();
        if idle.is_empty() {
            self.counters.counts.missed += 1;
        }
        for thread in idle {
            if let Next::Call(call) = self.input.traffic.main.next_call(&Context { thread, time }) {
                return self.invoke_call(thread, PendingCall { call, intended });
            }
        }
        Ok(())
    }

    /// Waits until the nemesis has undone everything: until `finished` says so.
    pub(crate) async fn await_healing(&mut self, finished: &watch::Receiver<bool>) -> Result<()> {
        self.enter_phase(Phase::Heal);
        while !*finished.borrow() {
            self.handle_next_event(Instant::now() + Duration::from_millis(20)).await?;
        }
        // The nemesis has finished, and none of its faults may go unrecorded.
        while let Ok(event) = self.input.events.try_recv() {
            self.record_event(event)?;
        }
        Ok(())
    }

    /// Waits until no call is on its way. A call always ends: clients have timeouts.
    pub(crate) async fn drain(&mut self) -> Result<()> {
        while !self.input.clients.all_idle() {
            self.handle_next_event(Instant::now() + FLUSH_INTERVAL).await?;
        }
        Ok(())
    }

    /// Each host is asked for a change and a look; returns whether a host left one of them
    /// unanswered.
    pub(crate) async fn run_recovery(
        &mut self,
        hosts: usize,
        patience: Duration,
    ) -> Result<Vec<bool>> {
        self.enter_phase(Phase::Recovery);
        let parts = (0..hosts).map(|_| (self.input.traffic.recovery)()).collect();
        let left = self.run_final_phase(parts, patience).await?;
        self.silent = (0..hosts).filter(|host| left[*host]).collect();
        Ok(left)
    }

    /// Each host is asked for everything; returns whether a host left something unanswered.
    pub(crate) async fn run_final_reads(
        &mut self,
        hosts: usize,
        patience: Duration,
    ) -> Result<Vec<bool>> {
        self.enter_phase(Phase::FinalReads);
        let parts = (0..hosts).map(|_| (self.input.traffic.final_reads)()).collect();
        self.run_final_phase(parts, patience).await
    }

    /// Thread `t` follows part `t`, and rests after what did not succeed, until patience ends and
    /// nothing more succeeds.
    ///
    /// A host whose replica exited unasked, or that did not recover, is not waited for: it counts
    /// as not done.
    async fn run_final_phase(
        &mut self,
        parts: Vec<BoxGenerator>,
        patience: Duration,
    ) -> Result<Vec<bool>> {
        self.main_is_over = true;
        let count = parts.len();
        let dead: Vec<bool> = (0..count)
            .map(|thread| self.is_dead(thread) || self.silent.contains(&thread))
            .collect();
        let mut deadline = Instant::now() + patience;
        let mut last = FinalPhase {
            generators: parts,
            next_call_at: vec![Instant::now(); count],
            done: vec![false; count],
        };
        while Instant::now() < deadline && !self.is_stopped() {
            for thread in (0..count).filter(|thread| !dead[*thread]) {
                self.call_next(thread, &mut last)?;
            }
            if (0..count).all(|thread| dead[thread] || last.done[thread]) {
                break;
            }
            if let Some((thread, answered)) = self.await_completion(deadline, &mut last).await? {
                let now = Instant::now();
                match answered {
                    true => deadline = deadline.max(now + PROGRESS_EXTENSION),
                    false => last.next_call_at[thread] = now + RETRY_DELAY,
                }
            }
        }
        self.drain().await?;
        Ok(last.done.iter().map(|done| !done).collect())
    }

    /// Lets a thread that is idle and rested make its next call.
    fn call_next(&mut self, thread: usize, last: &mut FinalPhase) -> Result<()> {
        if !self.input.clients.is_idle(thread) || last.next_call_at[thread] > Instant::now() {
            return Ok(());
        }
        let intended = self.input.clock.now_ns();
        match last.generators[thread].next_call(&Context { thread, time: intended }) {
            Next::Call(call) => self.invoke_call(thread, PendingCall { call, intended })?,
            Next::Pending => (),
            Next::Done => last.done[thread] = true,
        }
        Ok(())
    }

    /// Waits for one thing, and tells a part its answer; returns whose it was and whether it
    /// answers the question.
    async fn await_completion(
        &mut self,
        deadline: Instant,
        last: &mut FinalPhase,
    ) -> Result<Option<(usize, bool)>> {
        let Some(Completed { thread, call, reply }) =
            self.handle_next_event(deadline.min(Instant::now() + RETRY_DELAY)).await?
        else {
            return Ok(None);
        };
        if let Some(part) = last.generators.get_mut(thread) {
            part.observe_reply(thread, &call, &reply);
        }
        Ok(Some((thread, reply.outcome == Outcome::Ok || reply.is_mismatch())))
    }

    fn is_dead(&self, thread: usize) -> bool {
        let (_, host) = self.input.clients.process_and_host(thread);
        self.dead.contains(&host)
    }

    fn invoke_call(&mut self, thread: usize, open: PendingCall) -> Result<()> {
        self.first_op.get_or_insert_with(Instant::now);
        let entry = self.make_entry(
            thread,
            Kind::Invoke,
            open.call.function_name(),
            open.call.invocation_value(),
        );
        self.input.journal.record(entry)?;
        self.input.clients.send(thread, open);
        Ok(())
    }

    fn make_entry(&self, thread: usize, kind: Kind, function: &str, value: Value) -> JournalEntry {
        let (process, host) = self.input.clients.process_and_host(thread);
        JournalEntry {
            time: self.input.clock.now_ns(),
            kind,
            process: Process::Client(process),
            f: function.to_owned(),
            value,
            node: Some(host.to_string()),
            error: None,
        }
    }

    /// Takes in one thing that happens before `deadline`; if it is an answer, returns it.
    async fn handle_next_event(&mut self, deadline: Instant) -> Result<Option<Completed>> {
        match self.await_event(deadline).await {
            DispatcherEvent::Completion(done) => return self.complete_call(done),
            DispatcherEvent::Nemesis(event) => self.record_event(event)?,
            DispatcherEvent::Flush => {
                self.input.journal.flush()?;
                self.update_view();
            }
            DispatcherEvent::Deadline => (),
        }
        Ok(None)
    }

    async fn await_event(&mut self, deadline: Instant) -> DispatcherEvent {
        tokio::select! {
            biased;
            Some(done) = self.input.clients.done.recv() => DispatcherEvent::Completion(done),
            Some(event) = self.input.events.recv() => DispatcherEvent::Nemesis(event),
            _ = self.flush.tick() => DispatcherEvent::Flush,
            () = tokio::time::sleep_until(deadline) => DispatcherEvent::Deadline,
        }
    }

    fn complete_call(&mut self, done: Completion) -> Result<Option<Completed>> {
        let kind = match done.reply.outcome {
            Outcome::Ok => Kind::Ok,
            Outcome::Fail => Kind::Fail,
            Outcome::Info => Kind::Info,
        };
        // The process that asked is the one that is answered: look before it is retired.
        let mut entry = self.make_entry(done.thread, kind, "", Value::Nil);
        let Some(PendingCall { call, intended }) = self.input.clients.complete_call(&done) else {
            return Ok(None);
        };
        let Completion { thread, reply } = done;
        entry.f = call.function_name().to_owned();
        entry.value = call.completion_value(&reply);
        entry.error.clone_from(&reply.error);
        self.counters.record_completion(call.function_name(), reply.outcome, intended, entry.time);
        if !self.main_is_over {
            self.input.traffic.main.observe_reply(thread, &call, &reply);
        }
        self.input.journal.record(entry)?;
        Ok(Some(Completed { thread, call, reply }))
    }

    fn record_event(&mut self, event: NemesisEvent) -> Result<()> {
        match event {
            NemesisEvent::FaultBegan { id, kind, variant, target } => {
                let name = format!("{kind}:{variant}");
                self.record_nemesis_event(
                    "begin",
                    &[
                        ("fault", id.to_string()),
                        ("name", name.clone()),
                        ("target", target.clone()),
                    ],
                )?;
                self.active.insert(id, format!("{name} {target}"));
            }
            NemesisEvent::FaultEnded(fault) => {
                self.active.remove(&fault.id);
                let facts = [
                    ("fault", fault.id.to_string()),
                    ("state", fault.state.name().to_owned()),
                    ("evidence", fault.evidence.clone()),
                ];
                self.record_nemesis_event("end", &facts)?;
                self.faults.push(fault);
            }
            NemesisEvent::ReplicaExited(exit) => self.record_exit(exit)?,
            NemesisEvent::ReplicaRestarted(host) => {
                self.dead.remove(&host);
                self.record_nemesis_event("revival", &[("replica", host.to_string())])?;
            }
        }
        Ok(())
    }

    /// Records a replica that exited unexpectedly.
    pub(crate) fn record_exit(&mut self, exit: UnexpectedExit) -> Result<()> {
        let (host, how) = (exit.host, exit.exit);
        self.input.live.print_line(&format!("{host} exited unexpectedly: {how}"));
        self.record_nemesis_event(
            "death",
            &[("replica", host.to_string()), ("how", how.to_string())],
        )?;
        self.dead.insert(host);
        self.exits.push(exit);
        Ok(())
    }

    fn record_nemesis_event(&mut self, f: &str, facts: &[(&str, String)]) -> Result<()> {
        let value = Value::map(
            facts.iter().map(|(name, text)| ((*name).to_owned(), Value::from(text.as_str()))),
        );
        let time = self.input.clock.now_ns();
        let (kind, process) = (Kind::Info, Process::Nemesis);
        self.input.journal.record(JournalEntry {
            time,
            kind,
            process,
            f: f.to_owned(),
            value,
            node: None,
            error: None,
        })
    }

    fn enter_phase(&mut self, phase: Phase) {
        self.live_state.phase = phase;
        self.update_view();
    }

    fn update_view(&mut self) {
        let elapsed = self.live_state.began.elapsed();
        let (ops_per_s, p50, p99) = self.counters.recent_stats(self.input.clock.now_ns());
        let total = self.counters.counts.sum_outcomes();
        let leader = self.input.leader.borrow().map(|now| (now.leader.to_string(), now.term));
        self.note_leader(leader.as_ref());
        let next = self.live_state.changes.iter().find(|at| **at > elapsed);
        self.input.live.update(&Snapshot {
            phase: self.live_state.phase.name().to_owned(),
            elapsed,
            limit: self.live_state.limit,
            ok: total.ok,
            info: total.info,
            fail: total.fail,
            skipped: self.counters.counts.missed,
            ops_per_s,
            p50,
            p99,
            leader,
            active: self.active.values().cloned().collect(),
            next_in: next.map(|at| *at - elapsed).filter(|_| self.live_state.phase == Phase::Main),
        });
    }

    /// Records a change of leaders.
    fn note_leader(&mut self, now: Option<&(String, u64)>) {
        let before = self.led.last();
        let term = now.map(|now| now.1).or(before.map(|led| led.term)).unwrap_or_default();
        let leader = now.map(|now| now.0.clone());
        if before.is_none_or(|led| (&led.leader, led.term) != (&leader, term)) {
            self.led.push(LeaderChange { at: self.input.clock.now_ns(), leader, term });
        }
    }

    /// Shows that judging has begun, and returns the terminal and all events.
    pub(crate) fn close(mut self) -> Result<DispatcherResults> {
        self.enter_phase(Phase::Judge);
        let Self { input, counters, faults, exits, led, .. } = self;
        let mut faults: Vec<_> = faults.into_iter().map(FaultOutcome::into_record).collect();
        faults.sort_by_key(|fault| fault.id);
        Ok(DispatcherResults {
            events: input.journal.close()?,
            counters,
            faults,
            exits,
            led,
            live: input.live,
        })
    }
}

/// What remains of a run that is over.
pub(crate) struct DispatcherResults {
    /// Every event, in order.
    pub events: Vec<checker::history::Event>,
    /// The counts.
    pub counters: Counters,
    /// Every fault, in order.
    pub faults: Vec<FaultRecord>,
    /// Replicas that exited unexpectedly.
    pub(crate) exits: Vec<UnexpectedExit>,
    /// The leaders over time, as the system reports them.
    pub led: Vec<LeaderChange>,
    /// The terminal.
    pub live: LiveView,
}
