//! Serves finished runs: lists, the matrix, single runs and their files.

use super::error::{ApiError, not_found};
use super::matrix::Matrix;
use super::matrix::count_runs;
use super::paths::{resolve_path, resolve_run};
use super::site::Site;
use axum::Json;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use engine::nemesis::NEMESES;
use futures_util::stream;
use records::RunDirectory;
use records::index::{Index, Query as Picked, Sort};
use records::record::{IndexLine, RunRecord, VerdictRecord};
use serde::{Deserialize, Serialize};
use tokio::io::AsyncReadExt as _;

type ApiResult<T> = Result<T, ApiError>;

/// Which runs.
#[derive(Deserialize)]
#[serde(default)]
pub(super) struct QueryParams {
    q: String,
    sort: String,
    reverse: bool,
    from: usize,
    count: usize,
    nights: i64,
}

impl Default for QueryParams {
    fn default() -> Self {
        Self {
            q: String::new(),
            sort: "started".into(),
            reverse: false,
            from: 0,
            count: 100,
            nights: 14,
        }
    }
}

impl QueryParams {
    fn parse_query(&self) -> ApiResult<Picked> {
        let bad = |why| ApiError(StatusCode::BAD_REQUEST, why);
        let sort = Sort::parse(&self.sort).map_err(bad)?;
        let faults: Vec<&str> = NEMESES.iter().map(|nemesis| nemesis.name()).collect();
        Picked::parse(&self.q, sort, self.reverse, &faults).map_err(bad)
    }
}

/// A page of a list.
#[derive(Serialize)]
pub(super) struct RunList {
    all: usize,
    damaged: usize,
    runs: Vec<IndexLine>,
}

/// The index, read where waiting is no harm.
async fn read_index(site: &Site) -> ApiResult<Index> {
    let results = site.results.clone();
    let read = tokio::task::spawn_blocking(move || Index::read(&results)).await;
    Ok(read.map_err(|error| anyhow::anyhow!("the reader died: {error}"))??)
}

/// `GET /api/runs`.
pub(super) async fn get_runs(
    State(site): State<Site>,
    Query(asked): Query<QueryParams>,
) -> ApiResult<Json<RunList>> {
    let (query, index) = (asked.parse_query()?, read_index(&site).await?);
    let picked = query.select_runs(&index.runs);
    let page = picked.iter().skip(asked.from).take(asked.count.min(1_000));
    let runs = page.map(|run| (*run).clone()).collect();
    Ok(Json(RunList { all: picked.len(), damaged: index.damaged, runs }))
}

/// `GET /api/matrix`: the runs of so many days.
pub(super) async fn get_matrix(
    State(site): State<Site>,
    Query(asked): Query<QueryParams>,
) -> ApiResult<Json<Matrix>> {
    let hours = jiff::Span::new().try_hours(asked.nights.clamp(1, 3_660) * 24);
    let since = hours.and_then(|span| jiff::Timestamp::now().checked_sub(span));
    let since = since.map_err(|error| anyhow::anyhow!("{error}"))?.to_string();
    let query = asked.parse_query()?;
    let index = read_index(&site).await?;
    let picked = query.select_runs(&index.runs);
    Ok(Json(count_runs(picked.into_iter().filter(|run| run.started >= since))))
}

/// What is known of a run.
#[derive(Serialize)]
pub(super) struct RunDetails {
    run: RunRecord,
    verdict: Option<VerdictRecord>,
    files: Vec<String>,
}

/// `GET /api/run/…`.
pub(super) async fn get_run(
    State(site): State<Site>,
    Path((family, name)): Path<(String, String)>,
) -> ApiResult<Json<RunDetails>> {
    let path = resolve_run(&site.results, &family, &name).ok_or_else(not_found)?;
    let directory = RunDirectory::open(&path);
    let files = super::zip::list_files(&path)
        .into_iter()
        .filter(|file| !file.starts_with("data"))
        .map(|file| file.display().to_string())
        .collect();
    Ok(Json(RunDetails {
        run: directory.read_run()?,
        verdict: directory.read_verdict().ok(),
        files,
    }))
}

/// A report is sandboxed: its script has an opaque origin and no access to this server.
const REPORT_POLICY: &str = "default-src 'none'; script-src 'unsafe-inline'; \
                      style-src 'unsafe-inline'; img-src data: blob:; worker-src blob:; \
                      connect-src data:; base-uri 'none'; \
                      form-action 'none'; frame-ancestors 'none'; \
                      sandbox allow-scripts allow-downloads";

/// `GET /files/…`: a report is a page; everything else is text, whatever it is called.
pub(super) async fn get_file(
    State(site): State<Site>,
    Path(path): Path<String>,
) -> ApiResult<Response> {
    let found =
        resolve_path(&site.results, &path).filter(|path| path.is_file()).ok_or_else(not_found)?;
    let file = tokio::fs::File::open(&found).await.map_err(|_| not_found())?;
    let mut response = Body::from_stream(stream::try_unfold(file, read_chunk)).into_response();
    let is_report = found.file_name().is_some_and(|name| name == "report.html");
    let kind = if is_report { "text/html; charset=utf-8" } else { "text/plain; charset=utf-8" };
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    if is_report {
        headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(REPORT_POLICY));
    }
    Ok(response)
}

async fn read_chunk(
    mut file: tokio::fs::File,
) -> std::io::Result<Option<(Vec<u8>, tokio::fs::File)>> {
    let mut bytes = Vec::with_capacity(1 << 16);
    let read = file.read_buf(&mut bytes).await?;
    Ok((read > 0).then_some((bytes, file)))
}
