//! Puts what is found into words: the one place where findings become codes and bodies.

use crate::kv::Range;
use crate::server::request::{Finding, Reason, SessionFlaw};
use crate::server::view::View;
use crate::wire::{Failure, MembersReply, Mismatch, Origin, RangeReply, SessionReply, TxnReply};
use crate::wire::{Value, Written};
use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

pub(super) fn respond(finding: Finding, origin: Origin, view: &View) -> Response {
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
        Reason::ForwardRefused
        | Reason::MembersBusy
        | Reason::NoLeader
        | Reason::NoQuorum
        | Reason::Overloaded => StatusCode::SERVICE_UNAVAILABLE,
        Reason::AnswerTooLarge => StatusCode::BAD_GATEWAY,
        Reason::ForwardLost
        | Reason::LeadershipLost
        | Reason::ReadTimeout
        | Reason::WriteTimeout => StatusCode::GATEWAY_TIMEOUT,
    }
}

pub(super) fn failure((error, definite, message): (&str, bool, &str), origin: Origin) -> Failure {
    Failure { error: error.to_owned(), definite, message: message.to_owned(), origin }
}

pub(super) fn json(code: StatusCode, body: &impl Serialize) -> Response {
    (code, Json(body)).into_response()
}
