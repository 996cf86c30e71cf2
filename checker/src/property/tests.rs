//! Tests each check with minimal histories, compares it with a brute-force implementation on
//! thousands of small random histories, and tests invariants.
//!
//! The brute-force implementation of each check:
//!
//! - `bank`, `causal`, `set-final`, `stats`, `unique-ids`: [`definitions`]
//! - `kafka`: [`logs`]
//! - `queue`, `total-queue`: [`queues`]: every assignment of deliveries to enqueues
//! - `causal-reverse`, `counter-bounds`, `fenced-lock`, `long-fork`, `monotonic`, `set-full`,
//!   `set-full-linearizable`: [`brute_force`]
//! - `session`: `session::tests`, and `session::laws` for reads of several keys
//! - `list-append`, `rw-register`: `txn::tests::brute_force`; `rw-register-closed`:
//!   `txn::tests::laws`

use crate::check_by_name;
use crate::history::{History, edn};
use crate::verdict::{Limits, Validity, Verdict};

mod brute_force;
mod definitions;
mod eventual;
mod examples;
mod laws;
mod logs;
mod queues;
pub(crate) mod random;

/// Parses `0:add 1; 0:ok 1; 1:read => [1 2]; 0:fail`: a process, then a function with its argument
/// or the completion of the open call; `=>` denotes a call that completes at once. Values are EDN.
pub(crate) fn history(text: &str) -> History {
    let mut open = std::collections::BTreeMap::new();
    let mut lines = String::new();
    for (step, line) in text.split(';').map(str::trim).filter(|step| !step.is_empty()).enumerate() {
        let (process, call) = line.split_once(':').expect("process: call");
        let (process, node) = process.split_once('@').unwrap_or((process, ""));
        let (call, output) = match call.split_once("=>") {
            Some((call, output)) => (call, Some(output)),
            None => (call, None),
        };
        let (word, value) = call.trim().split_once(' ').unwrap_or((call.trim(), "nil"));
        let node = if node.is_empty() { String::new() } else { format!(":node {node:?}") };
        let mut line = |kind: &str, f: &str, value: &str, index: usize| {
            let time = index * 1_000_000;
            lines += &format!(
                "{{:index {index} :time {time} :process {process} :type :{kind} :f :{f} :value \
                 {value} {node}}}\n"
            );
        };
        if let "ok" | "fail" | "info" = word {
            let f: String = open.remove(process).expect("an open call");
            line(word, &f, value, 2 * step);
            continue;
        }
        line("invoke", word, value, 2 * step);
        match output {
            Some(output) => line("ok", word, output, 2 * step + 1),
            None => drop(open.insert(process.to_owned(), word.to_owned())),
        }
    }
    edn::parse(&lines).unwrap_or_else(|damage| panic!("{text}: {damage}")).history
}

/// The verdict of a check on a history.
pub(crate) fn verdict(check: &str, text: &str) -> Verdict {
    check_by_name(&history(text), check, &Limits::default())
}

/// Checks that a history is valid.
#[track_caller]
pub(crate) fn valid(check: &str, text: &str) {
    let got = verdict(check, text);
    assert_eq!(got.validity, Validity::Valid, "{text}: {}", got.message);
    assert!(got.findings.is_empty());
}

/// Checks that the verdict is unknown for this reason.
#[track_caller]
pub(crate) fn unknown(check: &str, text: &str, why: &str) {
    let got = verdict(check, text);
    assert_eq!(got.validity, Validity::Unknown, "{text}: {}", got.message);
    assert!(got.message.contains(why), "{text}: {}", got.message);
}

/// Checks that a history has exactly these anomalies, written as `name` or `name*2`.
#[track_caller]
pub(crate) fn wrong(check: &str, text: &str, anomalies: &str) {
    let got = verdict(check, text);
    let name = |finding: &crate::finding::Finding| match finding.count {
        1 => finding.name.clone(),
        count => format!("{}*{count}", finding.name),
    };
    let found: Vec<String> = got.findings.iter().map(name).collect();
    assert_eq!(found.join(" "), anomalies, "{text}: {}", got.message);
    assert_eq!(got.validity, Validity::Invalid);
    assert!(got.message.contains(&got.findings[0].message));
    for finding in &got.findings {
        assert!(!finding.operations.is_empty(), "{text}: {finding:?} names no operation");
    }
}
