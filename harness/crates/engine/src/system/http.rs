//! The HTTP client that adapters share.

use std::time::Duration;

/// A client of any system's HTTP API: no redirects, no retries, one time limit.
pub(super) fn build_http_client(patience: Duration) -> reqwest::Result<reqwest::Client> {
    reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .timeout(patience)
        .tcp_nodelay(true)
        .build()
}
