//! Renders a finished run for people and programs: values in, text out.
//!
//! [`text`] is for the terminal, [`html`] for the page beside the history, [`json`] for programs,
//! [`Export`] for other tools. All of them show the same record and decide nothing: the words are the verdict's. Nothing here
//! reads a file, a clock or the environment, and only [`Live`] prints. Whatever comes out of a
//! history or a log is shown as text: it can neither become markup nor steer the terminal.

#[cfg(test)]
mod browser_tests;
mod columns;
mod cycle;
mod export;
mod facts;
mod followers;
mod html;
mod live;
mod markup;
mod measured;
mod observed;
mod outline;
mod phrase;
mod plot;
mod proof;
#[cfg(test)]
pub(crate) mod sample;
#[cfg(test)]
pub(crate) mod schema;
mod series;
mod staleness;
mod style;
pub(crate) mod suite;
mod text;
mod timeline;

pub(crate) use export::Export;
pub(crate) use html::html;
pub(crate) use live::{Live, Snapshot, say};
pub(crate) use phrase::visible;
pub(crate) use style::Style;
pub(crate) use text::{quote, text};

use crate::store::record::{Reason, RunRecord, VerdictRecord};
use crate::store::sights::Observed;
use checker::History;
use serde::Serialize;

/// A finished run, as much of it as a report shows.
#[derive(Clone, Copy)]
pub(crate) struct Run<'a> {
    /// What was asked, and of which machine.
    pub(crate) record: &'a RunRecord,
    /// What came of it.
    pub(crate) verdict: &'a VerdictRecord,
    /// Every operation.
    pub(crate) history: &'a History,
    /// What was seen of the replicas meanwhile, and their logs; for the eye only.
    pub(crate) observed: &'a Observed,
    /// Where the run's files are, as a user here would type it.
    pub(crate) directory: &'a str,
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
pub(crate) fn json(run: &Run<'_>) -> String {
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
        assert_eq!(value["format"], crate::store::record::FORMAT);
        assert_eq!(value["repro"], sample.record.repro.as_str());
        assert_eq!(value["results"], sample.run().directory);
        let verdict =
            serde_json::from_value::<VerdictRecord>(value).expect("it has a verdict's keys");
        assert_eq!(verdict, sample.verdict);
    }
}
