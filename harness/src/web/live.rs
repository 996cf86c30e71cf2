//! Streams the progress of running runs.
//!
//! It reads only the history of a run, and counts its lines as they are appended.

use super::error::{ApiError, not_found};
use super::paths::{resolve_path, resolve_run};
use super::site::Site;
use axum::Json;
use axum::extract::{Path as Named, State};
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::{Stream, stream};
use serde::Serialize;
use serde_json::Value;
use std::convert::Infallible;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The poll interval of a history.
const POLL_INTERVAL: Duration = Duration::from_millis(500);
/// After so many polls without new data, the run counts as dead.
const MAX_IDLE_POLLS: u32 = 240;
/// The most bytes that are read in one poll.
const MAX_POLL_BYTES: u64 = 16 << 20;

/// `GET /api/live`: the runs that are not over.
pub(super) async fn get_running(State(site): State<Site>) -> Json<Vec<String>> {
    let going_on = |run: &String| {
        resolve_path(&site.results, run).is_some_and(|path| !path.join("verdict.json").exists())
    };
    Json(records::list_live_runs(&site.results).into_iter().filter(going_on).collect())
}

/// `GET /api/live/…`: what has happened so far, twice a second, and the verdict in the end.
pub(super) async fn stream_progress(
    State(site): State<Site>,
    Named((family, name)): Named<(String, String)>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, ApiError> {
    let path = resolve_run(&site.results, &family, &name).ok_or_else(not_found)?;
    let follower = HistoryTail { path, ..HistoryTail::default() };
    let events = stream::unfold(follower, |follower| async {
        let (event, follower) = follower.next_event().await?;
        Some((Ok(event), follower))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::default()))
}

/// A reader of a history that grows.
#[derive(Default)]
struct HistoryTail {
    path: PathBuf,
    /// Bytes that were read.
    offset: u64,
    /// A line of which the end is not there yet.
    torn: Vec<u8>,
    progress: Progress,
    idle: u32,
    finished: bool,
    polled: bool,
}

/// What has happened so far.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
struct Progress {
    /// The last moment, in nanoseconds since the run began.
    time: u64,
    invoked: u64,
    ok: u64,
    fail: u64,
    info: u64,
    /// What was broken, in the order it began.
    faults: Vec<StartedFault>,
}

/// A fault that began.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
struct StartedFault {
    fault: String,
    name: String,
    target: String,
    /// Nanoseconds since the run began.
    started: u64,
    /// The same; none while it lasts.
    ended: Option<u64>,
    /// Its state (`witnessed` means confirmed), once it has ended.
    state: String,
    evidence: String,
}

impl HistoryTail {
    /// The next thing worth telling; nothing after the verdict.
    async fn next_event(mut self) -> Option<(Event, Self)> {
        if self.finished || self.idle > MAX_IDLE_POLLS {
            return None;
        }
        if self.polled {
            tokio::time::sleep(POLL_INTERVAL).await;
        }
        self.polled = true;
        let ending = std::fs::read_to_string(self.path.join("verdict.json")).ok();
        let (mut this, grown) = tokio::task::spawn_blocking(move || {
            let grown = self.poll_history();
            (self, grown)
        })
        .await
        .ok()?;
        this.idle = if grown { 0 } else { this.idle + 1 };
        if let Some(verdict) = ending.filter(|_| !grown) {
            this.finished = true;
            let line = serde_json::from_str::<Value>(&verdict).unwrap_or_default().to_string();
            return Some((Event::default().event("verdict").data(line), this));
        }
        let data = serde_json::to_string(&this.progress).unwrap_or_default();
        Some((Event::default().event("progress").data(data), this))
    }

    /// Reads what was appended; whether there was anything.
    fn poll_history(&mut self) -> bool {
        let bytes =
            read_appended(&self.path.join("history.jsonl"), self.offset).unwrap_or_default();
        self.offset += bytes.len() as u64;
        self.push_bytes(&bytes);
        !bytes.is_empty()
    }

    fn push_bytes(&mut self, bytes: &[u8]) {
        self.torn.extend_from_slice(bytes);
        let Some(end) = self.torn.iter().rposition(|byte| *byte == b'\n') else { return };
        let rest = self.torn.split_off(end + 1);
        for line in std::mem::replace(&mut self.torn, rest).split(|byte| *byte == b'\n') {
            if let Ok(event) = serde_json::from_slice::<Value>(line) {
                self.progress.count_event(&event);
            }
        }
    }
}

fn read_appended(path: &Path, offset: u64) -> std::io::Result<Vec<u8>> {
    let mut file = std::fs::File::open(path)?;
    file.seek(SeekFrom::Start(offset))?;
    let mut bytes = Vec::new();
    file.take(MAX_POLL_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}

impl Progress {
    fn count_event(&mut self, event: &Value) {
        self.time = event["time"].as_u64().unwrap_or(self.time);
        if event["process"] == "nemesis" {
            return self.record_fault(event);
        }
        match event["type"].as_str() {
            Some("invoke") => self.invoked += 1,
            Some("ok") => self.ok += 1,
            Some("fail") => self.fail += 1,
            Some("info") => self.info += 1,
            _ => (),
        }
    }

    /// Takes note of a fault that begins or ends; what else the nemesis says is told in the report.
    fn record_fault(&mut self, event: &Value) {
        let text = |name: &str| event["value"][name].as_str().unwrap_or_default().to_owned();
        let fault = text("fault");
        match event["f"].as_str() {
            Some("begin") => self.faults.push(StartedFault {
                name: text("name"),
                target: text("target"),
                started: self.time,
                fault,
                ..StartedFault::default()
            }),
            Some("end") => {
                let begun = self.faults.iter_mut().rfind(|it| it.fault == fault);
                if let Some(broken) = begun {
                    broken.ended = Some(self.time);
                    (broken.state, broken.evidence) = (text("state"), text("evidence"));
                }
            }
            _ => (),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_each_line_once_wherever_it_is_torn() {
        let text = concat!(
            r#"{"time":1,"type":"invoke","process":0}"#,
            "\n",
            r#"{"time":2,"type":"ok","process":0}"#,
            "\n",
            r#"{"time":3,"type":"info","process":"nemesis","f":"begin","#,
            r#""value":{"fault":"1","name":"kill:one","target":"n1"}}"#,
            "\n",
            r#"{"time":4,"type":"info","process":"nemesis","f":"end","#,
            r#""value":{"fault":"1","state":"witnessed","evidence":"killed, restarted"}}"#,
            "\n",
            r#"{"ti"#,
        );
        let mut whole = HistoryTail::default();
        whole.push_bytes(text.as_bytes());
        assert_eq!((whole.progress.invoked, whole.progress.ok, whole.progress.time), (1, 1, 4));
        let [fault] = &whole.progress.faults[..] else { panic!("{:?}", whole.progress.faults) };
        assert_eq!((fault.name.as_str(), fault.started, fault.ended), ("kill:one", 3, Some(4)));
        assert_eq!(fault.state, "witnessed");
        let mut torn = HistoryTail::default();
        text.as_bytes().iter().for_each(|byte| torn.push_bytes(&[*byte]));
        assert_eq!(torn.progress, whole.progress);
    }
}
