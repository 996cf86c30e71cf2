//! Answers clients: every request gets one JSON reply within its deadline, and a reply never claims
//! more than is known.
//!
//! The deadline is kept here, so it holds even when the driver is busy; what the driver finds later
//! is dropped.

use super::request::{Ask, Finding, LONGEST_TIMEOUT, Query as Question, Reason, Request};
use super::view::View;
use crate::kv::{Command, Txn};
use crate::wire::{CasRequest, Consistency, Failure, Mismatch, Origin, PutRequest};
use crate::wire::{ReadParameters, TxnReply, Value, WriteParameters, Written};
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, PathRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::serve::ListenerExt;
use axum::{Json, Router};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout_at;

/// The largest body; one entry of the log is about as large.
const LARGEST_BODY: usize = 1 << 20;

/// What the handlers share.
#[derive(Clone, Debug)]
pub(super) struct Api {
    pub(super) driver: mpsc::Sender<Ask>,
    pub(super) view: View,
    /// How long a request may take that does not say.
    pub(super) timeout: Duration,
}

type Shared = State<Api>;
type Key = Result<Path<String>, PathRejection>;
type Parameters<T> = Result<Query<T>, QueryRejection>;
type Body = Result<Bytes, BytesRejection>;

/// The whole API.
pub(super) fn router(api: Api) -> Router {
    Router::new()
        .route("/kv/{key}", get(read).put(put).delete(delete))
        .route("/kv/{key}/cas", post(cas))
        .route("/txn", post(txn))
        .route("/status", get(status))
        .route("/health", get(health))
        .fallback(unknown_path)
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
        .with_state(api)
}

/// Serves clients for ever.
pub(super) async fn serve(listener: TcpListener, router: Router) -> Result<(), String> {
    let listener = listener.tap_io(|stream| {
        // A connection whose options cannot be set is broken, and found so when it is read.
        let _ = stream.set_nodelay(true);
    });
    axum::serve(listener, router).await.map_err(|error| format!("cannot serve clients: {error}"))
}

async fn read(api: Shared, key: Key, parameters: Parameters<ReadParameters>) -> Response {
    let parsed = parse_key(key).and_then(|key| Ok((key, parse_query(parameters)?)));
    match parsed {
        Ok((key, parameters)) => api.read(Question::Key(key), parameters).await,
        Err(message) => api.bad_request(message),
    }
}

async fn txn(api: Shared, parameters: Parameters<ReadParameters>, body: Body) -> Response {
    match parse_txn(parameters, body) {
        Ok((txn, parameters)) if txn.is_read_only() => {
            api.read(Question::Txn(txn), parameters).await
        }
        Ok((txn, ReadParameters { timeout_ms, .. })) => {
            api.ask(Request::Write(Command::Txn(txn)), timeout_ms, Reason::WriteTimeout).await
        }
        Err(message) => api.bad_request(message),
    }
}

async fn put(api: Shared, key: Key, query: Parameters<WriteParameters>, body: Body) -> Response {
    let command = parse_key(key).and_then(|key| {
        let PutRequest { value } = parse_body(body)?;
        Ok(Command::Put { key, value })
    });
    api.write(command, query).await
}

async fn delete(api: Shared, key: Key, query: Parameters<WriteParameters>) -> Response {
    api.write(parse_key(key).map(|key| Command::Delete { key }), query).await
}

async fn cas(api: Shared, key: Key, query: Parameters<WriteParameters>, body: Body) -> Response {
    let command = parse_key(key).and_then(|key| {
        let CasRequest { old, new } = parse_body(body)?;
        Ok(Command::Cas { key, old, new })
    });
    api.write(command, query).await
}

async fn status(State(api): Shared) -> Response {
    Json(api.view.status()).into_response()
}

