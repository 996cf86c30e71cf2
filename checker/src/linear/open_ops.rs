//! Tracks the operations that are open at an event, which are the same for every configuration.
//! Events can be undone.

use rustc_hash::FxHashMap;

use super::mask::Mask;
use super::model_cache::{CallEffect, EnabledStates, ModelCache, StateId};
use super::plan::{Plan, PlanEvent};

/// The operations that have been invoked and have not returned.
pub(super) struct OpenOps<const N: usize> {
    /// The operation in each slot.
    pub(super) op_in_slot: Vec<usize>,
    pub(super) begun: Mask<N>,
    pub(super) overwrites_open: Mask<N>,
    /// Those that depend on the state and may change it.
    pub(super) dependent: Mask<N>,
    /// Those that only append to the state.
    pub(super) append_only: Mask<N>,
    /// The slots of all writes, the first to return first.
    pub(super) order: Vec<u32>,
    /// The calls of unknown outcome that have been invoked and are still relevant.
    pub(super) unknown: Vec<u32>,
    /// The number of invoked operations of unknown outcome, by call.
    unknown_begun: Vec<u32>,
    /// Calls that were removed from the list, and at which event.
    retired: Vec<(usize, u32)>,
    retire_at: usize,
    /// The number of listed calls of unknown outcome that depend on the state.
    pub(super) dependent_unknown: usize,
    reads_of_state: FxHashMap<StateId, Mask<N>>,
    other_reads: Vec<u32>,
}

impl<const N: usize> OpenOps<N> {
    pub(super) fn new(plan: &Plan<'_>, cache: &ModelCache<'_>) -> Self {
        Self {
            op_in_slot: vec![0; plan.width],
            begun: Mask::EMPTY,
            overwrites_open: Mask::EMPTY,
            dependent: Mask::EMPTY,
            append_only: Mask::EMPTY,
            order: Vec::new(),
            unknown: Vec::new(),
            unknown_begun: vec![0; cache.calls().len()],
            retired: Vec::new(),
            retire_at: 16,
            dependent_unknown: 0,
            reads_of_state: FxHashMap::default(),
            other_reads: Vec::new(),
        }
    }

    /// Processes an event.
    pub(super) fn apply_event(&mut self, event: usize, plan: &Plan<'_>, cache: &ModelCache<'_>) {
        match plan.events[event] {
            PlanEvent::Invoke(op) if plan.has_slot(op) => self.open_slot(op, plan, cache),
            PlanEvent::Invoke(op) => self.begin_unknown(op, event, plan, cache),
            PlanEvent::Return(op) => self.close_slot(op, plan, cache),
        }
    }

    /// Undoes an event.
    pub(super) fn undo_event(&mut self, event: usize, plan: &Plan<'_>, cache: &ModelCache<'_>) {
        while let Some((at, call)) = self.retired.last().copied()
            && at >= event
        {
            self.retired.pop();
            self.unknown.push(call);
        }
        match plan.events[event] {
            PlanEvent::Invoke(op) if plan.has_slot(op) => self.close_slot(op, plan, cache),
            PlanEvent::Invoke(op) => {
                let call = plan.calls[op];
                let begun = &mut self.unknown_begun[call as usize];
                *begun -= 1;
                if *begun == 0 {
                    self.unknown.retain(|unknown| *unknown != call);
                    self.dependent_unknown -= usize::from(depends_on_state(cache, call));
                }
            }
            PlanEvent::Return(op) => self.open_slot(op, plan, cache),
        }
    }

