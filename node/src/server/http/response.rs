//! Puts what is found into words: the one place where answers become codes and bodies.

use crate::kv::Range;
use crate::runtime::{Answer, FailureReason, SessionError};
use crate::server::published_status::PublishedStatus;
use crate::wire::{
    FailureReply, MembersReply, MismatchReply, Origin, RangeReply, SessionReply, TxnReply,
};
use crate::wire::{ValueReply, WriteReply};
use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

pub(super) fn build_response(
    answer: Answer,
    origin: Origin,
    published: &PublishedStatus,
) -> Response {
    match answer {
        Answer::Value(Some(value)) => json_response(StatusCode::OK, &ValueReply { value, origin }),
        Answer::Value(None) => {
            let absent = ("not-found", true, "the key has no value");
            json_response(StatusCode::NOT_FOUND, &failure_body(absent, origin))
        }
        Answer::Range(Range { entries, more }) => {
            json_response(StatusCode::OK, &RangeReply { entries, more, origin })
        }
        Answer::Members(members) => {
            let cluster = published.members_reply().cluster;
            json_response(StatusCode::OK, &MembersReply { cluster, members, origin })
        }
        Answer::Declined(why) => {
            json_response(StatusCode::CONFLICT, &failure_body(("declined", true, &why), origin))
        }
        Answer::Opened { session } => {
            json_response(StatusCode::OK, &SessionReply { session, origin })
        }
        Answer::Session(flaw) => {
            let code = match flaw {
                SessionError::Unknown => StatusCode::GONE,
                SessionError::OldSequence => StatusCode::CONFLICT,
            };
            json_response(code, &failure_body(flaw.describe(), origin))
        }
        Answer::Written { index } => json_response(StatusCode::OK, &WriteReply { index, origin }),
        Answer::Results { results, index } => {
            json_response(StatusCode::OK, &TxnReply { results, index, origin })
        }
        Answer::Mismatch { current } => {
            let text = ("mismatch", true, "a key does not have what was expected of it");
            let mismatch = MismatchReply { failure: failure_body(text, origin), current };
            json_response(StatusCode::CONFLICT, &mismatch)
        }
        Answer::Failed(reason) => {
            json_response(status_code(reason), &failure_body(reason.describe(), origin))
        }
    }
}

fn status_code(reason: FailureReason) -> StatusCode {
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

pub(super) fn failure_body(
    (error, definite, message): (&str, bool, &str),
    origin: Origin,
) -> FailureReply {
    FailureReply { error: error.to_owned(), definite, message: message.to_owned(), origin }
}

pub(super) fn json_response(code: StatusCode, body: &impl Serialize) -> Response {
    (code, Json(body)).into_response()
}
