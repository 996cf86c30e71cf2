//! Answers what nodes ask of the services that Maelstrom offers them: three stores and a clock.
//! Pure.
//!
//! `lin-kv` is linearizable. `seq-kv` is sequentially consistent: it answers from a state that may
//! be old, but never older than what the same client has seen. `lww-kv` keeps two copies that are
//! merged now and then, and the last writer wins. `lin-tso` counts. Keys and values are any JSON.

use super::message::{Body, error_body, to_body as reply};
use crate::random::Rng;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// How many states of the sequential store are remembered.
const MAX_STATES: u64 = 32;
/// How many copies the last-writer-wins store has.
const COPIES: usize = 2;

/// The names of all services.
pub(super) const SERVICES: [&str; 4] = ["lin-kv", "lin-tso", "lww-kv", "seq-kv"];

/// Every service.
pub(super) struct Services {
    rng: Rng,
    linear: BTreeMap<String, Value>,
    sequential: Sequential,
    copies: [BTreeMap<String, (u64, Value)>; COPIES],
    /// The time of the last write of the last-writer-wins store.
    written: u64,
    /// The next time stamp.
    next: u64,
}

/// What a request does to what is stored under its key.
enum StoreEffect {
    Read(Value),
    Write(Value),
    Refused(Body),
}

impl Services {
    /// Services that hold nothing; the stream decides what is old and what is merged.
    pub(super) fn new(rng: Rng) -> Self {
        Self {
            rng,
            linear: BTreeMap::new(),
            sequential: Sequential::default(),
            copies: Default::default(),
            written: 0,
            next: 0,
        }
    }

    /// The answer of a service to a client.
    pub(super) fn handle_request(&mut self, service: &str, client: &str, body: &Body) -> Body {
        match (service, body.get("type").and_then(Value::as_str)) {
            ("lin-tso", Some("ts")) => {
                self.next += 1;
                reply(json!({ "type": "ts_ok", "ts": self.next - 1 }))
            }
            ("lin-kv", Some("read" | "write" | "cas")) => self.handle_lin_kv(body),
            ("seq-kv", Some("read" | "write" | "cas")) => self.handle_seq_kv(client, body),
            ("lww-kv", Some("read" | "write" | "cas")) => self.handle_lww_kv(body),
            (_, other) => {
                error_body(10, &format!("{service} has no request {:?}", other.unwrap_or_default()))
            }
        }
    }

    fn handle_lin_kv(&mut self, body: &Body) -> Body {
        let key = request_key(body);
        let effect = evaluate_request(body, self.linear.get(&key), true);
        if let StoreEffect::Write(value) = &effect {
            self.linear.insert(key, value.clone());
        }
        reply_body(body, effect)
    }

    fn handle_seq_kv(&mut self, client: &str, body: &Body) -> Body {
        let key = request_key(body);
        let store = &mut self.sequential;
        let oldest = store.seen.get(client).copied().unwrap_or(0);
        let oldest = oldest.max(store.state.saturating_sub(MAX_STATES - 1));
        let state = self.rng.between(oldest, store.state + 1);
        let mut effect = evaluate_request(body, store.value_at(&key, state), true);
        let mut seen = state;
        if let StoreEffect::Write(_) = effect {
            // What changes something is done to the newest state, whatever an old one would have
            // had it be.
            effect = self::evaluate_request(body, store.value_at(&key, store.state), true);
            seen = store.state;
        }
        if let StoreEffect::Write(value) = &effect {
            seen = store.write_value(key, value.clone());
        }
        store.seen.insert(client.to_owned(), seen);
        reply_body(body, effect)
    }

    fn handle_lww_kv(&mut self, body: &Body) -> Body {
        let [one, other] = [0, 1].map(|_| self.rng.below(COPIES as u64) as usize);
        let theirs = self.copies[other].clone();
        merge_copies(&mut self.copies[one], theirs);
        let key = request_key(body);
        let copy = &mut self.copies[self.rng.below(COPIES as u64) as usize];
        let effect = evaluate_request(body, copy.get(&key).map(|(_, value)| value), false);
        if let StoreEffect::Write(value) = &effect {
            self.written += 1;
            copy.insert(key, (self.written, value.clone()));
        }
        reply_body(body, effect)
    }
}

fn merge_copies(mine: &mut BTreeMap<String, (u64, Value)>, theirs: BTreeMap<String, (u64, Value)>) {
    for (key, (time, value)) in theirs {
        if mine.get(&key).is_none_or(|(known, _)| *known < time) {
            mine.insert(key, (time, value));
        }
    }
}

/// The last states of a store, and which of them each client has seen.
#[derive(Default)]
struct Sequential {
    /// The newest state, by number.
    state: u64,
    /// The states in which each key got its values, the latest last.
    versions: BTreeMap<String, Vec<(u64, Value)>>,
    seen: BTreeMap<String, u64>,
}

impl Sequential {
    fn value_at(&self, key: &str, state: u64) -> Option<&Value> {
        let versions = self.versions.get(key)?;
        versions.iter().rev().find(|(since, _)| *since <= state).map(|(_, value)| value)
    }

