//! The keys of the file that describes a system.

use crate::duration;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;
use toml::Spanned;

/// A system as its file tells.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct SystemDescription {
    #[serde(skip)]
    pub(super) path: PathBuf,
    pub(super) name: Spanned<String>,
    pub(super) replica: ReplicaTemplate,
    /// Whether each replica needs a host of its own, because it tells others its address.
    #[serde(default)]
    pub(super) hosts: bool,
    /// Whether the system elects a new leader after a failure.
    #[serde(default = "default_failover")]
    pub(super) failover: bool,
    pub(super) ready: Option<ReadinessCheck>,
    pub(super) stop: Option<StopRequest>,
    pub(super) leader: Option<LeaderQuery>,
    pub(super) read: Option<RequestTemplate>,
    pub(super) write: Option<RequestTemplate>,
    pub(super) cas: Option<RequestTemplate>,
    pub(super) client: Option<ClientProgram>,
    /// Other ways to start its replicas.
    #[serde(default)]
    pub(super) variant: Vec<VariantTemplate>,
    #[serde(default)]
    pub(super) logs: LogPatterns,
}

/// Another way to start replicas: what their command and environment have besides.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct VariantTemplate {
    pub(super) name: Spanned<String>,
    #[serde(default)]
    pub(super) args: Vec<Spanned<String>>,
    #[serde(default)]
    pub(super) env: BTreeMap<String, Spanned<String>>,
}

/// Which lines of the replicas' logs convict, besides those that are never normal.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct LogPatterns {
    /// Regular expressions of lines that are violations.
    #[serde(default)]
    pub(super) convict: Vec<Spanned<String>>,
    /// Regular expressions of lines that are none, whatever else matches.
    #[serde(default)]
    pub(super) allow: Vec<Spanned<String>>,
}

/// How a replica is started.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct ReplicaTemplate {
    pub(super) command: Vec<Spanned<String>>,
    /// What stands in its environment besides.
    #[serde(default)]
    pub(super) env: BTreeMap<String, Spanned<String>>,
    /// Files in which it tells what it does, besides what it prints.
    #[serde(default)]
    pub(super) logs: Vec<Spanned<String>>,
    /// How one of `{peers}` is written, if not as `DEFAULT_PEER`.
    pub(super) peer: Option<Spanned<String>>,
    /// What stands between two.
    #[serde(default = "default_separator")]
    pub(super) separator: String,
}

fn default_failover() -> bool {
    true
}

fn default_separator() -> String {
    ",".to_owned()
}

/// How to find out whether a replica is ready for its first calls.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct ReadinessCheck {
    /// The path to ask each replica for.
    pub(super) get: Spanned<String>,
    pub(super) ok: Vec<ResponseRule>,
    /// How long it may take until it can be asked, and answers its first calls.
    pub(super) within: Option<Spanned<TimeLimit>>,
}

/// How a replica is asked to end when a run is over.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct StopRequest {
    pub(super) signal: Spanned<String>,
    pub(super) within: Option<Spanned<TimeLimit>>,
}

/// A time that is written like `5s`.
#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct TimeLimit(pub(super) Duration);

impl TryFrom<String> for TimeLimit {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        duration::parse(&text).map(Self)
    }
}

/// How to find out who leads.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct LeaderQuery {
    /// The path to ask each replica for.
    pub(super) get: Spanned<String>,
    /// Where in the JSON it says what it is.
    pub(super) role: Spanned<String>,
    /// What a leader says there.
    pub(super) is: serde_json::Value,
    /// Where the term is, if there is one.
    pub(super) term: Option<Spanned<String>>,
}

/// What is asked, and what the answers mean.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RequestTemplate {
    /// Method and path: `PUT /kv/{key}`.
    pub(super) request: Spanned<String>,
    pub(super) body: Option<Spanned<String>>,
    /// Where in the JSON the value is; the whole text, if not said.
    pub(super) value: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) ok: Vec<ResponseRule>,
    /// There is no such key.
    #[serde(default)]
    pub(super) absent: Vec<ResponseRule>,
    /// It was compared, and differed.
    #[serde(default)]
    pub(super) mismatch: Vec<ResponseRule>,
    /// It definitely did nothing.
    #[serde(default)]
    pub(super) fail: Vec<ResponseRule>,
}

/// An answer.
#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "an HTTP status like 200, or { status = 200, contains = \"text\" }")]
pub(super) enum ResponseRule {
    Status(u16),
    Text { status: u16, contains: String },
}

impl ResponseRule {
    pub(super) fn matches_response(&self, answered: u16, text: &str) -> bool {
        match self {
            Self::Status(status) => *status == answered,
            Self::Text { status, contains } => *status == answered && text.contains(contains),
        }
    }
}

/// A program that asks.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct ClientProgram {
    pub(super) command: Vec<Spanned<String>>,
    /// What it can be asked about.
    pub(super) objects: Vec<Spanned<String>>,
}
