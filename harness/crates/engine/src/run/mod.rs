//! Carries out a plan from the first link to the verdict, and leaves everything in the run's
//! directory.
//!
//! Setup, main phase, heal, recovery, final reads, judgement: a run that is interrupted skips what
//! it can and still heals and judges. Whatever fails, replicas and links are gone when [`run`]
//! returns.

mod clients;
mod context;
mod counters;
mod dispatcher;
mod journal;
mod judge;
mod online_check;
pub mod options;
pub mod plan;
mod setup;
pub mod swarm;

use crate::clock::Clock;
use crate::invariants::{ReplicaFile, Sources, check_invariants};
use crate::live::LiveView;
use crate::nemesis::executor::{Executor, NemesisOutcome};
use crate::nemesis::{Cluster, Telemetry, script};
use crate::status_poller::{StatusPoller, StatusReport};
use crate::system::Feature;
use anyhow::{Context as _, Result};
use checker::History;
pub use context::RunContext;
use dispatcher::{Dispatcher, DispatcherInput};
use judge::Phases;
pub use judge::{check_names, record_validity};
use online_check::OnlineMonitor;
use plan::Plan;
use records::RunDirectory;
use records::record::{
    CheckRecord, DiskFaultBackend, FORMAT, FaultRecord, Machine, Net, RunRecord, Timings,
    VerdictRecord,
};
use records::replica_log::ReplicaTelemetry;
pub use setup::SetupError;
use std::net::SocketAddr;
use std::time::Duration;
use testbed::host::disk::BackendChoice;
use tokio::sync::{mpsc, watch as channel};

/// How long replicas may take to answer once everything is healed.
const RECOVERY_TIMEOUT: Duration = Duration::from_secs(20);
/// How long the final reads may take.
const FINAL_READS_TIMEOUT: Duration = Duration::from_secs(60);

/// A run that is over.
pub struct FinishedRun {
    /// Its directory.
    pub directory: RunDirectory,
    /// Everything about it but its outcome.
    pub record: RunRecord,
    /// Its outcome.
    pub verdict: VerdictRecord,
    /// Its history.
    pub history: History,
    /// What was seen of its replicas.
    pub observed: ReplicaTelemetry,
}

/// Carries out the plan.
pub async fn run(plan: Plan, mut context: RunContext) -> Result<FinishedRun> {
    tokio::task::block_in_place(|| setup::check_requirements(&plan))?;
    let started = jiff::Timestamp::now();
    let stamp = started.strftime("%Y%m%dT%H%M%SZ").to_string();
    let directory =
        RunDirectory::create(&context.results, &plan.family_name(), &stamp, plan.config.seed);
    let directory = directory.map_err(|error| SetupError::from_error(&error))?;
    // A run that cannot be marked is only harder to find while it lasts.
    let _mark = records::LiveMarker::create(&context.results, directory.path());
    let live = LiveView::new(context.style, context.quiet);
    let network = setup::build_network(&plan, &mut context, &directory).await?;
    let addresses = setup::client_addresses(&plan, &network);
    let mut record = make_run_record(
        &plan,
        &context,
        &addresses,
        started.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
    );
    record.net.description = network.describe();
    record.timings.net_ms = context.elapsed_ms();
    if !plan.drawn.is_empty() {
        live.print_line(&format!("drawn: {}", plan.drawn.join(" ")));
    }
    live.print_line(&format!("net: {}", record.net.description));
    if let Some(why) = &record.net.why {
        live.print_line(&format!("     not namespaces and a bridge, because {why}"));
    }
    record.disks = setup::choose_disks(&plan)?.map(make_disks_record);
    record.disks.iter().for_each(|disks| live.print_line(&format!("disks: {}", disks.description)));
    directory.write_json("run.json", &record)?;
    directory.write_file(script::FILE, &script::write_script(&plan.schedule))?;
    let mut cluster = setup::start_replicas(&plan, network, &directory)?;
    let mut stop = context.stop.clone();
    let startup_timeout = plan.system.startup_timeout();
    tokio::select! {
        ready = setup::wait_until_ready(&mut cluster, &directory, startup_timeout) => ready?,
        _ = stop.wait_for(|stop| *stop) => (),
    }
    record.timings.ready_ms = context.elapsed_ms();
    directory.write_json("run.json", &record)?;
    let running = RunningCluster { plan, context, directory, record, addresses };
    let (closed, phases, running) = running.run_test(cluster, live).await?;
    tokio::task::spawn_blocking(move || running.judge_run(closed, phases))
        .await
        .context("the judge died")?
}

fn make_disks_record(choice: BackendChoice) -> DiskFaultBackend {
    let BackendChoice { backend, why } = choice;
    DiskFaultBackend { means: backend.to_string(), description: backend.describe().to_owned(), why }
}

