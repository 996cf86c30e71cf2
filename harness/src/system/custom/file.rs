//! Reads the file that describes a system, and fills in its templates.

use super::super::Launch;
use anyhow::{Result, anyhow};
use serde::Deserialize;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use workloads::Object;

/// What `harness init` writes: every part, explained.
pub(crate) const STARTER: &str = include_str!("../../assets/starter.toml");

/// A system as its file tells.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Described {
    #[serde(skip)]
    pub(super) path: PathBuf,
    pub(super) name: String,
    replica: Replica,
    /// Whether each replica needs a host of its own, because it tells others its address.
    #[serde(default)]
    pub(super) hosts: bool,
    pub(super) leader: Option<Leader>,
    pub(super) read: Option<Request>,
    pub(super) write: Option<Request>,
    pub(super) cas: Option<Request>,
    pub(super) client: Option<Speaker>,
}

/// How a replica is started.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Replica {
    command: Vec<String>,
    /// How one of `{peers}` is written.
    #[serde(default = "plain_peer")]
    peer: String,
    /// What stands between two.
    #[serde(default = "comma")]
    separator: String,
}

fn plain_peer() -> String {
    "{id}={ip}:{port}".to_owned()
}

fn comma() -> String {
    ",".to_owned()
}

/// How to find out who leads.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Leader {
    /// The path to ask each replica for.
    pub(super) get: String,
    /// Where in the JSON it says what it is.
    pub(super) role: String,
    /// What a leader says there.
    pub(super) is: serde_json::Value,
    /// Where the term is, if there is one.
    pub(super) term: Option<String>,
}

/// What is asked, and what the answers mean.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Request {
    /// Method and path: `PUT /kv/{key}`.
    pub(super) request: String,
    pub(super) body: Option<String>,
    /// Where in the JSON the value is; the whole text, if not said.
    pub(super) value: Option<String>,
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
pub(super) struct Speaker {
    pub(super) command: Vec<String>,
    /// What it can be asked about.
    pub(super) objects: Vec<String>,
}

/// Every object that a program can be asked about.
const OBJECTS: [Object; 8] = [
    Object::Bank,
    Object::Counters,
    Object::Ids,
    Object::Locks,
    Object::Queue,
    Object::Registers,
    Object::Set,
    Object::Transactions,
];

impl Described {
    pub(super) fn load(path: &Path) -> Result<Self> {
        let wrong = |why: String| anyhow!("{}{why}", path.display());
        let text = std::fs::read_to_string(path).map_err(|why| {
            wrong(format!(": cannot be read: {why}; harness init writes one to start from"))
        })?;
        let mut described: Self =
            toml::from_str(&text).map_err(|error| wrong(located(&text, &error)))?;
        described.path = path.to_owned();
        described.check().map_err(|why| wrong(format!(": {why}")))?;
        Ok(described)
    }

    fn check(&self) -> Result<(), String> {
        if self.name.is_empty()
            || !self.name.chars().all(|it| it.is_ascii_alphanumeric() || it == '-')
        {
            return Err(format!("name {:?} is to be of letters, digits and hyphens", self.name));
        }
        if self.replica.command.is_empty() {
            return Err("replica.command is empty: it is the program and its arguments".to_owned());
        }
        match &self.client {
            Some(client) if client.command.is_empty() => Err("client.command is empty".to_owned()),
            Some(client) => client.objects.iter().try_for_each(|name| object(name).map(drop)),
            None => {
                for (name, request) in self.requests() {
                    let request = request.as_ref().ok_or_else(|| {
                        format!("[{name}] is missing: without a [client] program, [read] and [write] are needed")
                    });
                    match (request, name) {
                        (Err(_), "cas") => {}
                        (Err(why), _) => return Err(why),
                        (Ok(request), _) => request.check(name)?,
                    }
                }
                Ok(())
            }
        }
    }

