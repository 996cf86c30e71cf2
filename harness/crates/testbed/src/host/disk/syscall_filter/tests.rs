//! Lets real programs, and their children, meet a gate: what they ask of files fails or takes
//! longer, and nothing else.

use super::super::{Damage, Disk, DiskBackend};
use super::*;
use crate::host::process::Replica;
use crate::not_run::not_run;
use std::ffi::OsString;
use tempfile::TempDir;

/// A host with a gate, and a directory beside the one that is watched.
struct Scene {
    disk: Disk,
    host: Host,
    place: TempDir,
}

impl Scene {
    /// Nothing, and says so, where the kernel has no calls trapped.
    fn new() -> Option<Self> {
        let place = tempfile::tempdir().expect("a directory");
        let host = Host::shared("n1").expect("a thread starts");
        match Disk::make(DiskBackend::Seccomp, &host, &place.path().join("data")) {
            Ok(disk) => Some(Self { disk, host, place }),
            Err(why) => {
                not_run(format!("{why:#}"));
                None
            }
        }
    }

    fn start(&self, script: &str) -> Replica {
        let args = ["-c".into(), script.into(), self.place.path().as_os_str().to_owned()];
        let args: Vec<OsString> = args.into();
        let log = self.place.path().join("log");
        Replica::spawn(&self.host, Path::new("/bin/sh"), &args, &log).expect("it starts")
    }

    /// How a script ends whose `$0` is the place.
    fn run(&self, script: &str) -> String {
        let mut replica = self.start(script);
        loop {
            match replica.exited() {
                Some(how) => return how,
                None => std::thread::sleep(Duration::from_millis(1)),
            }
        }
    }

    fn log(&self) -> String {
        fs::read_to_string(self.place.path().join("log")).unwrap_or_default()
    }

