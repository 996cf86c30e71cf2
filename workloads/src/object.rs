//! Names the kinds of objects that a system can offer to clients.

/// An abstract object that a system keeps for its clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Object {
    /// Accounts with balances.
    Bank,
    /// Messages broadcast to every replica.
    Broadcast,
    /// Counters.
    Counters,
    /// No state: the server returns the text it received.
    Echo,
    /// A generator of unique identifiers.
    Ids,
    /// Locks with fencing tokens.
    Locks,
    /// Logs by key: append-only sequences of messages with offsets.
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
    /// Its name in a message.
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
