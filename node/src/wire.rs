//! Defines the requests and replies of the HTTP API. Every reply names the replica that sent it,
//! its term and its last applied entry.
//!
//! A [`Failure`] is *definite* if the request did not take effect and never will, and *indefinite*
//! if that is unknown. A request that may have taken effect never fails definitely.

use crate::kv::Results;
use alloc::{collections::BTreeMap, string::String, vec::Vec};
use core::fmt;
use core::str::FromStr;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The replica that answered, and its state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The name of the replica.
    pub replica: String,
    /// Its term.
    pub term: u64,
    /// The index of the last entry that it had applied.
    pub applied: u64,
    /// The group of that term and log, if the replica has several (`--groups`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<u32>,
}

/// The body of `PUT /kv/{key}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PutRequest {
    /// The new value.
    pub value: String,
}

/// The body of `POST /kv/{key}/cas`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CasRequest {
    /// The expected value; `null`: the key must be absent. It is a required field.
    #[serde(deserialize_with = "deserialize_required")]
    pub old: Option<String>,
    /// The new value.
    pub new: String,
}

/// Accepts `null` as `None`, but not a missing field.
fn deserialize_required<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<String>, D::Error> {
    Option::deserialize(deserializer)
}

/// The consistency of a read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Consistency {
    /// It sees every write that was acknowledged before the read began.
    #[default]
    Linearizable,
    /// The same, served by the leader's lease if it holds one (`--lease-reads`). It requires clocks
    /// that run at about the same rate.
    Lease,
    /// It sees the state of the replica that answers, which may be old.
    Stale,
}

/// The index up to which the log must be applied: `INDEX` in the group of the request, or
/// `GROUP:INDEX,…` for each group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MinIndex {
    /// An index in the group of the request.
    Single(u64),
    /// An index for each group; a group that is not named does not wait.
    PerGroup(BTreeMap<u32, u64>),
}

impl MinIndex {
    /// Returns the index for this group.
    pub fn index_for(&self, group: u32) -> u64 {
        match self {
            Self::Single(index) => *index,
            Self::PerGroup(indices) => indices.get(&group).copied().unwrap_or(0),
        }
    }
}

impl Default for MinIndex {
    fn default() -> Self {
        Self::Single(0)
    }
}

impl FromStr for MinIndex {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = "`after` must be INDEX or GROUP:INDEX,…";
        if let Ok(index) = text.parse() {
            return Ok(Self::Single(index));
        }
        let pair = |pair: &str| {
            let (group, index) = pair.split_once(':')?;
            Some((group.parse().ok()?, index.parse().ok()?))
        };
        text.split(',').map(pair).collect::<Option<_>>().map(Self::PerGroup).ok_or(invalid)
    }
}

impl fmt::Display for MinIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Single(index) => write!(f, "{index}"),
            Self::PerGroup(indices) => {
                for (number, (group, index)) in indices.iter().enumerate() {
                    let comma = if number > 0 { "," } else { "" };
                    write!(f, "{comma}{group}:{index}")?;
                }
                Ok(())
            }
        }
    }
}

impl Serialize for MinIndex {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for MinIndex {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// The parameters of `GET /kv/{key}`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ReadParameters {
    /// The consistency of the read.
    pub consistency: Consistency,
    /// Answer only after the log is applied up to here.
    pub after: MinIndex,
    /// Answer within this time, if need be with a failure.
    pub timeout_ms: Option<u64>,
}

/// The parameters of `GET /kv`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RangeParameters {
    /// The first key.
    pub from: String,
    /// The first key after the range; left out: the range has no end.
    pub to: Option<String>,
    /// The most entries, from 1 to 1000; left out: 100.
    pub limit: Option<usize>,
    /// The group to read; required if there are several, as a read is atomic only within one.
    pub group: Option<u32>,
    /// The consistency of the read.
    pub consistency: Consistency,
    /// Answer only after the log is applied up to here.
    pub after: MinIndex,
    /// Answer within this time, if need be with a failure.
    pub timeout_ms: Option<u64>,
}

/// The parameters of `POST /session`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SessionParameters {
    /// A key of the session's group; required if there are several groups.
    pub key: Option<String>,
    /// Answer within this time, if need be with a failure.
    pub timeout_ms: Option<u64>,
}

/// The parameters of all writes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WriteParameters {
    /// Answer within this time, if need be with a failure.
    pub timeout_ms: Option<u64>,
    /// The session of the request: a retry does not run again.
    pub session: Option<u64>,
    /// The number of the request in its session: greater than before, or equal for a retry.
    pub sequence: Option<u64>,
}

/// The parameters of `POST /txn`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TxnParameters {
    /// The consistency of a transaction that only reads.
    pub consistency: Consistency,
    /// Answer a transaction that only reads after the log is applied up to here.
    pub after: MinIndex,
    /// Answer within this time, if need be with a failure.
    pub timeout_ms: Option<u64>,
    /// The session of a transaction that writes: a retry does not run again.
    pub session: Option<u64>,
    /// The number of the request in its session: greater than before, or equal for a retry.
    pub sequence: Option<u64>,
}

