//! Hands out the browser's own page, style and script.

use axum::http::header::CONTENT_TYPE;
use axum::response::{Html, IntoResponse};

/// The page.
pub(super) async fn index() -> Html<&'static str> {
    Html(include_str!("../assets/browse.html"))
}

/// Its style.
pub(super) async fn style() -> impl IntoResponse {
    ([(CONTENT_TYPE, "text/css; charset=utf-8")], include_str!("../assets/browse.css"))
}

/// Its script.
pub(super) async fn script() -> impl IntoResponse {
    ([(CONTENT_TYPE, "text/javascript; charset=utf-8")], include_str!("../assets/browse.js"))
}
