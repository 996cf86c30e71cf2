//! Replicates a key-value store with Raft: a pure core, and behind the feature `server` the server
//! that runs it.
//!
//! The core ([`raft`], [`kv`], [`runtime`], [`wal`], [`wire`]) is deterministic: it has no clock,
//! socket, disk, thread or hash order. It is `no_std`, so the compiler enforces that. Only `server`
//! does I/O, and only a replica's own process uses it.

#![cfg_attr(not(any(test, feature = "server")), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod bug;
pub mod kv;
pub mod raft;
pub mod runtime;
#[cfg(feature = "server")]
pub mod server;
pub mod wal;
pub mod wire;
