//! Describes how a call ended.

use checker::history::{MISMATCH, Value};

/// What is known about a call after it completed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Outcome {
    /// It took effect.
    Ok,
    /// It definitely did not take effect.
    Fail,
    /// Indeterminate: it may have taken effect, or may still do so.
    Info,
}

/// The reply to a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Whether the call took effect.
    pub outcome: Outcome,
    /// The returned value. A read of an absent key returns nil; text that no client wrote is kept
    /// verbatim.
    pub returned: Option<Value>,
    /// Why the call failed or is indeterminate. `mismatch` is an observation, see
    /// [`Reply::mismatch`].
    pub error: Option<String>,
}

impl Reply {
    /// The call took effect and returned nothing.
    pub fn ok() -> Self {
        Self { outcome: Outcome::Ok, returned: None, error: None }
    }

    /// The call took effect and returned this value.
    pub fn returned(value: Value) -> Self {
        Self { returned: Some(value), ..Self::ok() }
    }

    /// A read returned this integer, or found no value.
    pub fn read(value: Option<i64>) -> Self {
        Self::returned(value.map_or(Value::Nil, Value::Int))
    }

    /// The call definitely did not take effect.
    pub fn fail(error: impl Into<String>) -> Self {
        Self { outcome: Outcome::Fail, returned: None, error: Some(error.into()) }
    }

    /// The state was not what the call expects: it took no effect, and the checks use the
    /// observation.
    pub fn mismatch() -> Self {
        Self::fail(MISMATCH)
    }

    /// Whether this reply observed a state other than the expected one.
    pub fn is_mismatch(&self) -> bool {
        self.outcome == Outcome::Fail && self.error.as_deref() == Some(MISMATCH)
    }

    /// The outcome of the call is unknown.
    pub fn info(error: impl Into<String>) -> Self {
        Self { outcome: Outcome::Info, ..Self::fail(error) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_definite_failure_counts_as_a_mismatch() {
        assert!(Reply::mismatch().is_mismatch());
        assert!(!Reply::fail("no-leader").is_mismatch() && !Reply::info(MISMATCH).is_mismatch());
    }
}
