//! Judges histories: says whether what clients were told could have come from one correct copy.
//!
//! A [`History`] is well-formed by construction, a [`Model`] says what one copy does, [`linear`]
//! searches for an order that explains the history, and a [`Verdict`] says what came of it, with
//! the smallest evidence for a No. Nothing here does I/O, reads a clock or starts a task, and the
//! same history gets the same verdict however many threads looked at it; only a spent budget
//! ([`Limits`]) can turn an answer into [`Validity::Unknown`].
//!
//! A model is a function from a state and a call to the next state, or to the reason why the call
//! cannot have gone that way:
//!
//! ```
//! use checker::history::{Value, jsonl};
//! use checker::model::{Call, Model, Seen};
//! use checker::{Limits, Validity, linear};
//!
//! /// Hands out each number once, in order.
//! struct Tickets;
//!
//! impl Model for Tickets {
//!     fn name(&self) -> &'static str { "tickets" }
//!     fn doc(&self) -> &'static str { "`take` returns 1, then 2, and so on" }
//!     fn initial(&self) -> Value { Value::Int(0) }
//!     fn observes(&self, _call: &Call) -> bool { false }
//!     fn understands(&self, call: &Call) -> Result<(), String> {
//!         if call.f == "take" { Ok(()) } else { Err(format!("there is no {}", call.f)) }
//!     }
//!     fn step(&self, state: &Value, call: &Call) -> Result<Value, String> {
//!         let Value::Int(last) = state else { return Err("no number".into()) };
//!         let next = Value::Int(last + 1);
//!         match &call.seen {
//!             Seen::Output(got) if *got != next => Err(format!("the next is {next}, not {got}")),
//!             _ => Ok(next),
//!         }
//!     }
//! }
//!
//! let history = jsonl::parse(r#"
//!     {"type":"invoke","process":0,"f":"take"}
//!     {"type":"invoke","process":1,"f":"take"}
//!     {"type":"ok","process":1,"f":"take","value":1}
//!     {"type":"ok","process":0,"f":"take","value":1}
//! "#)?.history;
//! let verdict = linear::check(&history, &Tickets, &Limits::default());
//! assert_eq!(verdict.validity, Validity::Invalid);
//! assert!(verdict.message.contains("take"), "{}", verdict.message);
//! # Ok::<(), checker::history::Damage>(())
//! ```
//!
//! Models that are there already are known by name: [`check_linearizable`] takes it, and
//! [`model::MODELS`] lists them. [`linearize`] returns the proof of a Yes, an order that anyone can
//! replay. [`Online`] judges a history that is still going on.

#![forbid(unsafe_code)]

pub mod bench;
pub mod finding;
pub mod history;
pub mod linear;
pub mod model;
pub mod property;
pub mod registry;
pub mod session;
pub mod txn;
pub mod verdict;
pub mod window;

pub use history::History;
pub use linear::online::Online;
pub use model::Model;
pub use registry::{check_by_name, check_linearizable, linearize};
pub use verdict::{Limits, Validity, Verdict};
pub use window::Window;
