//! Reads the file that describes a system, and fills in its templates.

use super::super::adapter::Launch;
use super::check::{self, DescriptionError, find_object};
use super::description::{RequestTemplate, SystemDescription};
use crate::invariants::LogRules;
use crate::spelling::nearest_word;
use anyhow::{Result, anyhow};
use regex_lite::Regex;
use std::net::SocketAddr;
use std::ops::Range;
use std::path::{Path, PathBuf};
use toml::Spanned;
use workloads::Object;

/// What `harness init` writes: every part, explained.
pub const STARTER: &str = include_str!("../../assets/starter.toml");

const PEER: &str = "{id}={ip}:{port}";

impl SystemDescription {
    pub(super) fn load(path: &Path) -> Result<Self> {
        let wrong = |why: String| anyhow!("{}{why}", path.display());
        let text = std::fs::read_to_string(path).map_err(|why| {
            wrong(format!(": cannot be read: {why}; harness init writes one to start from"))
        })?;
        let mut described: Self = toml::from_str(&text)
            .map_err(|error| wrong(format_error(&text, &explain_parse_error(&error))))?;
        described.path = path.to_owned();
        check::check_description(&described)
            .map_err(|mistake| wrong(format_error(&text, &mistake)))?;
        Ok(described)
    }

    fn request_templates(&self) -> [(&'static str, &Option<RequestTemplate>); 3] {
        [("read", &self.read), ("write", &self.write), ("cas", &self.cas)]
    }

    pub(super) fn find_request(&self, function: &str) -> Option<&RequestTemplate> {
        self.request_templates().into_iter().find(|(name, _)| *name == function)?.1.as_ref()
    }

    pub(super) fn supports_function(&self, function: &str) -> bool {
        self.client.is_some() || self.find_request(function).is_some()
    }

    pub(super) fn objects(&self) -> Vec<Object> {
        match &self.client {
            Some(client) => {
                client.objects.iter().filter_map(|name| find_object(name.get_ref())).collect()
            }
            None => vec![Object::Registers],
        }
    }

    /// Which lines of the logs convict.
    pub(super) fn log_rules(&self) -> LogRules {
        // Patterns that are none were refused when the file was read.
        let compile = |patterns: &[Spanned<String>]| {
            patterns.iter().filter_map(|pattern| Regex::new(pattern.get_ref()).ok()).collect()
        };
        LogRules { convict: compile(&self.logs.convict), allow: compile(&self.logs.allow) }
    }

    /// The words that start a replica, and what its environment has besides.
    pub(super) fn replica_command(&self, launch: &Launch) -> (Vec<String>, Vec<String>) {
        let values = self.template_values(launch);
        let words = self.replica.command.iter().map(|word| fill_template(word.get_ref(), &values));
        let variable = |(name, value): (&String, &Spanned<String>)| {
            format!("{name}={}", fill_template(value.get_ref(), &values))
        };
        let asked = launch.variant.as_ref();
        let variant = self.variant.iter().find(|it| Some(it.name.get_ref()) == asked);
        let more = variant.into_iter().flat_map(|it| &it.args);
        let more = more.map(|word| fill_template(word.get_ref(), &values));
        let more_env = variant.into_iter().flat_map(|it| &it.env);
        // `env` takes the last value of a variable.
        let env = self.replica.env.iter().chain(more_env).map(variable);
        (words.chain(more).collect(), env.collect())
    }

    /// The files in which that replica tells what it does.
    pub(super) fn log_files(&self, launch: &Launch) -> Vec<PathBuf> {
        let values = self.template_values(launch);
        self.replica.logs.iter().map(|log| fill_template(log.get_ref(), &values).into()).collect()
    }

    /// What a replica's templates can name.
    fn template_values(&self, launch: &Launch) -> [(&'static str, String); 7] {
        let peer = |(id, at): &(testbed::net::plan::HostId, SocketAddr)| {
            let replica = [
                ("id", id.to_string()),
                ("ip", at.ip().to_string()),
                ("port", at.port().to_string()),
            ];
            fill_template(self.replica.peer.as_ref().map_or(PEER, |peer| peer.get_ref()), &replica)
        };
        let peers: Vec<_> = launch.peers.iter().map(peer).collect();
        [
            ("id", launch.host.to_string()),
            ("ip", launch.listen_client.ip().to_string()),
            ("port", launch.listen_client.port().to_string()),
            ("peer_port", launch.listen_peer.port().to_string()),
            ("data", launch.data.display().to_string()),
            ("dir", self.folder()),
            ("peers", peers.join(&self.replica.separator)),
        ]
    }

    /// The folder that the file is in.
    pub(super) fn folder(&self) -> String {
        let folder = self.path.parent().filter(|it| !it.as_os_str().is_empty());
        folder.map_or_else(|| ".".to_owned(), |folder| folder.display().to_string())
    }
}

/// A template with these names filled in; other braces stay, for bodies are often JSON.
pub(super) fn fill_template(template: &str, values: &[(&str, String)]) -> String {
    let fill =
        |text: String, (name, value): &(&str, String)| text.replace(&format!("{{{name}}}"), value);
    values.iter().fold(template.to_owned(), fill)
}

/// `:line:column: why`
fn format_error(text: &str, DescriptionError { at, why }: &DescriptionError) -> String {
    let Some(Range { start, .. }) = at else { return format!(": {why}") };
    let before = text.get(..*start).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().map_or(0, |rest| rest.chars().count()) + 1;
    format!(":{line}:{column}: {why}")
}

/// What the parser did not like, with a guess at what was meant where it knows no such word.
fn explain_parse_error(error: &toml::de::Error) -> DescriptionError {
    let message = error.message().trim();
    let mut words = message.split('`').skip(1).step_by(2);
    let strange = words.next().filter(|_| message.starts_with("unknown field"));
    let known: Vec<&str> = words.collect();
    let guess = strange.and_then(|word| nearest_word(word, &known));
    let guess = guess.map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
    DescriptionError {
        at: error.span(),
        why: message.replace('\n', ": ").replace("a sequence", "a list") + &guess,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use testbed::net::plan::HostId;
    use workloads::ReadConsistency;

    fn load_error(text: &str) -> String {
        let folder = tempfile::tempdir().expect("a directory");
        let path = folder.path().join("my.toml");
        std::fs::write(&path, text).expect("it is written");
        let error = SystemDescription::load(&path).expect_err("it is wrong").to_string();
        error.rsplit_once("my.toml").map(|(_, why)| why.to_owned()).unwrap_or(error)
    }

    #[test]
    fn the_starter_file_is_a_system() {
        let described: SystemDescription = toml::from_str(STARTER).expect("it parses");
        check::check_description(&described).expect("it makes sense");
        assert!(
            ["read", "write", "cas"].iter().all(|function| described.supports_function(function))
        );
    }

    #[test]
    fn a_variant_adds_arguments_and_variables_and_is_found_by_its_name() {
        let text = "name = \"a\"\n[replica]\ncommand = [\"x\", \"{port}\"]\nenv = { A = \"1\" }\n\
                    [read]\nrequest = \"GET /{key}\"\nok = [200]\n\
                    [write]\nrequest = \"PUT /{key}/{value}\"\nok = [200]\n\
                    [[variant]]\nname = \"small\"\nargs = [\"--id={id}\"]\nenv = { A = \"2\" }\n";
        let described: SystemDescription = toml::from_str(text).expect("it parses");
        check::check_description(&described).expect("it makes sense");
        let address: SocketAddr = "127.0.0.1:80".parse().expect("an address");
        let launch = |variant: Option<&str>| Launch {
            host: HostId(1),
            trace: "/t".into(),
            data: PathBuf::from("/data"),
            peers: vec![(HostId(1), address)],
            listen_client: address,
            listen_peer: address,
            seed: 1,
            consistency: ReadConsistency::default(),
            bugs: Vec::new(),
            args: Vec::new(),
            variant: variant.map(str::to_owned),
            bin: None,
        };
        let words = |of: &[&str]| of.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let plain = described.replica_command(&launch(None));
        assert_eq!(plain, (words(&["x", "80"]), words(&["A=1"])));
        let small = described.replica_command(&launch(Some("small")));
        assert_eq!(small, (words(&["x", "80", "--id=n2"]), words(&["A=1", "A=2"])));
        let twice = format!("{text}[[variant]]\nname = \"small\"\nargs = [\"y\"]\n");
        assert!(load_error(&twice).contains("that no other has"), "{}", load_error(&twice));
        let empty = format!("{text}[[variant]]\nname = \"none\"\n");
        assert!(load_error(&empty).contains("changes nothing"), "{}", load_error(&empty));
    }

    /// Descriptions with one mistake each.
    fn wrong_descriptions() -> Vec<String> {
        let replica = "name = \"a\"\n[replica]\ncommand = [\"x\", \"{port}\"]\n";
        let read = "[read]\nrequest = \"GET /{key}\"\n";
        let both = format!("{replica}{read}ok = [200]\n[write]\n");
        vec![
            "name = \"a\"\n[replica]\ncomand = []\n".to_owned(),
            "name = \"a\"\n[replica]\ncommand = \"x\"\n".to_owned(),
            "name = \"a\"\n[replica]\ncommand = []\n".to_owned(),
            "name = \"a\"\n[replica]\ncommand = [\"x\", \"{prot}\"]\n".to_owned(),
            "name = \"a\"\n[replica]\ncommand = [\"x\"]\n".to_owned(),
            "name = \"a\"\n[replica]\ncommand = [\"x\"\n".to_owned(),
            replica.to_owned(),
            "name = \"a b\"\n[replica]\ncommand = [\"x\"]\n".to_owned(),
            format!("{replica}peer = \"{{host}}\"\n"),
            format!("{replica}[leader]\nget = \"/s\"\nrole = \"role\"\nis = 1\n"),
            format!("{replica}{read}ok = [\"yes\"]\n"),
            format!("{replica}{read}"),
            format!("{replica}{read}ok = [200]\nmismatch = [409]\n"),
            format!("{both}request = \"/x\"\nok = [200]\n"),
            format!("{both}request = \"PUT /{{kye}}\"\nok = [200]\n"),
            format!("{both}request = \"PUT /{{key}}\"\nbody = '{{\"v\": {{val}}}}'\nok = [200]\n"),
            format!("{both}request = \"PUT /{{key}}/{{value}}\"\nok = [200]\nabsent = [404]\n"),
            format!("{replica}[client]\ncommand = [\"y\"]\nobjects = [\"sets\"]\n"),
            format!("{replica}[client]\ncommand = [\"y\"]\nobjects = []\n"),
            format!("{replica}logs = [\"/var/log/a\"]\n"),
            format!("{replica}logs = [\"{{data}}/\"]\n"),
            format!("{replica}logs = [\"{{data}}/a\", \"{{data}}/b/a\"]\n"),
            format!("{replica}logs = [\"{{date}}/a\"]\n"),
            format!("{replica}[ready]\nget = \"health\"\nok = [200]\n"),
            format!("{replica}[ready]\nget = \"/health\"\nok = []\n"),
            format!("{replica}[ready]\nget = \"/health\"\nok = [200]\nwithin = \"soon\"\n"),
            format!("{replica}[stop]\nsignal = \"SIGTREM\"\n"),
            format!("{replica}[logs]\nconvict = [\"lost\", \"(\"]\n"),
        ]
    }

    #[test]
    fn mistakes_are_told_with_their_place_and_what_would_do() {
        let mistakes = wrong_descriptions();
        let told: Vec<_> = mistakes.iter().map(|text| load_error(text)).collect();
        insta::assert_snapshot!(told.join("\n").replace("; ", ";\n    "), @r#"
:3:1: unknown field `comand`, expected one of `command`, `env`, `logs`, `peer`, `separator`;
    did you mean `command`?
:3:11: invalid type: string "x", expected a list
: replica.command is empty: give the program and its arguments
:3:17: unknown parameter {prot};
    did you mean {port}? known: {data}, {dir}, {id}, {ip}, {peer_port}, {peers}, {port}
:3:12: neither replica.command nor replica.env uses {port}, the port to listen on for clients
:3:15: unclosed array, expected `]`
: [read] is missing: without a [client] program, [read] and [write] are needed
:1:8: name "a b" must consist of letters, digits and hyphens
:4:8: unknown parameter {host};
    did you mean {port}? known: {id}, {ip}, {port}
:6:8: "role" must be a JSON pointer: "/value" is the field value, "/a/0" the first element of a
:6:6: an HTTP status like 200, or { status = 200, contains = "text" }
:5:11: read.ok is missing: give the HTTP status of a success, as in ok = [200]
:5:11: read.mismatch: a read does not compare;
    only [cas] has mismatch
:8:11: write.request "/x" must be a method (GET, PUT, POST, DELETE, PATCH) and path: "GET /kv/{key}"
:8:11: unknown parameter {kye};
    did you mean {key}? known: {key}, {value}
:8:11: neither write.request nor write.body uses {value}
:8:11: write.absent: only a read finds nothing;
    a write of a missing key is a fail
:6:12: unknown object "sets";
    known: bank, counters, ids, locks, queue, registers, set, transactions
: client.objects is empty;
    known: bank, counters, ids, locks, queue, registers, set, transactions
:4:9: the log "/var/log/a" uses neither {data} nor {id}: all replicas would share a file
:4:9: the log "{data}/" must end in a file name that no other log has
:4:21: the log "{data}/b/a" must end in a file name that no other log has
:4:9: unknown parameter {date};
    did you mean {data}? known: {data}, {dir}, {id}, {ip}, {peer_port}, {peers}, {port}
:5:7: ready.get must be a path, as in "/health"
:5:7: ready.ok is empty: give the HTTP status of a ready replica, as in ok = [200]
:7:10: "soon" is not a duration;
    write for example 30s, 1m30s or 500ms
:5:10: unsupported signal "SIGTREM";
    did you mean SIGTERM? supported: SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2
:5:20: "(" is no regular expression: found open group without closing ')'
"#);
    }

    #[test]
    fn only_known_names_are_filled_in() {
        let values = [("key", "k1".to_owned()), ("value", "5".to_owned())];
        assert_eq!(
            fill_template("{\"{key}\": {value}, \"x\": {y}}", &values),
            "{\"k1\": 5, \"x\": {y}}"
        );
    }
}
