//! Feeds arbitrary bytes to every parser of `checker`.
//!
//! `cargo test --release` does so at random for a moment; `BOLERO_RANDOM_TEST_TIME_MS=60000
//! BOLERO_RANDOM_ITERATIONS=1000000000` makes it a minute per target. Guided by coverage: `cargo
//! install cargo-bolero`, then `cargo bolero test --sanitizer NONE --rustc-bootstrap -T 60s
//! parsers::edn_never_panics` (its engine needs a C++ compiler).

#[cfg(test)]
mod parsers;
