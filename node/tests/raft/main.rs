//! Tests the brain as a whole: scripts whose every line is known, and dice whose promises are.

mod cluster;
mod nonsense;
mod simulation;
mod transcripts;