    /// Waits until a sync is being waited for.
    fn await_sync(&self, file: &str) {
        let there = self.place.path().join(file);
        while fs::metadata(&there).map_or(0, |it| it.len()) == 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

const FINE: &str = "exit status: 0";
/// Writes by one call, then syncs.
const SYNC: &str = "dd if=/dev/zero of=$0/data/a bs=512 count=1 conv=fsync 2>&1";

#[test]
fn a_child_is_refused_and_told_why_and_only_while_it_lasts() {
    let Some(scene) = Scene::new() else { return };
    assert_eq!(scene.run(SYNC), FINE);
    scene.disk.set(Fault::Failing);
    // Two levels down: a child of a shell that the replica started.
    assert_ne!(scene.run(&format!("sh -c '{SYNC}' $0")), FINE);
    assert!(scene.log().contains("Input/output error"), "{}", scene.log());
    assert!(scene.disk.counts().errors >= 1, "{:?}", scene.disk.counts());
    let counts = scene.disk.set(Fault::Whole);
    assert_eq!((counts.errors >= 1, counts.delayed), (true, 0));
    assert_eq!((scene.run(SYNC).as_str(), scene.disk.counts()), (FINE, Counts::default()));
}

#[test]
fn a_full_disk_is_full_below_its_directory_only_and_lets_syncs_and_shorter_files_be() {
    let Some(scene) = Scene::new() else { return };
    assert_eq!(scene.run("head -c 900 /dev/zero > $0/data/old; mkdir $0/data-not"), FINE);
    scene.disk.set(Fault::Full);
    assert_eq!(scene.run("echo x > $0/beside && echo x > $0/data-not/a"), FINE);
    assert_eq!(scene.run("truncate -s 100 $0/data/old && sync $0/data/old $0/data"), FINE);
    assert_eq!(scene.disk.counts(), Counts::default());
    for grows in
        ["echo x > $0/data/new", "truncate -s 5000 $0/data/old", "fallocate -l 9999 $0/data/old"]
    {
        assert_ne!(scene.run(grows), FINE, "{grows}");
    }
    assert!(scene.log().contains("No space left on device"), "{}", scene.log());
    assert!(scene.disk.counts().errors >= 3, "{:?}", scene.disk.counts());
}

#[test]
fn a_slow_sync_delays_no_other_process() {
    let Some(scene) = Scene::new() else { return };
    scene.disk.set(Fault::Slow(Duration::from_millis(400)));
    let began = Instant::now();
    let mut slow = scene.start(SYNC);
    scene.await_sync("data/a");
    assert_eq!(scene.run("echo quick > $0/data/b"), FINE);
    assert!(began.elapsed() < Duration::from_millis(400), "a write waited behind a sync");
    while slow.exited().is_none() {
        std::thread::sleep(Duration::from_millis(1));
    }
    assert!(began.elapsed() >= Duration::from_millis(400));
    let counts = scene.disk.counts();
    assert_eq!((counts.errors, counts.delayed), (0, 1));
    assert!((400..4_000).contains(&counts.delay_ms), "{counts:?}");
}

#[test]
fn a_write_that_is_also_a_sync_is_slow_too() {
    let Some(scene) = Scene::new() else { return };
    scene.disk.set(Fault::Slow(Duration::from_millis(30)));
    assert_eq!(scene.run("dd if=/dev/zero of=$0/data/a bs=512 count=2 oflag=dsync 2>&1"), FINE);
    assert_eq!(scene.disk.counts().delayed, 2);
}

#[test]
fn who_waits_for_a_slow_disk_can_be_killed_at_once_and_the_next_is_served() {
    let Some(scene) = Scene::new() else { return };
    scene.disk.set(Fault::Slow(Duration::from_secs(60)));
    let mut replica = scene.start(SYNC);
    scene.await_sync("data/a");
    let began = Instant::now();
    replica.kill().expect("it dies");
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    scene.disk.set(Fault::Whole);
    assert_eq!(scene.run(SYNC), FINE);
}

#[test]
fn healing_the_disk_releases_waiting_calls() {
    let Some(scene) = Scene::new() else { return };
    scene.disk.set(Fault::Slow(Duration::from_secs(60)));
    let mut replica = scene.start(SYNC);
    scene.await_sync("data/a");
    scene.disk.set(Fault::Whole);
    let began = Instant::now();
    while replica.exited().is_none() {
        assert!(began.elapsed() < Duration::from_secs(10), "it still waits");
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(replica.exited().as_deref(), Some(FINE));
}

#[test]
fn there_is_no_way_around_by_a_ring() {
    let Some(scene) = Scene::new() else { return };
    let set_up = || {
        #[expect(unsafe_code, reason = "no library offers this call")]
        // SAFETY: the kernel refuses the call before it looks at the pointer, which leads nowhere.
        let made = unsafe { libc::syscall(libc::SYS_io_uring_setup, 1, std::ptr::null::<u8>()) };
        Errno::result(made).map(drop)
    };
    if set_up() == Err(Errno::ENOSYS) {
        not_run("this kernel knows no io_uring at all");
    }
    assert_eq!(scene.host.run(set_up).expect("it answers"), Err(Errno::ENOSYS));
}

#[test]
fn a_gate_ends_while_its_replica_waits_and_after_it_has_died() {
    for kills in [false, true] {
        let Some(scene) = Scene::new() else { return };
        scene.disk.set(Fault::Slow(Duration::from_secs(60)));
        let mut replica = scene.start(SYNC);
        scene.await_sync("data/a");
        if kills {
            replica.kill().expect("it dies");
        }
        let began = Instant::now();
        drop(scene.disk);
        assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    }
}

#[test]
fn what_a_dead_replica_wrote_is_damaged_and_given_back() {
    let Some(mut scene) = Scene::new() else { return };
    assert_eq!(scene.run("yes some text | head -c 5000 > $0/data/log"), FINE);
    let file = scene.place.path().join("data/log");
    let whole = fs::read(&file).expect("it was written");
    for damage in [Damage::Cut, Damage::Flip, Damage::Lost, Damage::Misdirected] {
        let scar = scene.disk.damage(damage, 3).expect("it can be damaged");
        let scar = scar.expect("there is something to damage");
        assert_ne!(fs::read(&file).expect("it is there"), whole, "{scar:?}");
        scene.disk.heal(&scar).expect("it can be healed");
        assert_eq!(fs::read(&file).expect("it is there"), whole);
    }
}
