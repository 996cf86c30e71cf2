//! Plans and carries out suites: many runs, each a child process of this program, so that the crash of one is one
//! cell of the table and not the end of the night.
//!
//! Every cell ends in exactly one outcome ([`records::suite`]).

pub mod ledger;
pub mod matrix;
pub mod runner;
pub mod shrink;
