//! Runs real programs, and their children, under a system-call filter: their calls on files fail
//! or take longer, and no others.

use super::super::{CorruptionKind, Disk, DiskBackend};
use super::*;
use crate::host::process::Replica;
use crate::not_run::not_run;
use std::ffi::OsString;
use tempfile::TempDir;

/// A host with a system-call filter, and a directory beside the one that it affects.
struct Fixture {
    disk: Disk,
    host: Host,
    directory: TempDir,
}

impl Fixture {
    /// `None`, with a message, where the kernel does not let this user trap calls.
    fn new() -> Option<Self> {
        let place = tempfile::tempdir().expect("a directory");
        let host = Host::shared("n1").expect("a thread starts");
        match Disk::set_up(DiskBackend::Seccomp, &host, &place.path().join("data")) {
            Ok(disk) => Some(Self { disk, host, directory: place }),
            Err(why) => {
                not_run(format!("{why:#}"));
                None
            }
        }
    }

    fn start_script(&self, script: &str) -> Replica {
        let args = ["-c".into(), script.into(), self.directory.path().as_os_str().to_owned()];
        let args: Vec<OsString> = args.into();
        let log = self.directory.path().join("log");
        Replica::spawn(&self.host, Path::new("/bin/sh"), &args, &log).expect("it starts")
    }

    /// Runs a script whose `$0` is the directory; returns how it ended.
    fn run_script(&self, script: &str) -> String {
        let mut replica = self.start_script(script);
        loop {
            match replica.poll_exit() {
                Some(exit) => return exit.to_string(),
                None => std::thread::sleep(Duration::from_millis(1)),
            }
        }
    }

    fn read_log(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }

