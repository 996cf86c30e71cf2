//! Defines what the columns of the registry can hold, and the words that stand for it.

/// Defines an enum whose values have a word each, and a sentence.
macro_rules! column {
    ($(#[$doc:meta])* $name:ident { $($(#[$value_doc:meta])* $value:ident $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum $name { $($(#[$value_doc])* $value,)* }

        impl $name {
            /// Returns the word that stands for it in lists.
            pub fn word(self) -> &'static str {
                match self { $(Self::$value => $word,)* }
            }
        }
    };
}

column!(
    /// What a bug belongs to.
    Area {
        /// Votes and terms.
        Elections "elections",
        /// The followers' logs.
        Replication "replication",
        /// What is committed, and what clients are told of it.
        Commit "commit",
        /// Linearizable reads, leases, reads at followers.
        Reads "reads",
        /// Disks and recovery.
        Persistence "persistence",
        /// Snapshots and compaction.
        Snapshots "snapshots",
        /// Changes of members.
        Membership "membership",
        /// The state machine, sessions, answers.
        Clients "clients",
        /// Progress.
        Liveness "liveness",
    }
);

column!(
    /// Where a bug is.
    Place {
        /// The Raft core, which the simulator runs.
        Core "core",
        /// The runtime or the log store, which the simulator runs.
        Runtime "runtime",
        /// The server, which only real replicas run.
        Server "server",
    }
);

column!(
    /// By what a bug can be seen at the earliest.
    SeenBy {
        /// By what clients are told.
        Client "client",
        /// Only by invariants over traces, or by logs; by clients rarely, and much later.
        Invariant "invariant",
        /// Only by a lack of progress.
        Liveness "liveness",
        /// Only by the time that it takes.
        Performance "performance",
    }
);

column!(
    /// A kind of fault, by the name of its nemesis.
    Fault {
        /// Bits that flip on disk.
        BitRot "bit-rot",
        /// Wall clocks that jump.
        Clock "clock",
        /// Disks that fail.
        DiskError "disk-error",
        /// Disks that are full.
        DiskFull "disk-full",
        /// SIGKILL and a restart.
        Kill "kill",
        /// Members that leave and come back.
        Membership "membership",
        /// Messages that are late, lost, repeated or out of order.
        Packet "packet",
        /// Cut links.
        Partition "partition",
        /// Processes that stand still.
        Pause "pause",
        /// A crash that loses what was not synced.
        PowerLoss "power-loss",
        /// A newcomer in the place of a member with an emptied disk.
        Replace "replace",
        /// Syncs that take long.
        SlowDisk "slow-disk",
        /// Another leader on request.
        Transfer "transfer",
        /// A disk that is emptied under a member that stays.
        Wipe "wipe",
    }
);

column!(
    /// What clients do, by the name of the workload.
    Load {
        /// Transactions on lists.
        Append "append",
        /// Transfers between accounts.
        Bank "bank",
        /// Additions to a number.
        Counter "counter",
        /// Reads at chosen replicas.
        FollowerReads "follower-reads",
        /// Locks.
        Lock "lock",
        /// Queues.
        Queue "queue",
        /// Single registers.
        Register "register",
        /// Retried requests in sessions.
        Sessions "sessions",
        /// A set that grows.
        Set "set",
    }
);

column!(
    /// A setting of the store or of the run.
    Setting {
        /// An even number of voters.
        EvenVoters "even-voters",
        /// Several groups of keys.
        Groups "groups",
        /// A member that stays a learner.
        Learners "learners",
        /// `--lease-reads`, and clients that read by lease.
        LeaseReads "lease-reads",
        /// Clients that send the index that they have seen with each read.
        SessionReads "session-reads",
        /// Few `--snapshot-entries`, so that logs are compacted often.
        Snapshots "snapshots",
    }
);

column!(
    /// What the simulator lacks for a bug to show.
    SimGap {
        /// Connections that break and tell so.
        Connections "connections",
        /// Bits that flip, and disks that are emptied.
        DamagedDisks "damaged-disks",
        /// Errors of a disk after which a replica goes on.
        DiskErrors "disk-errors",
        /// An even number of voters.
        EvenVoters "even-voters",
        /// A check of progress while a fault lasts.
        LastingFaults "lasting-faults",
        /// Time that is measured: it counts progress only.
        Performance "performance",
        /// The server: connections, HTTP.
        Server "server",
        /// Clients with sessions, and reads with an index that was seen.
        Sessions "sessions",
        /// Workloads beside registers.
        Transactions "transactions",
        /// Wall clocks that differ.
        WallClocks "wall-clocks",
    }
);
