//! Tests the core as a whole: scripts with a known transcript, and random faults with invariants.

mod cluster;
mod nonsense;
mod simulation;
mod transcripts;
