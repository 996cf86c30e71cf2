//! Judges a run again, by the program that serves, into a new file beside the first verdict.

use super::error::{ApiError, not_found};
use super::paths::resolve_run;
use super::site::Site;
use axum::Json;
use axum::extract::{Path as Named, State};
use axum::http::{HeaderMap, StatusCode};
use records::RunDirectory;
use serde_json::{Value, json};
use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;

/// How long one check may take.
const CHECK_TIMEOUT: Duration = Duration::from_secs(600);
/// Only a page of this server can send it without asking first.
const TOKEN: &str = "x-harness";

/// `POST /api/recheck/…`.
pub(super) async fn recheck_run(
    State(site): State<Site>,
    Named((family, name)): Named<(String, String)>,
    headers: HeaderMap,
) -> Result<Json<Value>, ApiError> {
    if !headers.contains_key(TOKEN) {
        let text = format!("ask with the header {TOKEN}: 1");
        return Err(ApiError(StatusCode::FORBIDDEN, text));
    }
    let path = resolve_run(&site.results, &family, &name).ok_or_else(not_found)?;
    let record = RunDirectory::open(&path).read_run()?;
    let consistency = workloads::ReadConsistency::parse(&record.config.read).unwrap_or_default();
    let checks = workloads::find_workload(&record.config.workload)
        .map_or(&[][..], |it| it.check_names(consistency));
    let busy =
        |_| ApiError(StatusCode::TOO_MANY_REQUESTS, "another run is being judged".to_owned());
    let _turn = site.recheck_permit.try_acquire().map_err(busy)?;
    let mut told = Vec::new();
    for check in checks {
        told.push(run_check(&site.program, &path, check).await?);
    }
    let now = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%S%3fZ").to_string();
    let version = env!("CARGO_PKG_VERSION");
    let verdict = json!({ "judged": now, "harness": version, "checks": told });
    let file = format!("recheck-{now}.json");
    write_new(&path.join(&file), &verdict)?;
    Ok(Json(json!({ "file": file, "checks": verdict["checks"] })))
}

async fn run_check(program: &Path, run: &Path, check: &str) -> Result<Value, ApiError> {
    let mut command = Command::new(program);
    command.arg("check").arg(run).args(["--model", check, "--format", "json"]);
    let ended = command.stdin(Stdio::null()).kill_on_drop(true).output();
    let output = tokio::time::timeout(CHECK_TIMEOUT, ended).await;
    let output = output.map_err(|_| anyhow::anyhow!("{check} did not end in time"))?;
    let output = output.map_err(|error| anyhow::anyhow!("{check} cannot be started: {error}"))?;
    let said = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| Value::from(String::from_utf8_lossy(&output.stderr).trim()));
    Ok(json!({ "check": check, "exit": output.status.code(), "said": said }))
}

/// Writes a file that is not there yet; one that is there stays as it is.
fn write_new(path: &Path, value: &Value) -> Result<(), ApiError> {
    let file = std::fs::OpenOptions::new().write(true).create_new(true).open(path);
    let written = file.and_then(|mut file| writeln!(file, "{value:#}"));
    written.map_err(|error| anyhow::anyhow!("{} cannot be written: {error}", path.display()).into())
}
