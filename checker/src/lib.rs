//! Checks recorded histories of concurrent operations against consistency models.
//!
//! A [`History`] is well-formed by construction. A [`Model`] or a [`Spec`] defines what one copy of
//! an object does. [`linear`] searches for an order of operations that explains the history, and a
//! [`Verdict`] holds the result, with the smallest evidence found for a violation. The crate does
//! no I/O, reads no clock and starts no async task. The same history gets the same verdict for any
//! number of threads; only an exceeded budget ([`Limits`]) turns it into [`Validity::Unknown`].
//!
//! [`check_spec`] takes operations with call and return times and a specification with types of
//! its own. [`check_linearizable`] takes a [`History`] and one of the built-in models
//! ([`model::MODELS`]), and [`check_by_name`] any model or check ([`registry::CHECKS`]).
//! [`linearize`] returns the proof of a valid history: an order that can be replayed.
//! [`OnlineChecker`] checks a history against a model while it is recorded, and
//! [`registry::start_online_check`] starts the online form of any check that has one.
//!
//! A [`Model`] is the dynamic form of a specification: a function from a state and a call to the
//! next state, or to the reason why the call cannot have gone that way:
//!
//! ```
//! use checker::history::{Value, jsonl};
//! use checker::model::{Call, Model, Response};
//! use checker::{Limits, Validity, linear};
//!
//! /// Hands out each number once, in order.
//! struct Tickets;
//!
//! impl Model for Tickets {
//!     fn name(&self) -> &'static str { "tickets" }
//!     fn doc(&self) -> &'static str { "`take` returns 1, then 2, and so on" }
//!     fn initial(&self) -> Value { Value::Int(0) }
//!     fn is_read(&self, _call: &Call) -> bool { false }
//!     fn validate(&self, call: &Call) -> Result<(), String> {
//!         if call.f == "take" { Ok(()) } else { Err(format!("there is no {}", call.f)) }
//!     }
//!     fn step(&self, state: &Value, call: &Call) -> Result<Value, String> {
//!         let Value::Int(last) = state else { return Err("no number".into()) };
//!         let next = Value::Int(last + 1);
//!         match &call.response {
//!             Response::Output(got) if *got != next => Err(format!("expected {next}, got {got}")),
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
//! # Ok::<(), checker::history::ParseError>(())
//! ```

#![forbid(unsafe_code)]

pub mod bench;
pub mod finding;
pub mod history;
pub mod linear;
pub mod model;
pub mod online;
pub mod property;
pub mod registry;
pub mod session;
pub mod spec;
pub mod txn;
pub mod verdict;
pub mod window;

pub use history::History;
pub use linear::online::OnlineChecker;
pub use model::Model;
pub use online::OnlineCheck;
pub use registry::{check_by_name, check_linearizable, linearize};
pub use spec::{Spec, check_spec};
pub use verdict::{Limits, Validity, Verdict};
pub use window::Window;

/// The code of the README, as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeExamples;
