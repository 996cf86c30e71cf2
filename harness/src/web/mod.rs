//! Serves a results directory to browsers: lists, matrices, comparisons, files and running runs.
//!
//! Existing files never change; checking a run again writes a new file. Paths are resolved before
//! they are opened, and must be inside the directory. Pages may not load, send or embed anything
//! from other origins. Requests for another `Host` are rejected, which prevents DNS rebinding.

mod api;
mod error;
mod live;
mod matrix;
mod page;
mod paths;
mod recheck;
mod site;
#[cfg(test)]
mod tests;
mod zip;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};

pub(crate) use site::Site;

/// The routes of the server.
pub(crate) fn router(site: Site) -> Router {
    Router::new()
        .route("/", get(page::get_page))
        .route("/browse.css", get(page::get_style))
        .route("/browse.js", get(page::get_script))
        .route("/favicon.ico", get(page::get_icon))
        .route("/api/runs", get(api::get_runs))
        .route("/api/matrix", get(api::get_matrix))
        .route("/api/run/{family}/{name}", get(api::get_run))
        .route("/api/live", get(live::get_running))
        .route("/api/live/{family}/{name}", get(live::stream_progress))
        .route("/api/recheck/{family}/{name}", post(recheck::recheck_run))
        .route("/zip/{family}/{name}", get(zip::download_archive))
        .route("/files/{*path}", get(api::get_file))
        .layer(from_fn_with_state(site.clone(), reject_unknown_host))
        .layer(from_fn(add_security_headers))
        .with_state(site)
}

/// Rejects requests for other host names: a rebound DNS name must not reach this server.
async fn reject_unknown_host(State(site): State<Site>, request: Request, next: Next) -> Response {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let name = host.map(|host| host.rsplit_once(':').map_or(host, |(name, _)| name));
    let known = |name: &str| site.allowed_hosts.iter().any(|known| known == name);
    if site.allowed_hosts.is_empty() || name.is_some_and(known) {
        next.run(request).await
    } else {
        (StatusCode::FORBIDDEN, "unknown Host; use the address that `harness serve` printed\n")
            .into_response()
    }
}

/// The content security policy of pages of this server; reports have a stricter one.
const PAGE_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
                      connect-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'";

/// Adds security headers to every response, and a policy unless the response has one.
async fn add_security_headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    let always: [(HeaderName, &'static str); 4] = [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    for (name, value) in always {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(HeaderValue::from_static(PAGE_POLICY));
    response
}
