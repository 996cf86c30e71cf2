//! Replica.
fn main() {}
