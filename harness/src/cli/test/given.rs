//! Reads only those options of `harness test` that are on the command line.

use super::table::{build_argument, given_value};
use clap::{ArgMatches, Command};
use records::config::{OPTIONS, TestOption};
use serde_json::Value;

/// Options that a hunt decides itself.
const DECIDED: [&str; 5] = ["capture", "fail-fast", "schedule", "seed", "swarm"];

/// Options with the values that they were given.
#[derive(Clone, Debug)]
pub(crate) struct GivenOptions(pub(crate) Vec<(&'static TestOption, Value)>);

fn hunt_options() -> impl Iterator<Item = &'static TestOption> {
    OPTIONS.iter().filter(|option| !DECIDED.contains(&option.name))
}

impl clap::Args for GivenOptions {
    fn augment_args(command: Command) -> Command {
        command.args(hunt_options().map(|option| build_argument(option).default_value(None)))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl clap::FromArgMatches for GivenOptions {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let is_given = |option: &&'static TestOption| {
            matches.value_source(option.name) == Some(clap::parser::ValueSource::CommandLine)
        };
        let given = hunt_options().filter(is_given);
        Ok(Self(given.filter_map(|it| Some((it, given_value(it, matches)?))).collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{Args as _, FromArgMatches as _};

    fn parse_given(line: &str) -> Vec<(&'static str, Value)> {
        let command = GivenOptions::augment_args(Command::new("hunt"));
        let matches = command.get_matches_from(line.split(' '));
        let given = GivenOptions::from_arg_matches(&matches).expect("it can be read");
        given.0.into_iter().map(|(option, value)| (option.name, value)).collect()
    }

    #[test]
    fn defaults_are_not_given() {
        assert_eq!(parse_given("hunt"), []);
        let given = parse_given("hunt --nodes 5 --workload append,set --unsafe x --unsafe y");
        let expected = serde_json::json!([5, "append,set", ["x", "y"]]);
        let values: Vec<Value> = given.iter().map(|(_, value)| value.clone()).collect();
        assert_eq!(Value::from(values), expected);
    }
}
