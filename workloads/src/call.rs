//! Defines the calls that clients make: the shared vocabulary of workloads and systems.
//!
//! A workload makes [`Call`]s and a system's adapter answers each with a [`Reply`], so that N
//! workloads and M systems need N + M adapters. A call defines its own representation in a history,
//! which is Jepsen's. Each call belongs to an [`Object`]; a system without that object is rejected
//! before the run starts.

use crate::object::Object;
use crate::reply::Reply;
use checker::history::Value;
use std::collections::BTreeMap;

/// A request of a client.
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
    /// Sets a register to `new` if it holds `old`.
    Cas {
        /// The register.
        key: String,
        /// The expected value.
        old: i64,
        /// The new value.
        new: i64,
    },
    /// Executes a transaction atomically.
    Txn {
        /// The name of the function in the history.
        function: &'static str,
        /// The micro-operations, in order.
        ops: Vec<MicroOp>,
    },
    /// Adds to the single counter.
    Add {
        /// The amount.
        amount: i64,
    },
    /// Reads the single counter, which starts at 0.
    ReadCounter,
    /// Adds 1 to a named counter.
    Increment {
        /// The counter.
        key: String,
    },
    /// Reads several named counters atomically.
    ReadCounters {
        /// The counters.
        keys: Vec<String>,
    },
    /// Adds an element to the set.
    Insert {
        /// The element, unique in the run.
        element: i64,
    },
    /// Reads the whole set.
    ReadSet,
    /// Adds a value to the queue.
    Enqueue {
        /// The value.
        value: i64,
    },
    /// Removes the oldest value from the queue; a mismatch if the queue is empty.
    Dequeue,
    /// Acquires a lock; a mismatch if it is held. The reply carries a fencing token that grows from
    /// holder to holder.
    Acquire {
        /// The lock.
        lock: String,
        /// The name of the holder.
        holder: String,
    },
    /// Releases a lock; a mismatch unless this holder holds it.
    Release {
        /// The lock.
        lock: String,
        /// The name of the holder.
        holder: String,
    },
    /// Requests a unique identifier.
    Generate,
    /// Requests the same text back.
    Echo {
        /// The text.
        text: String,
    },
    /// Broadcasts a message to every replica.
    Broadcast {
        /// The message, unique in the run.
        message: i64,
    },
    /// Reads the messages that a replica has received.
    ReadMessages,
    /// Appends a message to a log and returns its offset.
    Send {
        /// The log.
        key: String,
        /// The message.
        value: i64,
    },
    /// Reads messages of logs.
    Poll {
        /// The first offset to return, by log.
        offsets: BTreeMap<String, i64>,
    },
    /// Fetches the committed offsets of logs, to resume from there.
    Assign {
        /// The logs.
        keys: Vec<String>,
    },
    /// Transfers money if the balance suffices.
    Transfer {
        /// The debited account.
        from: u64,
        /// The credited account.
        to: u64,
        /// The amount.
        amount: i64,
        /// The opening balance of every account.
        opening: i64,
    },
    /// Reads all accounts atomically.
    ReadAccounts {
        /// The number of accounts; they are numbered from 0.
        accounts: u64,
        /// The opening balance of every account.
        opening: i64,
    },
}

/// One step of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MicroOp {
    /// Reads a register.
    Read(u64),
    /// Reads a list.
    ReadList(u64),
    /// Sets a register.
    Write(u64, i64),
    /// Appends to a list.
    Append(u64, i64),
}

impl MicroOp {
    /// The key it accesses.
    pub fn key(&self) -> u64 {
        match self {
            Self::Read(key) | Self::ReadList(key) | Self::Write(key, _) | Self::Append(key, _) => {
                *key
            }
        }
    }

    /// Its representation in a history, as `[f key value]`; an invoked read has the value nil.
    pub fn to_value(&self, read: Value) -> Value {
        let (f, value) = match self {
            Self::Read(_) | Self::ReadList(_) => ("r", read),
            Self::Write(_, value) => ("w", Value::Int(*value)),
            Self::Append(_, value) => ("append", Value::Int(*value)),
        };
        Value::from(vec![Value::from(f), int_value(self.key()), value])
    }
}

