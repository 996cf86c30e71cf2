//! Specifies a stack: what was put in last comes out first.

use super::sequence::Sequence;

/// A stack, last in, first out.
pub(super) const STACK: Sequence = Sequence {
    name: "stack",
    doc: "a stack, empty at first; `pop` takes out what `push` put in last, and returns nil or a \
          mismatch if it is empty",
    put: "push",
    take: "pop",
    lifo: true,
};
