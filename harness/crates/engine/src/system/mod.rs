//! Adapters to systems under test: how their replicas are started, and how clients call them.
//!
//! An adapter translates between the one vocabulary of calls and replies and the system's own
//! public interface, and judges nothing. One system = one file + one line in [`SYSTEMS`].

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
mod seeded_bug;
mod values;
mod zookeeper;

use anyhow::Result;
use std::path::Path;

pub use adapter::{
    ArgumentChoice, Feature, JoinRequest, Launch, MemberChanges, Program, ShutdownSignal,
    SwarmChoices, System,
};
pub use client::{
    AdminReply, Client, ClientOptions, LeaderTransfer, Leadership, MemberInfo, Membership,
    ReplicaStatus, find_leadership,
};
pub use seeded_bug::SeededBug;

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
pub fn find_system(name: &str) -> Result<Option<&'static dyn System>> {
    if name.ends_with(custom::EXTENSION) {
        return Ok(Some(custom::CustomSystem::load(Path::new(name))?));
    }
    Ok(SYSTEMS.iter().copied().find(|system| system.name() == name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use testbed::net::plan::HostId;

    #[test]
    fn names_are_sorted_kebab_case_and_explained() {
        assert!(SYSTEMS.windows(2).all(|pair| pair[0].name() < pair[1].name()));
        for system in SYSTEMS {
            assert!(system.name().chars().all(|c| c.is_ascii_lowercase() || c == '-'));
            assert!(system.doc().len() > 20 && !system.objects().is_empty(), "{}", system.name());
        }
    }

    #[tokio::test]
    async fn clients_have_the_interfaces_that_their_system_declares() {
        let address = "127.0.0.1:1".parse().expect("an address");
        for system in SYSTEMS {
            let client = system.make_client(HostId(0), address, ClientOptions::default());
            let client = client.expect("a client");
            let transfers = system.has_feature(Feature::LeaderTransfer);
            assert_eq!(client.leader_transfer().is_some(), transfers, "{}", system.name());
            let changes_members = system.member_changes().is_some();
            assert_eq!(client.membership().is_some(), changes_members, "{}", system.name());
        }
    }
}
