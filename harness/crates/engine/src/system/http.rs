//! The HTTP client that adapters share.

use std::time::Duration;

/// A client of the HTTP interface of any system: it follows nobody, repeats nothing and waits no longer than that.
pub(super) fn http(patience: Duration) -> reqwest::Result<reqwest::Client> {
    reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .timeout(patience)
        .tcp_nodelay(true)
        .build()
}
