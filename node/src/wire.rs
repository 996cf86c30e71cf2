//! Names what crosses the HTTP API: every reply says which replica answered, in what term, and how
//! far it had applied.
//!
//! A [`Failure`] is *definite* when the request was certainly not carried out and never will be,
//! and *indefinite* when nobody can tell; nothing that may have happened is ever called definite.

use crate::kv::Results;
use alloc::{collections::BTreeMap, string::String, vec::Vec};
use core::fmt;
use core::str::FromStr;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Who answers, and from what state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The replica.
    pub replica: String,
    /// Its term.
    pub term: u64,
    /// The last log entry that it had applied.
    pub applied: u64,
    /// The group whose term and log these are, where the replica has several (`--groups`).
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
    /// What the key must have; `null`: it must be absent. Leaving it out is an error.
    #[serde(deserialize_with = "present")]
    pub old: Option<String>,
    /// Its new value.
    pub new: String,
}

/// What `null` is and a missing field is not.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Option::deserialize(deserializer)
}

/// How fresh a read must be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Consistency {
    /// It sees every write that was acknowledged before it was asked for.
    #[default]
    Linearizable,
    /// The same, without asking a majority where the leader holds a lease (`--lease-reads`); it relies
    /// on clocks that run at about the same rate.
    Lease,
    /// It sees what the replica happens to have.
    Stale,
}

/// Up to where a log is to be applied: `INDEX`, in whichever group the request belongs to, or
/// `GROUP:INDEX,…`, of which the group takes its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum After {
    /// In the group of the request.
    Here(u64),
    /// By group; one that is not named is not waited for.
    Groups(BTreeMap<u32, u64>),
}

impl After {
    /// The index in this group.
    pub fn of(&self, group: u32) -> u64 {
        match self {
            Self::Here(index) => *index,
            Self::Groups(indices) => indices.get(&group).copied().unwrap_or(0),
        }
    }
}

impl Default for After {
    fn default() -> Self {
        Self::Here(0)
    }
}

impl FromStr for After {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = "`after` is an index, or GROUP:INDEX with commas between";
        if let Ok(index) = text.parse() {
            return Ok(Self::Here(index));
        }
        let pair = |pair: &str| {
            let (group, index) = pair.split_once(':')?;
            Some((group.parse().ok()?, index.parse().ok()?))
        };
        text.split(',').map(pair).collect::<Option<_>>().map(Self::Groups).ok_or(wrong)
    }
}

impl fmt::Display for After {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Here(index) => write!(f, "{index}"),
            Self::Groups(indices) => {
                for (number, (group, index)) in indices.iter().enumerate() {
                    let comma = if number > 0 { "," } else { "" };
                    write!(f, "{comma}{group}:{index}")?;
                }
                Ok(())
            }
        }
    }
}

impl Serialize for After {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for After {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// The parameters of `GET /kv/{key}`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ReadParameters {
    /// How fresh it must be.
    pub consistency: Consistency,
    /// Answer only when the log is applied up to here.
    pub after: After,
    /// Answer, with whatever there is to say, within this time.
    pub timeout_ms: Option<u64>,
}

/// The parameters of `GET /kv`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RangeParameters {
    /// The first key.
    pub from: String,
    /// The first key that is not wanted any more; left out: there is none.
    pub to: Option<String>,
    /// The most entries, from 1 to 1000; left out: 100.
    pub limit: Option<usize>,
    /// The group whose keys are read; needed where there are several, as no moment is common to all.
    pub group: Option<u32>,
    /// How fresh it must be.
    pub consistency: Consistency,
    /// Answer only when the log is applied up to here.
    pub after: After,
    /// Answer, with whatever there is to say, within this time.
    pub timeout_ms: Option<u64>,
}

/// The parameters of `POST /session`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SessionParameters {
    /// A key in whose group the session is; needed where there are several groups.
    pub key: Option<String>,
    /// Answer, with whatever there is to say, within this time.
    pub timeout_ms: Option<u64>,
}

/// The parameters of everything that writes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WriteParameters {
    /// Answer, with whatever there is to say, within this time.
    pub timeout_ms: Option<u64>,
    /// The session that the request belongs to: a retry is not carried out again.
    pub session: Option<u64>,
    /// The session's number for the request; greater than those before, the same for a retry.
    pub sequence: Option<u64>,
}

/// The parameters of `POST /txn`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TxnParameters {
    /// How fresh one must be that only reads.
    pub consistency: Consistency,
    /// Answer one that only reads when the log is applied up to here.
    pub after: After,
    /// Answer, with whatever there is to say, within this time.
    pub timeout_ms: Option<u64>,
    /// The session of one that writes: a retry is not carried out again.
    pub session: Option<u64>,
    /// The session's number for the request; greater than those before, the same for a retry.
    pub sequence: Option<u64>,
}

