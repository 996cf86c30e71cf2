//! Says in words what a check measured besides: counts, and distributions by their quantiles.

use records::record::CheckRecord;
use serde_json::Value;

/// What is worth a line each: numbers that are not 0, and distributions of more than nothing.
pub(super) fn measured(check: &CheckRecord) -> Vec<String> {
    let line = |(name, value): (&String, &Value)| {
        Some(format!(
            "{} {}",
            name.replace('_', " "),
            number(value).or_else(|| distribution(value))?
        ))
    };
    check.measured.iter().filter_map(line).collect()
}

fn number(value: &Value) -> Option<String> {
    value.as_f64().filter(|number| *number != 0.0).map(short)
}

/// `p50 0, p99 6168.8, max 16723.2 of 2805`
fn distribution(value: &Value) -> Option<String> {
    let quantile = |name: &str| value.get(name)?.as_f64();
    let (count, max) = (value.get("count")?.as_u64()?, quantile("max").filter(|max| *max > 0.0)?);
    let (p50, p99) = (quantile("p50")?, quantile("p99")?);
    Some(format!("p50 {}, p99 {}, max {} of {count}", short(p50), short(p99), short(max)))
}

/// With one digit after the point, if it needs any.
fn short(number: f64) -> String {
    let rounded = (number * 10.0).round() / 10.0;
    format!("{rounded}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use records::record::Validity;
    use serde_json::json;

    #[test]
    fn numbers_and_distributions_are_told_and_nothings_are_not() {
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
        assert_eq!(measured(&check), told);
    }
}
