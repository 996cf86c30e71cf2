//! Runs the executor on replicas that only sleep, and checks what it reports and what it leaves
//! behind.

use super::*;
use crate::nemesis::cluster::Roster;
use crate::nemesis::grudge::all_hosts;
use crate::nemesis::schedule::ScheduledFault;
use crate::nemesis::{Member, Startup};
use crate::system::Program;
use records::logs::ReplicaLogs;
use tempfile::TempDir;
use testbed::net::{Backend, Network};

const HOSTS: u8 = 3;

struct TestRun {
    executor: Executor,
    events: mpsc::UnboundedReceiver<NemesisEvent>,
    _directory: TempDir,
}

/// Three replicas that sleep.
async fn start_run() -> TestRun {
    let directory = tempfile::tempdir().expect("a directory");
    let network = Network::build(Backend::Proxy, HOSTS, 1, None).await.expect("proxies");
    let member = |host: HostId| {
        let startup = Startup {
            program: Program { path: "/bin/sleep".into(), args: vec!["600".into()] },
            data: directory.path().to_owned(),
            logs: ReplicaLogs {
                output: directory.path().join(host.to_string()),
                own_files: Vec::new(),
            },
            replacements: None,
        };
        Member::start(&network, host, startup, None).expect("it starts")
    };
    let members = all_hosts(usize::from(HOSTS)).into_iter().map(member).collect();
    let (sender, events) = mpsc::unbounded_channel();
    let cluster = Cluster::new(network, members, Vec::new());
    let succeeded = watch::channel(SuccessCounts::new()).1;
    let executor = Executor::new(cluster, Clock::start(), Rng::new(1), succeeded, sender);
    TestRun { executor, events, _directory: directory }
}

fn planned_fault(id: u32, kind: &str, variant: &str) -> PlannedFault {
    PlannedFault { id, kind: kind.to_owned(), variant: variant.to_owned(), for_ms: 500 }
}

impl TestRun {
    async fn run_step(&mut self, end: &[u32], begin: &[PlannedFault]) -> Result<()> {
        let step = Step { at_ms: 0, end: end.to_vec(), begin: begin.to_vec() };
        self.executor.run_step(&mut Timeline::default(), &step).await
    }

    /// The outcomes of all faults that are over.
    fn take_outcomes(&mut self) -> Vec<FaultOutcome> {
        let events = std::iter::from_fn(|| self.events.try_recv().ok());
        let ended = |event| match event {
            NemesisEvent::FaultEnded(outcome) => Some(outcome),
            _ => None,
        };
        events.filter_map(ended).collect()
    }

    /// Makes it impossible to restart a replica.
    fn break_restart(&mut self, host: HostId) {
        self.executor.cluster.member(host).startup.program.path = "/nowhere".into();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_faults_of_a_kind_in_one_step_the_second_waits_and_is_skipped_in_the_end() {
    let mut run = start_run().await;
    let both = [planned_fault(1, "partition", "n1|rest"), planned_fault(2, "partition", "n2|rest")];
    run.run_step(&[], &both).await.expect("it works");
    assert_eq!((run.executor.active.len(), run.executor.waiting.len()), (1, 1));
    // The same step is tried again when its time is over.
    run.executor.waiting.clear();
    run.executor.began -= Duration::from_millis(MAX_WAIT_MS);
    run.run_step(&[], &both[1..]).await.expect("it works");
    let over = run.take_outcomes();
    assert_eq!((run.executor.active.len(), run.executor.waiting.len()), (1, 0));
    assert!(over.len() == 1 && over[0].id == 2 && over[0].state == FaultState::Skipped, "{over:?}");
}

fn scheduled_kill(at_ms: u64, aim: &str, for_ms: u64) -> ScheduledFault {
    ScheduledFault { when: When::At(at_ms), kind: "kill".to_owned(), aim: aim.to_owned(), for_ms }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_whose_target_is_held_waits_and_then_lasts_its_full_time() {
    let mut run = start_run().await;
    let pause = ScheduledFault { kind: "pause".to_owned(), ..scheduled_kill(0, "n1", 700) };
    let schedule = vec![pause, scheduled_kill(100, "n1", 300)];
    let stop = watch::channel(false).1;
    let done = run.executor.run(&schedule, Duration::from_secs(2), stop).await;
    done.applied.and(done.healed).expect("it works");
    let over = run.take_outcomes();
    let span = |id| over.iter().find(|it| it.id == id).and_then(|it| it.span).expect("it began");
    let ((_, freed), (began, ended)) = (span(1), span(2));
    let lasted = (ended - began) / 1_000_000;
    assert!(began >= freed && (250..900).contains(&lasted), "{over:?}");
    assert!(over.iter().all(|it| it.state == FaultState::Witnessed), "{over:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_that_wants_a_leader_waits_for_one_and_says_so_if_none_comes() {
    let mut run = start_run().await;
    // These replicas report no leader.
    let schedule = vec![scheduled_kill(100, "leader", 300)];
    let stop = watch::channel(false).1;
    let began = Instant::now();
    let done = run.executor.run(&schedule, Duration::from_secs(5), stop).await;
    done.applied.and(done.healed).expect("it works");
    assert!(began.elapsed() >= Duration::from_secs(5));
    let over = run.take_outcomes();
    assert_eq!(over.len(), 1, "{over:?}");
    assert_eq!(over[0].evidence, "there was no leader, and none came in time");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_hosts_count_as_a_majority_while_one_may_have_no_member() {
    let mut run = start_run().await;
    for (id, roster, majority) in [(1, Roster::Member, 2), (2, Roster::RemovalPending, 0)] {
        run.executor.cluster.member(HostId(2)).lasting.roster = roster;
        run.run_step(&[], &[planned_fault(id, "partition", "n1|rest")]).await.expect("it begins");
        let fault = run.executor.active.pop().expect("it is on");
        let outcome = run.executor.end_fault(fault).await;
        assert_eq!(outcome.majority.len(), majority, "{outcome:?}");
        run.executor.cluster.links.apply().await.expect("it heals");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_that_ended_is_reported_though_the_next_one_cannot_begin() {
    let mut run = start_run().await;
    let loops = planned_fault(1, "crash-loop", "n1");
    run.run_step(&[], &[planned_fault(2, "pause", "n2"), loops]).await.expect("both begin");
    run.break_restart(HostId(0));
    // By then the loop should start its replica again.
    tokio::time::sleep(Duration::from_millis(100)).await;
    let next = run.run_step(&[2], &[planned_fault(3, "kill", "n3")]).await;
    assert!(next.is_err(), "n1 cannot be started");
    let over = run.take_outcomes();
    assert!(
        over.len() == 1 && over[0].id == 2 && over[0].state == FaultState::Witnessed,
        "{over:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_cannot_be_healed_leaves_no_other_broken() {
    let mut run = start_run().await;
    run.executor.cluster.member(HostId(0)).kill("kill").expect("it dies");
    run.executor.cluster.member(HostId(1)).pause("pause").expect("it stops");
    run.break_restart(HostId(0));
    assert!(run.executor.heal().await.is_err(), "n1 cannot be started");
    let sample = run.executor.cluster.sample_replicas(&[HostId(1)]).expect("it is there");
    assert!(!sample[0].is_stopped(), "{sample:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn starving_that_had_no_turn_is_extended_until_it_is_confirmed() {
    let mut run = start_run().await;
    run.run_step(&[], &[planned_fault(1, "starve", "n1 n2")]).await.expect("it works");
    run.run_step(&[1], &[]).await.expect("it works");
    let over = run.take_outcomes();
    assert!(over[0].state == FaultState::Witnessed, "{over:?}");
}
