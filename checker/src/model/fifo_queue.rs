//! Specifies a queue: what was put in first comes out first.

use super::sequence::Sequence;

/// A queue, first in, first out.
pub(super) const FIFO_QUEUE: Sequence = Sequence {
    name: "fifo-queue",
    doc: "a queue, empty at first; `dequeue` takes out what `enqueue` put in first, and returns \
          nil or a mismatch if it is empty",
    put: "enqueue",
    take: "dequeue",
    lifo: false,
};
