//! Checks the history while it is made, so that a run can stop at its first violation.
//!
//! A separate thread is fed through a bounded channel on which the dispatcher never waits. Events
//! that do not fit stay in the journal, which keeps all of them. A check that lags finds a
//! violation later and loses nothing. A violation only ends the main phase: the verdict comes from
//! the check of the whole history. If that finds no violation, one of the two checks is wrong, and
//! the verdict says so.

use anyhow::{Context as _, Result};
use checker::history::Event;
use checker::registry::start_online_check;
use checker::{Limits, OnlineCheck};
use records::record::{CheckRecord, Validity};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use tokio::sync::watch;

/// How many events may wait for the checks.
const CHANNEL_CAPACITY: usize = 4096;
/// How much memory each of them may use; one that needs more is given up.
const MEMORY_BYTES: usize = 512 << 20;

/// A violation that a check found while the run lasted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EarlyViolation {
    /// The check, as the workload names it.
    pub(crate) check: &'static str,
    /// The violation in one sentence.
    pub(crate) message: String,
}

impl EarlyViolation {
    /// The objection to a run that was stopped by a violation which the same check of the whole
    /// history, one of these in the same order as their names, does not confirm.
    pub(crate) fn unconfirmed(&self, names: &[&str], checks: &[CheckRecord]) -> Option<String> {
        let confirms = |(name, check): (&&str, &CheckRecord)| {
            *name == self.check && check.validity == Validity::Invalid
        };
        (!names.iter().zip(checks).any(confirms)).then(|| {
            format!(
                "internal error: --fail-fast stopped the run because {} reported a violation \
                 ({}), but the check of the whole history does not confirm it",
                self.check, self.message
            )
        })
    }
}

/// The checks that run beside the run.
pub(crate) struct OnlineMonitor {
    events: SyncSender<Event>,
    /// How many events of the journal have been handed over.
    sent: usize,
    violation: watch::Receiver<Option<EarlyViolation>>,
    cancelled: Arc<AtomicBool>,
}

impl OnlineMonitor {
    /// Starts these checks of a run with this many clients in a thread.
    pub(crate) fn start(checks: &[&'static str], concurrency: u64) -> Result<Self> {
        let (events, fed) = sync_channel(CHANNEL_CAPACITY);
        let (tell, violation) = watch::channel(None);
        let cancelled = Arc::new(AtomicBool::new(false));
        let (is_cancelled, checks) = (cancelled.clone(), checks.to_vec());
        std::thread::Builder::new()
            .name("online check".to_owned())
            .spawn(move || run_checks((&checks, concurrency), &fed, &tell, &is_cancelled))
            .context("cannot start the online-check thread of --fail-fast")?;
        Ok(Self { events, sent: 0, violation, cancelled })
    }

    /// Passes on new events, as far as there is room.
    pub(crate) fn feed_events(&mut self, journal: &[Event]) {
        for event in &journal[self.sent..] {
            if self.events.try_send(event.clone()).is_err() {
                return;
            }
            self.sent += 1;
        }
    }

    /// The first violation, once there is one.
    pub(crate) fn violation(&self) -> watch::Receiver<Option<EarlyViolation>> {
        self.violation.clone()
    }
}

/// A check that is dropped is not waited for.
impl Drop for OnlineMonitor {
    fn drop(&mut self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }
}

fn run_checks(
    (names, concurrency): (&[&'static str], u64),
    fed: &Receiver<Event>,
    tell: &watch::Sender<Option<EarlyViolation>>,
    cancelled: &AtomicBool,
) {
    let expired = || cancelled.load(Ordering::Relaxed);
    let limits = Limits { memory_bytes: MEMORY_BYTES, expired: &expired, ..Limits::default() };
    let start = |name: &&'static str| Some((*name, start_online_check(name, limits).ok()?));
    let mut checks: Vec<_> = names.iter().filter_map(start).collect();
    checks.iter_mut().for_each(|(_, check)| check.set_concurrency(concurrency));
    for event in fed {
        if let Some(violation) = find_violation(&mut checks, &event) {
            tell.send_replace(Some(violation));
            return;
        }
        checks.retain(|(_, check)| check.held_bytes() <= MEMORY_BYTES);
        if checks.is_empty() || expired() {
            return;
        }
    }
}

fn find_violation(
    checks: &mut [(&'static str, Box<dyn OnlineCheck + '_>)],
    event: &Event,
) -> Option<EarlyViolation> {
    checks.iter_mut().find_map(|(name, check)| {
        let anomaly = check.add_event(event)?;
        Some(EarlyViolation { check: name, message: anomaly.message })
    })
}

/// Becomes true when the run is told to stop, or when an online check has found a violation.
pub(crate) fn stop_signal(
    mut stop: watch::Receiver<bool>,
    violation: Option<watch::Receiver<Option<EarlyViolation>>>,
) -> watch::Receiver<bool> {
    let Some(mut violation) = violation else { return stop };
    let (sender, signal) = watch::channel(false);
    tokio::spawn(async move {
        tokio::select! {
            Ok(_) = stop.wait_for(|stop| *stop) => (),
            Ok(_) = violation.wait_for(Option::is_some) => (),
            else => return,
        }
        sender.send_replace(true);
        // A dropped sender would end the receivers.
        sender.closed().await;
    });
    signal
}

#[cfg(test)]
mod tests {
    use super::*;
    use checker::history::{Kind, Process, Value};
    use std::time::Duration;

    fn sample_event(index: u64, kind: Kind, value: Value) -> Event {
        let (process, f) = (Process::Client(0), "generate".into());
        Event { index, time: index, kind, process, f, value, node: None, error: None }
    }

    fn sample_check(validity: Validity) -> CheckRecord {
        CheckRecord {
            name: String::new(),
            validity,
            sentence: String::new(),
            witness: None,
            findings: Vec::new(),
            measured: std::collections::BTreeMap::new(),
        }
    }

    #[tokio::test]
    async fn the_first_violation_of_any_of_the_checks_is_told() {
        let mut monitor = OnlineMonitor::start(&["echo", "unique-ids"], 1).expect("a thread");
        let asked = |index| sample_event(index, Kind::Invoke, Value::Nil);
        let answer = |index| sample_event(index, Kind::Ok, Value::Int(7));
        let events = [asked(0), answer(1), asked(2), answer(3)];
        let mut told = monitor.violation();
        monitor.feed_events(&events[..2]);
        assert!(told.borrow().is_none());
        monitor.feed_events(&events);
        let found = tokio::time::timeout(Duration::from_secs(60), told.wait_for(Option::is_some));
        let found = found.await.expect("in time").expect("the thread tells it").clone();
        let found = found.expect("a violation");
        assert_eq!(found.check, "unique-ids");
        let message = "identifier 7 was returned at index 0 and again by generate by client 0";
        assert!(found.message.starts_with(message), "{}", found.message);
    }

    #[test]
    fn a_violation_that_the_whole_history_does_not_confirm_is_an_internal_error() {
        let early = EarlyViolation { check: "lock", message: "two holders".to_owned() };
        let names = ["fenced-lock", "lock"];
        let objection = |of: [Validity; 2]| early.unconfirmed(&names, &of.map(sample_check));
        assert_eq!(objection([Validity::Valid, Validity::Invalid]), None);
        let said = objection([Validity::Invalid, Validity::Valid]).expect("an objection");
        assert!(said.starts_with("internal error: --fail-fast") && said.contains("two holders"));
        assert!(objection([Validity::Valid, Validity::Unknown]).is_some());
    }
}
