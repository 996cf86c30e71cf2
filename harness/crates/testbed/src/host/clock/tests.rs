//! Sets the clocks of real processes and looks at them from inside and outside.

use super::*;
use crate::not_run::not_run;

fn spawn_shell(host: &Host, script: &str, log: &Path) -> Replica {
    let args = ["-c", script].map(OsString::from);
    Replica::spawn(host, Path::new("/bin/bash"), &args, log).expect("it starts")
}

#[test]
fn this_machine_lets_clocks_be_set_or_says_why_not() {
    match try_here() {
        Ok(_) => {}
        Err(error) => not_run(format!("{error:#}")),
    }
}

#[test]
fn a_program_sees_its_own_clock_jump_while_it_runs_and_come_back() {
    let directory = tempfile::tempdir().expect("a directory");
    let log = directory.path().join("log");
    let host = Host::shared("n1").expect("a thread starts");
    let mut replica = spawn_shell(&host, "while :; do echo $EPOCHSECONDS; sleep 0.01; done", &log);
    std::thread::sleep(Duration::from_millis(100));
    let skew = Skew { offset_ns: 3_600_000_000_000, base_ns: now_ns(), ..Skew::default() };
    if let Err(error) = set_skew(&mut replica, &skew) {
        not_run(format!("{error:#}"));
        return;
    }
    std::thread::sleep(Duration::from_millis(200));
    let reading = read_time(&mut replica).expect("it lives");
    assert!(reading.matches_skew(&skew) && reading.is_wrong(), "{reading:?}");
    set_skew(&mut replica, &Skew::default()).expect("it lives");
    std::thread::sleep(Duration::from_millis(200));
    assert!(!read_time(&mut replica).expect("it lives").is_wrong());
    let text = std::fs::read_to_string(&log).expect("a log");
    let said: Vec<i64> = text.lines().filter_map(|line| line.parse().ok()).collect();
    let now = now_ns() / 1_000_000_000;
    let ahead = said.iter().filter(|said| **said > now + 3_000).count();
    assert!(ahead > 3, "{ahead} of {}", said.len());
    assert!(said[0] <= now && said[said.len() - 1] <= now, "it began and ended right");
}

#[test]
fn a_drift_grows_and_a_strobe_comes_and_goes() {
    let host = Host::shared("n1").expect("a thread starts");
    let mut replica = spawn_shell(&host, "while :; do :; done", Path::new("/dev/null"));
    std::thread::sleep(Duration::from_millis(50));
    let drift = Skew { rate: 1 << 31, base_ns: now_ns(), ..Skew::default() };
    if let Err(error) = set_skew(&mut replica, &drift) {
        not_run(format!("{error:#}"));
        return;
    }
    for wait in [50, 100] {
        std::thread::sleep(Duration::from_millis(wait));
        let reading = read_time(&mut replica).expect("it lives");
        assert!(reading.matches_skew(&drift) && reading.is_wrong(), "{reading:?}");
    }
    let period_ns = 20_000_000;
    let strobe =
        Skew { offset_ns: -50_000_000_000, period_ns, base_ns: now_ns(), ..Skew::default() };
    set_skew(&mut replica, &strobe).expect("it lives");
    let readings: Vec<ClockReading> = (0..40)
        .map(|_| {
            std::thread::sleep(Duration::from_millis(3));
            read_time(&mut replica).expect("it lives")
        })
        .collect();
    let wrong = readings.iter().filter(|reading| reading.is_wrong()).count();
    assert!((5..=35).contains(&wrong), "{wrong} of 40 readings are wrong");
}

