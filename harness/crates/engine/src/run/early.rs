//! Judges the history while it is made, so that a run can stop at its first violation.
//!
//! A thread of its own is fed through a bounded channel that the dispatcher never waits for: what does not fit
//! waits in the journal, which keeps every event anyway. A judge that lags convicts late; it loses nothing and
//! disturbs nothing. Its word only ends the main phase: the verdict is that of the judge who sees everything.

use anyhow::{Context as _, Result};
use checker::history::Event;
use checker::model::Model;
use checker::{Limits, OnlineChecker};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use tokio::sync::watch;

/// Events on their way to the judge.
const ROOM: usize = 4096;
/// How much it may remember.
const MEMORY_BYTES: usize = 512 << 20;

/// The judge's door, and its word.
pub(crate) struct Early {
    events: SyncSender<Event>,
    /// How many events of the journal have been handed over.
    sent: usize,
    word: watch::Receiver<Option<String>>,
    over: Arc<AtomicBool>,
}

impl Early {
    /// Puts a judge to work.
    pub(crate) fn start(model: &'static dyn Model) -> Result<Self> {
        let (events, fed) = sync_channel(ROOM);
        let (tell, word) = watch::channel(None);
        let over = Arc::new(AtomicBool::new(false));
        let is_over = over.clone();
        std::thread::Builder::new()
            .name("early judge".to_owned())
            .spawn(move || judge(model, &fed, &tell, &is_over))
            .context("no thread can be had for --fail-fast")?;
        Ok(Self { events, sent: 0, word, over })
    }

    /// Hands over what is new, as far as there is room.
    pub(crate) fn feed(&mut self, journal: &[Event]) {
        for event in &journal[self.sent..] {
            if self.events.try_send(event.clone()).is_err() {
                return;
            }
            self.sent += 1;
        }
    }

    /// What is wrong, once something is.
    pub(crate) fn word(&self) -> watch::Receiver<Option<String>> {
        self.word.clone()
    }
}

/// Whoever is done with the judge does not wait for its answer.
impl Drop for Early {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
    }
}

fn judge(
    model: &dyn Model,
    fed: &Receiver<Event>,
    tell: &watch::Sender<Option<String>>,
    over: &AtomicBool,
) {
    let expired = || over.load(Ordering::Relaxed);
    let limits = Limits { memory_bytes: MEMORY_BYTES, expired: &expired, ..Limits::default() };
    let mut online = OnlineChecker::new(model, limits);
    for event in fed {
        match online.feed(&event) {
            Ok(None) => {}
            Ok(Some(conviction)) => {
                tell.send_replace(Some(conviction.message));
                return;
            }
            // The judge of the whole says what is wrong with such a history.
            Err(_) => return,
        }
    }
}

/// Becomes true when the run is told to stop, or the early judge has found something.
pub(crate) fn halt(
    mut stop: watch::Receiver<bool>,
    word: Option<watch::Receiver<Option<String>>>,
) -> watch::Receiver<bool> {
    let Some(mut word) = word else { return stop };
    let (sender, halt) = watch::channel(false);
    tokio::spawn(async move {
        tokio::select! {
            Ok(_) = stop.wait_for(|stop| *stop) => (),
            Ok(_) = word.wait_for(Option::is_some) => (),
            else => return,
        }
        sender.send_replace(true);
        // A receiver whose sender is gone would tell that as an end of its own.
        sender.closed().await;
    });
    halt
}
