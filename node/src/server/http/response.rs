//! Puts what is found into words: the one place where answers become codes and bodies.

use crate::kv::Range;
use crate::runtime::{Answer, FailureReason, SessionError};
use crate::server::published_status::PublishedStatus;
use crate::wire::{Failure, MembersReply, Mismatch, Origin, RangeReply, SessionReply, TxnReply};
use crate::wire::{Value, Written};
use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

pub(super) fn respond(answer: Answer, origin: Origin, published: &PublishedStatus) -> Response {
    match answer {
        Answer::Value(Some(value)) => json(StatusCode::OK, &Value { value, origin }),
        Answer::Value(None) => {
            let absent = ("not-found", true, "the key has no value");
            json(StatusCode::NOT_FOUND, &failure(absent, origin))
        }
        Answer::Range(Range { entries, more }) => {
            json(StatusCode::OK, &RangeReply { entries, more, origin })
        }
        Answer::Members(members) => {
            let cluster = published.members().cluster;
            json(StatusCode::OK, &MembersReply { cluster, members, origin })
        }
        Answer::Declined(why) => {
            json(StatusCode::CONFLICT, &failure(("declined", true, &why), origin))
        }
        Answer::Opened { session } => json(StatusCode::OK, &SessionReply { session, origin }),
        Answer::Session(flaw) => {
            let code = match flaw {
                SessionError::Unknown => StatusCode::GONE,
                SessionError::OldSequence => StatusCode::CONFLICT,
            };
            json(code, &failure(flaw.describe(), origin))
        }
        Answer::Written { index } => json(StatusCode::OK, &Written { index, origin }),
        Answer::Results { results, index } => {
            json(StatusCode::OK, &TxnReply { results, index, origin })
        }
        Answer::Mismatch { current } => {
            let text = ("mismatch", true, "a key does not have what was expected of it");
            let mismatch = Mismatch { failure: failure(text, origin), current };
            json(StatusCode::CONFLICT, &mismatch)
        }
        Answer::Failed(reason) => json(code(reason), &failure(reason.describe(), origin)),
    }
}

fn code(reason: FailureReason) -> StatusCode {
    match reason {
        FailureReason::ForwardRefused
        | FailureReason::MembersBusy
        | FailureReason::NoLeader
        | FailureReason::NoQuorum
        | FailureReason::Overloaded => StatusCode::SERVICE_UNAVAILABLE,
        FailureReason::AnswerTooLarge => StatusCode::BAD_GATEWAY,
        FailureReason::ForwardLost
        | FailureReason::LeadershipLost
        | FailureReason::ReadTimeout
        | FailureReason::WriteTimeout => StatusCode::GATEWAY_TIMEOUT,
    }
}

pub(super) fn failure((error, definite, message): (&str, bool, &str), origin: Origin) -> Failure {
    Failure { error: error.to_owned(), definite, message: message.to_owned(), origin }
}

pub(super) fn json(code: StatusCode, body: &impl Serialize) -> Response {
    (code, Json(body)).into_response()
}