/// The representation of a send in a history.
fn send_value(key: &str, value: Value) -> Value {
    vec![Value::from(vec![Value::from("send"), Value::from(key), value])].into()
}

fn int_value(number: u64) -> Value {
    Value::Int(i64::try_from(number).unwrap_or(i64::MAX))
}

impl Call {
    /// The object it operates on.
    pub fn object(&self) -> Object {
        match self {
            Self::Read { .. } | Self::Write { .. } | Self::Cas { .. } => Object::Registers,
            Self::Txn { .. } => Object::Transactions,
            Self::Add { .. }
            | Self::ReadCounter
            | Self::Increment { .. }
            | Self::ReadCounters { .. } => Object::Counters,
            Self::Insert { .. } | Self::ReadSet => Object::Set,
            Self::Enqueue { .. } | Self::Dequeue => Object::Queue,
            Self::Acquire { .. } | Self::Release { .. } => Object::Locks,
            Self::Generate => Object::Ids,
            Self::Echo { .. } => Object::Echo,
            Self::Broadcast { .. } | Self::ReadMessages => Object::Broadcast,
            Self::Send { .. } | Self::Poll { .. } | Self::Assign { .. } => Object::Logs,
            Self::Transfer { .. } | Self::ReadAccounts { .. } => Object::Bank,
        }
    }

    /// The name of its function in a history.
    pub fn function_name(&self) -> &'static str {
        match self {
            Self::Read { .. } | Self::ReadCounter | Self::ReadCounters { .. } => "read",
            Self::ReadSet | Self::ReadAccounts { .. } | Self::ReadMessages => "read",
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
    pub fn invocation_value(&self) -> Value {
        let pair = |key: &str, value: Value| Value::pair(key, value);
        match self {
            Self::Read { key } => pair(key, Value::Nil),
            Self::Write { key, value } => pair(key, Value::Int(*value)),
            Self::Cas { key, old, new } => pair(key, Value::pair(*old, *new)),
            Self::Txn { ops, .. } => {
                ops.iter().map(|op| op.to_value(Value::Nil)).collect::<Vec<_>>().into()
            }
            Self::Echo { text } => Value::from(text.as_str()),
            Self::Send { key, value } => send_value(key, Value::Int(*value)),
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
                let fields = [
                    ("from", int_value(*from)),
                    ("to", int_value(*to)),
                    ("amount", Value::Int(*amount)),
                ];
                Value::map(fields.map(|(name, value)| (name.to_owned(), value)))
            }
            Self::ReadCounter
            | Self::ReadCounters { .. }
            | Self::ReadSet
            | Self::Dequeue
            | Self::Generate => Value::Nil,
            Self::ReadAccounts { .. } | Self::ReadMessages => Value::Nil,
        }
    }

    /// The value of its completion in a history: the returned value, or that of the invocation.
    pub fn completion_value(&self, reply: &Reply) -> Value {
        match (self, &reply.returned) {
            (_, None) => self.invocation_value(),
            (Self::Read { key }, Some(read)) => Value::pair(key.as_str(), read.clone()),
            (Self::Acquire { lock, .. }, Some(token)) => Value::pair(lock.as_str(), token.clone()),
            (Self::Send { key, value }, Some(offset)) => {
                send_value(key, Value::pair(offset.clone(), *value))
            }
            (Self::Poll { .. }, Some(logs)) => {
                vec![Value::from(vec![Value::from("poll"), logs.clone()])].into()
            }
            (_, Some(returned)) => returned.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn histories_represent_calls_as_jepsen_does() {
        let shown = |call: Call, reply: Reply| {
            format!(
                "{} {} {}",
                call.function_name(),
                call.invocation_value(),
                call.completion_value(&reply)
            )
        };
        let (key, lock, holder) = ("x".to_owned(), "l1".to_owned(), "h1".to_owned());
        let txn =
            Call::Txn { function: "txn", ops: vec![MicroOp::ReadList(3), MicroOp::Append(3, 1)] };
        let done = [
            MicroOp::ReadList(3).to_value(Value::from(vec![Value::Int(2)])),
            MicroOp::Append(3, 1).to_value(Value::Nil),
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
}
