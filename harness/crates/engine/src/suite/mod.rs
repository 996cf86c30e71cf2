//! Plans and runs suites: many runs, each a child process of this program, so that a crash costs
//! one cell of the table and not the whole suite.
//!
//! Every cell ends in exactly one outcome ([`records::suite`]).

pub mod ledger;
pub mod matrix;
pub mod runner;
pub mod shrink;