fn make_run_record(
    plan: &Plan,
    context: &RunContext,
    addresses: &[SocketAddr],
    started: String,
) -> RunRecord {
    RunRecord {
        format: FORMAT,
        harness: env!("CARGO_PKG_VERSION").to_owned(),
        argv: plan.argv.clone(),
        config: plan.config.clone(),
        started,
        machine: describe_machine(),
        net: Net {
            backend: context.backend.to_string(),
            description: String::new(),
            why: context.fallback_reason.clone(),
        },
        disks: None,
        replicas: setup::replica_records(addresses),
        timings: Timings::default(),
        drawn: plan.drawn.clone(),
        repro: plan.repro_command(),
    }
}

fn describe_machine() -> Machine {
    let kernel = nix::sys::utsname::uname().map_or_else(
        |_| "unknown".to_owned(),
        |name| {
            let part = |part: &std::ffi::OsStr| part.to_string_lossy().into_owned();
            format!("{} {} {}", part(name.sysname()), part(name.release()), part(name.machine()))
        },
    );
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    Machine { kernel, cpus, uid: outside_uid() }
}

/// The user's id outside any user namespace: a namespace of ours maps exactly one.
fn outside_uid() -> u32 {
    let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    let fields: Vec<u32> = map.split_whitespace().filter_map(|field| field.parse().ok()).collect();
    match fields[..] {
        [_, outside, 1] => outside,
        _ => nix::unistd::geteuid().as_raw(),
    }
}

/// A run whose replicas have started.
struct RunningCluster {
    plan: Plan,
    context: RunContext,
    directory: RunDirectory,
    record: RunRecord,
    addresses: Vec<SocketAddr>,
}

impl RunningCluster {
    /// Everything that happens, from the first call to the last answer.
    async fn run_test(
        mut self,
        mut cluster: Cluster,
        live: LiveView,
    ) -> Result<(dispatcher::DispatcherResults, Phases, Self)> {
        let clock = Clock::start();
        let poller = StatusPoller::start(clock, cluster.clients(), &self.directory)?;
        let sink = poller.sink.clone();
        cluster.report_to(&Telemetry::new(move |host, what| {
            // The watcher is gone only when the run is being torn down.
            drop(sink.send(StatusReport { time: clock.now_ns(), host, what }));
        }));
        self.record.timings.clock_unix_ms = Some(jiff::Timestamp::now().as_millisecond());
        let (events_in, events) = mpsc::unbounded_channel();
        let traffic =
            workloads::TrafficConfig { replicas: self.addresses.len(), keys: self.plan.keys() };
        let input = DispatcherInput {
            clock,
            journal: journal::Journal::create(&self.directory.file_path("history.jsonl"))?,
            traffic: self.plan.workload.make_traffic(self.plan.rng.fork("clients"), &traffic),
            clients: clients::Clients::start(
                self.plan.system,
                &self.addresses,
                (self.plan.config.concurrency, self.plan.client_options()),
            )?,
            events,
            leader: poller.leader.clone(),
            stop: self.context.stop.clone(),
            online_check: self.start_online_checks()?,
            live,
        };
        let rng = self.plan.rng.fork("aim");
        let mut dispatcher = Dispatcher::new(input);
        let succeeded = dispatcher.counters.subscribe_successes();
        let executor = Executor::new(cluster, clock, rng, succeeded, events_in);
        let (mut executor, mut phases) = self.run_phases(&mut dispatcher, executor).await?;
        for exit in executor.cluster.poll_unexpected_exits() {
            dispatcher.record_exit(exit)?;
        }
        if let Some(error) = executor.cluster.network_error() {
            self.record.net.description += &format!("; {error}");
        }
        phases.protocol_error = executor.cluster.protocol_error();
        for error in executor.cluster.shutdown(self.plan.system.shutdown_signal()).await {
            crate::live::print_stderr(&format!("harness: {error}"));
        }
        drop(executor);
        if let Err(error) = poller.finish().await {
            // It is for display: no verdict depends on it.
            crate::live::print_stderr(&format!("harness: {error:#}"));
        }
        let first_op =
            dispatcher.first_op.map(|first| first.into_std().duration_since(self.context.began));
        self.record.timings.first_op_ms =
            first_op.and_then(|took| u64::try_from(took.as_millis()).ok());
        self.record.timings.history_ms = Some(self.context.elapsed_ms());
        Ok((dispatcher.close()?, phases, self))
    }

    /// The checks of `--fail-fast`, if the run is to stop at the first violation.
    fn start_online_checks(&self) -> Result<Option<OnlineMonitor>> {
        let Plan { online_checks, config, .. } = &self.plan;
        let start = || OnlineMonitor::start(online_checks, config.concurrency);
        (!online_checks.is_empty()).then(start).transpose()
    }

