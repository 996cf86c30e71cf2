//! Lays out an object's history for a walk: the events, a slot for every operation that must take
//! effect, and how long each state matters.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::model_cache::{CallEffect, EnabledStates, ModelCache, StateId};
use super::partition::ObjectOp;

/// An event of the walk; operations are positions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PlanEvent {
    /// The operation is invoked.
    Invoke(usize),
    /// The operation returns, so it must have taken effect.
    Return(usize),
}

/// What is known before the walk begins.
pub(super) struct Plan<'a> {
    pub(super) ops: &'a [ObjectOp<'a>],
    /// The invocations and returns, in the order of the history.
    pub(super) events: Vec<PlanEvent>,
    /// The number of each operation's call.
    pub(super) calls: Vec<u32>,
    /// The slot of each operation while it is open; slots are reused. An operation of unknown
    /// outcome has none.
    pub(super) slots: Vec<u32>,
    /// The number of slots.
    pub(super) width: usize,
    needs: StateNeeds,
    /// For each event, the event at which the next read returns, if no write other than an append
    /// is invoked before. Empty if no call appends.
    next_reads: Vec<u32>,
}

/// For each state, the last event at which a call that is not possible in every state could see it.
/// From then on the state is equivalent to any other: only overwrites can follow. So an operation
/// that leads there need not take effect to be observed.
struct StateNeeds {
    of: Vec<u32>,
    any: u32,
}

const NO_SLOT: u32 = u32::MAX;

impl<'a> Plan<'a> {
    pub(super) fn new(cache: &mut ModelCache<'a>, ops: &'a [ObjectOp<'a>], shaped: bool) -> Self {
        let calls = cache.number_calls(ops, shaped);
        let mut plan = Self {
            ops,
            events: Vec::with_capacity(2 * ops.len()),
            calls,
            slots: vec![NO_SLOT; ops.len()],
            width: 0,
            needs: StateNeeds { of: vec![0; cache.states()], any: 0 },
            next_reads: Vec::new(),
        };
        plan.assign_slots();
        plan.record_state_needs(cache);
        if cache.calls().iter().any(|call| call.only_appends) {
            plan.record_next_reads(cache);
        }
        plan
    }

    fn assign_slots(&mut self) {
        let mut open = BinaryHeap::new();
        let mut free = Vec::new();
        for (op, it) in self.ops.iter().enumerate() {
            self.close_before(&mut open, &mut free, it.invoked);
            self.events.push(PlanEvent::Invoke(op));
            if let Some(end) = it.completed {
                open.push(Reverse((end, op)));
                self.slots[op] = free.pop().unwrap_or_else(|| {
                    self.width += 1;
                    self.width as u32 - 1
                });
            }
        }
        self.close_before(&mut open, &mut free, u64::MAX);
    }

    fn close_before(&mut self, open: &mut OpenByReturn, free: &mut Vec<u32>, before: u64) {
        while let Some(Reverse((end, op))) = open.peek().copied()
            && end < before
        {
            open.pop();
            self.events.push(PlanEvent::Return(op));
            free.push(self.slots[op]);
        }
    }

    fn record_state_needs(&mut self, cache: &ModelCache<'_>) {
        for (event, it) in self.events.iter().enumerate() {
            let (PlanEvent::Invoke(op) | PlanEvent::Return(op)) = *it;
            let last = match (it, self.ops[op].completed) {
                (PlanEvent::Invoke(_), None) => u32::MAX,
                (PlanEvent::Invoke(_), Some(_)) => continue,
                (PlanEvent::Return(_), _) => event as u32,
            };
            let call = &cache.calls()[self.calls[op] as usize];
            match (call.effect, call.enabled_in) {
                (CallEffect::Overwrites, _) | (CallEffect::Reads, EnabledStates::Every) => {}
                (_, EnabledStates::One(state)) => {
                    let need = &mut self.needs.of[state as usize];
                    *need = last.max(*need);
                }
                (_, EnabledStates::Every | EnabledStates::Unknown) => {
                    self.needs.any = last.max(self.needs.any)
                }
            }
        }
    }

    fn record_next_reads(&mut self, cache: &ModelCache<'_>) {
        self.next_reads = vec![NO_SLOT; self.events.len() + 1];
        for (event, it) in self.events.iter().enumerate().rev() {
            let (PlanEvent::Invoke(op) | PlanEvent::Return(op)) = *it;
            let call = &cache.calls()[self.calls[op] as usize];
            let changes = call.effect != CallEffect::Reads;
            self.next_reads[event] = match it {
                PlanEvent::Return(_) if !changes => event as u32,
                PlanEvent::Invoke(_) if changes && !call.only_appends => NO_SLOT,
                PlanEvent::Invoke(_) | PlanEvent::Return(_) => self.next_reads[event + 1],
            };
        }
    }

    /// The return of the next read: see rule 6 of [`super::engine`].
    pub(super) fn next_read_return(&self, event: usize) -> Option<usize> {
        self.next_reads
            .get(event)
            .copied()
            .filter(|event| *event != NO_SLOT)
            .map(|event| event as usize)
    }

    /// Disables rule 6, so that every walk reaches the completion that no order explains.
    pub(super) fn disable_rule_six(&mut self) {
        self.next_reads = Vec::new();
    }

    /// Keeps every state relevant, because more events may follow: disables rules 5 and 6.
    pub(super) fn keep_open_ended(&mut self) {
        self.needs.any = u32::MAX;
        self.disable_rule_six();
    }

    /// The operation that an event invokes or returns.
    pub(super) fn op_at(&self, event: usize) -> usize {
        let (PlanEvent::Invoke(op) | PlanEvent::Return(op)) = self.events[event];
        op
    }

    /// Whether a call at this event or later may observe this state.
    pub(super) fn needs(&self, state: StateId, event: usize) -> bool {
        let of = self.needs.of.get(state as usize).copied().unwrap_or(u32::MAX);
        of.max(self.needs.any) as usize >= event
    }

    /// Whether the operation must take effect by some event.
    pub(super) fn has_slot(&self, op: usize) -> bool {
        self.slots[op] != NO_SLOT
    }

    pub(super) fn slot(&self, op: usize) -> usize {
        self.slots[op] as usize
    }

    pub(super) fn bytes(&self) -> usize {
        self.events.capacity() * size_of::<PlanEvent>()
            + self.ops.len() * 8
            + self.needs.of.len() * 4
    }
}

type OpenByReturn = BinaryHeap<Reverse<(u64, usize)>>;
