//! Writes keys once each and reads groups of them: no two reads disagree on which of two writes came first.
//!
//! Each thread writes the next key and then reads the group of some key that was lately written, mostly of its own,
//! as Jepsen's long-fork does. Groups are small, so that many reads of one fall into the time in which it is written.

use crate::generator::{Any, calls, each_thread, flip_flop};
use crate::keys::Fresh;
use crate::{Call, Freshness, Micro, Object, Rng, Scene, Traffic, Workload, each_until_ok};

/// Keys of a group.
const GROUP: u64 = 2;
/// How many of the last groups are read.
const RECENT: u64 = 2;
/// How many groups are read at the end.
const FINAL_GROUPS: u64 = 50;

/// Keys that are written once.
pub(crate) struct LongFork;

impl Workload for LongFork {
    fn name(&self) -> &'static str {
        "long-fork"
    }

    fn doc(&self) -> &'static str {
        "writes keys once each and reads groups of them; judged by whether reads agree on the order of the writes"
    }

    fn object(&self) -> Object {
        Object::Transactions
    }

    fn functions(&self) -> &'static [&'static str] {
        &["read", "write"]
    }

    fn checks(&self, _: Freshness) -> &'static [&'static str] {
        &["long-fork"]
    }

    fn traffic(&self, rng: Rng, _: &Scene) -> Traffic {
        let keys = Fresh::default();
        let (main_keys, recovery_keys) = (keys.clone(), keys.clone());
        Traffic {
            main: each_thread(move |thread| {
                let rng = rng.fork(&format!("thread {thread}"));
                flip_flop(writes(main_keys.clone()), reads(rng, main_keys.clone()))
            }),
            recovery: Box::new(move || {
                let newest = recovery_keys.clone();
                each_until_ok([
                    writes(recovery_keys.clone()),
                    calls(move |_| read(group(newest.last()))),
                ])
            }),
            finale: Box::new(move || {
                let last = group(keys.last());
                let groups = last.saturating_sub(FINAL_GROUPS)..=last;
                each_until_ok(groups.map(|group| calls(move |_| read(group))))
            }),
        }
    }
}

fn group(key: i64) -> u64 {
    key.unsigned_abs() / GROUP
}

fn read(group: u64) -> Call {
    let keys = group * GROUP..(group + 1) * GROUP;
    Call::Txn { function: "read", ops: keys.map(Micro::Read).collect() }
}

fn writes(keys: Fresh) -> Any {
    calls(move |_| {
        let ops = vec![Micro::Write(keys.next().unsigned_abs(), 1)];
        Call::Txn { function: "write", ops }
    })
}

fn reads(mut rng: Rng, keys: Fresh) -> Any {
    calls(move |_| read(group(keys.last()).saturating_sub(rng.below(RECENT))))
}
