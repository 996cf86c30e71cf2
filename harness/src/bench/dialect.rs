//! Spells requests, and reads answers, as each system's HTTP interface has them.

use std::fmt::Write as _;
use std::net::SocketAddr;

/// A system that can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// The store that comes with this tool.
    Raft,
    /// etcd's gateway from HTTP to gRPC.
    Etcd,
}

/// What an answer says of a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Response<'a> {
    /// It was carried out; a read found this, in the system's own spelling.
    Done(Option<&'a str>),
    /// It failed, or its outcome is unknown.
    Failed,
}

impl Dialect {
    /// Its name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Raft => "raft",
            Self::Etcd => "etcd",
        }
    }

    /// A request to write.
    pub(super) fn encode_put(self, host: SocketAddr, key: &str, value: &str) -> Vec<u8> {
        match self {
            Self::Raft => encode_request(
                "PUT",
                &format!("/kv/{key}"),
                host,
                &format!(r#"{{"value":"{value}"}}"#),
            ),
            Self::Etcd => {
                let (key, value) = (self.encode_text(key), self.encode_text(value));
                let body = format!(r#"{{"key":"{key}","value":"{value}"}}"#);
                encode_request("POST", "/v3/kv/put", host, &body)
            }
        }
    }

    /// A request to the leader to transfer leadership to the replica of that name; only our store.
    pub(super) fn encode_transfer(self, host: SocketAddr, to: &str) -> Option<Vec<u8>> {
        let body = format!(r#"{{"name":"{to}"}}"#);
        (self == Self::Raft).then(|| encode_request("POST", "/cluster/leader", host, &body))
    }

    /// A request to read what every acknowledged write has left.
    pub(super) fn encode_get(self, host: SocketAddr, key: &str) -> Vec<u8> {
        match self {
            Self::Raft => encode_request("GET", &format!("/kv/{key}"), host, ""),
            Self::Etcd => {
                let body = format!(r#"{{"key":"{}"}}"#, self.encode_text(key));
                encode_request("POST", "/v3/kv/range", host, &body)
            }
        }
    }

    /// A request for who leads.
    pub(super) fn encode_leader_query(self, host: SocketAddr) -> Vec<u8> {
        match self {
            Self::Raft => encode_request("GET", "/status", host, ""),
            Self::Etcd => encode_request("POST", "/v3/maintenance/status", host, "{}"),
        }
    }

    /// Whether the replica of this number, counted from 0, said that it leads itself.
    pub(super) fn is_leader(self, number: usize, body: &str) -> bool {
        let Ok(said) = serde_json::from_str::<serde_json::Value>(body) else { return false };
        let leader = &said["leader"];
        match self {
            Self::Raft => leader == &replica_name(number),
            Self::Etcd => leader.is_string() && leader == &said["header"]["member_id"],
        }
    }

    /// The name of the counter of synchronous writes to the log.
    pub(super) fn sync_counter(self) -> &'static str {
        match self {
            Self::Raft => "node_wal_syncs_total",
            Self::Etcd => "etcd_disk_wal_fsync_duration_seconds_count",
        }
    }

    /// A key or a value as requests and answers have it.
    pub(super) fn encode_text(self, text: &str) -> String {
        match self {
            Self::Raft => text.to_owned(),
            Self::Etcd => encode_base64(text.as_bytes()),
        }
    }

    /// What an answer says.
    pub(super) fn decode_response(self, status: u16, body: &str) -> Response<'_> {
        match (self, status) {
            (_, 200) => Response::Done(parse_value(body)),
            (Self::Raft, 404) => Response::Done(None),
            _ => Response::Failed,
        }
    }
}

/// The text after `"value":`, which no value of ours can hold itself.
fn parse_value(body: &str) -> Option<&str> {
    let (_, rest) = body.split_once(r#""value":""#)?;
    rest.split_once('"').map(|(value, _)| value)
}

fn encode_request(method: &str, path: &str, host: SocketAddr, body: &str) -> Vec<u8> {
    let mut text = format!("{method} {path} HTTP/1.1\r\nhost: {host}\r\n");
    if !body.is_empty() {
        // Writing to a string cannot fail.
        let _ = write!(text, "content-length: {}\r\n", body.len());
    }
    text += "\r\n";
    text += body;
    text.into_bytes()
}

fn encode_base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let byte = |at: usize| usize::from(chunk.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for digit in 0..4 {
            let digit_of = || char::from(DIGITS[bits >> (18 - 6 * digit) & 63]);
            text.push(if digit <= chunk.len() { digit_of() } else { '=' });
        }
    }
    text
}

/// How a replica is called, counted from 0.
pub(super) fn replica_name(number: usize) -> String {
    format!("n{}", number + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_the_rfc() {
        let spelled =
            ["", "f", "fo", "foo", "foob", "fooba", "foobar"].map(|t| encode_base64(t.as_bytes()));
        let known = ["", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"];
        assert_eq!(spelled, known);
    }

    #[test]
    fn requests_are_whole() {
        let host = SocketAddr::from(([127, 0, 0, 1], 80));
        let text = |bytes| String::from_utf8(bytes).expect("text");
        assert_eq!(
            text(Dialect::Raft.encode_put(host, "k", "v")),
            "PUT /kv/k HTTP/1.1\r\nhost: 127.0.0.1:80\r\ncontent-length: 13\r\n\r\n\
             {\"value\":\"v\"}"
        );
        assert_eq!(
            text(Dialect::Etcd.encode_get(host, "k")),
            "POST /v3/kv/range HTTP/1.1\r\nhost: 127.0.0.1:80\r\ncontent-length: 14\r\n\r\n\
             {\"key\":\"aw==\"}"
        );
    }

    #[test]
    fn answers_are_understood() {
        let (raft, etcd) = (Dialect::Raft, Dialect::Etcd);
        let ours = r#"{"value":"7","replica":"n1","term":1,"applied":9}"#;
        assert_eq!(raft.decode_response(200, ours), Response::Done(Some("7")));
        assert_eq!(raft.decode_response(404, r#"{"error":"not-found"}"#), Response::Done(None));
        assert_eq!(raft.decode_response(503, "{}"), Response::Failed);
        let theirs =
            r#"{"header":{"revision":"3"},"kvs":[{"key":"aw==","value":"Nw=="}],"count":"1"}"#;
        assert_eq!(etcd.decode_response(200, theirs), Response::Done(Some("Nw==")));
        assert_eq!(etcd.decode_response(200, r#"{"header":{}}"#), Response::Done(None));
        assert_eq!(etcd.decode_response(404, ""), Response::Failed);
    }

    #[test]
    fn a_leader_says_so_itself() {
        assert!(Dialect::Raft.is_leader(1, r#"{"replica":"n2","leader":"n2"}"#));
        assert!(!Dialect::Raft.is_leader(0, r#"{"replica":"n1","leader":"n2"}"#));
        let said = |leader| format!(r#"{{"header":{{"member_id":"5"}},"leader":"{leader}"}}"#);
        assert!(Dialect::Etcd.is_leader(0, &said("5")) && !Dialect::Etcd.is_leader(0, &said("6")));
        assert!(!Dialect::Etcd.is_leader(0, r#"{"header":{}}"#));
    }
}
