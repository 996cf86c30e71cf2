//! Sends requests to the driver of one group, and answers in its place when the deadline passes.
//!
//! The deadline is enforced here, so it holds even if the driver is busy; a later answer is
//! dropped.

use super::response;
use crate::bug::{Bug, BugSet};
use crate::kv::Command;
use crate::runtime::{Answer, FailureReason, MAX_REQUEST_TIMEOUT, Query, Request};
use crate::server::metrics::RequestKind;
use crate::server::published_status::PublishedStatus;
use crate::server::request::QueuedRequest;
use crate::wal::GroupId;
use crate::wire::{Consistency, MembersRequest, MinIndex, Origin};
use axum::http::{HeaderName, HeaderValue};
use axum::response::Response;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout_at;

/// The header of stale reads: milliseconds since the last message of a leader; 0 on the leader.
const AGE: HeaderName = HeaderName::from_static("age-ms");

/// The parameters of a read: consistency, `after`, `timeout_ms`.
pub(super) type ReadOptions<'a> = (Consistency, &'a MinIndex, Option<u64>);

/// The entrance to one group.
#[derive(Clone, Debug)]
pub(in crate::server) struct GroupHandle {
    pub(in crate::server) driver: mpsc::Sender<QueuedRequest>,
    pub(in crate::server) published: PublishedStatus,
    /// The default timeout of requests.
    pub(in crate::server) timeout: Duration,
    pub(in crate::server) bugs: BugSet,
}

impl GroupHandle {
    /// Returns the number of the group; 0 if there is only one.
    pub(super) fn group(&self) -> GroupId {
        self.published.group().unwrap_or(0)
    }

    pub(super) async fn run_query(
        &self,
        query: Query,
        (consistency, after, timeout_ms): ReadOptions<'_>,
    ) -> Response {
        let after = after.index_for(self.group());
        let request = match consistency {
            Consistency::Linearizable => Request::Read { query, after, lease: false },
            Consistency::Lease => Request::Read { query, after, lease: true },
            Consistency::Stale => Request::ReadStale { query, after },
        };
        let mut response =
            self.build_response(RequestKind::Read, self.send_request(request, timeout_ms)).await;
        if consistency == Consistency::Stale {
            let age = self.published.age_ms().to_string();
            let age = HeaderValue::from_str(&age).expect("digits are valid in a header");
            response.headers_mut().insert(AGE, age);
        }
        response
    }

    /// Runs a single-key write; its reply does not show the transaction of a session.
    pub(super) async fn run_write(&self, command: Command, timeout_ms: Option<u64>) -> Response {
        let written = async {
            match self.send_request(Request::Write(command), timeout_ms).await {
                (Answer::Results { index: Some(index), .. }, origin) => {
                    (Answer::Written { index }, origin)
                }
                other => other,
            }
        };
        self.build_response(RequestKind::Write, written).await
    }

    /// Opens a session; `name` computes its id from its index.
    pub(super) async fn open_session(
        &self,
        command: Command,
        timeout_ms: Option<u64>,
        name: impl FnOnce(u64) -> u64,
    ) -> Response {
        let opened = async {
            match self.send_request(Request::Write(command), timeout_ms).await {
                (Answer::Written { index }, origin) => {
                    (Answer::Opened { session: name(index) }, origin)
                }
                other => other,
            }
        };
        self.build_response(RequestKind::Write, opened).await
    }

    /// Changes the members, and returns them once they are known here.
    pub(super) async fn change_members(
        &self,
        request: MembersRequest,
        timeout_ms: Option<u64>,
    ) -> Response {
        let changed = async {
            match self.send_request(Request::ChangeMembers(request), timeout_ms).await {
                (Answer::Written { index }, _) => {
                    let request = Request::ReadStale { query: Query::Members, after: index };
                    self.send_request(request, timeout_ms).await
                }
                other => other,
            }
        };
        self.build_response(RequestKind::Write, changed).await
    }

    /// Sends a request to the driver; answers in its place when the deadline passes.
    pub(in crate::server) async fn send_request(
        &self,
        request: Request,
        timeout_ms: Option<u64>,
    ) -> (Answer, Origin) {
        let late = match request {
            // Seeded bug: the client is told that nothing happened, which is not known.
            Request::Write(_) if self.bugs.contains(Bug::FailOnTimeout) => FailureReason::NoLeader,
            Request::Write(_) | Request::ChangeMembers(_) | Request::TransferLeadership(_) => {
                FailureReason::WriteTimeout
            }
            Request::Read { .. } | Request::ReadStale { .. } => FailureReason::ReadTimeout,
        };
        let patience = timeout_ms.map_or(self.timeout, Duration::from_millis);
        let deadline = Instant::now() + patience.min(MAX_REQUEST_TIMEOUT);
        let (reply, answer) = oneshot::channel();
        let ask = QueuedRequest { request, deadline, reply };
        let answered = timeout_at(deadline.into(), async {
            self.driver.send(ask).await.ok()?;
            answer.await.ok()
        });
        let answered = answered.await.ok().flatten();
        answered.unwrap_or_else(|| (Answer::Failed(late), self.published.origin()))
    }

    /// Builds the response to a request, and counts it.
    pub(super) async fn build_response(
        &self,
        kind: RequestKind,
        asked: impl Future<Output = (Answer, Origin)>,
    ) -> Response {
        let began = Instant::now();
        let (answer, origin) = asked.await;
        let response = response::build_response(answer, origin, &self.published);
        self.published.metrics().count_answer(kind, response.status().as_u16(), began.elapsed());
        response
    }
}
