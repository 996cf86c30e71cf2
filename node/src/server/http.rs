//! Serves clients: every request gets one JSON reply within its deadline, and a reply claims only
//! what is known.
//!
//! A request goes to the group of its keys ([`GroupHandle`]). A request on keys of several groups
//! is rejected, as no group could answer it.

use super::args;
use super::connections::ClientListener;
use super::metrics::RequestKind;
use super::published_status::PublishedStatus;
use crate::kv::{Command, Txn, group_of};
use crate::runtime::{Query as ReadQuery, Request};
use crate::wal::GroupId;
use crate::wire::{
    CasRequest, Consistency, HealthReply, LeaderRequest, MembersRequest, MinIndex, PutRequest,
};
use crate::wire::{RangeParameters, ReadParameters, SessionParameters, StatusReply};
use crate::wire::{TxnParameters, WriteParameters};
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, PathRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use response::{failure_body, json_response};
use serde::de::DeserializeOwned;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

mod group_handle;
mod response;

pub(super) use group_handle::GroupHandle;

/// The largest request body; a log entry is about as large.
const MAX_BODY_BYTES: usize = 1 << 20;
/// The most entries of a range, and the default.
const MAX_RANGE: usize = 1000;
const DEFAULT_RANGE: usize = 100;

/// The state shared by all handlers.
#[derive(Clone, Debug)]
pub(super) struct Api {
    /// The groups in order; there is at least one.
    handles: Arc<[GroupHandle]>,
}

type Shared = State<Api>;
type Key = Result<Path<String>, PathRejection>;
type Parameters<T> = Result<Query<T>, QueryRejection>;
type Body = Result<Bytes, BytesRejection>;

