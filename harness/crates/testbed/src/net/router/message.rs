//! Parses and formats the messages of nodes, clients and services: one line of JSON each. Pure.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// The body of a message.
pub type Body = Map<String, Value>;

/// A message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// Numbers messages in the order in which they were sent; nodes ignore it.
    #[serde(default, skip_deserializing)]
    pub(crate) id: u64,
    /// The sender that it names.
    pub(crate) src: String,
    /// The receiver.
    pub dest: String,
    /// The body.
    pub body: Body,
}

impl Message {
    /// A message without a number.
    pub fn new(src: &str, dest: &str, body: Body) -> Self {
        Self { id: 0, src: src.to_owned(), dest: dest.to_owned(), body }
    }

    /// Parses a line; the error describes the defect.
    pub fn parse(line: &[u8]) -> Result<Self, String> {
        serde_json::from_slice(line).map_err(|error| error.to_string())
    }

    /// Its line.
    pub fn to_line(&self) -> String {
        // A map whose keys are strings can always be serialized.
        serde_json::to_string(self).unwrap_or_default() + "\n"
    }

    /// The type of its body.
    pub(crate) fn kind(&self) -> &str {
        self.body.get("type").and_then(Value::as_str).unwrap_or_default()
    }

    /// The message that it answers.
    pub fn in_reply_to(&self) -> Option<u64> {
        self.body.get("in_reply_to").and_then(Value::as_u64)
    }

    /// The answer to it.
    pub fn reply_with(&self, mut body: Body) -> Self {
        if let Some(number) = self.body.get("msg_id") {
            body.insert("in_reply_to".to_owned(), number.clone());
        }
        Self::new(&self.dest, &self.src, body)
    }
}

/// A body of these fields.
pub fn to_body(fields: Value) -> Body {
    match fields {
        Value::Object(fields) => fields,
        _ => Body::new(),
    }
}

/// An error of the protocol.
pub(crate) fn error_body(code: u64, text: &str) -> Body {
    to_body(json!({ "type": "error", "code": code, "text": text }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_back_whatever_number_it_bears() {
        let line = br#"{"id":7,"src":"n1","dest":"c2","body":{"type":"read_ok","in_reply_to":3}}"#;
        let message = Message::parse(line).expect("it is one");
        assert_eq!((message.id, message.kind(), message.in_reply_to()), (0, "read_ok", Some(3)));
        assert_eq!(Message::parse(message.to_line().as_bytes()), Ok(message));
    }

    #[test]
    fn what_is_no_message_is_refused() {
        for line in ["", "hello", "[]", r#"{"src":"n1"}"#, r#"{"src":"n1","dest":"n2","body":3}"#] {
            assert!(Message::parse(line.as_bytes()).is_err(), "{line}");
        }
    }

    #[test]
    fn an_answer_goes_back_and_says_what_it_answers() {
        let asked = Message::new("n1", "lin-kv", to_body(json!({ "type": "read", "msg_id": 4 })));
        let answer = asked.reply_with(error_body(20, "none"));
        assert_eq!((answer.src.as_str(), answer.dest.as_str()), ("lin-kv", "n1"));
        assert_eq!(answer.in_reply_to(), Some(4));
    }
}