    /// Waits until a sync is being waited for.
    fn await_sync(&self, file: &str) {
        let there = self.directory.path().join(file);
        while fs::metadata(&there).map_or(0, |it| it.len()) == 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

const SUCCESS: &str = "exit status: 0";
/// Writes by one call, then syncs.
const SYNC: &str = "dd if=/dev/zero of=$0/data/a bs=512 count=1 conv=fsync 2>&1";

#[test]
fn a_child_is_refused_and_told_why_and_only_while_it_lasts() {
    let Some(fixture) = Fixture::new() else { return };
    assert_eq!(fixture.run_script(SYNC), SUCCESS);
    fixture.disk.set_fault(Fault::IoError);
    // Two levels down: a child of a shell that the replica started.
    assert_ne!(fixture.run_script(&format!("sh -c '{SYNC}' $0")), SUCCESS);
    assert!(fixture.read_log().contains("Input/output error"), "{}", fixture.read_log());
    assert!(fixture.disk.counts().errors >= 1, "{:?}", fixture.disk.counts());
    let counts = fixture.disk.set_fault(Fault::Healthy);
    assert_eq!((counts.errors >= 1, counts.delayed), (true, 0));
    assert_eq!(
        (fixture.run_script(SYNC).as_str(), fixture.disk.counts()),
        (SUCCESS, DiskCounts::default())
    );
}

#[test]
fn a_full_disk_is_full_below_its_directory_only_and_lets_syncs_and_shorter_files_be() {
    let Some(fixture) = Fixture::new() else { return };
    assert_eq!(
        fixture.run_script("head -c 900 /dev/zero > $0/data/old; mkdir $0/data-not"),
        SUCCESS
    );
    fixture.disk.set_fault(Fault::Full);
    assert_eq!(fixture.run_script("echo x > $0/beside && echo x > $0/data-not/a"), SUCCESS);
    assert_eq!(
        fixture.run_script("truncate -s 100 $0/data/old && sync $0/data/old $0/data"),
        SUCCESS
    );
    assert_eq!(fixture.disk.counts(), DiskCounts::default());
    for grows in
        ["echo x > $0/data/new", "truncate -s 5000 $0/data/old", "fallocate -l 9999 $0/data/old"]
    {
        assert_ne!(fixture.run_script(grows), SUCCESS, "{grows}");
    }
    assert!(fixture.read_log().contains("No space left on device"), "{}", fixture.read_log());
    assert!(fixture.disk.counts().errors >= 3, "{:?}", fixture.disk.counts());
}

#[test]
fn a_slow_sync_delays_no_other_process() {
    let Some(fixture) = Fixture::new() else { return };
    fixture.disk.set_fault(Fault::SlowSync(Duration::from_millis(400)));
    let began = Instant::now();
    let mut slow = fixture.start_script(SYNC);
    fixture.await_sync("data/a");
    assert_eq!(fixture.run_script("echo quick > $0/data/b"), SUCCESS);
    assert!(began.elapsed() < Duration::from_millis(400), "a write waited behind a sync");
    while slow.poll_exit().is_none() {
        std::thread::sleep(Duration::from_millis(1));
    }
    assert!(began.elapsed() >= Duration::from_millis(400));
    let counts = fixture.disk.counts();
    assert_eq!((counts.errors, counts.delayed), (0, 1));
    assert!((400..4_000).contains(&counts.delay_ms), "{counts:?}");
}

#[test]
fn a_write_that_is_also_a_sync_is_slow_too() {
    let Some(fixture) = Fixture::new() else { return };
    fixture.disk.set_fault(Fault::SlowSync(Duration::from_millis(30)));
    assert_eq!(
        fixture.run_script("dd if=/dev/zero of=$0/data/a bs=512 count=2 oflag=dsync 2>&1"),
        SUCCESS
    );
    assert_eq!(fixture.disk.counts().delayed, 2);
}

#[test]
fn who_waits_for_a_slow_disk_can_be_killed_at_once_and_the_next_is_served() {
    let Some(fixture) = Fixture::new() else { return };
    fixture.disk.set_fault(Fault::SlowSync(Duration::from_secs(60)));
    let mut replica = fixture.start_script(SYNC);
    fixture.await_sync("data/a");
    let began = Instant::now();
    replica.kill().expect("it dies");
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    fixture.disk.set_fault(Fault::Healthy);
    assert_eq!(fixture.run_script(SYNC), SUCCESS);
}

#[test]
fn healing_the_disk_releases_waiting_calls() {
    let Some(fixture) = Fixture::new() else { return };
    fixture.disk.set_fault(Fault::SlowSync(Duration::from_secs(60)));
    let mut replica = fixture.start_script(SYNC);
    fixture.await_sync("data/a");
    fixture.disk.set_fault(Fault::Healthy);
    let began = Instant::now();
    while replica.poll_exit().is_none() {
        assert!(began.elapsed() < Duration::from_secs(10), "it still waits");
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(replica.poll_exit().map(|exit| exit.to_string()).as_deref(), Some(SUCCESS));
}

#[test]
fn there_is_no_way_around_by_a_ring() {
    let Some(fixture) = Fixture::new() else { return };
    let set_up = || {
        #[expect(unsafe_code, reason = "no library offers this call")]
        // SAFETY: the kernel refuses the call before it looks at the pointer, which leads nowhere.
        let made = unsafe { libc::syscall(libc::SYS_io_uring_setup, 1, std::ptr::null::<u8>()) };
        Errno::result(made).map(drop)
    };
    if set_up() == Err(Errno::ENOSYS) {
        not_run("this kernel knows no io_uring at all");
    }
    assert_eq!(fixture.host.run(set_up).expect("it answers"), Err(Errno::ENOSYS));
}

#[test]
fn a_gate_ends_while_its_replica_waits_and_after_it_has_died() {
    for kills in [false, true] {
        let Some(fixture) = Fixture::new() else { return };
        fixture.disk.set_fault(Fault::SlowSync(Duration::from_secs(60)));
        let mut replica = fixture.start_script(SYNC);
        fixture.await_sync("data/a");
        if kills {
            replica.kill().expect("it dies");
        }
        let began = Instant::now();
        drop(fixture.disk);
        assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    }
}

#[test]
fn what_a_dead_replica_wrote_is_damaged_and_given_back() {
    let Some(mut fixture) = Fixture::new() else { return };
    assert_eq!(fixture.run_script("yes some text | head -c 5000 > $0/data/log"), SUCCESS);
    let file = fixture.directory.path().join("data/log");
    let whole = fs::read(&file).expect("it was written");
    for damage in [
        CorruptionKind::Truncate,
        CorruptionKind::BitFlip,
        CorruptionKind::LostWrite,
        CorruptionKind::MisdirectedWrite,
    ] {
        let corruption = fixture.disk.corrupt_file(damage, 3).expect("it can be damaged");
        let corruption = corruption.expect("there is something to damage");
        assert_ne!(fs::read(&file).expect("it is there"), whole, "{corruption:?}");
        fixture.disk.repair_file(&corruption).expect("it can be healed");
        assert_eq!(fs::read(&file).expect("it is there"), whole);
    }
}
