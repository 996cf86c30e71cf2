//! Names what clients ask and what they are told: the one vocabulary between workloads and systems.
//!
//! A workload makes [`Call`]s, a system's adapter answers each with a [`Reply`], and both know how they stand in a
//! history (as Jepsen's do), so that N workloads and M systems need N + M adapters. Calls belong to [`Object`]s;
//! which of them a system keeps is data, and a pair that does not fit is refused before anything starts.

use checker::history::{MISMATCH, Value};
use std::collections::BTreeMap;

/// Something that a system keeps for its clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Object {
    /// Accounts with money on them.
    Bank,
    /// Messages that everybody gets.
    Broadcast,
    /// Numbers that are added to.
    Counters,
    /// Nothing: what is said comes back.
    Echo,
    /// A source of identifiers.
    Ids,
    /// Locks with fencing tokens.
    Locks,
    /// A log by key, of numbered messages.
    Logs,
    /// A queue.
    Queue,
    /// Registers by key.
    Registers,
    /// A set.
    Set,
    /// Transactions over registers and lists by key.
    Transactions,
}

impl Object {
    /// Its name in a sentence.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bank => "bank",
            Self::Broadcast => "broadcast messages",
            Self::Counters => "counters",
            Self::Echo => "echoes",
            Self::Ids => "ids",
            Self::Locks => "locks",
            Self::Logs => "logs",
            Self::Queue => "queue",
            Self::Registers => "registers",
            Self::Set => "set",
            Self::Transactions => "transactions",
        }
    }
}

/// How fresh reads must be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Freshness {
    /// A read sees every write that was acknowledged before it was asked for.
    #[default]
    Linearizable,
    /// The same, on the word of a leader that trusts clocks.
    Lease,
    /// A read sees what the replica happens to have.
    Stale,
    /// A read sees at least what its client has seen and done.
    After,
}

/// Every freshness and its name on the command line.
pub const FRESHNESS: [(Freshness, &str); 4] = [
    (Freshness::Linearizable, "linearizable"),
    (Freshness::Lease, "lease"),
    (Freshness::Stale, "stale"),
    (Freshness::After, "after"),
];

impl Freshness {
    /// The freshness of that name; what etcd and ZooKeeper call theirs counts, too.
    pub fn named(name: &str) -> Option<Self> {
        let name = match name {
            "serializable" | "local" => "stale",
            "sync" => "linearizable",
            name => name,
        };
        FRESHNESS.iter().find(|(_, known)| *known == name).map(|(freshness, _)| *freshness)
    }
}

/// One request of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// Reads a register.
    Read {
        /// The register.
        key: String,
    },
    /// Sets a register to a value.
    Write {
        /// The register.
        key: String,
        /// The value.
        value: i64,
    },
    /// Sets a register to `new` if it is `old`.
    Cas {
        /// The register.
        key: String,
        /// The value it must have.
        old: i64,
        /// The value it gets.
        new: i64,
    },
    /// Does all of this at once.
    Txn {
        /// What the history calls it.
        function: &'static str,
        /// What it does, in this order.
        ops: Vec<Micro>,
    },
    /// Adds to the counter.
    Add {
        /// How much.
        amount: i64,
    },
    /// Reads the counter, which was 0 at first.
    Sum,
    /// Adds 1 to a counter of several.
    Increment {
        /// The counter.
        key: String,
    },
    /// Reads several counters at once.
    Sums {
        /// The counters.
        keys: Vec<String>,
    },
    /// Adds an element to the set.
    Insert {
        /// The element, which is not there yet.
        element: i64,
    },
    /// Reads the whole set.
    Elements,
    /// Puts something into the queue.
    Enqueue {
        /// What.
        value: i64,
    },
    /// Takes the oldest out of the queue; a mismatch where it is empty.
    Dequeue,
    /// Takes a lock if it is free, else a mismatch. The reply carries a token that grows from holder to holder.
    Acquire {
        /// The lock.
        lock: String,
        /// Who.
        holder: String,
    },
    /// Frees a lock if it is held by this holder, else a mismatch.
    Release {
        /// The lock.
        lock: String,
        /// Who.
        holder: String,
    },
    /// Asks for an identifier that nobody else gets.
    Generate,
    /// Asks to be told the same.
    Echo {
        /// What.
        text: String,
    },
    /// Tells everybody a message.
    Broadcast {
        /// The message, which is new.
        message: i64,
    },
    /// Asks what a replica has heard.
    Heard,
    /// Appends a message to a log, and returns its number.
    Send {
        /// The log.
        key: String,
        /// The message.
        value: i64,
    },
    /// Asks for messages of logs.
    Poll {
        /// From which number on, by log.
        offsets: BTreeMap<String, i64>,
    },
    /// Asks where others have got to in logs, to go on from there.
    Assign {
        /// The logs.
        keys: Vec<String>,
    },
    /// Moves money if there is enough.
    Transfer {
        /// From this account.
        from: u64,
        /// To this one.
        to: u64,
        /// So much.
        amount: i64,
        /// What is on every account at first.
        opening: i64,
    },
    /// Reads all accounts at once.
    Balances {
        /// They are numbered from 0 to here.
        accounts: u64,
        /// What is on every account at first.
        opening: i64,
    },
}

