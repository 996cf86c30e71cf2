//! `harness completions`: prints a script that completes our command line, and the names in it.
//!
//! The names come from the registries of the binary that prints the script. clap's generator
//! completes one name; what it writes is replaced where several may be given, or a file.

use super::output::print;
use crate::scenario::SCENARIOS;
use anyhow::Result;
use clap::Command;
use clap::builder::PossibleValuesParser;
use clap_complete::Shell;
use engine::run::options::registered_names;
use engine::suite::matrix::SUITES;
use records::config::{NameSource, OPTIONS, OptionKind};
use std::process::ExitCode;

/// What stands for several nemeses.
const NEMESIS_GROUPS: [&str; 2] = ["all", "disk"];

/// Which shell.
#[derive(clap::Args)]
pub(crate) struct CompletionsArgs {
    /// The shell.
    shell: Shell,
}

/// Carries out `harness completions`.
pub(crate) fn main(args: &CompletionsArgs, command: &Command) -> Result<ExitCode> {
    print(&completion_script(args.shell, command, &named_arguments()))?;
    Ok(ExitCode::SUCCESS)
}

/// An argument of a subcommand that names something.
struct NamedArgument {
    command: &'static str,
    argument: &'static str,
    names: Vec<String>,
    form: NameForm,
}

/// What an argument may have besides one name.
#[derive(Clone, Copy, PartialEq, Eq)]
enum NameForm {
    /// Nothing.
    One,
    /// More names, after commas.
    List,
    /// A file instead.
    OrFile,
}

fn named_arguments() -> Vec<NamedArgument> {
    let owned = |names: Vec<&str>| names.into_iter().map(str::to_owned).collect();
    let named = |command, argument, names, form| NamedArgument { command, argument, names, form };
    let models = owned(checker::registry::known_names());
    let scenarios = owned(SCENARIOS.iter().map(|scenario| scenario.name).collect());
    let suites = owned(SUITES.iter().map(|(name, _)| *name).collect());
    let workloads = registered_names(NameSource::Workloads);
    let bugs = owned(super::sim::bug_names());
    let variations = owned(super::sim::variation_names());
    let mut all = test_arguments();
    all.extend([
        named("check", "model", models, NameForm::One),
        named("scenario", "name", scenarios, NameForm::One),
        named("sim", "bugs", bugs, NameForm::List),
        named("sim", "variations", variations, NameForm::List),
        named("sim", "workload", workloads, NameForm::One),
        named("suite", "suite", suites, NameForm::OrFile),
    ]);
    all.retain(|argument| !argument.names.is_empty());
    all
}

/// Those of `harness test`, as the table of options has them.
fn test_arguments() -> Vec<NamedArgument> {
    let arguments = OPTIONS.iter().filter_map(|option| {
        let (source, form) = match option.kind {
            OptionKind::Name(NameSource::Systems) => (NameSource::Systems, NameForm::OrFile),
            OptionKind::Name(source) => (source, NameForm::One),
            OptionKind::NameList(source) | OptionKind::NameSet(source) => (source, NameForm::List),
            _ => return None,
        };
        let mut names = registered_names(source);
        if source == NameSource::Nemeses {
            names.extend(NEMESIS_GROUPS.map(str::to_owned));
        }
        Some(NamedArgument { command: "test", argument: option.name, names, form })
    });
    arguments.collect()
}

fn completion_script(shell: Shell, command: &Command, named: &[NamedArgument]) -> String {
    let mut command = named_values(command, named);
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, "harness", &mut script);
    let mut script = String::from_utf8_lossy(&script).into_owned();
    for argument in named {
        if let Some((from, to)) = completion_patch(shell, &argument.names, argument.form) {
            script = script.replace(&from, &to);
        }
        // For fish the generator leaves out what is no option.
        if shell == Shell::Fish && is_positional(&command, argument) {
            script += &fish_positional(argument);
        }
    }
    script
}

/// The command line, with the names as the values that arguments accept.
fn named_values(command: &Command, named: &[NamedArgument]) -> Command {
    command.clone().mut_subcommands(|command| {
        let of = command.get_name().to_owned();
        command.mut_args(|arg| {
            let found = named.iter().find(|it| it.command == of && arg.get_id() == it.argument);
            let Some(found) = found else { return arg };
            // A default need not be one of the names: `partition,kill` is two.
            arg.value_parser(PossibleValuesParser::new(found.names.clone()))
                .default_values(None::<&str>)
        })
    })
}

fn is_positional(command: &Command, named: &NamedArgument) -> bool {
    let command = command.find_subcommand(named.command);
    let mut positionals = command.into_iter().flat_map(Command::get_positionals);
    positionals.any(|arg| arg.get_id() == named.argument)
}

