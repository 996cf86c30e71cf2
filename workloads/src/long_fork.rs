//! Writes each key once and reads groups of keys: all reads agree on the order of any two writes.
//!
//! Each thread writes the next key and then reads the group of a recently written key, mostly its
//! own, as Jepsen's long-fork does. Groups are small, so that many reads of a group overlap its
//! writes.

use crate::call::{Call, MicroOp};
use crate::combinator::{each_thread, each_until_ok, flip_flop};
use crate::generator::{BoxGenerator, repeat_with};
use crate::object::Object;
use crate::read_consistency::ReadConsistency;
use crate::rng::Rng;
use crate::sequence::Sequence;
use crate::workload::{Traffic, TrafficConfig, Workload};

/// Keys per group.
const GROUP_SIZE: u64 = 2;
/// The number of most recent groups that reads choose from.
const RECENT_GROUPS: u64 = 2;
/// The number of groups that the final reads cover.
const FINAL_GROUPS: u64 = 50;

/// Keys that are written once each.
pub(crate) struct LongFork;

impl Workload for LongFork {
    fn name(&self) -> &'static str {
        "long-fork"
    }

    fn doc(&self) -> &'static str {
        "writes each key once and reads groups of keys; judged by whether reads agree on the order \
         of the writes"
    }

    fn object(&self) -> Object {
        Object::Transactions
    }

    fn function_names(&self) -> &'static [&'static str] {
        &["read", "write"]
    }

    fn check_names(&self, _: ReadConsistency) -> &'static [&'static str] {
        &["long-fork"]
    }

    fn make_traffic(&self, rng: Rng, _: &TrafficConfig) -> Traffic {
        let keys = Sequence::default();
        let (main_keys, recovery_keys) = (keys.clone(), keys.clone());
        Traffic {
            main: each_thread(move |thread| {
                let rng = rng.fork(&format!("thread {thread}"));
                flip_flop(
                    generate_writes(main_keys.clone()),
                    generate_reads(rng, main_keys.clone()),
                )
            }),
            recovery: Box::new(move || {
                let newest = recovery_keys.clone();
                each_until_ok([
                    generate_writes(recovery_keys.clone()),
                    repeat_with(move |_| read_group(group_of(newest.last_number()))),
                ])
            }),
            final_reads: Box::new(move || {
                let last = group_of(keys.last_number());
                let groups = last.saturating_sub(FINAL_GROUPS)..=last;
                each_until_ok(groups.map(|group| repeat_with(move |_| read_group(group))))
            }),
        }
    }
}

fn group_of(key: i64) -> u64 {
    key.unsigned_abs() / GROUP_SIZE
}

fn read_group(group: u64) -> Call {
    let keys = group * GROUP_SIZE..(group + 1) * GROUP_SIZE;
    Call::Txn { function: "read", ops: keys.map(MicroOp::Read).collect() }
}

fn generate_writes(keys: Sequence) -> BoxGenerator {
    repeat_with(move |_| {
        let ops = vec![MicroOp::Write(keys.next_number().unsigned_abs(), 1)];
        Call::Txn { function: "write", ops }
    })
}

fn generate_reads(mut rng: Rng, keys: Sequence) -> BoxGenerator {
    repeat_with(move |_| {
        read_group(group_of(keys.last_number()).saturating_sub(rng.below(RECENT_GROUPS)))
    })
}
