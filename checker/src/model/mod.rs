//! Specifies objects one operation at a time: what a single correct copy would answer.
//!
//! A [`Model`] is a pure function from a state and a [`Call`] to the next state, or to the reason
//! in words why the call cannot have gone that way. One model is one file and one line in
//! [`MODELS`]. One that may go several ways is a [`Branching`], and [`AnyOf`] makes a model of it.

mod append_list;
mod call;
mod cas_register;
mod counter;
mod fifo_queue;
mod kv;
mod list_state;
mod lock;
mod multi_register;
mod nondeterministic;
mod register;
mod semaphore;
mod sequence;
mod set;
mod specification;
mod stack;
mod unordered_queue;
mod versioned_register;

pub(crate) use call::a;
pub use call::{Call, Seen};
pub use nondeterministic::{AnyOf, Branching};
pub use specification::{Meets, Model, Shape};

/// Every model, in order of name.
pub const MODELS: &[&dyn Model] = &[
    &append_list::AppendList,
    &cas_register::CasRegister,
    &counter::Counter,
    &fifo_queue::FIFO_QUEUE,
    &kv::Kv,
    &lock::Lock,
    &multi_register::MultiRegister,
    &register::Register,
    &semaphore::Semaphore,
    &set::Set,
    &stack::STACK,
    &AnyOf(unordered_queue::UnorderedQueue),
    &versioned_register::VersionedRegister,
];

/// Those that are cells with `read`, `write`, `cas` and text.
#[cfg(test)]
pub(crate) const CELLS: &[&dyn Model] = &[&cas_register::CasRegister, &kv::Kv, &register::Register];

/// The model of that name.
pub fn named(name: &str) -> Option<&'static dyn Model> {
    MODELS.iter().copied().find(|model| model.name() == name)
}

/// The names of all models.
pub fn names() -> Vec<&'static str> {
    MODELS.iter().map(|model| model.name()).collect()
}

#[cfg(test)]
mod object_tests;
#[cfg(test)]
mod tests;
