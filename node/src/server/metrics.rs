//! Counts events of a replica and renders them in the text format of Prometheus.
//!
//! Counters start from zero and only grow. The names of metrics do not change.

use crate::wire::StatusReply;
use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The upper bounds of the latency buckets, in seconds.
const LATENCY_BOUNDS: [f64; 12] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];

/// The kind of a client request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum RequestKind {
    Read,
    Write,
    /// An invalid request.
    Invalid,
}

impl RequestKind {
    fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Invalid => "refused",
        }
    }
}

/// All counters of one replica.
#[derive(Debug, Default)]
pub(super) struct Metrics {
    answers: Mutex<Answers>,
    syncs: AtomicU64,
    changes: AtomicU64,
    snapshots: AtomicU64,
    snapshot_bytes: AtomicU64,
    connections: AtomicU64,
    rejected: AtomicU64,
}

#[derive(Debug, Default)]
struct Answers {
    by_code: BTreeMap<(RequestKind, u16), u64>,
    latency: BTreeMap<RequestKind, Latency>,
}

#[derive(Debug, Default)]
struct Latency {
    /// The count in each bucket; the last bucket has no upper bound.
    buckets: [u64; LATENCY_BOUNDS.len() + 1],
    seconds: f64,
}

impl Metrics {
    fn lock_answers(&self) -> MutexGuard<'_, Answers> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts an answer to a client.
    pub(super) fn count_answer(&self, kind: RequestKind, code: u16, took: Duration) {
        let mut answers = self.lock_answers();
        *answers.by_code.entry((kind, code)).or_default() += 1;
        let latency = answers.latency.entry(kind).or_default();
        let seconds = took.as_secs_f64();
        latency.seconds += seconds;
        let bucket = LATENCY_BOUNDS
            .iter()
            .position(|bound| seconds <= *bound)
            .unwrap_or(LATENCY_BOUNDS.len());
        latency.buckets[bucket] += 1;
    }

