//! Renders a finished run for people and programs: values in, text out.
//!
//! [`text`] is for the terminal, [`html`] for the page beside the history, [`json`] for programs,
//! [`Export`] for other tools. All of them show the same record and decide nothing: the words are the verdict's. Nothing here
//! reads a file, a clock or the environment, or prints. Whatever comes out of a
//! history or a log is shown as text: it can neither become markup nor steer the terminal.

#[cfg(test)]
mod browser_tests;
mod columns;
mod cycle;
mod export;
mod facts;
mod followers;
mod html;
mod markup;
mod measured;
#[cfg(test)]
#[path = "../../../tests/not_run/mod.rs"]
mod not_run;
mod observed;
mod outline;
mod phrase;
mod plot;
mod proof;
#[cfg(any(test, feature = "sample"))]
pub mod sample;
#[cfg(test)]
mod schema_tests;
mod series;
mod staleness;
mod style;
pub mod suite;
mod text;
mod timeline;

pub use export::Export;
pub use html::html;
pub use phrase::{duration, visible};
pub use style::Style;
pub use text::{quote, text};

use checker::History;
use records::record::{Reason, RunRecord, VerdictRecord};
use records::sights::Observed;
use serde::Serialize;

/// A finished run, as much of it as a report shows.
#[derive(Clone, Copy)]
pub struct Run<'a> {
    /// What was asked, and of which machine.
    pub record: &'a RunRecord,
    /// What came of it.
    pub verdict: &'a VerdictRecord,
    /// Every operation.
    pub history: &'a History,
    /// What was seen of the replicas meanwhile, and their logs; for the eye only.
    pub observed: &'a Observed,
    /// The names of its workload's checks, as `harness check --model` takes them, in the verdict's order.
    pub check_names: &'a [&'a str],
    /// Where the run's files are, as a user here would type it.
    pub directory: &'a str,
}

/// What stands against *valid* and is said neither by the verdict's sentence nor beside a proof.
fn further_reasons(verdict: &VerdictRecord) -> impl Iterator<Item = &Reason> {
    let proved = verdict.checks.iter().filter(|check| check.witness.is_some());
    let said: Vec<&str> =
        proved.map(|check| &*check.sentence).chain([&*verdict.sentence]).collect();
    verdict
        .reasons
        .iter()
        .filter(move |reason| !said.iter().any(|said| said.contains(&*reason.text)))
}

/// What `--format json` prints: the verdict, where its files are, and how to ask for the run again.
#[derive(Serialize)]
struct Document<'a> {
    #[serde(flatten)]
    verdict: &'a VerdictRecord,
    results: &'a str,
    repro: &'a str,
}

/// The run as one JSON object; its `format` is that of `verdict.json`, whose keys it has.
pub fn json(run: &Run<'_>) -> String {
    let document =
        Document { verdict: run.verdict, results: run.directory, repro: &run.record.repro };
    serde_json::to_string_pretty(&document).expect("a record has string keys only")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_the_verdict_and_where_to_go_from_there() {
        let sample = sample::invalid(10);
        let value: serde_json::Value =
            serde_json::from_str(&json(&sample.run())).expect("it is JSON");
        assert_eq!(value["validity"], "invalid");
        assert_eq!(value["format"], records::record::FORMAT);
        assert_eq!(value["repro"], sample.record.repro.as_str());
        assert_eq!(value["results"], sample.run().directory);
        let verdict =
            serde_json::from_value::<VerdictRecord>(value).expect("it has a verdict's keys");
        assert_eq!(verdict, sample.verdict);
    }
}
