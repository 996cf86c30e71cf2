//! Plugs in a system under test: how its replicas are started, and how clients speak to them.
//!
//! An adapter translates between the one vocabulary of calls and replies and the system's own public interface,
//! and judges nothing. One system = one file + one line in [`SYSTEMS`].

mod adapter;
mod client;
pub mod custom;
mod errors;
mod etcd;
mod executable;
mod http;
mod maelstrom;
mod raft;
mod redis;
mod redis_sentinel;
mod values;
mod zookeeper;

use anyhow::Result;
use std::path::Path;

pub use adapter::{Arrival, Farewell, Launch, Program, System};
pub use client::{Client, Handing, Leadership, Member, Standing, leadership};

/// Every system, in order of name.
pub const SYSTEMS: &[&dyn System] = &[
    &etcd::Etcd,
    &maelstrom::Maelstrom,
    &raft::RaftKv,
    &redis::Redis,
    &redis_sentinel::RedisSentinel,
    &zookeeper::ZooKeeper,
];

/// The system of that name, or the one that this file describes.
pub fn system(name: &str) -> Result<Option<&'static dyn System>> {
    if name.ends_with(custom::EXTENSION) {
        return Ok(Some(custom::Custom::load(Path::new(name))?));
    }
    Ok(SYSTEMS.iter().copied().find(|system| system.name() == name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_sorted_kebab_case_and_explained() {
        assert!(SYSTEMS.windows(2).all(|pair| pair[0].name() < pair[1].name()));
        for system in SYSTEMS {
            assert!(system.name().chars().all(|c| c.is_ascii_lowercase() || c == '-'));
            assert!(system.doc().len() > 20 && !system.objects().is_empty(), "{}", system.name());
        }
    }
}
