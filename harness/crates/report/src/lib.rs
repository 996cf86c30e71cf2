//! Renders a finished run for people and programs: values in, text out.
//!
//! [`text`] renders for the terminal, [`html`] the page beside the history, [`json`] for programs,
//! [`Export`] for other tools. All of them show the same record and decide nothing. The crate reads
//! no file, clock or environment, and prints nothing. Text of a history or a log is escaped: it
//! becomes neither markup nor a terminal control sequence.

#[cfg(test)]
mod browser_tests;
mod columns;
mod cycle;
mod export;
mod facts;
mod followers;
mod html;
mod json;
mod markup;
mod measured;
#[cfg(test)]
#[path = "../../../tests/not_run/mod.rs"]
mod not_run;
mod observed;
mod outline;
mod phrase;
mod plot;
mod proof;
mod run;
#[cfg(any(test, feature = "sample"))]
pub mod sample;
mod scale;
#[cfg(test)]
mod schema_tests;
mod series;
mod staleness;
mod style;
pub mod suite;
mod text;
mod timeline;

pub use export::{EXPORTS, Export};
pub use html::html;
pub use json::json;
pub use phrase::{duration, escape_controls};
pub use run::Run;
pub use style::Style;
pub use text::{shell_quote, text};