/// An invalid request: status code, name of the error and message.
struct InvalidRequest(StatusCode, &'static str, String);

impl From<String> for InvalidRequest {
    fn from(message: String) -> Self {
        Self(StatusCode::BAD_REQUEST, "bad-request", message)
    }
}

impl From<&str> for InvalidRequest {
    fn from(message: &str) -> Self {
        message.to_owned().into()
    }
}

/// Returns the router of the whole API.
pub(super) fn build_router(api: Api) -> Router {
    Router::new()
        .route("/kv", get(read_range))
        .route("/kv/{key}", get(read_key).put(put_key).delete(delete_key))
        .route("/kv/{key}/cas", post(cas_key))
        .route("/txn", post(run_txn))
        .route("/session", post(open_session))
        .route("/cluster/members", get(get_members).post(change_members))
        .route("/cluster/members/{name}", axum::routing::delete(remove_member))
        .route("/cluster/leader", post(transfer_leadership))
        .route("/metrics", get(get_metrics))
        .route("/status", get(get_status))
        .route("/health", get(get_health))
        .fallback(unknown_path)
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .with_state(api)
}

/// Serves clients until the process ends.
pub(super) async fn serve_clients(listener: ClientListener, router: Router) -> Result<(), String> {
    axum::serve(listener, router).await.map_err(|error| format!("cannot serve clients: {error}"))
}

async fn read_key(
    State(api): Shared,
    key: Key,
    parameters: Parameters<ReadParameters>,
) -> Response {
    let read = async {
        let key = parse_key(key)?;
        let ReadParameters { consistency, after, timeout_ms } = parse_query(parameters)?;
        let handle = api.group_of_key(&key);
        Ok(handle.run_query(ReadQuery::Key(key), (consistency, &after, timeout_ms)).await)
    };
    api.answer_or_reject(read).await
}

async fn read_range(State(api): Shared, parameters: Parameters<RangeParameters>) -> Response {
    let read = async {
        let RangeParameters { from, to, limit, group, consistency, after, timeout_ms } =
            parse_query(parameters)?;
        let limit = limit.unwrap_or(DEFAULT_RANGE);
        if !(1..=MAX_RANGE).contains(&limit) {
            return Err(format!("limit must be between 1 and {MAX_RANGE}").into());
        }
        let query = ReadQuery::Range { from, to, limit };
        let handle =
            api.group_by_number(group, "a range is read from one group: select it with `group`")?;
        Ok(handle.run_query(query, (consistency, &after, timeout_ms)).await)
    };
    api.answer_or_reject(read).await
}

async fn run_txn(
    State(api): Shared,
    parameters: Parameters<TxnParameters>,
    body: Body,
) -> Response {
    let asked = async {
        let (txn, parameters) = parse_txn(parameters, body)?;
        let TxnParameters { consistency, after, timeout_ms, session, sequence } = parameters;
        let handle = api.group_of_keys(&txn)?;
        if txn.is_read_only() {
            return Ok(handle
                .run_query(ReadQuery::Txn(txn), (consistency, &after, timeout_ms))
                .await);
        }
        let command = api.wrap_in_session(handle, Command::Txn(txn), (session, sequence))?;
        Ok(handle
            .build_response(
                RequestKind::Write,
                handle.send_request(Request::Write(command), timeout_ms),
            )
            .await)
    };
    api.answer_or_reject(asked).await
}

async fn open_session(State(api): Shared, query: Parameters<SessionParameters>) -> Response {
    let opened = async {
        let SessionParameters { key, timeout_ms } = parse_query(query)?;
        let group = key.map(|key| group_of(&key, api.group_count()));
        let handle =
            api.group_by_number(group, "a session belongs to one group: select it with `key`")?;
        let command = Command::OpenSession { at_ms: now_ms() };
        Ok(handle.open_session(command, timeout_ms, |index| api.session_id(handle, index)).await)
    };
    api.answer_or_reject(opened).await
}

async fn get_metrics(State(api): Shared) -> Response {
    let text = api.first_group().published.metrics().render(&api.status());
    ([(CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response()
}

async fn put_key(
    State(api): Shared,
    key: Key,
    query: Parameters<WriteParameters>,
    body: Body,
) -> Response {
    let command = |key| {
        let PutRequest { value } = parse_body(body)?;
        Ok(Command::Put { key, value })
    };
    api.answer_or_reject(api.write_key(key, command, query)).await
}

async fn delete_key(State(api): Shared, key: Key, query: Parameters<WriteParameters>) -> Response {
    api.answer_or_reject(api.write_key(key, |key| Ok(Command::Delete { key }), query)).await
}

async fn cas_key(
    State(api): Shared,
    key: Key,
    query: Parameters<WriteParameters>,
    body: Body,
) -> Response {
    let command = |key| {
        let CasRequest { old, new } = parse_body(body)?;
        Ok(Command::Cas { key, old, new })
    };
    api.answer_or_reject(api.write_key(key, command, query)).await
}

async fn get_members(State(api): Shared) -> Response {
    Json(api.first_group().published.members_reply()).into_response()
}

async fn change_members(
    State(api): Shared,
    query: Parameters<WriteParameters>,
    body: Body,
) -> Response {
    let request = parse_body::<MembersRequest>(body).and_then(|request| {
        let new = request.add.iter().chain(&request.learn);
        new.into_iter().try_for_each(|new| args::check_member(&new.name, &new.address))?;
        Ok(request)
    });
    api.answer_or_reject(api.change_membership(request, query)).await
}

async fn remove_member(
    State(api): Shared,
    name: Key,
    query: Parameters<WriteParameters>,
) -> Response {
    let request =
        parse_key(name).map(|name| MembersRequest { remove: vec![name], ..Default::default() });
    api.answer_or_reject(api.change_membership(request, query)).await
}

async fn transfer_leadership(
    State(api): Shared,
    query: Parameters<WriteParameters>,
    body: Body,
) -> Response {
    let asked = async {
        let LeaderRequest { name, group } = parse_body(body)?;
        let timeout_ms = parse_timeout(query)?;
        let handle = api.group_by_number(Some(group), "")?;
        Ok(handle
            .build_response(
                RequestKind::Write,
                handle.send_request(Request::TransferLeadership(name), timeout_ms),
            )
            .await)
    };
    api.answer_or_reject(asked).await
}

async fn get_status(State(api): Shared) -> Response {
    Json(api.status()).into_response()
}

/// A replica is healthy if it knows a leader of every group.
async fn get_health(State(api): Shared) -> Response {
    let healthy = api.handles.iter().all(|handle| handle.published.is_healthy());
    let code = if healthy { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    json_response(code, &HealthReply { healthy, origin: api.first_group().published.origin() })
}

async fn unknown_path(State(api): Shared) -> Response {
    let known = "unknown path; there are /kv, /kv/{key}, /kv/{key}/cas, /txn, /session, \
                 /cluster/members, /cluster/members/{name}, /cluster/leader, /status, /health \
                 and /metrics";
    api.reject_request(InvalidRequest(StatusCode::NOT_FOUND, "unknown-path", known.to_owned()))
}

async fn wrong_method(State(api): Shared) -> Response {
    let known = "wrong method; /kv/{key} takes GET, PUT and DELETE, /kv/{key}/cas, /txn, \
                 /session and /cluster/leader POST, /cluster/members GET and POST, \
                 /cluster/members/{name} DELETE, the rest GET";
    api.reject_request(InvalidRequest(
        StatusCode::METHOD_NOT_ALLOWED,
        "method-not-allowed",
        known.to_owned(),
    ))
}

impl Api {
    /// Takes the groups in order; there is at least one.
    pub(super) fn new(handles: Vec<GroupHandle>) -> Self {
        assert!(!handles.is_empty(), "there is at least one group");
        Self { handles: handles.into() }
    }

    fn group_count(&self) -> GroupId {
        GroupId::try_from(self.handles.len()).unwrap_or(GroupId::MAX)
    }

    fn first_group(&self) -> &GroupHandle {
        &self.handles[0]
    }

    fn group_of_key(&self, key: &str) -> &GroupHandle {
        usize::try_from(group_of(key, self.group_count()))
            .map_or(self.first_group(), |at| &self.handles[at])
    }

    /// Returns the group of that number, by default the only one; fails with `why` if there are
    /// several and none is selected.
    fn group_by_number(
        &self,
        group: Option<GroupId>,
        why: &str,
    ) -> Result<&GroupHandle, InvalidRequest> {
        match group {
            None if self.group_count() > 1 => Err(why.into()),
            group => {
                let at = usize::try_from(group.unwrap_or(0)).ok();
                let last = self.group_count() - 1;
                let unknown = || format!("unknown group; groups are numbered 0 to {last}").into();
                at.and_then(|at| self.handles.get(at)).ok_or_else(unknown)
            }
        }
    }

    /// Returns the group of all keys of a transaction.
    fn group_of_keys(&self, txn: &Txn) -> Result<&GroupHandle, InvalidRequest> {
        let mut keys = txn.keys();
        let Some(first) = keys.next() else { return Ok(self.first_group()) };
        let group = |key| group_of(key, self.group_count());
        match keys.find(|key| group(key) != group(first)) {
            None => Ok(self.group_of_key(first)),
            Some(other) => Err(InvalidRequest(
                StatusCode::BAD_REQUEST,
                "spans-groups",
                format!(
                    "the transaction spans groups ({first} is in group {}, {other} in group {}), \
                     and is atomic only within one: give its keys a common tag, as in {{tag}}key",
                    group(first),
                    group(other)
                ),
            )),
        }
    }

    /// Returns the client's id of a session that this group opened at this index; it is unique over
    /// all groups.
    fn session_id(&self, handle: &GroupHandle, index: u64) -> u64 {
        index * u64::from(self.group_count()) + u64::from(handle.group())
    }

    /// Wraps a command as a request of its session, if it names one.
    fn wrap_in_session(
        &self,
        handle: &GroupHandle,
        command: Command,
        number: (Option<u64>, Option<u64>),
    ) -> Result<Command, InvalidRequest> {
        match number {
            (None, None) => Ok(command),
            (Some(session), Some(sequence)) => {
                let groups = u64::from(self.group_count());
                let (session, group) = (session / groups, session % groups);
                if group != u64::from(handle.group()) {
                    let mine = handle.group();
                    return Err(format!(
                        "the session is in group {group}, the key in group {mine}: open a \
                         session in each group"
                    )
                    .into());
                }
                let txn = command.into_txn().ok_or("this request cannot be part of a session")?;
                Ok(Command::Once { session, sequence, at_ms: now_ms(), txn })
            }
            _ => Err("`session` and `sequence` must be given together".into()),
        }
    }

    /// Runs a single-key write. In a session it becomes a transaction, and its reply does not show
    /// that.
    async fn write_key(
        &self,
        key: Key,
        command: impl FnOnce(String) -> Result<Command, String>,
        query: Parameters<WriteParameters>,
    ) -> Result<Response, InvalidRequest> {
        let key = parse_key(key)?;
        let handle = self.group_of_key(&key);
        let command = command(key)?;
        let WriteParameters { timeout_ms, session, sequence } = parse_query(query)?;
        let command = self.wrap_in_session(handle, command, (session, sequence))?;
        Ok(handle.run_write(command, timeout_ms).await)
    }

    /// Changes the membership, and replies with the new one.
    async fn change_membership(
        &self,
        request: Result<MembersRequest, String>,
        query: Parameters<WriteParameters>,
    ) -> Result<Response, InvalidRequest> {
        let (request, timeout_ms) = (request?, parse_timeout(query)?);
        if self.group_count() > 1 {
            let why = "the membership of a cluster with several groups cannot change: each group \
                       would decide on its own";
            return Err(InvalidRequest(StatusCode::CONFLICT, "declined", why.to_owned()));
        }
        Ok(self.first_group().change_members(request, timeout_ms).await)
    }

    /// The body of `/status`.
    fn status(&self) -> StatusReply {
        let mut status = self.first_group().published.status_reply();
        if self.group_count() > 1 {
            status.groups =
                self.handles.iter().map(|handle| handle.published.group_status()).collect();
        }
        status
    }

    async fn answer_or_reject(
        &self,
        asked: impl Future<Output = Result<Response, InvalidRequest>>,
    ) -> Response {
        asked.await.unwrap_or_else(|invalid| self.reject_request(invalid))
    }

    /// Answers an invalid request.
    fn reject_request(&self, InvalidRequest(code, error, message): InvalidRequest) -> Response {
        let published: &PublishedStatus = &self.first_group().published;
        published.metrics().count_answer(RequestKind::Invalid, code.as_u16(), Duration::ZERO);
        json_response(code, &failure_body((error, true, &message), published.origin()))
    }
}

/// Returns the timeout of a request that cannot be part of a session.
fn parse_timeout(query: Parameters<WriteParameters>) -> Result<Option<u64>, String> {
    match parse_query(query)? {
        WriteParameters { timeout_ms, session: None, sequence: None } => Ok(timeout_ms),
        _ => Err("this request cannot be part of a session".to_owned()),
    }
}

fn parse_key(key: Key) -> Result<String, String> {
    key.map(|Path(key)| key).map_err(|rejection| rejection.body_text())
}

fn parse_query<T>(query: Parameters<T>) -> Result<T, String> {
    query.map(|Query(query)| query).map_err(|rejection| rejection.body_text())
}

/// Returns the time to put into the log. The state machine takes it from there: with their own
/// clocks, replicas would expire different sessions.
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
    txn.validate()?;
    let plain = parameters.consistency == Consistency::Linearizable
        && parameters.after == MinIndex::default();
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
