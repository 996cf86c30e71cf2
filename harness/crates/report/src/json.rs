//! A run as one JSON object.

use super::run::Run;
use records::record::VerdictRecord;
use serde::Serialize;

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
    use super::super::sample;
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
