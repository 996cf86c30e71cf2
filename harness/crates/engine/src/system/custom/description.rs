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
pub(super) struct Described {
    #[serde(skip)]
    pub(super) path: PathBuf,
    pub(super) name: Spanned<String>,
    pub(super) replica: Replica,
    /// Whether each replica needs a host of its own, because it tells others its address.
    #[serde(default)]
    pub(super) hosts: bool,
    /// Whether the system elects a new leader after a failure.
    #[serde(default = "yes")]
    pub(super) failover: bool,
    pub(super) ready: Option<Ready>,
    pub(super) stop: Option<Stop>,
    pub(super) leader: Option<Leader>,
    pub(super) read: Option<Request>,
    pub(super) write: Option<Request>,
    pub(super) cas: Option<Request>,
    pub(super) client: Option<ClientProgram>,
}

/// How a replica is started.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Replica {
    pub(super) command: Vec<Spanned<String>>,
    /// What stands in its environment besides.
    #[serde(default)]
    pub(super) env: BTreeMap<String, Spanned<String>>,
    /// Files in which it tells what it does, besides what it prints.
    #[serde(default)]
    pub(super) logs: Vec<Spanned<String>>,
    /// How one of `{peers}` is written, if not as [`PEER`].
    pub(super) peer: Option<Spanned<String>>,
    /// What stands between two.
    #[serde(default = "comma")]
    pub(super) separator: String,
}

fn yes() -> bool {
    true
}

fn comma() -> String {
    ",".to_owned()
}

/// How to find out whether a replica is ready for its first calls.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Ready {
    /// The path to ask each replica for.
    pub(super) get: Spanned<String>,
    pub(super) ok: Vec<Rule>,
    /// How long it may take until it can be asked, and answers its first calls.
    pub(super) within: Option<Spanned<Patience>>,
}

/// How a replica is asked to end when a run is over.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Stop {
    pub(super) signal: Spanned<String>,
    pub(super) within: Option<Spanned<Patience>>,
}

/// A time that is written like `5s`.
#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Patience(pub(super) Duration);

impl TryFrom<String> for Patience {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        duration::parse(&text).map(Self)
    }
}

/// How to find out who leads.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Leader {
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
pub(super) struct Request {
    /// Method and path: `PUT /kv/{key}`.
    pub(super) request: Spanned<String>,
    pub(super) body: Option<Spanned<String>>,
    /// Where in the JSON the value is; the whole text, if not said.
    pub(super) value: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) ok: Vec<Rule>,
    /// There is no such key.
    #[serde(default)]
    pub(super) absent: Vec<Rule>,
    /// It was compared, and differed.
    #[serde(default)]
    pub(super) mismatch: Vec<Rule>,
    /// It definitely did nothing.
    #[serde(default)]
    pub(super) fail: Vec<Rule>,
}

/// An answer.
#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "an HTTP status like 200, or { status = 200, contains = \"text\" }")]
pub(super) enum Rule {
    Status(u16),
    Text { status: u16, contains: String },
}

impl Rule {
    pub(super) fn fits(&self, answered: u16, text: &str) -> bool {
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
