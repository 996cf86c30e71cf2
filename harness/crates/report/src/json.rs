//! Renders a run as one JSON object.

use super::run::Run;
use records::record::VerdictRecord;
use serde::Serialize;

/// The output of `--format json`: the verdict, the results directory and the command to repeat.
#[derive(Serialize)]
struct Document<'a> {
    #[serde(flatten)]
    verdict: &'a VerdictRecord,
    results: &'a str,
    repro: &'a str,
}

/// Renders the run as one JSON object: the keys of `verdict.json`, and two more.
pub fn json(run: &Run<'_>) -> String {
    let document =
        Document { verdict: run.verdict, results: run.directory, repro: &run.record.repro };
    serde_json::to_string_pretty(&document).expect("a record has string keys only")
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn writes_the_verdict_with_results_and_repro() {
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
