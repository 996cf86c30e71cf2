//! Defines the requests that connections queue for a driver.

use crate::runtime::{Answer, Request};
use crate::wire::Origin;
use std::time::Instant;
use tokio::sync::oneshot;

/// A client's request in the queue of a driver.
#[derive(Debug)]
pub(super) struct QueuedRequest {
    pub(super) request: Request,
    pub(super) deadline: Instant,
    pub(super) reply: ReplySender,
}

/// Returns the answer, and the state that it was read from, to a waiting client.
pub(super) type ReplySender = oneshot::Sender<(Answer, Origin)>;
