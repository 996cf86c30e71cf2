//! Runs the product as a user would, two runs at a time.

mod disks;
mod hunts;
#[path = "../not_run/mod.rs"]
mod not_run;
mod runs;
mod systems;
mod workdir;
