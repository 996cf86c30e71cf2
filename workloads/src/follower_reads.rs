//! Reads from every replica while other clients write: measures what follower reads return.
//!
//! One thread per replica only reads; the other threads write and read back. Values are unique per
//! key, so a read identifies the write it observed and its staleness. The requested read
//! consistency decides what is promised: linearizability, the session guarantees (`after` a
//! client's token), or nothing (stale).

use crate::call::Call;
use crate::combinator::{each_until_ok, mix, reserve};
use crate::generator::repeat_with;
use crate::object::Object;
use crate::read_consistency::ReadConsistency;
use crate::rng::Rng;
use crate::sequence::Sequence;
use crate::workload::{Traffic, TrafficConfig, Workload};

/// The number of keys: few, so that reads and writes of a key overlap.
const KEYS: u64 = 3;

/// Reads from every replica.
pub(crate) struct FollowerReads;

impl Workload for FollowerReads {
    fn name(&self) -> &'static str {
        "follower-reads"
    }

    fn doc(&self) -> &'static str {
        "reads from every replica while other clients write; judged by the promised read \
         consistency (--read), with staleness measured"
    }

    fn object(&self) -> Object {
        Object::Registers
    }

    fn function_names(&self) -> &'static [&'static str] {
        &["read", "write"]
    }

    fn check_names(&self, consistency: ReadConsistency) -> &'static [&'static str] {
        match consistency {
            // Stale reads promise nothing; these checks show which guarantees they break.
            ReadConsistency::Linearizable | ReadConsistency::Lease | ReadConsistency::Stale => {
                &["register", "session"]
            }
            ReadConsistency::Session => &["session"],
        }
    }

    fn make_traffic(&self, rng: Rng, config: &TrafficConfig) -> Traffic {
        let fresh = Sequence::default();
        let (mut read_keys, mut own_keys) = (rng.fork("readers"), rng.fork("read back"));
        let mut write_keys = rng.fork("writers");
        let recovered = fresh.clone();
        let write = move |key, fresh: &Sequence| Call::Write { key, value: fresh.next_number() };
        let writers = repeat_with(move |_| write(key_name(write_keys.below(KEYS)), &fresh));
        let readers = repeat_with(move |_| Call::Read { key: key_name(read_keys.below(KEYS)) });
        let read_back = repeat_with(move |_| Call::Read { key: key_name(own_keys.below(KEYS)) });
        let others = mix(rng.fork("mix"), vec![(1, writers), (1, read_back)]);
        Traffic {
            main: reserve(config.replicas, readers, others),
            recovery: Box::new(move || {
                let recovered = recovered.clone();
                let writes = repeat_with(move |_| write(key_name(0), &recovered));
                each_until_ok([writes, repeat_with(|_| Call::Read { key: key_name(0) })])
            }),
            final_reads: Box::new(|| {
                each_until_ok(
                    (0..KEYS)
                        .map(|number| repeat_with(move |_| Call::Read { key: key_name(number) })),
                )
            }),
        }
    }
}

fn key_name(number: u64) -> String {
    format!("k{number}")
}
