//! Names what clients ask and what they are told: the one vocabulary between workloads and systems.
//!
//! A workload makes [`Call`]s, a system's adapter answers each with a [`Reply`], and both know how they stand in a
//! history, so that N workloads and M systems need N + M adapters. Which calls an adapter can make is data
//! ([`Call::function`]); a pair that does not fit is refused before anything starts.

use checker::history::Value;

/// One request of a client. Keyed values stand in a history as `[key, value]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// Read a key, linearizably.
    Read {
        /// The key.
        key: String,
    },
    /// Set a key to a value.
    Write {
        /// The key.
        key: String,
        /// The value.
        value: i64,
    },
    /// Set a key to `new` if it is `old`.
    Cas {
        /// The key.
        key: String,
        /// The value it must have.
        old: i64,
        /// The value it gets.
        new: i64,
    },
}

impl Call {
    /// The function's name in a history.
    pub fn function(&self) -> &'static str {
        match self {
            Self::Read { .. } => "read",
            Self::Write { .. } => "write",
            Self::Cas { .. } => "cas",
        }
    }

    /// The key it touches.
    pub fn key(&self) -> &str {
        match self {
            Self::Read { key } | Self::Write { key, .. } | Self::Cas { key, .. } => key,
        }
    }

    /// The value of its invocation in a history.
    pub fn invoked(&self) -> Value {
        let value = match self {
            Self::Read { .. } => Value::Nil,
            Self::Write { value, .. } => Value::Int(*value),
            Self::Cas { old, new, .. } => Value::List(vec![Value::Int(*old), Value::Int(*new)]),
        };
        self.keyed(value)
    }

    /// The value of its completion in a history: what a read returned, else what was asked.
    pub fn completed(&self, reply: &Reply) -> Value {
        match &reply.read {
            Some(read) => self.keyed(read.clone()),
            None => self.invoked(),
        }
    }

    fn keyed(&self, value: Value) -> Value {
        Value::List(vec![Value::from(self.key()), value])
    }
}

/// What is known of a call afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Outcome {
    /// It happened.
    Ok,
    /// It did not happen.
    Fail,
    /// Nobody knows; it may still happen.
    Info,
}

/// The answer to a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Whether it happened.
    pub outcome: Outcome,
    /// What a read returned: nil where the key was absent, and a text that no client ever wrote as it is.
    pub read: Option<Value>,
    /// Why it did not happen, or why nobody knows. `mismatch` is an observation (see [`Reply::mismatch`]).
    pub error: Option<String>,
}

impl Reply {
    /// It happened.
    pub fn ok() -> Self {
        Self { outcome: Outcome::Ok, read: None, error: None }
    }

    /// A read returned this (`None`: the key was absent).
    pub fn read(value: Option<i64>) -> Self {
        Self { read: Some(value.map_or(Value::Nil, Value::Int)), ..Self::ok() }
    }

    /// A read returned something that no client ever wrote. It happened, and the judge shall see it.
    pub fn read_text(text: &str) -> Self {
        Self { read: Some(Value::from(text)), ..Self::ok() }
    }

    /// It definitely did not happen.
    pub fn fail(error: impl Into<String>) -> Self {
        Self { outcome: Outcome::Fail, read: None, error: Some(error.into()) }
    }

    /// A compare-and-set found another value: it did not happen, and the judge learns that the state was not `old`.
    pub fn mismatch() -> Self {
        Self::fail("mismatch")
    }

    /// Nobody knows whether it happened.
    pub fn info(error: impl Into<String>) -> Self {
        Self { outcome: Outcome::Info, ..Self::fail(error) }
    }
}