/// A read that found something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Value {
    /// What the key has.
    pub value: String,
    /// Who says so.
    #[serde(flatten)]
    pub origin: Origin,
}

/// Entries in order of key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RangeReply {
    /// Keys and values.
    pub entries: Vec<(String, String)>,
    /// Whether there are more.
    pub more: bool,
    /// Who says so.
    #[serde(flatten)]
    pub origin: Origin,
}

/// A session that was opened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionReply {
    /// Its name.
    pub session: u64,
    /// Who says so.
    #[serde(flatten)]
    pub origin: Origin,
}

/// A transaction that took effect, or only read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TxnReply {
    /// What each micro-operation returned, in their order.
    pub results: Results,
    /// Where it stands in the log, if it stands there: `?after=` this on any replica sees it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<u64>,
    /// Who says so.
    #[serde(flatten)]
    pub origin: Origin,
}

/// A write that took effect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Written {
    /// Where it stands in the log: `?after=` this on any replica sees it.
    pub index: u64,
    /// Who says so.
    #[serde(flatten)]
    pub origin: Origin,
}

/// A compare-and-set that found something else and changed nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mismatch {
    /// The error, and who says so.
    #[serde(flatten)]
    pub failure: Failure,
    /// What the key has; `null`: it is absent.
    pub current: Option<String>,
}

/// A request that did not succeed, or of which nobody knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// What went wrong, in kebab-case.
    pub error: String,
    /// Whether the request certainly had no effect and never will have.
    pub definite: bool,
    /// The same for people.
    pub message: String,
    /// Who says so.
    #[serde(flatten)]
    pub origin: Origin,
}

/// A replica that is to join.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewMember {
    /// Its name, which no member has.
    pub name: String,
    /// Where the others dial it.
    pub address: String,
}

/// The body of `POST /cluster/members`; what is left out does not change.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MembersRequest {
    /// Who is to vote, once it has caught up.
    pub add: Vec<NewMember>,
    /// Who is only to get the log.
    pub learn: Vec<NewMember>,
    /// Who is to go: at once, or when those who are added have caught up.
    pub remove: Vec<String>,
}

/// The body of `POST /cluster/leader`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeaderRequest {
    /// Who is to lead.
    pub name: String,
    /// Which group, where there are several; the first if nobody says. Whoever leads there hands it
    /// on again after a while if another one should (leaders are spread over the members).
    #[serde(default)]
    pub group: u32,
}

/// One member, as the replica knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberReply {
    /// Its number, which no other member has or had.
    pub id: u64,
    /// Its name.
    pub name: String,
    /// Where it is dialled.
    pub address: String,
    /// `voter`, `joining` (a voter as soon as it has caught up), `learner` or `leaving`.
    pub role: String,
}

/// The members in force here, committed or not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MembersReply {
    /// What the cluster is called: its founders.
    pub cluster: String,
    /// Who takes part.
    pub members: Vec<MemberReply>,
    /// Who says so.
    #[serde(flatten)]
    pub origin: Origin,
}

/// How a replica sees another one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peer {
    /// Where it is dialled.
    pub address: String,
    /// Whether the connection to it stands.
    pub connected: bool,
}

/// The body of `GET /status`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusReply {
    /// Who answers.
    #[serde(flatten)]
    pub origin: Origin,
    /// `follower`, `pre-candidate`, `candidate` or `leader`.
    pub role: String,
    /// The leader of its term, where known.
    pub leader: Option<String>,
    /// The last entry of its log.
    pub last_index: u64,
    /// The last entry that it knows to be committed.
    pub commit_index: u64,
    /// Whether it takes part in the cluster (still).
    pub member: bool,
    /// The bugs that are switched on.
    #[serde(rename = "unsafe")]
    pub bugs: Vec<String>,
    /// The other members.
    pub peers: BTreeMap<String, Peer>,
    /// Where the replica has several groups: each of them. What stands above is the first one's then.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<GroupStatus>,
}

/// One group of a replica, as `GET /status` shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupStatus {
    /// Its number, from 0.
    pub group: u32,
    /// What the replica is in it: `follower`, `pre-candidate`, `candidate` or `leader`.
    pub role: String,
    /// Its term.
    pub term: u64,
    /// The leader of that term, where known.
    pub leader: Option<String>,
    /// The last entry of its log.
    pub last_index: u64,
    /// The last entry that is known here to be committed.
    pub commit_index: u64,
    /// The last entry that was applied here.
    pub applied: u64,
}

/// The body of `GET /health`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// Whether a leader is known.
    pub healthy: bool,
    /// Who says so.
    #[serde(flatten)]
    pub origin: Origin,
}