    fn open_slot(&mut self, op: usize, plan: &Plan<'_>, cache: &ModelCache<'_>) {
        let slot = plan.slot(op);
        let bit = Mask::single(slot);
        self.op_in_slot[slot] = op;
        self.begun = self.begun.or(&bit);
        let call = &cache.calls()[plan.calls[op] as usize];
        match call.effect {
            CallEffect::Reads => match call.enabled_in {
                EnabledStates::One(state) => {
                    let reads_of_state = self.reads_of_state.entry(state).or_insert(Mask::EMPTY);
                    *reads_of_state = reads_of_state.or(&bit);
                }
                EnabledStates::Every | EnabledStates::Unknown => self.other_reads.push(slot as u32),
            },
            CallEffect::Overwrites => self.overwrites_open = self.overwrites_open.or(&bit),
            CallEffect::DependsOnState => self.dependent = self.dependent.or(&bit),
        }
        if call.only_appends {
            self.append_only = self.append_only.or(&bit);
        }
        if call.effect != CallEffect::Reads {
            let end = plan.ops[op].completed;
            let place = self
                .order
                .partition_point(|slot| plan.ops[self.op_in_slot[*slot as usize]].completed <= end);
            self.order.insert(place, slot as u32);
        }
    }

    fn close_slot(&mut self, op: usize, plan: &Plan<'_>, cache: &ModelCache<'_>) {
        let slot = plan.slot(op);
        let bit = Mask::single(slot);
        self.begun = self.begun.minus(&bit);
        let call = &cache.calls()[plan.calls[op] as usize];
        match (call.effect, call.enabled_in) {
            (CallEffect::Reads, EnabledStates::One(state)) => {
                if let Some(reads_of_state) = self.reads_of_state.get_mut(&state) {
                    *reads_of_state = reads_of_state.minus(&bit);
                    if reads_of_state.is_empty() {
                        self.reads_of_state.remove(&state);
                    }
                }
            }
            (CallEffect::Reads, _) => {
                self.other_reads.retain(|other_reads| *other_reads != slot as u32)
            }
            _ => self.order.retain(|it| *it != slot as u32),
        }
        self.overwrites_open = self.overwrites_open.minus(&bit);
        self.dependent = self.dependent.minus(&bit);
        self.append_only = self.append_only.minus(&bit);
    }

    fn begin_unknown(&mut self, op: usize, event: usize, plan: &Plan<'_>, cache: &ModelCache<'_>) {
        let call = plan.calls[op];
        let begun = &mut self.unknown_begun[call as usize];
        *begun += 1;
        if *begun == 1 {
            self.unknown.push(call);
            self.dependent_unknown += usize::from(depends_on_state(cache, call));
        }
        if self.unknown.len() >= self.retire_at {
            let retired = &mut self.retired;
            self.unknown.retain(|call| {
                let stays = is_still_relevant(plan, cache, *call, event);
                if !stays {
                    retired.push((event, *call));
                }
                stays
            });
            self.retire_at = 16.max(2 * self.unknown.len());
        }
    }

    /// The number of invoked operations of unknown outcome with this call.
    pub(super) fn unknown_begun(&self, call: u32) -> u32 {
        self.unknown_begun[call as usize]
    }

    /// The open reads that a state enables.
    pub(super) fn enabled_reads(
        &self,
        state: StateId,
        plan: &Plan<'_>,
        cache: &mut ModelCache<'_>,
    ) -> Mask<N> {
        let mut slots = self.reads_of_state.get(&state).copied().unwrap_or(Mask::EMPTY);
        for slot in &self.other_reads {
            let call = plan.calls[self.op_in_slot[*slot as usize]];
            if cache.step(state, call).is_some() {
                slots = slots.or(&Mask::single(*slot as usize));
            }
        }
        slots
    }

    pub(super) fn bytes(&self) -> usize {
        self.unknown_begun.len() * 4 + self.retired.capacity() * 16
    }
}

fn depends_on_state(cache: &ModelCache<'_>, call: u32) -> bool {
    cache.calls()[call as usize].effect == CallEffect::DependsOnState
}

/// Whether a call of unknown outcome is still worth linearizing: a later call may observe the state
/// that it leads to. Otherwise the next write overwrites it, and the order without it is as good.
pub(super) fn is_still_relevant(
    plan: &Plan<'_>,
    cache: &ModelCache<'_>,
    call: u32,
    event: usize,
) -> bool {
    cache.calls()[call as usize].result.is_none_or(|state| plan.needs(state, event))
}
