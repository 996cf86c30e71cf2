//! Hunts for bugs: plays many different runs, chooses the next by what was new, confirms and
//! minimizes each violation, and keeps it as a regression file.
//!
//! Runs are child processes, as in a suite. What a run showed is read from its directory.

pub mod choice;
pub mod estimate;
mod investigate;
pub mod journal;
mod mask;
pub mod novelty;
mod observe;
mod playback;
pub mod policy;
pub mod rate;
mod redact;
mod reduce;
pub mod regression;
#[cfg(test)]
mod samples;
pub mod session;
pub mod signature;
pub mod state;
pub mod summary;