    fn write_value(&mut self, key: String, value: Value) -> u64 {
        self.state += 1;
        let versions = self.versions.entry(key).or_default();
        versions.push((self.state, value));
        // The last one from before all states that are remembered is still what those begin with.
        let oldest = self.state.saturating_sub(MAX_STATES);
        let kept = versions.iter().rposition(|(since, _)| *since <= oldest).unwrap_or(0);
        versions.drain(..kept);
        self.state
    }
}

/// Keys are equal if they are the same JSON.
fn request_key(body: &Body) -> String {
    body.get("key").unwrap_or(&Value::Null).to_string()
}

fn evaluate_request(body: &Body, held: Option<&Value>, creates: bool) -> StoreEffect {
    let field = |name: &str| body.get(name).cloned().unwrap_or(Value::Null);
    let create = creates && field("create_if_not_exists") == Value::Bool(true);
    match (body.get("type").and_then(Value::as_str), held) {
        (Some("write"), _) => StoreEffect::Write(field("value")),
        (Some("read"), Some(value)) => StoreEffect::Read(value.clone()),
        (Some("cas"), Some(value)) if *value == field("from") => StoreEffect::Write(field("to")),
        (Some("cas"), Some(value)) => {
            let text = format!("expected {}, but had {value}", field("from"));
            StoreEffect::Refused(error_body(22, &text))
        }
        (Some("cas"), None) if create => StoreEffect::Write(field("to")),
        _ => StoreEffect::Refused(error_body(20, "key does not exist")),
    }
}

fn reply_body(body: &Body, effect: StoreEffect) -> Body {
    match effect {
        StoreEffect::Read(value) => reply(json!({ "type": "read_ok", "value": value })),
        StoreEffect::Refused(why) => why,
        StoreEffect::Write(_) => {
            let kind = body.get("type").and_then(Value::as_str).unwrap_or_default();
            reply(json!({ "type": format!("{kind}_ok") }))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new_services() -> Services {
        Services::new(Rng::new(5))
    }

    fn ask_service(services: &mut Services, service: &str, client: &str, body: Value) -> String {
        let answer = services.handle_request(service, client, &reply(body));
        ["value", "ts", "code", "type"]
            .iter()
            .find_map(|field| answer.get(*field))
            .map_or_else(String::new, Value::to_string)
    }

    fn write_request(value: u64) -> Value {
        json!({ "type": "write", "key": 1, "value": value })
    }

    fn read_request() -> Value {
        json!({ "type": "read", "key": 1 })
    }

    #[test]
    fn the_linearizable_store_compares_and_creates() {
        let mut all = new_services();
        let mut told = |body| ask_service(&mut all, "lin-kv", "n1", body);
        let cas = |from: u64, create| {
            json!({
                "type": "cas", "key": 1, "from": from, "to": 9, "create_if_not_exists": create
            })
        };
        assert_eq!(told(read_request()), "20");
        assert_eq!(told(cas(1, false)), "20");
        assert_eq!(told(cas(1, true)), "\"cas_ok\"");
        assert_eq!(told(cas(1, true)), "22");
        assert_eq!(told(cas(9, false)), "\"cas_ok\"");
        assert_eq!(told(read_request()), "9");
        assert_eq!(told(json!({ "type": "dance" })), "10");
    }

    #[test]
    fn the_sequential_store_may_be_late_but_never_goes_back_for_a_client() {
        let mut all = new_services();
        let (mut stale, mut last) = (0, 0);
        for value in 1_001..1_300 {
            ask_service(&mut all, "seq-kv", "n1", write_request(value));
            assert_eq!(
                ask_service(&mut all, "seq-kv", "n1", read_request()),
                value.to_string(),
                "its own write"
            );
            let seen = ask_service(&mut all, "seq-kv", "n2", read_request());
            // At first there may be nothing yet.
            let Some(seen) = seen.parse::<u64>().ok().filter(|seen| *seen > 1_000) else {
                continue;
            };
            assert!(seen >= last && seen + MAX_STATES > value, "{last} then {seen} at {value}");
            stale += u64::from(seen < value);
            last = seen;
        }
        assert!(stale > 50, "{stale}");
    }

    #[test]
    fn copies_of_the_last_writer_disagree_for_a_while() {
        let mut all = new_services();
        let mut old = 0;
        for value in 1..200 {
            ask_service(&mut all, "lww-kv", "n1", write_request(value));
            old += u64::from(
                ask_service(&mut all, "lww-kv", "n1", read_request()) != value.to_string(),
            );
        }
        assert!((10..150).contains(&old), "{old}");
    }

    #[test]
    fn time_stamps_count_from_0() {
        let mut all = new_services();
        let told: Vec<_> = (0..3)
            .map(|_| ask_service(&mut all, "lin-tso", "n1", json!({ "type": "ts" })))
            .collect();
        assert_eq!(told, ["0", "1", "2"]);
    }
}
