//! Lets the executor work on replicas that only sleep, and looks at what it tells and leaves behind.

use super::*;
use crate::nemesis::ground::Slot;
use crate::nemesis::grudge::all;
use crate::nemesis::membership::Exile;
use crate::system::Program;
use std::path::Path;
use tempfile::TempDir;
use testbed::net::plan::HostId;
use testbed::net::{Backend, Fabric};

const HOSTS: u8 = 3;

struct Stage {
    executor: Executor,
    notes: mpsc::UnboundedReceiver<Note>,
    _directory: TempDir,
}

/// Three replicas that sleep.
async fn stage() -> Stage {
    let directory = tempfile::tempdir().expect("a directory");
    let fabric = Fabric::build(Backend::Proxy, HOSTS, &Rng::new(1), None).await.expect("proxies");
    let slot = |host: HostId| {
        let program = Program { path: "/bin/sleep".into(), args: vec!["600".into()] };
        let log = directory.path().join(host.to_string());
        Slot::start(&fabric, host, program, (directory.path(), &log), None).expect("it starts")
    };
    let slots = all(usize::from(HOSTS)).into_iter().map(slot).collect();
    let (sender, notes) = mpsc::unbounded_channel();
    let executor = Executor {
        ground: Ground::new(fabric, slots, Vec::new()),
        clock: Clock::start(),
        rng: Rng::new(1),
        succeeded: watch::channel(Succeeded::new()).1,
        notes: sender,
        active: Vec::new(),
    };
    Stage { executor, notes, _directory: directory }
}

fn planned(id: u32, kind: &str, variant: &str) -> Planned {
    Planned { id, kind: kind.to_owned(), variant: variant.to_owned() }
}

impl Stage {
    async fn step(&mut self, end: &[u32], begin: &[Planned]) -> Result<()> {
        let step = Step { at_ms: 0, end: end.to_vec(), begin: begin.to_vec() };
        self.executor.step(&step).await
    }

    /// The records of all faults that are over.
    fn over(&mut self) -> Vec<FaultRecord> {
        let notes = std::iter::from_fn(|| self.notes.try_recv().ok());
        let over = |note| if let Note::Over(record) = note { Some(record) } else { None };
        notes.filter_map(over).collect()
    }

    /// Lets a replica be one that cannot be started again.
    fn spoil(&mut self, host: HostId) {
        self.executor.ground.slot(host).program.path = Path::new("/nowhere").to_owned();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_faults_of_a_kind_that_begin_at_one_moment_the_second_is_skipped() {
    let mut stage = stage().await;
    let both = [planned(1, "partition", "n1|rest"), planned(2, "partition", "n2|rest")];
    stage.step(&[], &both).await.expect("it works");
    let over = stage.over();
    assert_eq!(stage.executor.active.len(), 1);
    assert!(over.len() == 1 && over[0].id == 2 && over[0].state == FaultState::Skipped, "{over:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_taken_for_a_majority_while_a_host_may_have_no_member() {
    let mut stage = stage().await;
    for (id, exile, majority) in [(1, Exile::default(), 2), (2, Exile::doubtful(), 0)] {
        stage.executor.ground.slot(HostId(2)).exile = exile;
        stage.step(&[], &[planned(id, "partition", "n1|rest")]).await.expect("it begins");
        let fault = stage.executor.active.pop().expect("it is on");
        let record = stage.executor.end(fault).await;
        assert_eq!(record.majority.len(), majority, "{record:?}");
        stage.executor.ground.settle().await.expect("it heals");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_that_is_over_is_told_though_the_next_one_cannot_begin() {
    let mut stage = stage().await;
    let loops = planned(1, "crash-loop", "n1");
    stage.step(&[], &[planned(2, "pause", "n2"), loops]).await.expect("both begin");
    stage.spoil(HostId(0));
    // By then the loop should start its replica again.
    tokio::time::sleep(Duration::from_millis(100)).await;
    let next = stage.step(&[2], &[planned(3, "kill", "n3")]).await;
    assert!(next.is_err(), "n1 cannot be started");
    let over = stage.over();
    assert!(
        over.len() == 1 && over[0].id == 2 && over[0].state == FaultState::Witnessed,
        "{over:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_undone_on_one_host_leaves_no_other_broken() {
    let mut stage = stage().await;
    let ground = &mut stage.executor.ground;
    ground.kill(HostId(0)).expect("it dies");
    ground.pause(HostId(1)).expect("it stops");
    stage.spoil(HostId(0));
    assert!(stage.executor.heal().await.is_err(), "n1 cannot be started");
    let sample = stage.executor.ground.samples(&[HostId(1)]).expect("it is there");
    assert!(!sample[0].is_stopped(), "{sample:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn starving_that_others_left_no_time_for_bites_before_it_ends() {
    let mut stage = stage().await;
    stage.step(&[], &[planned(1, "starve", "n1 n2")]).await.expect("it works");
    stage.step(&[1], &[]).await.expect("it works");
    let over = stage.over();
    assert!(over[0].state == FaultState::Witnessed, "{over:?}");
}
