//! Reads on every replica beside writers: what readers of followers really get.
//!
//! One thread of each replica does nothing but read; the others write and read back. Values are unique per key, so
//! that a read names the write it saw, and how far it was behind. What is promised depends on how fresh reads are
//! asked to be: linearizable ones everything, those *after* a client's token the session guarantees, stale ones nothing.

use crate::generator::{calls, mix, reserve};
use crate::keys::Fresh;
use crate::{Call, Freshness, Object, Rng, Scene, Traffic, Workload, each_until_ok};

/// How many keys there are: few, so that reads and writes of one meet.
const KEYS: u64 = 3;

/// Readers of every replica.
pub(crate) struct FollowerReads;

impl Workload for FollowerReads {
    fn name(&self) -> &'static str {
        "follower-reads"
    }

    fn doc(&self) -> &'static str {
        "reads on every replica beside writers; judged by what the reads were promised (--read), their staleness measured"
    }

    fn object(&self) -> Object {
        Object::Registers
    }

    fn functions(&self) -> &'static [&'static str] {
        &["read", "write"]
    }

    fn checks(&self, freshness: Freshness) -> &'static [&'static str] {
        match freshness {
            // Stale reads promise nothing: they are shown for what they are not.
            Freshness::Linearizable | Freshness::Lease | Freshness::Stale => {
                &["register", "session"]
            }
            Freshness::After => &["session"],
        }
    }

    fn traffic(&self, rng: Rng, scene: &Scene) -> Traffic {
        let fresh = Fresh::default();
        let (mut read_keys, mut own_keys) = (rng.fork("readers"), rng.fork("read back"));
        let mut write_keys = rng.fork("writers");
        let recovered = fresh.clone();
        let write = move |key, fresh: &Fresh| Call::Write { key, value: fresh.next() };
        let writers = calls(move |_| write(key(write_keys.below(KEYS)), &fresh));
        let readers = calls(move |_| Call::Read { key: key(read_keys.below(KEYS)) });
        let read_back = calls(move |_| Call::Read { key: key(own_keys.below(KEYS)) });
        let others = mix(rng.fork("mix"), vec![(1, writers), (1, read_back)]);
        Traffic {
            main: reserve(scene.replicas, readers, others),
            recovery: Box::new(move || {
                let recovered = recovered.clone();
                let writes = calls(move |_| write(key(0), &recovered));
                each_until_ok([writes, calls(|_| Call::Read { key: key(0) })])
            }),
            finale: Box::new(|| {
                each_until_ok(
                    (0..KEYS).map(|number| calls(move |_| Call::Read { key: key(number) })),
                )
            }),
        }
    }
}

fn key(number: u64) -> String {
    format!("k{number}")
}
