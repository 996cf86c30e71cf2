//! Carries a client's request from its connection to the driver, and the answer back.

use crate::runtime::{Answer, Request};
use crate::wire::Origin;
use std::time::Instant;
use tokio::sync::oneshot;

/// A client's request on its way to the driver.
#[derive(Debug)]
pub(super) struct QueuedRequest {
    pub(super) request: Request,
    pub(super) deadline: Instant,
    pub(super) reply: ReplySender,
}

/// Where a client waits for its answer and the state that it was found in.
pub(super) type ReplySender = oneshot::Sender<(Answer, Origin)>;