/// The reply to a read of a key that has a value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ValueReply {
    /// The value.
    pub value: String,
    /// The replica that answered.
    #[serde(flatten)]
    pub origin: Origin,
}

/// The reply to a range read, in key order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RangeReply {
    /// Keys and values.
    pub entries: Vec<(String, String)>,
    /// Whether the range has more entries.
    pub more: bool,
    /// The replica that answered.
    #[serde(flatten)]
    pub origin: Origin,
}

/// The reply with a new session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionReply {
    /// The id of the session.
    pub session: u64,
    /// The replica that answered.
    #[serde(flatten)]
    pub origin: Origin,
}

/// The reply to a transaction that took effect, or only read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TxnReply {
    /// The results of the micro-operations, in order.
    pub results: Results,
    /// Its log index, unless it only read: a read with `?after=` this sees it on any replica.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<u64>,
    /// The replica that answered.
    #[serde(flatten)]
    pub origin: Origin,
}

/// The reply to a write that took effect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WriteReply {
    /// Its log index: a read with `?after=` this sees it on any replica.
    pub index: u64,
    /// The replica that answered.
    #[serde(flatten)]
    pub origin: Origin,
}

/// The reply to a compare-and-set, or transaction, whose condition failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MismatchReply {
    /// The error.
    #[serde(flatten)]
    pub failure: FailureReply,
    /// The current value of the key; `null`: it is absent.
    pub current: Option<String>,
}

/// The reply to a request that failed, or whose outcome is unknown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailureReply {
    /// The name of the error, in kebab-case.
    pub error: String,
    /// Whether the request had no effect and never will.
    pub definite: bool,
    /// The error as a sentence.
    pub message: String,
    /// The replica that answered.
    #[serde(flatten)]
    pub origin: Origin,
}

/// A replica to add.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewMember {
    /// Its name, which must be unused.
    pub name: String,
    /// The address at which the others connect to it.
    pub address: String,
}

/// The body of `POST /cluster/members`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MembersRequest {
    /// The replicas to add as voters, once they have caught up.
    pub add: Vec<NewMember>,
    /// The replicas to add as learners.
    pub learn: Vec<NewMember>,
    /// The members to remove: at once, or when the added voters have caught up.
    pub remove: Vec<String>,
}

/// The body of `POST /cluster/leader`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeaderRequest {
    /// The replica that should lead.
    pub name: String,
    /// The group, if there are several; by default the first. Leaders are balanced over the
    /// members, so the new leader may transfer the group again after a while.
    #[serde(default)]
    pub group: u32,
}

/// One member, as this replica sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberReply {
    /// Its id, which is never reused.
    pub id: u64,
    /// Its name.
    pub name: String,
    /// Its address.
    pub address: String,
    /// `voter`, `joining` (a voter once it has caught up), `learner` or `leaving`.
    pub role: String,
}

/// The configuration in force here, committed or not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MembersReply {
    /// The name of the cluster: its founders.
    pub cluster: String,
    /// The members.
    pub members: Vec<MemberReply>,
    /// The replica that answered.
    #[serde(flatten)]
    pub origin: Origin,
}

/// A replica's connection to a peer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerStatus {
    /// Its address.
    pub address: String,
    /// Whether it is connected.
    pub connected: bool,
}

/// The body of `GET /status`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusReply {
    /// The replica that answered.
    #[serde(flatten)]
    pub origin: Origin,
    /// `follower`, `pre-candidate`, `candidate` or `leader`.
    pub role: String,
    /// The leader of its term, if known.
    pub leader: Option<String>,
    /// The index of the last entry of its log.
    pub last_index: u64,
    /// The index of the last entry that it knows to be committed.
    pub commit_index: u64,
    /// Whether it is a member of the cluster.
    pub member: bool,
    /// The bugs that are switched on.
    #[serde(rename = "unsafe")]
    pub bugs: Vec<String>,
    /// The other members.
    pub peers: BTreeMap<String, PeerStatus>,
    /// Every group, if there are several; the fields above are then those of the first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<GroupStatus>,
}

/// One group of a replica, in `GET /status`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupStatus {
    /// Its number, from 0.
    pub group: u32,
    /// The role of the replica: `follower`, `pre-candidate`, `candidate` or `leader`.
    pub role: String,
    /// Its term.
    pub term: u64,
    /// The leader of that term, if known.
    pub leader: Option<String>,
    /// The index of the last entry of its log.
    pub last_index: u64,
    /// The index of the last entry known to be committed.
    pub commit_index: u64,
    /// The index of the last applied entry.
    pub applied: u64,
}

/// The body of `GET /health`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthReply {
    /// Whether a leader is known.
    pub healthy: bool,
    /// The replica that answered.
    #[serde(flatten)]
    pub origin: Origin,
}
