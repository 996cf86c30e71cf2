//! Parses options whose values a library lists, each with its name and its description.

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};

/// Accepts the names of this list; `--help` and completions show them with their descriptions.
pub(crate) fn choice_parser<T: Copy + Send + Sync + 'static>(
    choices: &'static [(T, &'static str, &'static str)],
) -> impl TypedValueParser<Value = T> {
    let values = choices.iter().map(|(_, name, help)| PossibleValue::new(*name).help(*help));
    PossibleValuesParser::new(values).try_map(|given: String| {
        let found = choices.iter().find(|(_, name, _)| *name == given);
        found.map(|(choice, ..)| *choice).ok_or("there is no such value")
    })
}