#[test]
fn what_is_read_does_not_disturb_who_is_asked() {
    let directory = tempfile::tempdir().expect("a directory");
    let log = directory.path().join("log");
    let host = Host::shared("n1").expect("a thread starts");
    let mut replica = spawn_shell(&host, "sleep 0.6; echo slept $?; exit 7", &log);
    std::thread::sleep(Duration::from_millis(100));
    let skew = Skew { offset_ns: 1_000_000_000, base_ns: now_ns(), ..Skew::default() };
    if let Err(error) = set_skew(&mut replica, &skew) {
        not_run(format!("{error:#}"));
        return;
    }
    for _ in 0..50 {
        read_time(&mut replica).expect("it lives");
    }
    while replica.poll_exit().is_none() {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(replica.poll_exit().map(|exit| exit.to_string()).as_deref(), Some("exit status: 7"));
    assert_eq!(std::fs::read_to_string(&log).expect("a log"), "slept 0\n");
}

#[test]
fn a_paused_replica_can_be_asked_and_stays_paused() {
    let host = Host::shared("n1").expect("a thread starts");
    let mut replica = spawn_shell(&host, "while :; do :; done", Path::new("/dev/null"));
    std::thread::sleep(Duration::from_millis(50));
    let skew = Skew { offset_ns: 9_000_000_000, base_ns: now_ns(), ..Skew::default() };
    if let Err(error) = set_skew(&mut replica, &skew) {
        not_run(format!("{error:#}"));
        return;
    }
    replica.pause().expect("it lives");
    std::thread::sleep(Duration::from_millis(20));
    let reading = read_time(&mut replica).expect("it can be asked");
    assert!(reading.matches_skew(&skew), "{reading:?}");
    std::thread::sleep(Duration::from_millis(20));
    let sample = replica.sample().expect("it lives");
    assert!(sample.is_stopped(), "{sample:?}");
    replica.resume().expect("it goes on");
}

/// Go brings a runtime of its own that finds the vDSO by itself; the shell becomes it after its
/// clock was set.
#[test]
fn a_program_in_go_is_hit_too_and_a_clock_follows_it_into_another_image() {
    let directory = tempfile::tempdir().expect("a directory");
    let log = directory.path().join("log");
    let host = Host::shared("n1").expect("a thread starts");
    let script = format!(
        "sleep 0.2; exec etcd --data-dir {} --listen-client-urls http://127.0.0.1:0 \
         --advertise-client-urls http://127.0.0.1:1 --listen-peer-urls http://127.0.0.1:0 \
         --initial-advertise-peer-urls http://localhost:1 \
         --initial-cluster default=http://localhost:1",
        directory.path().join("data").display()
    );
    let mut replica = spawn_shell(&host, &script, &log);
    let skew = Skew { offset_ns: 3_660 * 86_400_000_000_000, base_ns: now_ns(), ..Skew::default() };
    // As the nemesis does it while a fault is on.
    for _ in 0..30 {
        std::thread::sleep(Duration::from_millis(100));
        match set_skew(&mut replica, &skew) {
            Ok(()) => {}
            Err(error) => {
                not_run(format!(
                    "{error:#} ({})",
                    replica.poll_exit().map_or_else(String::new, |exit| exit.to_string())
                ));
                return;
            }
        }
    }
    let reading = read_time(&mut replica).expect("it lives");
    assert!(reading.matches_skew(&skew), "{reading:?}");
    let then = jiff::Timestamp::from_nanosecond(i128::from(reading.reported_ns)).expect("a time");
    let text = std::fs::read_to_string(&log).expect("a log");
    let date = then.strftime("%Y/%m/%d").to_string();
    assert!(text.contains(&date), "{date} is not in\n{text}");
    assert_eq!(replica.poll_exit(), None);
}

#[test]
fn a_change_takes_little_time() {
    let host = Host::shared("n1").expect("a thread starts");
    let mut replica = spawn_shell(&host, "sleep 60", Path::new("/dev/null"));
    std::thread::sleep(Duration::from_millis(50));
    let mut took = Vec::new();
    for step in 1..=50 {
        let began = std::time::Instant::now();
        let skew = Skew { offset_ns: step * 1_000_000_000, base_ns: now_ns(), ..Skew::default() };
        if let Err(error) = set_skew(&mut replica, &skew) {
            not_run(format!("{error:#}"));
            return;
        }
        took.push(began.elapsed());
    }
    let first = took[0];
    took.sort_unstable();
    println!("clock: first change {first:?}, later p50 {:?}", took[25]);
    assert!(took[25] < Duration::from_millis(100), "{took:?}");
}
