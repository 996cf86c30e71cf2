//! Why a request gets no answer.

use axum::http::StatusCode;
use axum::response::Response;

/// Why there is no answer.
pub(super) struct ApiError(pub(super) StatusCode, pub(super) String);

impl axum::response::IntoResponse for ApiError {
    fn into_response(self) -> Response {
        (self.0, self.1 + "\n").into_response()
    }
}

impl From<anyhow::Error> for ApiError {
    fn from(error: anyhow::Error) -> Self {
        Self(StatusCode::INTERNAL_SERVER_ERROR, format!("{error:#}"))
    }
}

/// That there is nothing of that name.
pub(super) fn not_found() -> ApiError {
    ApiError(StatusCode::NOT_FOUND, "not found".to_owned())
}
