//! Makes clap's arguments of `harness test` from the table of options, and reads them back.

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser as _};
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command};
use engine::run::options::{OptionValues, help_text, parse_value};
use engine::run::swarm::GivenOptions;
use records::config::{OPTIONS, OptionKind, TestOption};
use serde_json::Value;

/// The arguments after `--`, which are given to each replica, too.
const LAST: &str = "last";
/// The option that they are added to.
const LAST_OPTION: &str = "node-arg";

/// What a run is asked for.
#[derive(Clone, Debug)]
pub(crate) struct TestArgs {
    /// The values of all options: given, or their defaults.
    pub(super) values: OptionValues,
    /// The options that were given.
    pub(super) given: GivenOptions,
}

impl clap::Args for TestArgs {
    fn augment_args(command: Command) -> Command {
        command.args(OPTIONS.iter().map(build_argument)).arg(trailing_argument())
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl clap::FromArgMatches for TestArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut values = OptionValues::defaults();
        let given = OPTIONS.iter().map(|option| option.name);
        let given = given
            .filter(|name| matches.value_source(name) == Some(ValueSource::CommandLine))
            .collect();
        for option in OPTIONS {
            if let Some(value) = given_value(option, matches) {
                values.set(option, value);
            }
        }
        Ok(Self { values, given })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

pub(super) fn build_argument(option: &'static TestOption) -> Arg {
    let value_name = match option.value_name {
        "" => option.name.to_uppercase().replace('-', "_"),
        name => name.to_owned(),
    };
    let argument = Arg::new(option.name)
        .long(option.name)
        .help(help_text(option))
        .value_name(value_name)
        .default_values(option.default)
        .aliases(option.alias);
    let argument = argument.conflicts_with_all(option.replaces);
    let read = move |text: &str| parse_value(option, text);
    match option.kind {
        OptionKind::Flag => argument.action(ArgAction::SetTrue),
        OptionKind::Choice(words) => {
            let words = words.iter().map(|(word, help)| PossibleValue::new(*word).help(*help));
            argument.value_parser(PossibleValuesParser::new(words).map(Value::from))
        }
        OptionKind::NameSet(_) => argument.action(ArgAction::Append).value_parser(read),
        OptionKind::Words => {
            let argument = argument.action(ArgAction::Append).value_parser(read);
            argument.allow_hyphen_values(true)
        }
        _ => argument.value_parser(read),
    }
}

fn trailing_argument() -> Arg {
    Arg::new(LAST)
        .value_name("ARG")
        .help(format!("Pass these words to each replica, as `--{LAST_OPTION}` does"))
        .action(ArgAction::Append)
        .num_args(0..)
        .last(true)
}

/// The value that the command line has for an option; none where that is its default.
pub(super) fn given_value(option: &TestOption, matches: &ArgMatches) -> Option<Value> {
    match option.kind {
        OptionKind::Flag => Some(matches.get_flag(option.name).into()),
        OptionKind::NameSet(_) | OptionKind::Words => {
            let lists = matches.get_many::<Value>(option.name).into_iter().flatten();
            let words = lists.filter_map(Value::as_array).flatten().cloned();
            Some(words.chain(trailing_words(option, matches)).collect())
        }
        _ => matches.get_one::<Value>(option.name).cloned(),
    }
}

fn trailing_words(option: &TestOption, matches: &ArgMatches) -> impl Iterator<Item = Value> {
    // A command may be without them.
    let words = matches.try_get_many::<String>(LAST).ok().flatten();
    let words = words.filter(|_| option.name == LAST_OPTION);
    words.into_iter().flatten().cloned().map(Value::from)
}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
