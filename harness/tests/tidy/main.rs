//! Keeps the workspace in order: edges between packages, circles among files, names, words, sizes.

mod circles;
mod files;
mod functions;
mod laws;
mod limits;
mod numbers;
mod sources;
mod words;
