//! Replicates a key-value store with Raft: a pure brain, and behind the feature `server` a thin body.
//!
//! The brain ([`raft`], [`kv`], [`wal`], [`wire`]) is a set of deterministic values and functions: no clock, no
//! socket, no disk, no thread, no hash order. It is `no_std` so that the compiler keeps it that way. Only
//! `server` touches the world, and nothing but a replica's own process uses it.

#![cfg_attr(not(any(test, feature = "server")), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod kv;
pub mod raft;
pub mod runtime;
#[cfg(feature = "server")]
pub mod server;
pub mod wal;
pub mod wire;
