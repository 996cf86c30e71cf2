//! Hands out the browser's own page, style, sign and script.

use axum::http::header::CONTENT_TYPE;
use axum::response::{Html, IntoResponse};

/// The page.
pub(super) async fn get_page() -> Html<&'static str> {
    Html(include_str!("assets/browse.html"))
}

/// Its style.
pub(super) async fn get_style() -> impl IntoResponse {
    ([(CONTENT_TYPE, "text/css; charset=utf-8")], include_str!("assets/browse.css"))
}

/// What a tab shows of it.
pub(super) async fn get_icon() -> impl IntoResponse {
    ([(CONTENT_TYPE, "image/svg+xml")], include_str!("assets/browse.svg"))
}

/// The script of the page: helpers, views, then the router.
pub(super) const SCRIPT: &str = concat!(
    include_str!("assets/browse/dom.js"),
    include_str!("assets/browse/runs.js"),
    include_str!("assets/browse/matrix.js"),
    include_str!("assets/browse/run.js"),
    include_str!("assets/browse/compare.js"),
    include_str!("assets/browse/live.js"),
    include_str!("assets/browse/route.js"),
);

/// Its script.
pub(super) async fn get_script() -> impl IntoResponse {
    ([(CONTENT_TYPE, "text/javascript; charset=utf-8")], SCRIPT)
}
