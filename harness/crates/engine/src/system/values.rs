//! Parses values strictly, so that a corrupted value does not look like a written one. Pure.

use checker::history::Value;

/// A number in the form in which clients write it; any other text stays text, so that the checks
/// report it. `+7`, `007` and `-0` parse as numbers, but no client writes them.
pub(super) fn parse_int(text: &str) -> Value {
    let number = text.parse::<i64>().ok().filter(|number| number.to_string() == text);
    number.map_or_else(|| Value::from(text), Value::Int)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_client_writes_is_a_number() {
        for number in [0, 7, -7, i64::MIN, i64::MAX] {
            assert_eq!(parse_int(&number.to_string()), Value::Int(number));
        }
        for text in ["+7", "007", "-0", " 7", "7\n", "", "junk", "9223372036854775808"] {
            assert_eq!(parse_int(text), Value::from(text));
        }
    }
}