async fn health(State(api): Shared) -> Response {
    let health = api.view.health();
    let code = if health.healthy { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    json(code, &health)
}

async fn unknown_path(State(api): Shared) -> Response {
    let known = "unknown path; there are /kv/{key}, /kv/{key}/cas, /txn, /status and /health";
    api.refuse(StatusCode::NOT_FOUND, "unknown-path", known)
}

async fn wrong_method(State(api): Shared) -> Response {
    let known = "wrong method; /kv/{key} takes GET, PUT and DELETE, /kv/{key}/cas and /txn POST, \
                 the rest GET";
    api.refuse(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", known)
}

impl Api {
    async fn read(&self, query: Question, parameters: ReadParameters) -> Response {
        let ReadParameters { consistency, after, timeout_ms } = parameters;
        let request = match consistency {
            Consistency::Linearizable => Request::Read { query, after },
            Consistency::Stale => Request::ReadStale { query, after },
        };
        self.ask(request, timeout_ms, Reason::ReadTimeout).await
    }

    async fn write(
        &self,
        command: Result<Command, String>,
        query: Parameters<WriteParameters>,
    ) -> Response {
        let parsed = command.and_then(|command| Ok((command, parse_query(query)?)));
        match parsed {
            Ok((command, WriteParameters { timeout_ms })) => {
                self.ask(Request::Write(command), timeout_ms, Reason::WriteTimeout).await
            }
            Err(message) => self.bad_request(message),
        }
    }

    /// Asks the driver, and answers in its place when the deadline passes.
    async fn ask(&self, request: Request, timeout_ms: Option<u64>, late: Reason) -> Response {
        let patience = timeout_ms.map_or(self.timeout, Duration::from_millis);
        let deadline = Instant::now() + patience.min(LONGEST_TIMEOUT);
        let (reply, answer) = oneshot::channel();
        let ask = Ask { request, deadline, reply };
        let answered = timeout_at(deadline.into(), async {
            self.driver.send(ask).await.ok()?;
            answer.await.ok()
        });
        match answered.await.ok().flatten() {
            Some((finding, origin)) => respond(finding, origin),
            None => respond(Finding::Failed(late), self.view.origin()),
        }
    }

    fn bad_request(&self, message: String) -> Response {
        self.refuse(StatusCode::BAD_REQUEST, "bad-request", message)
    }

    /// Answers what never was a request.
    fn refuse(&self, code: StatusCode, error: &str, message: impl Into<String>) -> Response {
        json(code, &failure((error, true, &message.into()), self.view.origin()))
    }
}

fn respond(finding: Finding, origin: Origin) -> Response {
    match finding {
        Finding::Value(Some(value)) => json(StatusCode::OK, &Value { value, origin }),
        Finding::Value(None) => {
            let absent = ("not-found", true, "the key has no value");
            json(StatusCode::NOT_FOUND, &failure(absent, origin))
        }
        Finding::Written { index } => json(StatusCode::OK, &Written { index, origin }),
        Finding::Results { results, index } => {
            json(StatusCode::OK, &TxnReply { results, index, origin })
        }
        Finding::Mismatch { current } => {
            let text = ("mismatch", true, "a key does not have what was expected of it");
            let mismatch = Mismatch { failure: failure(text, origin), current };
            json(StatusCode::CONFLICT, &mismatch)
        }
        Finding::Failed(reason) => json(code(reason), &failure(reason.describe(), origin)),
    }
}

fn code(reason: Reason) -> StatusCode {
    match reason {
        Reason::ForwardRefused | Reason::NoLeader | Reason::NoQuorum | Reason::Overloaded => {
            StatusCode::SERVICE_UNAVAILABLE
        }
        Reason::ForwardLost
        | Reason::LeadershipLost
        | Reason::ReadTimeout
        | Reason::WriteTimeout => StatusCode::GATEWAY_TIMEOUT,
    }
}

fn failure((error, definite, message): (&str, bool, &str), origin: Origin) -> Failure {
    Failure { error: error.to_owned(), definite, message: message.to_owned(), origin }
}

fn json(code: StatusCode, body: &impl Serialize) -> Response {
    (code, Json(body)).into_response()
}

fn parse_key(key: Key) -> Result<String, String> {
    key.map(|Path(key)| key).map_err(|rejection| rejection.body_text())
}

fn parse_query<T>(query: Parameters<T>) -> Result<T, String> {
    query.map(|Query(query)| query).map_err(|rejection| rejection.body_text())
}

/// A transaction that can be carried out as it is asked for.
fn parse_txn(
    parameters: Parameters<ReadParameters>,
    body: Body,
) -> Result<(Txn, ReadParameters), String> {
    let parameters = parse_query(parameters)?;
    let txn: Txn = parse_body(body)?;
    txn.check()?;
    let plain = parameters.consistency == Consistency::Linearizable && parameters.after == 0;
    if !plain && !txn.is_read_only() {
        return Err("consistency and after are for transactions that only read".to_owned());
    }
    Ok((txn, parameters))
}

/// Reads a body as JSON, whatever its content type says.
fn parse_body<T: DeserializeOwned>(body: Body) -> Result<T, String> {
    let bytes = body.map_err(|rejection| rejection.body_text())?;
    serde_json::from_slice(&bytes).map_err(|error| format!("the body cannot be read: {error}"))
}
