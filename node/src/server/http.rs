//! Answers clients: every request gets one JSON reply within its deadline, and a reply never claims
//! more than is known.
//!
//! A request goes to the group whose keys it is about ([`Seat`]); what is about more than one group
//! is refused, as no group could answer it.

use super::args;
use super::connections::Door;
use super::metrics::Kind;
use super::view::View;
use crate::kv::{Command, Txn, group_of};
use crate::runtime::{Query as Question, Request};
use crate::wal::Group;
use crate::wire::{
    After, CasRequest, Consistency, Health, LeaderRequest, MembersRequest, PutRequest,
};
use crate::wire::{RangeParameters, ReadParameters, SessionParameters, StatusReply};
use crate::wire::{TxnParameters, WriteParameters};
use answer::{failure, json};
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, PathRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::de::DeserializeOwned;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

mod answer;
mod seat;

pub(super) use seat::Seat;

/// The largest body; one entry of the log is about as large.
const LARGEST_BODY: usize = 1 << 20;
/// The most entries of a range, and how many where nobody says.
const LONGEST_RANGE: usize = 1000;
const USUAL_RANGE: usize = 100;

/// What the handlers share.
#[derive(Clone, Debug)]
pub(super) struct Api {
    /// The groups in order of their numbers; there is one at least.
    seats: Arc<[Seat]>,
}

type Shared = State<Api>;
type Key = Result<Path<String>, PathRejection>;
type Parameters<T> = Result<Query<T>, QueryRejection>;
type Body = Result<Bytes, BytesRejection>;

