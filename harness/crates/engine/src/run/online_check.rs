//! Checks the history while it is made, so that a run can stop at its first violation.
//!
//! A separate thread is fed through a bounded channel on which the dispatcher never waits. Events
//! that do not fit stay in the journal, which keeps all of them. A check that lags finds a
//! violation later and loses nothing. A violation only ends the main phase: the verdict comes from
//! the check of the whole history.

use anyhow::{Context as _, Result};
use checker::history::Event;
use checker::model::Model;
use checker::{Limits, OnlineChecker};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use tokio::sync::watch;

/// How many events may wait for the check.
const CHANNEL_CAPACITY: usize = 4096;
/// How much memory it may use.
const MEMORY_BYTES: usize = 512 << 20;

/// A check that runs beside the run.
pub(crate) struct OnlineCheck {
    events: SyncSender<Event>,
    /// How many events of the journal have been handed over.
    sent: usize,
    violation: watch::Receiver<Option<String>>,
    cancelled: Arc<AtomicBool>,
}

impl OnlineCheck {
    /// Starts the check of a run with this many clients in a thread.
    pub(crate) fn start(model: &'static dyn Model, concurrency: u64) -> Result<Self> {
        let (events, fed) = sync_channel(CHANNEL_CAPACITY);
        let (tell, violation) = watch::channel(None);
        let over = Arc::new(AtomicBool::new(false));
        let is_over = over.clone();
        std::thread::Builder::new()
            .name("online check".to_owned())
            .spawn(move || run_check((model, concurrency), &fed, &tell, &is_over))
            .context("cannot start the online-check thread of --fail-fast")?;
        Ok(Self { events, sent: 0, violation, cancelled: over })
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
    pub(crate) fn violation(&self) -> watch::Receiver<Option<String>> {
        self.violation.clone()
    }
}

/// A check that is dropped is not waited for.
impl Drop for OnlineCheck {
    fn drop(&mut self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }
}

fn run_check(
    (model, concurrency): (&dyn Model, u64),
    fed: &Receiver<Event>,
    tell: &watch::Sender<Option<String>>,
    over: &AtomicBool,
) {
    let expired = || over.load(Ordering::Relaxed);
    let limits = Limits { memory_bytes: MEMORY_BYTES, expired: &expired, ..Limits::default() };
    let mut online = OnlineChecker::new(model, limits).with_concurrency(concurrency);
    for event in fed {
        match online.feed(&event) {
            Ok(None) => {}
            Ok(Some(conviction)) => {
                tell.send_replace(Some(conviction.message));
                return;
            }
            // The check of the whole history reports what is wrong with it.
            Err(_) => return,
        }
    }
}

/// Becomes true when the run is told to stop, or when the online check has found a violation.
pub(crate) fn stop_signal(
    mut stop: watch::Receiver<bool>,
    violation: Option<watch::Receiver<Option<String>>>,
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
