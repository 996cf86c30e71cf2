//! Lets replicas end, and looks who is held to it.

use super::*;
use testbed::host::thread::Host;

/// A replica on no network that exits at once.
fn ended() -> Slot {
    let host = Host::shared("n1").expect("a thread starts");
    let log = PathBuf::from("/dev/null");
    let replica = Replica::spawn(&host, Path::new("/bin/false"), &[], &log).expect("it starts");
    let program = Program { path: PathBuf::from("/bin/false"), args: Vec::new() };
    let mut slot = Slot::around(replica, program, (Path::new("/"), &log), None);
    while slot.replica.exited().is_none() {
        std::thread::sleep(Duration::from_millis(1));
    }
    slot
}

#[test]
fn an_exit_is_unasked_once_unless_a_disk_that_refused_something_excuses_it() {
    let mut plain = ended();
    assert_eq!(plain.unasked_exit().as_deref(), Some("exit status: 1"));
    assert_eq!((plain.unasked_exit(), plain.dead), (None, true));
    let mut excused = ended();
    excused.excused_until = Some(Instant::now() + Duration::from_secs(60));
    assert_eq!(excused.unasked_exit(), None);
    assert!(excused.stopped_late && !excused.dead, "it is started again, not mourned");
    let mut late = ended();
    late.excused_until = Instant::now().checked_sub(Duration::from_millis(1));
    assert_eq!(late.unasked_exit(), None, "nobody has seen it alive since");
}

#[test]
fn a_replica_that_stands_still_has_not_outlived_its_excuse() {
    let host = Host::shared("n1").expect("a thread starts");
    let (sleep, log) = (Path::new("/bin/sleep"), Path::new("/dev/null"));
    let mut slot = ended();
    slot.replica = Replica::spawn(&host, sleep, &["600".into()], log).expect("it starts");
    slot.excused_until = Instant::now().checked_sub(Duration::from_millis(1));
    slot.touched = true;
    assert!(slot.unasked_exit().is_none() && slot.is_excused(), "it could not stop");
    slot.touched = false;
    slot.excuse_anew();
    assert!(slot.unasked_exit().is_none() && slot.is_excused(), "it has only begun to run again");
}

#[test]
fn of_several_exits_the_first_is_told_and_a_crash_is_no_refusal() {
    let mut slot = ended();
    slot.miss_exit(Some("exit status: 7".to_owned()));
    slot.miss_exit(None);
    slot.miss_exit(Some("exit status: 8".to_owned()));
    assert_eq!(slot.unasked_exit().as_deref(), Some("exit status: 7"));
    assert!(is_crash("signal: 6 (SIGABRT)") && is_crash("exit status: 101"));
    assert!(!is_crash("exit status: 1"));
}
