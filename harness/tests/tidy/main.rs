//! Keeps the workspace in order: edges between packages, cycles among files, names, words, sizes.

#[path = "../banned_words/mod.rs"]
mod banned_words;
mod cycles;
mod files;
mod functions;
mod laws;
mod limits;
mod numbers;
mod sources;
mod words;
