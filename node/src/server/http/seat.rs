//! Asks the driver of one group, and answers in its place when the deadline passes.
//!
//! The deadline is kept here, so it holds even when the driver is busy; what the driver finds later
//! is dropped.

use super::{Fresh, answer};
use crate::kv::Command;
use crate::runtime::{Answer, FailureReason, LONGEST_TIMEOUT, Query, Request};
use crate::server::metrics::Kind;
use crate::server::request::Ask;
use crate::server::view::View;
use crate::wal::Group;
use crate::wire::{Consistency, MembersRequest, Origin};
use axum::http::{HeaderName, HeaderValue};
use axum::response::Response;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout_at;

/// In answers to stale reads: how long ago, in milliseconds, the replica last heard from a leader; 0 where it leads.
const AGE: HeaderName = HeaderName::from_static("age-ms");

/// Where one group takes requests.
#[derive(Clone, Debug)]
pub(in crate::server) struct Seat {
    pub(in crate::server) driver: mpsc::Sender<Ask>,
    pub(in crate::server) view: View,
    /// How long a request may take that does not say.
    pub(in crate::server) timeout: Duration,
}

impl Seat {
    /// Its number; 0 where there is only one.
    pub(super) fn group(&self) -> Group {
        self.view.group().unwrap_or(0)
    }

    pub(super) async fn read(
        &self,
        query: Query,
        (consistency, after, timeout_ms): Fresh<'_>,
    ) -> Response {
        let after = after.of(self.group());
        let request = match consistency {
            Consistency::Linearizable => Request::Read { query, after, lease: false },
            Consistency::Lease => Request::Read { query, after, lease: true },
            Consistency::Stale => Request::ReadStale { query, after },
        };
        let mut response = self.respond(Kind::Read, self.ask(request, timeout_ms)).await;
        if consistency == Consistency::Stale {
            let age = self.view.age_ms().to_string();
            let age = HeaderValue::from_str(&age).expect("digits are no strange bytes");
            response.headers_mut().insert(AGE, age);
        }
        response
    }

    /// Does what is no transaction to whoever asks, even where a session makes one of it.
    pub(super) async fn write(&self, command: Command, timeout_ms: Option<u64>) -> Response {
        let written = async {
            match self.ask(Request::Write(command), timeout_ms).await {
                (Answer::Results { index: Some(index), .. }, origin) => {
                    (Answer::Written { index }, origin)
                }
                other => other,
            }
        };
        self.respond(Kind::Write, written).await
    }

    /// Opens a session, which clients know by the number that `name` makes of its index.
    pub(super) async fn open(
        &self,
        command: Command,
        timeout_ms: Option<u64>,
        name: impl FnOnce(u64) -> u64,
    ) -> Response {
        let opened = async {
            match self.ask(Request::Write(command), timeout_ms).await {
                (Answer::Written { index }, origin) => {
                    (Answer::Opened { session: name(index) }, origin)
                }
                other => other,
            }
        };
        self.respond(Kind::Write, opened).await
    }

    /// Changes who takes part, and tells who does when that is known here.
    pub(super) async fn change(
        &self,
        request: MembersRequest,
        timeout_ms: Option<u64>,
    ) -> Response {
        let changed = async {
            match self.ask(Request::Members(request), timeout_ms).await {
                (Answer::Written { index }, _) => {
                    let request = Request::ReadStale { query: Query::Members, after: index };
                    self.ask(request, timeout_ms).await
                }
                other => other,
            }
        };
        self.respond(Kind::Write, changed).await
    }

    /// Asks the driver, and answers in its place when the deadline passes.
    pub(super) async fn ask(&self, request: Request, timeout_ms: Option<u64>) -> (Answer, Origin) {
        let late = match request {
            Request::Write(_) | Request::Members(_) | Request::Leader(_) => {
                FailureReason::WriteTimeout
            }
            Request::Read { .. } | Request::ReadStale { .. } => FailureReason::ReadTimeout,
        };
        let patience = timeout_ms.map_or(self.timeout, Duration::from_millis);
        let deadline = Instant::now() + patience.min(LONGEST_TIMEOUT);
        let (reply, answer) = oneshot::channel();
        let ask = Ask { request, deadline, reply };
        let answered = timeout_at(deadline.into(), async {
            self.driver.send(ask).await.ok()?;
            answer.await.ok()
        });
        let answered = answered.await.ok().flatten();
        answered.unwrap_or_else(|| (Answer::Failed(late), self.view.origin()))
    }

    /// Turns what comes of a request into its answer, and counts it.
    pub(super) async fn respond(
        &self,
        kind: Kind,
        asked: impl Future<Output = (Answer, Origin)>,
    ) -> Response {
        let began = Instant::now();
        let (answer, origin) = asked.await;
        let response = answer::respond(answer, origin, &self.view);
        self.view.metrics().answered(kind, response.status().as_u16(), began.elapsed());
        response
    }
}
