//! Reads the command line, and turns whatever comes of a command into an exit code and a sentence.
//!
//! Status and errors go to standard error, results to standard output. One subcommand = one file.

mod bench;
mod check;
mod completions;
mod doctor;
mod failure;
mod init;
mod list;
mod output;
mod replay;
mod report;
mod runs;
mod scenario;
mod selftest;
mod serve;
mod shrink;
mod sim;
mod suite;
mod test;

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use output::{Format, Telling};
use std::ffi::OsString;
use std::process::ExitCode;

const EXAMPLES: &str = "\
Examples:
  harness test --nemesis partition                     break links for 30 s, then judge
  harness test --nemesis partition,kill,pause --time-limit 60s --seed 7
  harness test --nemesis partition --unsafe stale-reads    watch a seeded bug being caught
  harness check history.jsonl --model cas-register     judge any history
  harness list                                         systems, workloads, nemeses, models, bugs

Exit codes:
  0 valid   1 anomaly   2 unknown   3 this machine cannot   130 interrupted   254 bad arguments   255 internal error";

/// Breaks a distributed system on purpose and proves whether it lied.
#[derive(Parser)]
#[command(name = "harness", version, after_help = EXAMPLES)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
    /// How results are printed on standard output.
    #[arg(long, global = true, value_enum, default_value_t = Format::Human)]
    format: Format,
    /// Say nothing while it lasts; only results, and what goes wrong.
    #[arg(long, global = true)]
    quiet: bool,
}

#[derive(Subcommand)]
enum Command {
    /// Starts a system, breaks it while clients use it, and judges what they were told.
    Test(test::Args),
    /// Carries out many runs, a matrix of them, and tells what came of them all.
    Suite(suite::Args),
    /// Judges histories: ours, or another tool's.
    Check(check::Args),
    /// Times parts of this tool on inputs made from a seed.
    Bench(bench::Args),
    /// Writes a run's report again, and says what came of the run.
    Report(report::Args),
    /// Lives through thousands of simulated runs of the node's brain, and tells how one goes wrong.
    Sim(sim::Args),
    /// Carries out a run again: same configuration, seed and schedule.
    Replay(replay::Args),
    /// Plays a question about Raft on real replicas and tells the story; `--list` shows the questions.
    Scenario(scenario::Args),
    /// Writes a file that describes your own server, to start from.
    Init(init::Args),
    /// Makes the schedule of a run that went wrong as small as it can.
    Shrink(shrink::Args),
    /// Proves on this machine that bugs are convicted and what is right is acquitted.
    Selftest,
    /// Lists runs that are over.
    Runs(runs::Args),
    /// Lets a browser look at all runs: those that are over and those that are going on.
    Serve(serve::Args),
    /// Says what this machine can do, and how to mend what it cannot.
    Doctor,
    /// Lists systems, workloads, nemeses, models and seeded bugs.
    List,
    /// Prints completions for a shell.
    Completions(completions::Args),
    /// Is one replica of the key-value store that comes with this tool.
    #[command(disable_help_flag = true)]
    Node {
        /// What the replica is told; `harness node --help` explains.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<OsString>,
    },
}

/// Runs the command that was asked for.
pub(crate) fn main() -> ExitCode {
    let began = std::time::Instant::now();
    let cli = match command().try_get_matches().and_then(|found| Cli::from_arg_matches(&found)) {
        Ok(cli) => cli,
        Err(error) => return misused(&error),
    };
    match std::panic::catch_unwind(move || dispatch(cli, began)) {
        Ok(Ok(code)) => code,
        Ok(Err(error)) => {
            engine::live::say(&format!("harness: {}", failure::sentence(&error)));
            failure::code(&error)
        }
        // The panic has told its own story on standard error.
        Err(_) => ExitCode::from(failure::INTERNAL),
    }
}

/// The command line, in which a negative number is a value that is refused by name, not an argument nobody knows.
fn command() -> clap::Command {
    fn numbers(command: clap::Command) -> clap::Command {
        let option = |arg: &clap::Arg| arg.get_long().is_some() && arg.get_action().takes_values();
        let allow =
            |arg: clap::Arg| if option(&arg) { arg.allow_negative_numbers(true) } else { arg };
        command.mut_args(allow).mut_subcommands(numbers)
    }
    numbers(Cli::command())
}

fn dispatch(cli: Cli, began: std::time::Instant) -> anyhow::Result<ExitCode> {
    let telling = Telling { format: cli.format, quiet: cli.quiet };
    match cli.command {
        Command::Test(args) => test::main(&args, telling, began),
        Command::Suite(args) => suite::main(&args, telling),
        Command::Check(args) => check::main(&args, cli.format),
        Command::Bench(args) => bench::main(&args, cli.format),
        Command::Report(args) => report::main(&args, cli.format),
        Command::Sim(args) => sim::main(&args, cli.format),
        Command::Replay(args) => replay::main(&args, telling, began),
        Command::Scenario(args) => scenario::main(&args, cli.format),
        Command::Init(args) => init::main(&args, cli.format),
        Command::Shrink(args) => shrink::main(&args, cli.format),
        Command::Selftest => selftest::main(telling),
        Command::Runs(args) => runs::main(&args, cli.format),
        Command::Serve(args) => serve::main(&args),
        Command::Doctor => doctor::main(cli.format),
        Command::List => list::main(cli.format),
        Command::Completions(args) => completions::main(&args, &Cli::command()),
        Command::Node { args } => {
            Ok(node::server::main(std::iter::once("harness node".into()).chain(args)))
        }
    }
}

/// Help and version are what was asked for; anything else is a bad argument.
fn misused(error: &clap::Error) -> ExitCode {
    // Nothing is left to say where standard error is closed.
    drop(error.print());
    if error.use_stderr() { ExitCode::from(failure::USAGE) } else { ExitCode::SUCCESS }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        command().debug_assert();
    }

    #[test]
    fn a_negative_number_is_refused_as_the_value_it_was_meant_to_be() {
        for option in ["--nodes", "--rate", "--seed", "--concurrency"] {
            let line = ["harness", "test", option, "-3"];
            let refused = command().try_get_matches_from(line).expect_err("it is no such number");
            assert!(
                refused.to_string().contains(&format!("invalid value '-3' for '{option}")),
                "{refused}"
            );
        }
    }
}
