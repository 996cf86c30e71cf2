//! Polls the readiness endpoint of a described system.

use super::super::errors;
use super::super::http::build_http_client;
use super::description::ReadinessCheck;
use anyhow::{Context as _, Result};
use std::net::SocketAddr;
use std::time::Duration;
use workloads::Reply;

const PROBE_TIMEOUT: Duration = Duration::from_millis(1_000);

/// Polls one replica.
pub(super) struct ReadinessProbe {
    http: reqwest::Client,
    url: String,
    ready: &'static ReadinessCheck,
}

impl ReadinessProbe {
    pub(super) fn new(ready: &'static ReadinessCheck, address: SocketAddr) -> Result<Self> {
        let http = build_http_client(PROBE_TIMEOUT).context("cannot build the HTTP client")?;
        Ok(Self { http, url: format!("http://{address}{}", ready.get.get_ref()), ready })
    }

    /// Why the replica is not ready, if it is not.
    pub(super) async fn explain_unready(&self) -> Option<Reply> {
        let get = self.ready.get.get_ref();
        let response = match self.http.get(&self.url).send().await {
            Ok(response) => response,
            Err(error) => return Some(errors::classify_error(&error)),
        };
        let status = response.status().as_u16();
        let text = response.text().await.unwrap_or_default();
        let fits = self.ready.ok.iter().any(|rule| rule.matches_response(status, &text));
        (!fits).then(|| {
            Reply::fail(format!("GET {get}: HTTP {status}, which [ready] does not accept"))
        })
    }
}
