//! Packs what was seen of each replica, and what its log says, for the page's script: for the eye, and no part of
//! any verdict.
//!
//! Columns are JSON arrays, deflated and in base64, so that no text of a log can be markup. Moments are told in
//! nanoseconds, each from the one before. A log that is too long is cut, and the page says what was.

use super::run::Run;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use records::sights::{Sight, Sighting};
use serde_json::{Value, json};

/// How hard deflate tries.
const LEVEL: u8 = 6;
/// How many bytes of logs a page has, of all replicas together.
const LOGS: usize = 2 << 20;

/// What was seen, packed.
pub(super) fn observed(run: &Run<'_>) -> String {
    let replicas = &run.record.replicas;
    let share = LOGS / replicas.len().max(1);
    let each = replicas.iter().map(|replica| seen(run, &replica.name, share));
    let text = Value::Array(each.collect()).to_string();
    STANDARD.encode(miniz_oxide::deflate::compress_to_vec_zlib(text.as_bytes(), LEVEL))
}

fn seen(run: &Run<'_>, name: &str, share: usize) -> Value {
    let sights = || run.observed.sights.iter().filter(|sight| sight.replica == name);
    json!({
        "process": track(sights(), |what| match what {
            Sighting::Process(life) => Some(json!(life)),
            _ => None,
        }),
        "says": track(sights(), |what| match what {
            Sighting::Says(said) => Some(said.as_ref().map_or(Value::Null, |said| {
                json!([said.role, said.term, said.commit, said.applied])
            })),
            _ => None,
        }),
        "clock": track(sights(), |what| match what {
            Sighting::Clock(wrong) => Some(json!([wrong.offset_ms, wrong.drift_percent, wrong.strobe_ms])),
            _ => None,
        }),
        "log": log(run, name, share),
    })
}

/// One kind of sight as moments and what was seen then.
fn track<'a>(
    sights: impl Iterator<Item = &'a Sight>,
    of: impl Fn(&Sighting) -> Option<Value>,
) -> Value {
    let (mut times, mut values, mut last) = (Vec::new(), Vec::new(), 0);
    for sight in sights {
        if let Some(value) = of(&sight.what) {
            times.push(sight.time.wrapping_sub(last));
            values.push(value);
            last = sight.time;
        }
    }
    json!([times, values])
}

/// A replica's log, or what of it has room, and how long it was at which moment.
fn log(run: &Run<'_>, name: &str, share: usize) -> Value {
    let Some(bytes) = run.observed.logs.get(name) else { return Value::Null };
    let marks: Vec<(u64, u64)> = run
        .observed
        .sights
        .iter()
        .filter(|sight| sight.replica == name)
        .filter_map(|sight| match sight.what {
            Sighting::Log(length) => Some((sight.time, length)),
            _ => None,
        })
        .collect();
    let (from, to) = kept(bytes, share, wanted(run, &marks));
    json!({
        "from": from,
        "bytes": bytes.len(),
        "text": String::from_utf8_lossy(&bytes[from..to]),
        "ends": ends(&bytes[from..to], from),
        "marks": [marks.iter().map(|mark| mark.0).collect::<Vec<_>>(), marks.iter().map(|mark| mark.1).collect::<Vec<_>>()],
    })
}

/// Where each line ends in the file: what is not UTF-8 has another length in the page.
fn ends(bytes: &[u8], from: usize) -> Vec<usize> {
    let breaks = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
    let mut last = from;
    let mut lengths = Vec::new();
    for (at, _) in breaks {
        lengths.push(from + at + 1 - last);
        last = from + at + 1;
    }
    lengths
}

/// The place in a log that matters most: where it was when the proof begins, else its end.
fn wanted(run: &Run<'_>, marks: &[(u64, u64)]) -> Option<usize> {
    let first = super::outline::proof(run.verdict).into_iter().min()?;
    let operations = run.history.operations();
    let time = operations.iter().find(|operation| operation.invoked.index == first)?.invoked.time;
    let mark = marks.iter().rev().find(|mark| mark.0 <= time)?;
    usize::try_from(mark.1).ok()
}

/// The part of a log that is kept, in whole lines.
fn kept(bytes: &[u8], share: usize, wanted: Option<usize>) -> (usize, usize) {
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

    fn unpacked(text: &str) -> Value {
        let packed = STANDARD.decode(text).expect("base64");
        let bytes = miniz_oxide::inflate::decompress_to_vec_zlib(&packed).expect("zlib");
        serde_json::from_slice(&bytes).expect("JSON")
    }

    #[test]
    fn what_was_seen_is_there_replica_by_replica() {
        let sample = sample::invalid(50);
        let all = unpacked(&observed(&sample.run()));
        let n1 = &all[0];
        assert_eq!(
            n1["process"],
            json!([[0, 10_000_000_000_u64, 3_000_000_000_u64], ["up", "down", "up"]])
        );
        assert_eq!(n1["says"][1][0], json!(["leader", 1, 0, 0]));
        assert_eq!(n1["log"]["text"], "n1 starts\nn1 became leader\n");
        assert_eq!(n1["log"]["ends"], json!([10, 17]));
        assert_eq!(n1["log"]["marks"], json!([[0, 1_000_000_000], [10, 27]]));
        assert_eq!(all[4]["log"], Value::Null, "a log that is not there is not made up");
    }

    #[test]
    fn a_long_log_is_cut_between_lines_around_what_is_wanted() {
        let log: Vec<u8> = (10..99).flat_map(|n| format!("line {n}\n").into_bytes()).collect();
        assert_eq!(kept(&log, log.len(), None), (0, log.len()));
        let cut = |wanted| {
            let (from, to) = kept(&log, 40, wanted);
            String::from_utf8_lossy(&log[from..to]).into_owned()
        };
        assert!(cut(None).ends_with("line 98\n") && cut(None).starts_with("line 9"));
        assert!(cut(Some(80)).contains("line 20\n") && cut(Some(80)).len() <= 40);
        assert!(cut(Some(0)).starts_with("line 10\n"));
        assert_eq!(kept(&[b'x'; 100], 40, None), (100, 100), "a line without end has no room");
    }
}
