//! Combines generators into larger ones.
//!
//! The names follow Jepsen's generator library. A combinator forwards every reply it observes to
//! the parts that may need it.

mod each_thread;
mod flip_flop;
mod limit;
mod mix;
mod phases;
mod reserve;
mod stagger;
#[cfg(test)]
mod tests;
mod until;

pub use each_thread::each_thread;
pub use flip_flop::flip_flop;
pub use limit::limit;
pub use mix::mix;
pub use phases::phases;
pub use reserve::reserve;
pub use stagger::stagger;
pub use until::{each_until_ok, until, until_ok};
