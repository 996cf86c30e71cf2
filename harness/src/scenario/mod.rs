//! Scenarios that demonstrate Raft on real replicas: scripted faults, and the claims to prove.
//!
//! A [`Scenario`] is a list of [`Act`]s. Each act is an ordinary run with a fixed schedule. Its
//! history is checked as any other; its [`Claim`]s are proven from the logs of the replicas and the
//! responses to clients. Logs only illustrate: no claim changes a verdict about consistency.

pub(crate) mod claim;
pub(crate) mod trace;

use claim::Claim;

/// A question about Raft and the runs that answer it.
pub(crate) struct Scenario {
    /// Its name in kebab-case.
    pub(crate) name: &'static str,
    /// The question that it answers.
    pub(crate) question: &'static str,
    /// Its runs, in order.
    pub(crate) acts: &'static [Act],
}

/// One run of a scenario.
pub(crate) struct Act {
    /// Its title.
    pub(crate) title: &'static str,
    /// The faults, in the format of `--schedule`.
    pub(crate) schedule: &'static str,
    /// Further arguments of `harness test`.
    pub(crate) options: &'static [&'static str],
    /// The expected exit code: a seeded bug must be found.
    pub(crate) exit: u8,
    /// The claims to prove.
    pub(crate) claims: &'static [Claim],
}

/// A workload with unique values, so that a read identifies the write that it observed.
const READERS: &[&str] = &["--workload", "follower-reads", "--time-limit", "9s"];

/// The same at a rate at which writes are in progress when the leader is cut off.
const WRITERS: &[&str] =
    &["--workload", "follower-reads", "--time-limit", "9s", "--concurrency", "25", "--rate", "600"];

/// Every scenario, in order of name.
pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "follower-read",
        question: "Two clients read from two followers: can they see different values?",
        acts: &[
            Act {
                title: "every read asks the leader for its read index: no",
                schedule: "at 2s partition leader|rest for 4s\n",
                options: READERS,
                exit: 0,
                claims: &[claim::leader_changed],
            },
            Act {
                title: "with --read stale: yes, reads are stale",
                schedule: "at 2s partition leader|rest for 4s\n",
                options: &["--workload", "follower-reads", "--time-limit", "9s", "--read", "stale"],
                exit: 1,
                claims: &[claim::leader_changed],
            },
            Act {
                title: "a seeded bug serves linearizable reads from followers: found",
                schedule: "at 2s partition leader|rest for 4s\n",
                options: &[
                    "--workload",
                    "follower-reads",
                    "--time-limit",
                    "9s",
                    "--unsafe",
                    "follower-reads",
                ],
                exit: 1,
                claims: &[claim::leader_changed],
            },
        ],
    },
    Scenario {
        name: "half-replicated",
        question: "The leader fails half-way through replicating: what becomes of the entry?",
        acts: &[
            Act {
                title: "the entry reached a minority: it is lost, and its outcome is unknown",
                schedule: "at 2s partition leader-minority for 4s\n",
                options: WRITERS,
                exit: 0,
                claims: &[
                    claim::leader_changed,
                    claim::minority_writes_lost,
                    claim::old_leader_follows,
                ],
            },
            Act {
                title: "the leader is killed during writes: acknowledged writes survive",
                schedule: "at 2s kill leader for 3s\n",
                options: READERS,
                exit: 0,
                claims: &[claim::successor_elected, claim::old_leader_follows],
            },
        ],
    },
    Scenario {
        name: "leader-crash",
        question: "The leader crashes: what does each server become?",
        acts: &[Act {
            title: "killed, and restarted after three seconds",
            schedule: "at 2s kill leader for 3s\n",
            options: &["--time-limit", "8s"],
            exit: 0,
            claims: &[claim::successor_elected, claim::old_leader_follows],
        }],
    },
    Scenario {
        name: "split-brain",
        question: "Can there be several leaders; does one of them prevail?",
        acts: &[
            Act {
                title: "the leader is paused; resumed, it still acts as leader",
                schedule: "at 2s pause leader for 3s\n",
                options: READERS,
                exit: 0,
                claims: &[
                    claim::two_leaders,
                    claim::only_new_leader_acks,
                    claim::old_leader_follows,
                ],
            },
            Act {
                title: "a seeded bug lets a cut-off leader serve reads: found; it commits nothing",
                schedule: "at 2s partition leader|rest for 4s\n",
                options: &[
                    "--workload",
                    "follower-reads",
                    "--time-limit",
                    "9s",
                    "--unsafe",
                    "stale-reads",
                ],
                exit: 1,
                claims: &[
                    claim::two_leaders,
                    claim::only_new_leader_acks,
                    claim::old_leader_follows,
                ],
            },
        ],
    },
    Scenario {
        name: "split-vote",
        question: "Several candidates at once on an even cluster: what ends it?",
        acts: &[Act {
            title: "two against two: no candidate wins until the partition heals",
            schedule: "at 2s partition n1 n2|n3 n4 for 3s\n",
            options: &["--nodes", "4", "--concurrency", "8", "--time-limit", "8s"],
            exit: 0,
            claims: &[claim::split_vote],
        }],
    },
    Scenario {
        name: "stale-leader",
        question: "What does a leader of an old term do when it comes back?",
        acts: &[Act {
            title: "cut off for four seconds",
            schedule: "at 2s partition leader|rest for 4s\n",
            options: WRITERS,
            exit: 0,
            claims: &[
                claim::leader_changed,
                claim::minority_writes_lost,
                claim::old_leader_follows,
            ],
        }],
    },
];

#[cfg(test)]
mod tests;
