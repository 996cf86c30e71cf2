//! Packs the observations and the log of each replica for the page's script. They are for display
//! only and take no part in any verdict.
//!
//! Columns are JSON arrays, deflated and base64-encoded, so that no log text can be markup. Times
//! are in nanoseconds, each relative to the one before. Long logs are truncated; the page says so.

use super::run::Run;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use records::replica_log::{Observation, ObservationRecord};
use serde_json::{Value, json};

/// The compression level.
const LEVEL: u8 = 6;
/// The most bytes of logs in a page, over all replicas.
const LOGS: usize = 2 << 20;

/// Packs the observations of all replicas.
pub(super) fn pack_observed(run: &Run<'_>) -> String {
    let replicas = &run.record.replicas;
    let share = LOGS / replicas.len().max(1);
    let each = replicas.iter().map(|replica| pack_replica(run, &replica.name, share));
    let text = Value::Array(each.collect()).to_string();
    STANDARD.encode(miniz_oxide::deflate::compress_to_vec_zlib(text.as_bytes(), LEVEL))
}

fn pack_replica(run: &Run<'_>, name: &str, share: usize) -> Value {
    let observations =
        || run.observed.observations.iter().filter(|observation| observation.replica == name);
    json!({
        "process": pack_track(observations(), |what| match what {
            Observation::Process(life) => Some(json!(life)),
            _ => None,
        }),
        "says": pack_track(observations(), |what| match what {
            Observation::Says(said) => Some(said.as_ref().map_or(Value::Null, |said| {
                json!([said.role, said.term, said.commit, said.applied])
            })),
            _ => None,
        }),
        "clock": pack_track(observations(), |what| match what {
            Observation::Clock(wrong) => {
                Some(json!([wrong.offset_ms, wrong.drift_percent, wrong.strobe_ms]))
            }
            _ => None,
        }),
        "log": pack_log(run, name, share),
    })
}

/// One kind of observation as two columns: times and values.
fn pack_track<'a>(
    observations: impl Iterator<Item = &'a ObservationRecord>,
    of: impl Fn(&Observation) -> Option<Value>,
) -> Value {
    let (mut times, mut values, mut last) = (Vec::new(), Vec::new(), 0);
    for observation in observations {
        if let Some(value) = of(&observation.observation) {
            times.push(observation.time.wrapping_sub(last));
            values.push(value);
            last = observation.time;
        }
    }
    json!([times, values])
}

/// A replica's log, truncated to `share` bytes, and its length over time.
fn pack_log(run: &Run<'_>, name: &str, share: usize) -> Value {
    let Some(bytes) = run.observed.logs.get(name) else { return Value::Null };
    let marks: Vec<(u64, u64)> = run
        .observed
        .observations
        .iter()
        .filter(|observation| observation.replica == name)
        .filter_map(|observation| match observation.observation {
            Observation::Log(length) => Some((observation.time, length)),
            _ => None,
        })
        .collect();
    let (from, to) = select_part(bytes, share, proof_offset(run, &marks));
    let (times, lengths): (Vec<u64>, Vec<u64>) = marks.iter().copied().unzip();
    json!({
        "from": from,
        "bytes": bytes.len(),
        "text": String::from_utf8_lossy(&bytes[from..to]),
        "ends": line_lengths(&bytes[from..to], from),
        "marks": [times, lengths],
    })
}

/// The length of each line in the file: bytes that are not UTF-8 have another length in the page.
fn line_lengths(bytes: &[u8], from: usize) -> Vec<usize> {
    let breaks = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
    let mut last = from;
    let mut lengths = Vec::new();
    for (at, _) in breaks {
        lengths.push(from + at + 1 - last);
        last = from + at + 1;
    }
    lengths
}

/// The offset in a log at the start of the proof, if there is one.
fn proof_offset(run: &Run<'_>, marks: &[(u64, u64)]) -> Option<usize> {
    let first = super::outline::proof_operations(run.verdict).into_iter().min()?;
    let operations = run.history.operations();
    let time = operations.iter().find(|operation| operation.invoked.index == first)?.invoked.time;
    let mark = marks.iter().rev().find(|mark| mark.0 <= time)?;
    usize::try_from(mark.1).ok()
}

/// Selects the part of a log that is kept, in whole lines around `wanted`.
fn select_part(bytes: &[u8], share: usize, wanted: Option<usize>) -> (usize, usize) {
    if bytes.len() <= share {
        return (0, bytes.len());
    }
    let last = bytes.len() - share;
    let from = wanted.map_or(last, |at| at.saturating_sub(share / 2).min(last));
    let next_line = |at: usize| {
        let rest = bytes[at..].iter().position(|byte| *byte == b'\n');
        rest.map_or(bytes.len(), |rest| at + rest + 1)
    };
    let begin = if from == 0 { 0 } else { next_line(from - 1) };
    let end =
        bytes[..from + share].iter().rposition(|byte| *byte == b'\n').map_or(begin, |at| at + 1);
    (begin, end.max(begin))
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    fn unpack_json(text: &str) -> Value {
        let packed = STANDARD.decode(text).expect("base64");
        let bytes = miniz_oxide::inflate::decompress_to_vec_zlib(&packed).expect("zlib");
        serde_json::from_slice(&bytes).expect("JSON")
    }

    #[test]
    fn packs_observations_of_each_replica() {
        let sample = sample::invalid(50);
        let all = unpack_json(&pack_observed(&sample.run()));
        let n1 = &all[0];
        assert_eq!(
            n1["process"],
            json!([[0, 10_000_000_000_u64, 3_000_000_000_u64], ["up", "down", "up"]])
        );
        assert_eq!(n1["says"][1][0], json!(["leader", 1, 0, 0]));
        assert_eq!(n1["log"]["text"], "n1 starts\nn1 became leader\n");
        assert_eq!(n1["log"]["ends"], json!([10, 17]));
        assert_eq!(n1["log"]["marks"], json!([[0, 1_000_000_000], [10, 27]]));
        assert_eq!(all[4]["log"], Value::Null, "a missing log is null");
    }

    #[test]
    fn truncates_a_long_log_at_line_breaks() {
        let log: Vec<u8> = (10..99).flat_map(|n| format!("line {n}\n").into_bytes()).collect();
        assert_eq!(select_part(&log, log.len(), None), (0, log.len()));
        let cut = |wanted| {
            let (from, to) = select_part(&log, 40, wanted);
            String::from_utf8_lossy(&log[from..to]).into_owned()
        };
        assert!(cut(None).ends_with("line 98\n") && cut(None).starts_with("line 9"));
        assert!(cut(Some(80)).contains("line 20\n") && cut(Some(80)).len() <= 40);
        assert!(cut(Some(0)).starts_with("line 10\n"));
        assert_eq!(
            select_part(&[b'x'; 100], 40, None),
            (100, 100),
            "a line longer than the limit is dropped"
        );
    }
}
