//! Defines what can be chosen for a check of transactions.

/// The strongest consistency model.
pub(super) const STRONGEST: &str = "strict-serializable";

/// The data type that transactions read and write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataType {
    /// Lists: a transaction appends an element or reads the whole list.
    Lists,
    /// Registers: no two writes to a register write the same value.
    Registers,
}

/// The options of a check of transactions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options<'a> {
    /// The consistency model that must hold.
    pub level: &'a str,
    /// The rules that infer the version order of registers.
    pub inference: Inference,
    /// Whether clients outside the history may have written to registers.
    pub unknown_writers: UnknownWriters,
}

/// Whether clients outside the history may have written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UnknownWriters {
    /// A read of a value that no transaction wrote proves nothing (as in Elle).
    #[default]
    Allowed,
    /// Such a read is an anomaly.
    Forbidden,
}

/// Strict serializability of registers that start as nil.
impl Default for Options<'_> {
    fn default() -> Self {
        Self {
            level: STRONGEST,
            inference: Inference::default(),
            unknown_writers: UnknownWriters::Allowed,
        }
    }
}

/// Rules that infer the version order of a register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inference {
    /// nil precedes every written value.
    pub initial_first: bool,
    /// The version that a transaction read precedes the one it wrote to the same key.
    pub writes_follow_reads: bool,
    /// Each process observes the versions of a key in order.
    pub sequential_keys: bool,
    /// Each key by itself is linearizable.
    pub linearizable_keys: bool,
}

/// Only that a register starts as nil.
impl Default for Inference {
    fn default() -> Self {
        Self {
            initial_first: true,
            writes_follow_reads: false,
            sequential_keys: false,
            linearizable_keys: false,
        }
    }
}

impl Inference {
    /// The rules that strict serializability implies for registers that start as nil.
    pub const STRICT_SERIALIZABLE: Self = Self {
        initial_first: true,
        writes_follow_reads: true,
        sequential_keys: true,
        linearizable_keys: true,
    };
}
