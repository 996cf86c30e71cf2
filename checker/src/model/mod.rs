//! Specifies objects one operation at a time: what a single correct copy would return.
//!
//! A [`Model`] is a pure function from a state and a [`Call`] to the next state, or to the reason
//! why the call cannot have gone that way. One model is one file and one line in [`MODELS`]. A
//! model in which a call may have several outcomes is a [`NondeterministicModel`];
//! [`PowersetModel`] makes a [`Model`] of it.

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

pub(crate) use call::with_article;
pub use call::{Call, Response};
pub use nondeterministic::{NondeterministicModel, PowersetModel};
pub use specification::{EnabledIn, Model, StaticFacts};

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
    &PowersetModel(unordered_queue::UnorderedQueue),
    &versioned_register::VersionedRegister,
];

/// The register-like models, with `read`, `write`, `cas` and `append`.
#[cfg(test)]
pub(crate) const CELLS: &[&dyn Model] = &[&cas_register::CasRegister, &kv::Kv, &register::Register];

/// Finds a model by its name.
pub fn find_model(name: &str) -> Option<&'static dyn Model> {
    MODELS.iter().copied().find(|model| model.name() == name)
}

/// The names of all models.
pub fn model_names() -> Vec<&'static str> {
    MODELS.iter().map(|model| model.name()).collect()
}

#[cfg(test)]
mod object_tests;
#[cfg(test)]
mod tests;
