//! Plays a question about Raft on real replicas: scripted faults, what must happen, and the story of what did.
//!
//! A [`Scenario`] is a list of [`Act`]s. Each act is an ordinary run with a schedule written by hand; its history is
//! judged as any other, and its [`Claim`]s are proven from the replicas' own logs and from what clients were told. The
//! logs illustrate: no claim here ever turns a verdict about consistency around.

pub(crate) mod claim;
pub(crate) mod story;

use claim::Claim;

/// A question and how it is played.
pub(crate) struct Scenario {
    /// What it is called, kebab-case.
    pub(crate) name: &'static str,
    /// What it answers.
    pub(crate) question: &'static str,
    /// One after the other.
    pub(crate) acts: &'static [Act],
}

/// One run of a scenario.
pub(crate) struct Act {
    /// What is different in it.
    pub(crate) title: &'static str,
    /// What goes wrong, as `--schedule` takes it.
    pub(crate) schedule: &'static str,
    /// What else `harness test` is told.
    pub(crate) options: &'static [&'static str],
    /// The exit code that the run must have: a bug that is shown must be convicted.
    pub(crate) exit: u8,
    /// What must be seen besides.
    pub(crate) claims: &'static [Claim],
}

/// The workload whose values are fresh, so that a read names the write it saw.
const READERS: &[&str] = &["--workload", "follower-reads", "--time-limit", "9s"];

/// The same with so many writes that some are under way when the leader is cut off, before it knows.
const WRITERS: &[&str] =
    &["--workload", "follower-reads", "--time-limit", "9s", "--concurrency", "25", "--rate", "600"];

/// Every scenario, in order of name.
pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "follower-read",
        question: "Two clients read from two followers: can they see different values?",
        acts: &[
            Act {
                title: "every read asks the leader for its index: never",
                schedule: "at 2s partition leader|rest for 4s\n",
                options: READERS,
                exit: 0,
                claims: &[claim::succession],
            },
            Act {
                title: "stale reads are asked for: they are what they are called",
                schedule: "at 2s partition leader|rest for 4s\n",
                options: &["--workload", "follower-reads", "--time-limit", "9s", "--read", "stale"],
                exit: 1,
                claims: &[claim::succession],
            },
            Act {
                title: "a bug serves a follower's state as if it were linearizable: convicted",
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
                claims: &[claim::succession],
            },
        ],
    },
    Scenario {
        name: "half-replicated",
        question: "The leader fails half-way through replicating: what becomes of the entry?",
        acts: &[
            Act {
                title: "the entry reached a minority: it vanishes, and its client was told `unknown`",
                schedule: "at 2s partition leader-minority for 4s\n",
                options: WRITERS,
                exit: 0,
                claims: &[claim::succession, claim::vanished, claim::follows],
            },
            Act {
                title: "the leader is killed amid writes: whatever was acknowledged is still there",
                schedule: "at 2s kill leader for 3s\n",
                options: READERS,
                exit: 0,
                claims: &[claim::elected, claim::follows],
            },
        ],
    },
    Scenario {
        name: "leader-crash",
        question: "The leader crashes: what does each server become?",
        acts: &[Act {
            title: "killed, and started again three seconds later",
            schedule: "at 2s kill leader for 3s\n",
            options: &["--time-limit", "8s"],
            exit: 0,
            claims: &[claim::elected, claim::follows],
        }],
    },
    Scenario {
        name: "split-brain",
        question: "Can there be several leaders; does one of them prevail?",
        acts: &[
            Act {
                title: "the leader sleeps, wakes up and still believes that it leads",
                schedule: "at 2s pause leader for 3s\n",
                options: READERS,
                exit: 0,
                claims: &[claim::two_leaders, claim::powerless, claim::follows],
            },
            Act {
                title: "a bug lets a cut-off leader stay and answer reads: convicted, yet it commits nothing",
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
                claims: &[claim::two_leaders, claim::powerless, claim::follows],
            },
        ],
    },
    Scenario {
        name: "split-vote",
        question: "Several candidates at once on an even cluster: what ends it?",
        acts: &[Act {
            title: "two against two: servers stand, nobody wins, until the halves meet again",
            schedule: "at 2s partition n1 n2|n3 n4 for 3s\n",
            options: &["--nodes", "4", "--concurrency", "8", "--time-limit", "8s"],
            exit: 0,
            claims: &[claim::nobody_wins],
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
            claims: &[claim::succession, claim::vanished, claim::follows],
        }],
    },
];

#[cfg(test)]
mod tests;