    /// Counts a durable batch of the log.
    pub(super) fn count_sync(&self) {
        self.syncs.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a change of role, term or leader.
    pub(super) fn count_status_change(&self) {
        self.changes.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a snapshot of this size.
    pub(super) fn count_snapshot(&self, bytes: usize) {
        self.snapshots.fetch_add(1, Ordering::Relaxed);
        self.snapshot_bytes.store(bytes as u64, Ordering::Relaxed);
    }

    /// Counts a new client connection.
    pub(super) fn count_connect(&self) {
        self.connections.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a closed client connection.
    pub(super) fn count_disconnect(&self) {
        self.connections.fetch_sub(1, Ordering::Relaxed);
    }

    /// Counts a client above the limit.
    pub(super) fn count_rejected(&self) {
        self.rejected.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns the number of connected clients.
    pub(super) fn connections(&self) -> u64 {
        self.connections.load(Ordering::Relaxed)
    }

    /// Renders all metrics in the text format of Prometheus.
    pub(super) fn render(&self, status: &StatusReply) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = self.write_metrics(&mut text, status);
        text
    }

    fn write_metrics(&self, out: &mut String, status: &StatusReply) -> fmt::Result {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        write_gauges(out, status)?;
        for (name, kind, help, value) in [
            ("node_connections", "gauge", "Connected clients.", self.connections()),
            (
                "node_connections_refused_total",
                "counter",
                "Clients above the limit.",
                count(&self.rejected),
            ),
            (
                "node_role_changes_total",
                "counter",
                "Changes of role, term or leader.",
                count(&self.changes),
            ),
            (
                "node_wal_syncs_total",
                "counter",
                "Batches of the log made durable, with one sync each.",
                count(&self.syncs),
            ),
            (
                "node_snapshots_total",
                "counter",
                "Snapshots taken; each compacts the log.",
                count(&self.snapshots),
            ),
            (
                "node_snapshot_bytes",
                "gauge",
                "The size of the last snapshot.",
                count(&self.snapshot_bytes),
            ),
        ] {
            write_header(out, name, kind, help)?;
            writeln!(out, "{name} {value}")?;
        }
        write_header(out, "node_peer_connected", "gauge", "Whether the peer is connected.")?;
        for (name, peer) in &status.peers {
            let up = u64::from(peer.connected);
            writeln!(out, "node_peer_connected{{peer=\"{name}\"}} {up}")?;
        }
        self.lock_answers().write_answers(out)
    }
}

impl Answers {
    fn write_answers(&self, out: &mut String) -> fmt::Result {
        write_header(out, "node_requests_total", "counter", "Answers to clients.")?;
        for ((kind, code), count) in &self.by_code {
            let kind = kind.name();
            writeln!(out, "node_requests_total{{kind=\"{kind}\",code=\"{code}\"}} {count}")?;
        }
        write_header(out, "node_request_seconds", "histogram", "From request to answer.")?;
        for (kind, latency) in &self.latency {
            latency.write_histogram(out, kind.name())?;
        }
        Ok(())
    }
}

impl Latency {
    fn write_histogram(&self, out: &mut String, kind: &str) -> fmt::Result {
        let mut sum = 0;
        for (bound, count) in LATENCY_BOUNDS.iter().zip(self.buckets) {
            sum += count;
            writeln!(out, "node_request_seconds_bucket{{kind=\"{kind}\",le=\"{bound}\"}} {sum}")?;
        }
        sum += self.buckets[LATENCY_BOUNDS.len()];
        writeln!(out, "node_request_seconds_bucket{{kind=\"{kind}\",le=\"+Inf\"}} {sum}")?;
        writeln!(out, "node_request_seconds_sum{{kind=\"{kind}\"}} {}", self.seconds)?;
        writeln!(out, "node_request_seconds_count{{kind=\"{kind}\"}} {sum}")
    }
}

/// Writes the gauges of each group, labelled if there are several.
fn write_gauges(out: &mut String, status: &StatusReply) -> fmt::Result {
    let of = |label: String, role: &str, [term, last, commit, applied]: [u64; 4]| {
        (label, [term, u64::from(role == "leader"), last, commit, applied])
    };
    let mut groups: Vec<_> = status
        .groups
        .iter()
        .map(|it| {
            let label = format!("{{group=\"{}\"}}", it.group);
            of(label, &it.role, [it.term, it.last_index, it.commit_index, it.applied])
        })
        .collect();
    if groups.is_empty() {
        let StatusReply { origin, role, last_index, commit_index, .. } = status;
        let figures = [origin.term, *last_index, *commit_index, origin.applied];
        groups.push(of(String::new(), role, figures));
    }
    for (at, (name, help)) in [
        ("node_term", "The term."),
        ("node_leader", "Whether this replica leads."),
        ("node_last_index", "The last entry of the log."),
        ("node_commit_index", "The last committed entry."),
        ("node_applied_index", "The last applied entry."),
    ]
    .into_iter()
    .enumerate()
    {
        write_header(out, name, "gauge", help)?;
        for (label, figures) in &groups {
            writeln!(out, "{name}{label} {}", figures[at])?;
        }
    }
    Ok(())
}

fn write_header(out: &mut String, name: &str, kind: &str, help: &str) -> fmt::Result {
    writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{GroupStatus, Origin, PeerStatus};

    #[test]
    fn every_metric_has_a_type_and_buckets_are_cumulative() {
        let metrics = Metrics::default();
        for micros in [400, 600, 10_000_000] {
            metrics.count_answer(RequestKind::Write, 200, Duration::from_micros(micros));
        }
        metrics.count_answer(RequestKind::Read, 404, Duration::ZERO);
        metrics.count_sync();
        let peer = PeerStatus { address: "h:1".to_owned(), connected: true };
        let mut status = StatusReply {
            origin: Origin { replica: "n1".to_owned(), term: 3, applied: 8, group: None },
            role: "leader".to_owned(),
            leader: None,
            last_index: 10,
            commit_index: 9,
            member: true,
            bugs: Vec::new(),
            peers: [("n2".to_owned(), peer)].into(),
            groups: Vec::new(),
        };
        let text = metrics.render(&status);
        for line in [
            "node_term 3",
            "node_leader 1",
            "node_wal_syncs_total 1",
            "node_peer_connected{peer=\"n2\"} 1",
            "node_requests_total{kind=\"read\",code=\"404\"} 1",
            "node_request_seconds_bucket{kind=\"write\",le=\"0.0005\"} 1",
            "node_request_seconds_bucket{kind=\"write\",le=\"5\"} 2",
            "node_request_seconds_bucket{kind=\"write\",le=\"+Inf\"} 3",
            "node_request_seconds_count{kind=\"write\"} 3",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
        let name = |line: &str| line.split(['{', ' ']).next().unwrap_or_default().to_owned();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let stem = ["_bucket", "_sum", "_count"]
                .iter()
                .fold(name(line), |name, end| name.trim_end_matches(end).to_owned());
            assert!(text.contains(&format!("# TYPE {stem} ")), "{line}");
        }
        status.groups = vec![GroupStatus { group: 2, term: 5, ..GroupStatus::default() }];
        let text = metrics.render(&status);
        assert!(text.contains("\nnode_term{group=\"2\"} 5\n"), "{text}");
    }
}
