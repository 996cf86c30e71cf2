//! Formats the measurements of a check: counts, and distributions by their quantiles.

use records::record::CheckRecord;
use serde_json::Value;

/// One line per measurement that is not zero.
pub(super) fn measured_lines(check: &CheckRecord) -> Vec<String> {
    let line = |(name, value): (&String, &Value)| {
        Some(format!(
            "{} {}",
            name.replace('_', " "),
            format_number(value).or_else(|| format_distribution(value))?
        ))
    };
    check.measured.iter().filter_map(line).collect()
}

fn format_number(value: &Value) -> Option<String> {
    value.as_f64().filter(|number| *number != 0.0).map(round_to_tenth)
}

/// `p50 0, p99 6168.8, max 16723.2 of 2805`
fn format_distribution(value: &Value) -> Option<String> {
    let quantile = |name: &str| value.get(name)?.as_f64();
    let (count, max) = (value.get("count")?.as_u64()?, quantile("max").filter(|max| *max > 0.0)?);
    let (p50, p99) = (quantile("p50")?, quantile("p99")?);
    Some(format!(
        "p50 {}, p99 {}, max {} of {count}",
        round_to_tenth(p50),
        round_to_tenth(p99),
        round_to_tenth(max)
    ))
}

/// Rounds to one decimal, which is left out if it is zero.
fn round_to_tenth(number: f64) -> String {
    let rounded = (number * 10.0).round() / 10.0;
    format!("{rounded}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use records::record::Validity;
    use serde_json::json;

    #[test]
    fn lists_measurements_that_are_not_zero() {
        let rows = [
            ("stale_reads", json!(799)),
            ("lost", json!(0)),
            ("staleness_ms", json!({"count": 3, "min": 0.0, "p50": 0.0, "p99": 1.26, "max": 2.0})),
            ("late_ms", json!({"count": 3, "min": 0.0, "p50": 0.0, "p99": 0.0, "max": 0.0})),
            ("replicas", json!({"n1": {}})),
            ("none", Value::Null),
        ];
        let check = CheckRecord {
            name: "session".to_owned(),
            validity: Validity::Valid,
            sentence: String::new(),
            witness: None,
            findings: Vec::new(),
            measured: rows.map(|(name, value)| (name.to_owned(), value)).into_iter().collect(),
        };
        let told = ["stale reads 799", "staleness ms p50 0, p99 1.3, max 2 of 3"];
        assert_eq!(measured_lines(&check), told);
    }
}