fn fish_positional(argument: &NamedArgument) -> String {
    let NamedArgument { command, names, form, .. } = argument;
    let files = if *form == NameForm::OrFile { "" } else { " -f" };
    let names = names.join(" ");
    format!(
        "complete -c harness -n \"__fish_harness_using_subcommand {command}\"{files} \
         -a \"{names}\"\n"
    )
}

/// What the generator writes for one of these names, and what completes several, or a file.
fn completion_patch(shell: Shell, names: &[String], form: NameForm) -> Option<(String, String)> {
    let words = names.join(" ");
    match (shell, form) {
        (Shell::Bash, NameForm::List) => Some((
            format!(r#"compgen -W "{words}" -- "${{cur}}""#),
            format!(r#"compgen -P "${{cur%"${{cur##*,}}"}}" -W "{words}" -- "${{cur##*,}}""#),
        )),
        (Shell::Bash, NameForm::OrFile) => Some((
            format!(r#"$(compgen -W "{words}" -- "${{cur}}")"#),
            format!(r#"$(compgen -W "{words}" -- "${{cur}}") $(compgen -f -- "${{cur}}")"#),
        )),
        (Shell::Zsh, NameForm::List) => {
            Some((format!(":({words})'"), format!(": _values -s , name {words}'")))
        }
        (Shell::Zsh, NameForm::OrFile) => Some((
            format!(":({words})'"),
            format!(r#": _alternative "names:name:({words})" "files:file:_files"'"#),
        )),
        (Shell::Fish, NameForm::List) => Some((
            fish_names(names),
            format!(r#" -r -f -a "(__fish_complete_list , 'printf %s\\n {words}')""#),
        )),
        (Shell::Fish, NameForm::OrFile) => {
            let plain = fish_names(names);
            Some((plain.clone(), plain.replace(" -r -f", " -r -F")))
        }
        _ => None,
    }
}

fn fish_names(names: &[String]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!(r"{name}\t''")).collect();
    format!(" -r -f -a \"{}\"", names.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::super::Cli;
    use super::*;
    use clap::CommandFactory as _;
    use engine::nemesis::parse_request;

    /// The script, with bugs that no other argument has: in a unit test systems cannot list theirs.
    fn test_script(shell: Shell) -> String {
        let mut named = named_arguments();
        let bugs = vec!["some-bug".to_owned(), "other-bug".to_owned()];
        let (command, argument, form) = ("test", "unsafe", NameForm::List);
        named.retain(|it| (it.command, it.argument) != (command, argument));
        named.push(NamedArgument { command, argument, names: bugs, form });
        completion_script(shell, &Cli::command(), &named)
    }

    #[test]
    fn every_shell_completes_names() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let script = test_script(shell);
            for argument in named_arguments() {
                for name in &argument.names {
                    let NamedArgument { command, argument, .. } = argument;
                    assert!(script.contains(name), "{shell}: {command} {argument}: no {name}");
                }
            }
        }
    }

    #[test]
    fn lists_and_files_are_completed_where_they_may_be_given() {
        for (shell, list, file) in [
            (Shell::Bash, "${cur##*,}\"))", "zookeeper\" -- \"${cur}\") $(compgen -f"),
            (Shell::Zsh, ": _values -s , name some-bug other-bug'", "_files\"'"),
            (
                Shell::Fish,
                "(__fish_complete_list , 'printf %s\\\\n some-bug other-bug')",
                " -r -F -a",
            ),
        ] {
            let script = test_script(shell);
            assert!(script.contains(list), "{shell}: no list in\n{script}");
            assert!(script.contains(file), "{shell}: no file in\n{script}");
        }
    }

    #[test]
    fn bash_completes_the_last_name_of_a_list() {
        let line = "\
            COMP_WORDS=(harness test --nemesis partition,ki) COMP_CWORD=3\n\
            _harness harness partition,ki --nemesis\n\
            echo \"${COMPREPLY[*]}\"";
        let script = format!("{}\n{line}", test_script(Shell::Bash));
        let output = std::process::Command::new("bash").args(["-c", &script]).output();
        let Ok(output) = output else { return println!("NOT RUN: there is no bash") };
        let words = String::from_utf8_lossy(&output.stdout);
        assert_eq!(words.trim(), "partition,kill", "{}", String::from_utf8_lossy(&output.stderr));
    }

    #[test]
    fn the_groups_of_nemeses_exist() {
        for group in NEMESIS_GROUPS {
            assert!(parse_request(group).is_ok_and(|request| request.len() > 1), "{group}");
        }
    }
}
