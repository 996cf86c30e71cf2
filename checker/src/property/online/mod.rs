//! Checks properties while a history is recorded. One check is one file and one line in
//! [`crate::registry::ONLINE_CHECKS`].
//!
//! Each check covers the anomalies that no later event can explain, at the event that proves them.

pub(crate) mod bank;
pub(crate) mod counter_bounds;
pub(crate) mod echo;
pub(crate) mod fenced_lock;
pub(crate) mod long_fork;
pub(crate) mod monotonic;
pub(crate) mod queue;
pub(crate) mod set;
pub(crate) mod unique_ids;

#[cfg(test)]
mod tests;

use rustc_hash::FxHashMap;

use super::op::Op;
use crate::history::{Event, Operation, Value};
use crate::online::{Anomaly, OnlineCheck, OpenOperations, PairedEvent};
use crate::verdict::Keyed;

/// The check of one object. An error is the reason why the check cannot interpret the history.
pub(crate) trait OnlineObject {
    /// Takes an operation that begins.
    fn begin(&mut self, op: &Op<'_>) -> Result<(), String>;
    /// Takes a completed operation; returns a violation in one sentence.
    fn end(&mut self, op: &Op<'_>) -> Result<Option<String>, String>;
    /// The approximate memory held, in bytes.
    fn held_bytes(&self) -> usize;
}

/// Splits a history into objects and checks each.
pub(crate) struct ObjectChecks<C> {
    make: fn() -> C,
    keyed: Keyed,
    open: OpenOperations,
    objects: FxHashMap<Option<Value>, C>,
    held: usize,
    /// Whether the history cannot be interpreted.
    refused: bool,
}

impl<C: OnlineObject> ObjectChecks<C> {
    pub(crate) fn new(keyed: Keyed, make: fn() -> C) -> Self {
        let (open, objects) = (OpenOperations::default(), FxHashMap::default());
        Self { make, keyed, open, objects, held: 0, refused: false }
    }

    fn check_event(&mut self, event: &Event) -> Result<Option<Anomaly>, String> {
        let Self { make, keyed, open, objects, held, .. } = self;
        let paired = open.pair(event)?;
        let (operation, completed): (&Operation, bool) = match &paired {
            None => return Ok(None),
            Some(PairedEvent::Invoked(operation)) => (operation, false),
            Some(PairedEvent::Completed(operation)) => (operation, true),
        };
        if *keyed == Keyed::Auto {
            let looks_keyed = Op::without_key(operation).is_some();
            *keyed = if looks_keyed { Keyed::Yes } else { Keyed::No };
        }
        let (key, op) = match keyed {
            Keyed::No => (None, Op::new(operation)),
            Keyed::Auto | Keyed::Yes => {
                let (key, op) = Op::without_key(operation)
                    .ok_or_else(|| Op::new(operation).invalid_input("expected [key value]"))?;
                (Some(key), op)
            }
        };
        let object = objects.entry(key.cloned()).or_insert_with(make);
        let before = object.held_bytes();
        let found = if completed { object.end(&op) } else { object.begin(&op).map(|()| None) };
        *held = *held + object.held_bytes() - before;
        Ok(found?.map(|message| Anomaly::new(key.cloned(), event.index, message)))
    }
}

impl<C: OnlineObject> OnlineCheck for ObjectChecks<C> {
    fn add_event(&mut self, event: &Event) -> Option<Anomaly> {
        if self.refused {
            return None;
        }
        self.check_event(event).unwrap_or_else(|_| {
            // The check of the whole history reports why.
            self.refused = true;
            self.objects.clear();
            self.held = 0;
            None
        })
    }

    fn set_concurrency(&mut self, concurrency: u64) {
        self.open.concurrency = Some(concurrency);
    }

    fn held_bytes(&self) -> usize {
        self.held
    }
}
