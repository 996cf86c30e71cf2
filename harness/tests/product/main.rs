//! Runs the product as a user would, one run at a time.

mod disks;
mod ground;
mod runs;
mod systems;