/// One step of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Micro {
    /// Reads a register.
    Read(u64),
    /// Reads a list.
    List(u64),
    /// Sets a register.
    Write(u64, i64),
    /// Adds to the end of a list.
    Append(u64, i64),
}

impl Micro {
    /// The key it touches.
    pub fn key(&self) -> u64 {
        match self {
            Self::Read(key) | Self::List(key) | Self::Write(key, _) | Self::Append(key, _) => *key,
        }
    }

    /// As it stands in a history; a read that has no answer yet shows nil.
    pub fn told(&self, read: Value) -> Value {
        let (f, value) = match self {
            Self::Read(_) | Self::List(_) => ("r", read),
            Self::Write(_, value) => ("w", Value::Int(*value)),
            Self::Append(_, value) => ("append", Value::Int(*value)),
        };
        Value::from(vec![Value::from(f), number(self.key()), value])
    }
}

/// A send as it stands in a history of a log.
fn sent(key: &str, value: Value) -> Value {
    vec![Value::from(vec![Value::from("send"), Value::from(key), value])].into()
}

fn number(number: u64) -> Value {
    Value::Int(i64::try_from(number).unwrap_or(i64::MAX))
}

impl Call {
    /// What it is about.
    pub fn object(&self) -> Object {
        match self {
            Self::Read { .. } | Self::Write { .. } | Self::Cas { .. } => Object::Registers,
            Self::Txn { .. } => Object::Transactions,
            Self::Add { .. } | Self::Sum | Self::Increment { .. } | Self::Sums { .. } => {
                Object::Counters
            }
            Self::Insert { .. } | Self::Elements => Object::Set,
            Self::Enqueue { .. } | Self::Dequeue => Object::Queue,
            Self::Acquire { .. } | Self::Release { .. } => Object::Locks,
            Self::Generate => Object::Ids,
            Self::Echo { .. } => Object::Echo,
            Self::Broadcast { .. } | Self::Heard => Object::Broadcast,
            Self::Send { .. } | Self::Poll { .. } | Self::Assign { .. } => Object::Logs,
            Self::Transfer { .. } | Self::Balances { .. } => Object::Bank,
        }
    }

    /// The function's name in a history.
    pub fn function(&self) -> &'static str {
        match self {
            Self::Read { .. } | Self::Sum | Self::Sums { .. } => "read",
            Self::Elements | Self::Balances { .. } | Self::Heard => "read",
            Self::Write { .. } => "write",
            Self::Cas { .. } => "cas",
            Self::Txn { function, .. } => function,
            Self::Add { .. } | Self::Insert { .. } => "add",
            Self::Increment { .. } => "inc",
            Self::Enqueue { .. } => "enqueue",
            Self::Dequeue => "dequeue",
            Self::Acquire { .. } => "acquire",
            Self::Release { .. } => "release",
            Self::Generate => "generate",
            Self::Echo { .. } => "echo",
            Self::Broadcast { .. } => "broadcast",
            Self::Send { .. } => "send",
            Self::Poll { .. } => "poll",
            Self::Assign { .. } => "assign",
            Self::Transfer { .. } => "transfer",
        }
    }

    /// The value of its invocation in a history.
    pub fn invoked(&self) -> Value {
        let pair = |key: &str, value: Value| Value::pair(key, value);
        match self {
            Self::Read { key } => pair(key, Value::Nil),
            Self::Write { key, value } => pair(key, Value::Int(*value)),
            Self::Cas { key, old, new } => pair(key, Value::pair(*old, *new)),
            Self::Txn { ops, .. } => {
                ops.iter().map(|op| op.told(Value::Nil)).collect::<Vec<_>>().into()
            }
            Self::Echo { text } => Value::from(text.as_str()),
            Self::Send { key, value } => sent(key, Value::Int(*value)),
            Self::Poll { .. } => vec![Value::from(vec![Value::from("poll")])].into(),
            Self::Assign { keys } => {
                keys.iter().map(|key| Value::from(key.as_str())).collect::<Vec<_>>().into()
            }
            Self::Add { amount: value }
            | Self::Broadcast { message: value }
            | Self::Insert { element: value }
            | Self::Enqueue { value } => Value::Int(*value),
            Self::Increment { key } => Value::from(key.as_str()),
            Self::Acquire { lock, holder } | Self::Release { lock, holder } => {
                pair(lock, Value::from(holder.as_str()))
            }
            Self::Transfer { from, to, amount, .. } => {
                let fields =
                    [("from", number(*from)), ("to", number(*to)), ("amount", Value::Int(*amount))];
                Value::map(fields.map(|(name, value)| (name.to_owned(), value)))
            }
            Self::Sum | Self::Sums { .. } | Self::Elements | Self::Dequeue | Self::Generate => {
                Value::Nil
            }
            Self::Balances { .. } | Self::Heard => Value::Nil,
        }
    }

    /// The value of its completion in a history: what it returned, else what was asked.
    pub fn completed(&self, reply: &Reply) -> Value {
        match (self, &reply.returned) {
            (_, None) => self.invoked(),
            (Self::Read { key }, Some(read)) => Value::pair(key.as_str(), read.clone()),
            (Self::Acquire { lock, .. }, Some(token)) => Value::pair(lock.as_str(), token.clone()),
            (Self::Send { key, value }, Some(offset)) => {
                sent(key, Value::pair(offset.clone(), *value))
            }
            (Self::Poll { .. }, Some(logs)) => {
                vec![Value::from(vec![Value::from("poll"), logs.clone()])].into()
            }
            (_, Some(returned)) => returned.clone(),
        }
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
    /// What it returned: of a read nil where there was nothing, and a text that no client ever wrote as it is.
    pub returned: Option<Value>,
    /// Why it did not happen, or why nobody knows. `mismatch` is an observation (see [`Reply::mismatch`]).
    pub error: Option<String>,
}