    fn requests(&self) -> [(&'static str, &Option<Request>); 3] {
        [("read", &self.read), ("write", &self.write), ("cas", &self.cas)]
    }

    pub(super) fn request(&self, function: &str) -> Option<&Request> {
        self.requests().into_iter().find(|(name, _)| *name == function)?.1.as_ref()
    }

    pub(super) fn knows(&self, function: &str) -> bool {
        self.client.is_some() || self.request(function).is_some()
    }

    pub(super) fn objects(&self) -> Vec<Object> {
        match &self.client {
            Some(client) => client.objects.iter().filter_map(|name| object(name).ok()).collect(),
            None => vec![Object::Registers],
        }
    }

    /// The words that start a replica.
    pub(super) fn command(&self, launch: &Launch) -> Vec<String> {
        let peer = |(id, at): &(crate::net::plan::HostId, SocketAddr)| {
            let replica = [
                ("id", id.to_string()),
                ("ip", at.ip().to_string()),
                ("port", at.port().to_string()),
            ];
            filled(&self.replica.peer, &replica)
        };
        let peers: Vec<_> = launch.peers.iter().map(peer).collect();
        let values = [
            ("id", launch.host.to_string()),
            ("ip", launch.listen_client.ip().to_string()),
            ("port", launch.listen_client.port().to_string()),
            ("peer_port", launch.listen_peer.port().to_string()),
            ("data", launch.data.display().to_string()),
            ("dir", self.folder()),
            ("peers", peers.join(&self.replica.separator)),
        ];
        self.replica.command.iter().map(|word| filled(word, &values)).collect()
    }

    /// The folder that the file is in.
    pub(super) fn folder(&self) -> String {
        let folder = self.path.parent().filter(|it| !it.as_os_str().is_empty());
        folder.map_or_else(|| ".".to_owned(), |folder| folder.display().to_string())
    }
}

impl Request {
    fn check(&self, name: &str) -> Result<(), String> {
        let methods = ["GET", "PUT", "POST", "DELETE", "PATCH"];
        match self.request.split_once(' ') {
            Some((method, path)) if methods.contains(&method) && path.starts_with('/') => {}
            _ => {
                let all = methods.join(", ");
                return Err(format!(
                    "{name}.request {:?} is to be a method ({all}) and a path: \"GET /kv/{{key}}\"",
                    self.request
                ));
            }
        }
        if self.ok.is_empty() {
            return Err(format!(
                "{name}.ok is missing: which HTTP status means that it happened, as in ok = [200]"
            ));
        }
        Ok(())
    }
}

fn object(name: &str) -> Result<Object, String> {
    OBJECTS.into_iter().find(|object| object.name() == name).ok_or_else(|| {
        let all: Vec<_> = OBJECTS.iter().map(|object| object.name()).collect();
        format!("client.objects: there is no {name:?}; there are: {}", all.join(", "))
    })
}

/// A template with these names filled in; other braces stay, for bodies are often JSON.
pub(super) fn filled(template: &str, values: &[(&str, String)]) -> String {
    let fill =
        |text: String, (name, value): &(&str, String)| text.replace(&format!("{{{name}}}"), value);
    values.iter().fold(template.to_owned(), fill)
}

/// `:line:column: why`
fn located(text: &str, error: &toml::de::Error) -> String {
    let before = error.span().map_or("", |span| text.get(..span.start).unwrap_or_default());
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().map_or(0, |rest| rest.chars().count()) + 1;
    format!(":{line}:{column}: {}", error.message())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        let folder = tempfile::tempdir().expect("a directory");
        let path = folder.path().join("my.toml");
        std::fs::write(&path, text).expect("it is written");
        let error = Described::load(&path).expect_err("it is wrong").to_string();
        error.rsplit_once("my.toml").map(|(_, why)| why.to_owned()).unwrap_or(error)
    }

    #[test]
    fn the_starter_file_is_a_system() {
        let described: Described = toml::from_str(STARTER).expect("it parses");
        described.check().expect("it makes sense");
        assert!(["read", "write", "cas"].iter().all(|function| described.knows(function)));
    }

    #[test]
    fn mistakes_are_told_with_their_place_and_what_would_do() {
        let replica = "name = \"a\"\n[replica]\ncommand = [\"x\"]\n";
        let read = "[read]\nrequest = \"GET /{key}\"\n";
        let mistakes = [
            "name = \"a\"\n[replica]\ncomand = []\n".to_owned(),
            "name = \"a\"\n[replica]\ncommand = \"x\"\n".to_owned(),
            replica.to_owned(),
            "name = \"a b\"\n[replica]\ncommand = [\"x\"]\n".to_owned(),
            format!("{replica}{read}ok = [\"yes\"]\n"),
            format!("{replica}{read}"),
            format!("{replica}{read}ok = [200]\n[write]\nrequest = \"/x\"\nok = [200]\n"),
            format!("{replica}[client]\ncommand = [\"y\"]\nobjects = [\"sets\"]\n"),
        ];
        let told: Vec<_> = mistakes.iter().map(|text| refused(text)).collect();
        insta::assert_snapshot!(told.join("\n"), @r#"
:3:1: unknown field `comand`, expected one of `command`, `peer`, `separator`
:3:11: invalid type: string "x", expected a sequence
: [read] is missing: without a [client] program, [read] and [write] are needed
: name "a b" is to be of letters, digits and hyphens
:6:6: an HTTP status like 200, or { status = 200, contains = "text" }
: read.ok is missing: which HTTP status means that it happened, as in ok = [200]
: write.request "/x" is to be a method (GET, PUT, POST, DELETE, PATCH) and a path: "GET /kv/{key}"
: client.objects: there is no "sets"; there are: bank, counters, ids, locks, queue, registers, set, transactions
"#);
    }

    #[test]
    fn only_known_names_are_filled_in() {
        let values = [("key", "k1".to_owned()), ("value", "5".to_owned())];
        assert_eq!(filled("{\"{key}\": {value}, \"x\": {y}}", &values), "{\"k1\": 5, \"x\": {y}}");
    }
}