    async fn run_phases(
        &self,
        dispatcher: &mut Dispatcher,
        executor: Executor,
    ) -> Result<(Executor, Phases)> {
        let (limit, hosts) = (self.plan.limit(), self.addresses.len());
        let (finished_in, finished) = channel::channel(false);
        let nemesis = tokio::spawn(run_nemesis(
            executor,
            self.plan.schedule.clone(),
            limit,
            online_check::stop_signal(self.context.stop.clone(), dispatcher.violation_receiver()),
            finished_in,
        ));
        dispatcher.run_main_phase(limit, self.plan.config.rate, self.plan.fault_times()).await?;
        dispatcher.await_healing(&finished).await?;
        let main_end = dispatcher.main_end;
        let (executor, ended) = nemesis.await.context("the nemesis died")?;
        dispatcher.drain().await?;
        let error_text = |result: Result<()>| result.err().map(|error| format!("{error:#}"));
        let mut phases = Phases {
            main_end,
            nemesis_error: error_text(ended.applied),
            heal_error: error_text(ended.healed),
            protocol_error: None,
            recovery: None,
            final_reads: None,
            interrupted: false,
            stopped_early: dispatcher.stopped_early.take(),
        };
        if !dispatcher.is_stopped() {
            phases.recovery = Some(dispatcher.run_recovery(hosts, RECOVERY_TIMEOUT).await?);
        }
        if !dispatcher.is_stopped() {
            phases.final_reads =
                Some(dispatcher.run_final_reads(hosts, FINAL_READS_TIMEOUT).await?);
        }
        phases.interrupted = dispatcher.is_stopped();
        Ok((executor, phases))
    }

    /// Checks what no replica may ever do, on what the replicas wrote and reported.
    fn check_invariants(
        &self,
        faults: &[FaultRecord],
        observed: &ReplicaTelemetry,
    ) -> Vec<CheckRecord> {
        let system = self.plan.system;
        let read_files = |name| ReplicaFile::read_all(&self.directory.file_path(name));
        check_invariants(&Sources {
            logs: &read_files("logs"),
            traces: &read_files("trace"),
            observations: &observed.observations,
            faults,
            bugs: &self.plan.config.bugs,
            log_rules: system.log_rules(),
            one_leader_per_term: system.has_feature(Feature::OneLeaderPerTerm),
        })
    }

    /// Judges what happened and writes it all down.
    fn judge_run(
        mut self,
        closed: dispatcher::DispatcherResults,
        mut phases: Phases,
    ) -> Result<FinishedRun> {
        let history = History::new(closed.events.clone())
            .context("the recorded history is not well-formed")?
            .with_concurrency(self.plan.config.concurrency);
        let checks = judge::run_checks(&self.plan, &history, &self.context.stop);
        phases.interrupted |= *self.context.stop.borrow();
        let checks = judge::record_checks(&checks, &self.directory)?;
        let names = self.record.replicas.iter().map(|replica| replica.name.as_str());
        let observed = ReplicaTelemetry::read(&self.directory, names);
        let checks = judge::RunChecks {
            history: checks,
            invariants: self.check_invariants(&closed.faults, &observed),
        };
        let verdict = judge::make_verdict(&self.plan, &closed, &history, checks, phases);
        self.record.timings.judged_ms = Some(self.context.elapsed_ms());
        self.directory.write_json("run.json", &self.record)?;
        self.directory.write_json("verdict.json", &verdict)?;
        let path = self.directory.path().display().to_string();
        let report = report::Run {
            record: &self.record,
            verdict: &verdict,
            history: &history,
            observed: &observed,
            check_names: check_names(&self.record.config),
            directory: &path,
        };
        self.directory.write_file("report.html", &report::html(&report))?;
        let run = self
            .directory
            .path()
            .strip_prefix(&self.context.results)
            .unwrap_or(self.directory.path());
        let line = judge::index_line(run.display().to_string(), &self.record, &verdict);
        let tidied = records::append_to_index(&self.context.results, &line).and_then(|()| {
            match verdict.validity {
                records::record::Validity::Valid => self.directory.remove_data(),
                _ => Ok(()),
            }
        });
        closed.live.finish();
        if let Err(error) = tidied {
            // The verdict is written and stands.
            crate::live::print_stderr(&format!("harness: {error:#}"));
        }
        Ok(FinishedRun {
            directory: self.directory,
            record: self.record,
            verdict,
            history,
            observed,
        })
    }
}

/// Runs the nemesis, and reports when everything is undone.
async fn run_nemesis(
    mut executor: Executor,
    schedule: crate::nemesis::schedule::Schedule,
    limit: Duration,
    stop: channel::Receiver<bool>,
    finished: channel::Sender<bool>,
) -> (Executor, NemesisOutcome) {
    let ended = executor.run(&schedule, limit, stop).await;
    finished.send_replace(true);
    (executor, ended)
}