impl Reply {
    /// It happened.
    pub fn ok() -> Self {
        Self { outcome: Outcome::Ok, returned: None, error: None }
    }

    /// It happened and returned this.
    pub fn returned(value: Value) -> Self {
        Self { returned: Some(value), ..Self::ok() }
    }

    /// A read returned this (`None`: the key was absent).
    pub fn read(value: Option<i64>) -> Self {
        Self::returned(value.map_or(Value::Nil, Value::Int))
    }

    /// It definitely did not happen.
    pub fn fail(error: impl Into<String>) -> Self {
        Self { outcome: Outcome::Fail, returned: None, error: Some(error.into()) }
    }

    /// The state was not the one that the call expects: it did not happen, and the judge learns that.
    pub fn mismatch() -> Self {
        Self::fail(MISMATCH)
    }

    /// Whether it is an observation of a state that was not as expected.
    pub fn is_mismatch(&self) -> bool {
        self.outcome == Outcome::Fail && self.error.as_deref() == Some(MISMATCH)
    }

    /// Nobody knows whether it happened.
    pub fn info(error: impl Into<String>) -> Self {
        Self { outcome: Outcome::Info, ..Self::fail(error) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_stand_in_a_history_as_jepsens_do() {
        let shown = |call: Call, reply: Reply| {
            format!("{} {} {}", call.function(), call.invoked(), call.completed(&reply))
        };
        let (key, lock, holder) = ("x".to_owned(), "l1".to_owned(), "h1".to_owned());
        let txn = Call::Txn { function: "txn", ops: vec![Micro::List(3), Micro::Append(3, 1)] };
        let done = [
            Micro::List(3).told(Value::from(vec![Value::Int(2)])),
            Micro::Append(3, 1).told(Value::Nil),
        ];
        let transfer = Call::Transfer { from: 0, to: 1, amount: 5, opening: 10 };
        for (call, reply, expected) in [
            (Call::Read { key: key.clone() }, Reply::read(Some(7)), r#"read ["x" nil] ["x" 7]"#),
            (
                Call::Cas { key, old: 1, new: 2 },
                Reply::mismatch(),
                r#"cas ["x" [1 2]] ["x" [1 2]]"#,
            ),
            (
                txn,
                Reply::returned(Value::from(done.to_vec())),
                r#"txn [["r" 3 nil] ["append" 3 1]] [["r" 3 [2]] ["append" 3 1]]"#,
            ),
            (
                Call::Acquire { lock, holder },
                Reply::returned(Value::Int(9)),
                r#"acquire ["l1" "h1"] ["l1" 9]"#,
            ),
            (
                transfer,
                Reply::ok(),
                r#"transfer {"amount" 5, "from" 0, "to" 1} {"amount" 5, "from" 0, "to" 1}"#,
            ),
            (Call::Dequeue, Reply::read(Some(4)), "dequeue nil 4"),
            (
                Call::Send { key: "3".to_owned(), value: 8 },
                Reply::read(Some(0)),
                r#"send [["send" "3" 8]] [["send" "3" [0 8]]]"#,
            ),
            (
                Call::Poll { offsets: BTreeMap::from([("3".to_owned(), 0)]) },
                Reply::returned(Value::map([("3".to_owned(), Value::from(vec![]))])),
                r#"poll [["poll"]] [["poll" {"3" []}]]"#,
            ),
            (Call::Broadcast { message: 4 }, Reply::ok(), "broadcast 4 4"),
        ] {
            assert_eq!(shown(call, reply), expected);
        }
    }

    #[test]
    fn only_an_observation_is_a_mismatch() {
        assert!(Reply::mismatch().is_mismatch());
        assert!(!Reply::fail("no-leader").is_mismatch() && !Reply::info(MISMATCH).is_mismatch());
    }

    #[test]
    fn every_freshness_has_a_name_that_leads_back() {
        for (freshness, name) in FRESHNESS {
            assert_eq!(Freshness::named(name), Some(freshness));
        }
        assert_eq!(Freshness::named("new"), None);
    }
}
