//! Checks which exits are reported, and which transitions a process refuses.

use super::exits::DISK_FAULT_GRACE;
use super::process::{DownCause, DueAction, MAX_RESTARTS, Process};
use super::*;
use crate::system::Program;
use records::logs::ReplicaLogs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;
use testbed::host::process::{ProcessExit, Replica};
use testbed::host::thread::Host;
use testbed::net::plan::HostId;

/// A replica on no network that runs this program.
fn spawn_member(program: &str, args: &[&str]) -> Member {
    let host = Host::shared("n1").expect("a thread starts");
    let (path, log) = (PathBuf::from(program), PathBuf::from("/dev/null"));
    let args: Vec<_> = args.iter().map(Into::into).collect();
    let replica = Replica::spawn(&host, &path, &args, &log).expect("it starts");
    // The process dies with the thread of its host.
    std::mem::forget(host);
    let startup = Startup {
        program: Program { path, args },
        data: Path::new("/").to_owned(),
        logs: ReplicaLogs { output: log, own_files: Vec::new() },
        replacements: None,
    };
    Member::new(HostId(0), startup, replica, None)
}

/// One that has exited with code 1.
fn spawn_exited() -> Member {
    let mut member = spawn_member("/bin/false", &[]);
    while !member.has_exited() {
        std::thread::sleep(Duration::from_millis(1));
    }
    member
}

fn exit_code(code: i32) -> ProcessExit {
    ProcessExit::Status(ExitStatus::from_raw(code << 8))
}

fn past_instant() -> Option<std::time::Instant> {
    std::time::Instant::now().checked_sub(Duration::from_millis(1))
}

#[test]
fn an_exit_is_reported_once_unless_a_disk_fault_excuses_it() {
    let mut plain = spawn_exited();
    assert_eq!(plain.poll_unexpected_exit(), Some(exit_code(1)));
    assert_eq!(plain.poll_unexpected_exit(), None);
    assert!(matches!(plain.process, Process::Crashed { .. }));
    let mut excused = spawn_exited();
    excused.lasting.disk_grace = Some(std::time::Instant::now() + Duration::from_secs(60));
    assert_eq!(excused.poll_unexpected_exit(), None);
    assert_eq!(
        excused.process,
        Process::Down { by: DownCause::DiskGrace },
        "it is to be restarted"
    );
    let mut late = spawn_exited();
    late.lasting.disk_grace = past_instant();
    assert_eq!(late.poll_unexpected_exit(), None, "it was not seen running since");
}

#[test]
fn a_held_replica_does_not_outlive_its_grace() {
    let mut member = spawn_member("/bin/sleep", &["600"]);
    member.lasting.disk_grace = past_instant();
    member.hold("pause");
    assert!(member.poll_unexpected_exit().is_none() && member.has_disk_grace());
    member.release();
    assert!(member.poll_unexpected_exit().is_none() && member.has_disk_grace(), "it is renewed");
    let grace = member.lasting.disk_grace.expect("it has one");
    assert!(grace > std::time::Instant::now() + DISK_FAULT_GRACE / 2);
}

#[test]
fn of_several_missed_exits_the_first_is_reported() {
    let mut member = spawn_exited();
    member.record_missed_exit(Some(exit_code(7)));
    member.record_missed_exit(None);
    member.record_missed_exit(Some(exit_code(8)));
    assert_eq!(member.poll_unexpected_exit(), Some(exit_code(7)));
}

#[test]
fn a_removed_member_may_stop_but_not_crash() {
    let aborted = ProcessExit::Status(ExitStatus::from_raw(6));
    for (exit, reported) in
        [(exit_code(1), None), (exit_code(101), Some(exit_code(101))), (aborted, Some(aborted))]
    {
        let mut member = spawn_member("/bin/sleep", &["600"]);
        member.record_missed_exit(Some(exit));
        member.forgive_missed_stop();
        assert_eq!(member.poll_unexpected_exit(), reported, "{exit}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exit_that_a_kill_finds_is_reported_and_the_kill_itself_is_not() {
    let mut gone = spawn_exited();
    gone.kill("kill").expect("it is down");
    assert_eq!(gone.poll_unexpected_exit(), Some(exit_code(1)));
    let mut running = spawn_member("/bin/sleep", &["600"]);
    running.kill("kill").expect("it dies");
    assert_eq!(running.poll_unexpected_exit(), None);
    assert_eq!(running.process, Process::Down { by: DownCause::Fault("kill") });
}

#[tokio::test(flavor = "multi_thread")]
async fn illegal_transitions_are_refused_with_the_state() {
    let mut member = spawn_member("/bin/sleep", &["600"]);
    let refusal = member.resume().expect_err("it runs").to_string();
    assert_eq!(refusal, "n1 cannot be resumed: its process is running");
    member.pause("pause").expect("it runs");
    let refusal = member.pause("starve").expect_err("it is paused").to_string();
    assert_eq!(refusal, "n1 cannot be paused: its process is paused");
    member.kill("kill").expect("it dies");
    let refusal = member.resume().expect_err("it is down").to_string();
    assert_eq!(refusal, "n1 cannot be resumed: its process is down (kill)");
}

#[test]
fn a_crashed_process_is_restarted_after_a_while_and_not_for_ever() {
    let at = std::time::Instant::now();
    let crashed = Process::Crashed { exit: exit_code(1), at };
    let later = at + Duration::from_secs(1);
    assert_eq!(crashed.due_action(0, at), None);
    assert_eq!(crashed.due_action(0, later), Some(DueAction::Revive));
    assert_eq!(crashed.due_action(MAX_RESTARTS, later), None);
    let paused = |until| Process::Paused { until };
    assert_eq!(paused(Some(later)).due_action(0, at), None);
    assert_eq!(paused(Some(at)).due_action(0, later), Some(DueAction::Resume));
    assert_eq!(paused(None).due_action(0, later), None);
}
