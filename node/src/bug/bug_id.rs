//! Lists the seeded bugs.

use super::switches::Switch;

/// A bug that can be switched on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "its row in the file of its area describes it")]
pub enum Bug {
    // Elections.
    CountLearnerVotes,
    CountPreVotes,
    CountStaleVotes,
    ForgetVote,
    FreeVoteOnStepDown,
    SendVoteEarly,
    TermFromSnapshot,
    VoteByLength,
    VoteByVector,
    VoteTwice,
    VoteWithoutLogCheck,
    ZeroLastTerm,
    // Replication.
    AckLogEnd,
    BacktrackOnce,
    CandidateDeaf,
    CountStaleAcks,
    DurableByIndex,
    KeepConflictingTail,
    MatchByIndex,
    MatchFromHint,
    TruncateOnAppend,
    // Commit.
    ApplyOnAppend,
    CommitLeaderIndex,
    CommitOldTerm,
    CountUnsynced,
    EarlyAck,
    FailOnStepDown,
    HalfIsMajority,
    StopAtOldTerm,
    // Reads.
    FollowerReads,
    IgnoreAfter,
    JoinOpenRound,
    LateReplyConfirms,
    LeaseCountsTicks,
    LeaseFromReply,
    LeaseSurvivesTransfer,
    ReadBeforeCommit,
    ReadWithoutLeader,
    ReuseReadNumbers,
    SkipApplyWait,
    StaleReads,
    VoteWithinLease,
    WallClockLease,
    // Persistence.
    AcceptWipedPeer,
    CheckpointWithoutVote,
    CutAtDamage,
    CutBeforeSnapshot,
    IgnoreFullDisk,
    IgnoreIoError,
    NoFsync,
    NoGroupCommit,
    SendAckEarly,
    SkipDirectorySync,
    TornTailFatal,
    TrustDisk,
    VolatileTerm,
    // Snapshots.
    AppendAnyChunk,
    InstallOlderSnapshot,
    KeepTail,
    MixSnapshotChunks,
    PurgedLeaderSilent,
    RestartSnapshot,
    RestoreKeepsValues,
    SnapshotInPlace,
    SnapshotLabelBehind,
    SnapshotLatestConfig,
    SnapshotWithoutSessions,
    // Membership.
    CountLearnerAcks,
    JointForever,
    JointNewMajority,
    JointUnion,
    KeepOverwrittenConfig,
    LeaveJointEarly,
    PromoteAtOnce,
    RestoreKeepsConfig,
    SwapVoters,
    TransferUnready,
    // Clients and the state machine.
    ApplyFailedConditions,
    ApplyLanes,
    DoubleApply,
    EvaluateEarly,
    FailOnLostForward,
    FailOnTimeout,
    ForwardTwice,
    LeaderSessions,
    LocalSessionClock,
    NoDedup,
    ReuseTokens,
    TornTxn,
    // Liveness.
    LoneHeartbeats,
    NoCheckQuorum,
    NoRetransmit,
    PreVoteKeepsTerm,
    RequestResetsTimer,
    SameTimeouts,
    TransferNeverExpires,
}

impl Switch for Bug {
    fn bit(self) -> u32 {
        self as u32
    }
}
