//! Answers clients: every request gets one JSON reply within its deadline, and a reply never claims
//! more than is known.
//!
//! The deadline is kept here, so it holds even when the driver is busy; what the driver finds later
//! is dropped.

use super::args;
use super::connections::Door;
use super::metrics::Kind;
use super::request::SessionFlaw;
use super::request::{Ask, Finding, LONGEST_TIMEOUT, Query as Question, Reason, Request};
use super::view::View;
use crate::kv::{Command, Range, Txn};
use crate::wire::{CasRequest, Consistency, Failure, LeaderRequest, MembersReply, MembersRequest};
use crate::wire::{Mismatch, Origin, PutRequest};
use crate::wire::{RangeParameters, RangeReply, ReadParameters, SessionReply, TxnParameters};
use crate::wire::{TxnReply, Value, WriteParameters, Written};
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, PathRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout_at;

/// The largest body; one entry of the log is about as large.
const LARGEST_BODY: usize = 1 << 20;
/// The most entries of a range, and how many where nobody says.
const LONGEST_RANGE: usize = 1000;
const USUAL_RANGE: usize = 100;
/// In answers to stale reads: how long ago, in milliseconds, the replica last heard from a leader; 0 where it leads.
const AGE: HeaderName = HeaderName::from_static("age-ms");

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
        .route("/kv", get(range))
        .route("/kv/{key}", get(read).put(put).delete(delete))
        .route("/kv/{key}/cas", post(cas))
        .route("/txn", post(txn))
        .route("/session", post(open_session))
        .route("/cluster/members", get(members).post(change_members))
        .route("/cluster/members/{name}", axum::routing::delete(remove_member))
        .route("/cluster/leader", post(lead))
        .route("/metrics", get(metrics))
        .route("/status", get(status))
        .route("/health", get(health))
        .fallback(unknown_path)
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
        .with_state(api)
}

/// Serves clients for ever.
pub(super) async fn serve(door: Door, router: Router) -> Result<(), String> {
    axum::serve(door, router).await.map_err(|error| format!("cannot serve clients: {error}"))
}

async fn read(api: Shared, key: Key, parameters: Parameters<ReadParameters>) -> Response {
    let parsed = parse_key(key).and_then(|key| Ok((key, parse_query(parameters)?)));
    match parsed {
        Ok((key, ReadParameters { consistency, after, timeout_ms })) => {
            api.read(Question::Key(key), (consistency, after, timeout_ms)).await
        }
        Err(message) => api.bad_request(message),
    }
}

async fn range(api: Shared, parameters: Parameters<RangeParameters>) -> Response {
    let parsed = parse_query(parameters).and_then(
        |RangeParameters { from, to, limit, consistency, after, timeout_ms }| {
            let limit = limit.unwrap_or(USUAL_RANGE);
            let within = (1..=LONGEST_RANGE).contains(&limit);
            let query = Question::Range { from, to, limit };
            let refusal = || format!("limit lies between 1 and {LONGEST_RANGE}");
            within.then_some((query, (consistency, after, timeout_ms))).ok_or_else(refusal)
        },
    );
    match parsed {
        Ok((query, fresh)) => api.read(query, fresh).await,
        Err(message) => api.bad_request(message),
    }
}

async fn txn(api: Shared, parameters: Parameters<TxnParameters>, body: Body) -> Response {
    let (txn, parameters) = match parse_txn(parameters, body) {
        Ok(parsed) => parsed,
        Err(message) => return api.bad_request(message),
    };
    let TxnParameters { consistency, after, timeout_ms, session, sequence } = parameters;
    if txn.is_read_only() {
        return api.read(Question::Txn(txn), (consistency, after, timeout_ms)).await;
    }
    match once(Command::Txn(txn), session, sequence) {
        Ok(command) => {
            let asked = api.ask(Request::Write(command), timeout_ms);
            api.respond(Kind::Write, asked).await
        }
        Err(message) => api.bad_request(message),
    }
}

async fn open_session(api: Shared, query: Parameters<WriteParameters>) -> Response {
    let timeout_ms = match parse_query(query) {
        Ok(WriteParameters { timeout_ms, session: None, sequence: None }) => timeout_ms,
        Ok(_) => return api.bad_request("a session is not opened in a session".to_owned()),
        Err(message) => return api.bad_request(message),
    };
    let command = Command::OpenSession { at_ms: now_ms() };
    let asked = api.ask(Request::Write(command), timeout_ms);
    let opened = async {
        match asked.await {
            (Finding::Written { index }, origin) => (Finding::Opened { session: index }, origin),
            other => other,
        }
    };
    api.respond(Kind::Write, opened).await
}