/// Why something never was a request: code, name and sentence.
struct Refusal(StatusCode, &'static str, String);

impl From<String> for Refusal {
    fn from(message: String) -> Self {
        Self(StatusCode::BAD_REQUEST, "bad-request", message)
    }
}

impl From<&str> for Refusal {
    fn from(message: &str) -> Self {
        message.to_owned().into()
    }
}

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

async fn read(State(api): Shared, key: Key, parameters: Parameters<ReadParameters>) -> Response {
    let read = async {
        let key = parse_key(key)?;
        let ReadParameters { consistency, after, timeout_ms } = parse_query(parameters)?;
        let seat = api.of_key(&key);
        Ok(seat.read(Question::Key(key), (consistency, &after, timeout_ms)).await)
    };
    api.answer(read).await
}

async fn range(State(api): Shared, parameters: Parameters<RangeParameters>) -> Response {
    let read = async {
        let RangeParameters { from, to, limit, group, consistency, after, timeout_ms } =
            parse_query(parameters)?;
        let limit = limit.unwrap_or(USUAL_RANGE);
        if !(1..=LONGEST_RANGE).contains(&limit) {
            return Err(format!("limit lies between 1 and {LONGEST_RANGE}").into());
        }
        let query = Question::Range { from, to, limit };
        let seat = api.named(group, "a range is read within one group: say which with `group`")?;
        Ok(seat.read(query, (consistency, &after, timeout_ms)).await)
    };
    api.answer(read).await
}

async fn txn(State(api): Shared, parameters: Parameters<TxnParameters>, body: Body) -> Response {
    let asked = async {
        let (txn, parameters) = parse_txn(parameters, body)?;
        let TxnParameters { consistency, after, timeout_ms, session, sequence } = parameters;
        let seat = api.of_keys(&txn)?;
        if txn.is_read_only() {
            return Ok(seat.read(Question::Txn(txn), (consistency, &after, timeout_ms)).await);
        }
        let command = api.once(seat, Command::Txn(txn), (session, sequence))?;
        Ok(seat.respond(Kind::Write, seat.ask(Request::Write(command), timeout_ms)).await)
    };
    api.answer(asked).await
}

async fn open_session(State(api): Shared, query: Parameters<SessionParameters>) -> Response {
    let opened = async {
        let SessionParameters { key, timeout_ms } = parse_query(query)?;
        let group = key.map(|key| group_of(&key, api.groups()));
        let seat =
            api.named(group, "a session is in one group: name one of its keys with `key`")?;
        let command = Command::OpenSession { at_ms: now_ms() };
        Ok(seat.open(command, timeout_ms, |index| api.session(seat, index)).await)
    };
    api.answer(opened).await
}

async fn metrics(State(api): Shared) -> Response {
    let text = api.first().view.metrics().text(&api.status());
    ([(CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response()
}

async fn put(
    State(api): Shared,
    key: Key,
    query: Parameters<WriteParameters>,
    body: Body,
) -> Response {
    let command = |key| {
        let PutRequest { value } = parse_body(body)?;
        Ok(Command::Put { key, value })
    };
    api.answer(api.write(key, command, query)).await
}

async fn delete(State(api): Shared, key: Key, query: Parameters<WriteParameters>) -> Response {
    api.answer(api.write(key, |key| Ok(Command::Delete { key }), query)).await
}

async fn cas(
    State(api): Shared,
    key: Key,
    query: Parameters<WriteParameters>,
    body: Body,
) -> Response {
    let command = |key| {
        let CasRequest { old, new } = parse_body(body)?;
        Ok(Command::Cas { key, old, new })
    };
    api.answer(api.write(key, command, query)).await
}

async fn members(State(api): Shared) -> Response {
    Json(api.first().view.members()).into_response()
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
    api.answer(api.change(request, query)).await
}

async fn remove_member(
    State(api): Shared,
    name: Key,
    query: Parameters<WriteParameters>,
) -> Response {
    let request =
        parse_key(name).map(|name| MembersRequest { remove: vec![name], ..Default::default() });
    api.answer(api.change(request, query)).await
}

async fn lead(State(api): Shared, query: Parameters<WriteParameters>, body: Body) -> Response {
    let asked = async {
        let LeaderRequest { name, group } = parse_body(body)?;
        let timeout_ms = patience(query)?;
        let seat = api.named(Some(group), "")?;
        Ok(seat.respond(Kind::Write, seat.ask(Request::Leader(name), timeout_ms)).await)
    };
    api.answer(asked).await
}

async fn status(State(api): Shared) -> Response {
    Json(api.status()).into_response()
}

/// Healthy is a replica that knows a leader of every group.
async fn health(State(api): Shared) -> Response {
    let healthy = api.seats.iter().all(|seat| seat.view.is_healthy());
    let code = if healthy { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    json(code, &Health { healthy, origin: api.first().view.origin() })
}

async fn unknown_path(State(api): Shared) -> Response {
    let known = "unknown path; there are /kv, /kv/{key}, /kv/{key}/cas, /txn, /session, \
                 /cluster/members, /cluster/members/{name}, /cluster/leader, /status, /health and /metrics";
    api.refuse(Refusal(StatusCode::NOT_FOUND, "unknown-path", known.to_owned()))
}

async fn wrong_method(State(api): Shared) -> Response {
    let known = "wrong method; /kv/{key} takes GET, PUT and DELETE, /kv/{key}/cas, /txn, \
                 /session and /cluster/leader POST, /cluster/members GET and POST, \
                 /cluster/members/{name} DELETE, the rest GET";
    api.refuse(Refusal(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", known.to_owned()))
}

/// How fresh a read must be, and its deadline: consistency, `after`, `timeout_ms`.
type Fresh<'a> = (Consistency, &'a After, Option<u64>);

impl Api {
    /// All groups in order of their numbers, of which there is one at least.
    pub(super) fn new(seats: Vec<Seat>) -> Self {
        assert!(!seats.is_empty(), "there is at least one group");
        Self { seats: seats.into() }
    }

    fn groups(&self) -> Group {
        Group::try_from(self.seats.len()).unwrap_or(Group::MAX)
    }

    fn first(&self) -> &Seat {
        &self.seats[0]
    }

    fn of_key(&self, key: &str) -> &Seat {
        usize::try_from(group_of(key, self.groups())).map_or(self.first(), |at| &self.seats[at])
    }

    /// The group of that number; the only one, where nobody says, or `why` that must be said.
    fn named(&self, group: Option<Group>, why: &str) -> Result<&Seat, Refusal> {
        match group {
            None if self.groups() > 1 => Err(why.into()),
            group => {
                let at = usize::try_from(group.unwrap_or(0)).ok();
                let last = self.groups() - 1;
                let unknown = || format!("there is no such group: they go from 0 to {last}").into();
                at.and_then(|at| self.seats.get(at)).ok_or_else(unknown)
            }
        }
    }

    /// The group that has all keys of a transaction.
    fn of_keys(&self, txn: &Txn) -> Result<&Seat, Refusal> {
        let mut keys = txn.keys();
        let Some(first) = keys.next() else { return Ok(self.first()) };
        let group = |key| group_of(key, self.groups());
        match keys.find(|key| group(key) != group(first)) {
            None => Ok(self.of_key(first)),
            Some(other) => Err(Refusal(
                StatusCode::BAD_REQUEST,
                "spans-groups",
                format!(
                    "the transaction would span groups ({first} is in group {}, {other} in group {}), \
                     and nothing makes those one: give its keys a tag in common, as in {{tag}}key",
                    group(first),
                    group(other)
                ),
            )),
        }
    }

    /// What clients call a session of this group that was opened at this index: no other group's has
    /// that number.
    fn session(&self, seat: &Seat, index: u64) -> u64 {
        index * u64::from(self.groups()) + u64::from(seat.group())
    }

    /// The command as the session's request of that number, if it is to be one.
    fn once(
        &self,
        seat: &Seat,
        command: Command,
        number: (Option<u64>, Option<u64>),
    ) -> Result<Command, Refusal> {
        match number {
            (None, None) => Ok(command),
            (Some(session), Some(sequence)) => {
                let groups = u64::from(self.groups());
                let (session, group) = (session / groups, session % groups);
                if group != u64::from(seat.group()) {
                    let mine = seat.group();
                    return Err(format!(
                        "the session is in group {group}, and the key in group {mine}: \
                         each group needs a session of its own"
                    )
                    .into());
                }
                let txn = command.into_txn().ok_or("it does not belong into a session")?;
                Ok(Command::Once { session, sequence, at_ms: now_ms(), txn })
            }
            _ => Err("session and sequence go together".into()),
        }
    }

    /// Does what is no transaction to whoever asks, even where a session makes one of it.
    async fn write(
        &self,
        key: Key,
        command: impl FnOnce(String) -> Result<Command, String>,
        query: Parameters<WriteParameters>,
    ) -> Result<Response, Refusal> {
        let key = parse_key(key)?;
        let seat = self.of_key(&key);
        let command = command(key)?;
        let WriteParameters { timeout_ms, session, sequence } = parse_query(query)?;
        let command = self.once(seat, command, (session, sequence))?;
        Ok(seat.write(command, timeout_ms).await)
    }

    /// Changes who takes part, and tells who does when that is known here.
    async fn change(
        &self,
        request: Result<MembersRequest, String>,
        query: Parameters<WriteParameters>,
    ) -> Result<Response, Refusal> {
        let (request, timeout_ms) = (request?, patience(query)?);
        if self.groups() > 1 {
            let why = "the members of a cluster of several groups do not change: each group would \
                       decide for itself";
            return Err(Refusal(StatusCode::CONFLICT, "declined", why.to_owned()));
        }
        Ok(self.first().change(request, timeout_ms).await)
    }

    /// The body of `/status`.
    fn status(&self) -> StatusReply {
        let mut status = self.first().view.status();
        if self.groups() > 1 {
            status.groups = self.seats.iter().map(|seat| seat.view.group_status()).collect();
        }
        status
    }

    async fn answer(&self, asked: impl Future<Output = Result<Response, Refusal>>) -> Response {
        asked.await.unwrap_or_else(|refusal| self.refuse(refusal))
    }

    /// Answers what never was a request.
    fn refuse(&self, Refusal(code, error, message): Refusal) -> Response {
        let view: &View = &self.first().view;
        view.metrics().answered(Kind::Refused, code.as_u16(), Duration::ZERO);
        json(code, &failure((error, true, &message), view.origin()))
    }
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
    txn.validate()?;
    let plain =
        parameters.consistency == Consistency::Linearizable && parameters.after == After::default();
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