async fn metrics(State(api): Shared) -> Response {
    let text = api.view.metrics().text(&api.view.status());
    ([(CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response()
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

async fn members(State(api): Shared) -> Response {
    Json(api.view.members()).into_response()
}

async fn change_members(api: Shared, query: Parameters<WriteParameters>, body: Body) -> Response {
    let request = parse_body::<MembersRequest>(body).and_then(|request| {
        let new = request.add.iter().chain(&request.learn);
        new.into_iter().try_for_each(|new| args::check_member(&new.name, &new.address))?;
        Ok(request)
    });
    api.change(request, query).await
}

async fn remove_member(api: Shared, name: Key, query: Parameters<WriteParameters>) -> Response {
    let request =
        parse_key(name).map(|name| MembersRequest { remove: vec![name], ..Default::default() });
    api.change(request, query).await
}

async fn lead(api: Shared, query: Parameters<WriteParameters>, body: Body) -> Response {
    let parsed = parse_body::<LeaderRequest>(body)
        .and_then(|LeaderRequest { name }| Ok((name, patience(query)?)));
    match parsed {
        Ok((name, timeout_ms)) => {
            let asked = api.ask(Request::Leader(name), timeout_ms);
            api.respond(Kind::Write, asked).await
        }
        Err(message) => api.bad_request(message),
    }
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
    let known = "unknown path; there are /kv, /kv/{key}, /kv/{key}/cas, /txn, /session, \
                 /cluster/members, /cluster/members/{name}, /cluster/leader, /status, /health and /metrics";
    api.refuse(StatusCode::NOT_FOUND, "unknown-path", known)
}

async fn wrong_method(State(api): Shared) -> Response {
    let known = "wrong method; /kv/{key} takes GET, PUT and DELETE, /kv/{key}/cas, /txn, \
                 /session and /cluster/leader POST, /cluster/members GET and POST, \
                 /cluster/members/{name} DELETE, the rest GET";
    api.refuse(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", known)
}

/// How fresh a read must be, and its deadline: consistency, `after`, `timeout_ms`.
type Fresh = (Consistency, u64, Option<u64>);

impl Api {
    async fn read(&self, query: Question, (consistency, after, timeout_ms): Fresh) -> Response {
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
    async fn write(
        &self,
        command: Result<Command, String>,
        query: Parameters<WriteParameters>,
    ) -> Response {
        let parsed = command.and_then(|command| {
            let WriteParameters { timeout_ms, session, sequence } = parse_query(query)?;
            Ok((once(command, session, sequence)?, timeout_ms))
        });
        match parsed {
            Ok((command, timeout_ms)) => {
                let asked = self.ask(Request::Write(command), timeout_ms);
                let written = async {
                    match asked.await {
                        (Finding::Results { index: Some(index), .. }, origin) => {
                            (Finding::Written { index }, origin)
                        }
                        other => other,
                    }
                };
                self.respond(Kind::Write, written).await
            }
            Err(message) => self.bad_request(message),
        }
    }

    /// Changes who takes part, and tells who does when that is known here.
    async fn change(
        &self,
        request: Result<MembersRequest, String>,
        query: Parameters<WriteParameters>,
    ) -> Response {
        let (request, timeout_ms) = match request.and_then(|it| Ok((it, patience(query)?))) {
            Ok(parsed) => parsed,
            Err(message) => return self.bad_request(message),
        };
        let changed = async {
            match self.ask(Request::Members(request), timeout_ms).await {
                (Finding::Written { index }, _) => {
                    let request = Request::ReadStale { query: Question::Members, after: index };
                    self.ask(request, timeout_ms).await
                }
                other => other,
            }
        };
        self.respond(Kind::Write, changed).await
    }

    /// Asks the driver, and answers in its place when the deadline passes.
    async fn ask(&self, request: Request, timeout_ms: Option<u64>) -> (Finding, Origin) {
        let late = match request {
            Request::Write(_) | Request::Members(_) | Request::Leader(_) => Reason::WriteTimeout,
            Request::Read { .. } | Request::ReadStale { .. } => Reason::ReadTimeout,
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
        answered.unwrap_or_else(|| (Finding::Failed(late), self.view.origin()))
    }

    /// Turns what comes of a request into its answer, and counts it.
    async fn respond(
        &self,
        kind: Kind,
        asked: impl Future<Output = (Finding, Origin)>,
    ) -> Response {
        let began = Instant::now();
        let (finding, origin) = asked.await;
        let response = respond(finding, origin, &self.view);
        self.view.metrics().answered(kind, response.status().as_u16(), began.elapsed());
        response
    }

    fn bad_request(&self, message: String) -> Response {
        self.refuse(StatusCode::BAD_REQUEST, "bad-request", message)
    }

    /// Answers what never was a request.
    fn refuse(&self, code: StatusCode, error: &str, message: impl Into<String>) -> Response {
        self.view.metrics().answered(Kind::Refused, code.as_u16(), Duration::ZERO);
        json(code, &failure((error, true, &message.into()), self.view.origin()))
    }
}

fn respond(finding: Finding, origin: Origin, view: &View) -> Response {
    match finding {
        Finding::Value(Some(value)) => json(StatusCode::OK, &Value { value, origin }),
        Finding::Value(None) => {
            let absent = ("not-found", true, "the key has no value");
            json(StatusCode::NOT_FOUND, &failure(absent, origin))
        }
        Finding::Range(Range { entries, more }) => {
            json(StatusCode::OK, &RangeReply { entries, more, origin })
        }
        Finding::Members(members) => {
            let cluster = view.members().cluster;
            json(StatusCode::OK, &MembersReply { cluster, members, origin })
        }
        Finding::Declined(why) => {
            json(StatusCode::CONFLICT, &failure(("declined", true, &why), origin))
        }
        Finding::Opened { session } => json(StatusCode::OK, &SessionReply { session, origin }),
        Finding::Session(flaw) => {
            let code = match flaw {
                SessionFlaw::Unknown => StatusCode::GONE,
                SessionFlaw::Old => StatusCode::CONFLICT,
            };
            json(code, &failure(flaw.describe(), origin))
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

/// The time that a request may take which belongs to no session.
fn patience(query: Parameters<WriteParameters>) -> Result<Option<u64>, String> {
    match parse_query(query)? {
        WriteParameters { timeout_ms, session: None, sequence: None } => Ok(timeout_ms),
        _ => Err("it does not belong into a session".to_owned()),
    }
}

fn parse_key(key: Key) -> Result<String, String> {
    key.map(|Path(key)| key).map_err(|rejection| rejection.body_text())
}

fn parse_query<T>(query: Parameters<T>) -> Result<T, String> {
    query.map(|Query(query)| query).map_err(|rejection| rejection.body_text())
}

/// The command as the session's request of that number, if it is to be one.
fn once(command: Command, session: Option<u64>, sequence: Option<u64>) -> Result<Command, String> {
    match (session, sequence) {
        (None, None) => Ok(command),
        (Some(session), Some(sequence)) => {
            let txn = command.into_txn().ok_or("it does not belong into a session")?;
            Ok(Command::Once { session, sequence, at_ms: now_ms(), txn })
        }
        _ => Err("session and sequence go together".to_owned()),
    }
}

/// The time for the log, which the state machine takes from there: no replica asks its clock when it applies.
fn now_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}

/// A transaction that can be carried out as it is asked for.
fn parse_txn(
    parameters: Parameters<TxnParameters>,
    body: Body,
) -> Result<(Txn, TxnParameters), String> {
    let parameters = parse_query(parameters)?;
    let txn: Txn = parse_body(body)?;
    txn.check()?;
    let plain = parameters.consistency == Consistency::Linearizable && parameters.after == 0;
    if !plain && !txn.is_read_only() {
        return Err("consistency and after are for transactions that only read".to_owned());
    }
    if txn.is_read_only() && (parameters.session, parameters.sequence) != (None, None) {
        return Err("a session is for transactions that do not only read".to_owned());
    }
    Ok((txn, parameters))
}

/// Reads a body as JSON, whatever its content type says.
fn parse_body<T: DeserializeOwned>(body: Body) -> Result<T, String> {
    let bytes = body.map_err(|rejection| rejection.body_text())?;
    serde_json::from_slice(&bytes).map_err(|error| format!("the body cannot be read: {error}"))
}
