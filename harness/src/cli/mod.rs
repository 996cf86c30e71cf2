//! Parses the command line, and maps the result of a command to an exit code and a message.
//!
//! Status and errors go to standard error, results to standard output. One subcommand = one file.

mod bench;
mod check;
mod choice;
mod completions;
mod doctor;
mod failure;
mod hunt;
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
use output::{Format, OutputOptions};
use std::ffi::OsString;
use std::process::ExitCode;

const EXAMPLES: &str = "\
Examples:
  harness test --nemesis partition                     cut links for 30 s, then check
  harness test --nemesis partition,kill,pause --time-limit 60s --seed 7
  harness test --nemesis partition --unsafe stale-reads    catch a seeded bug
  harness hunt --budget 30m --jobs 2                   look for bugs, and prove each one
  harness check history.jsonl --model cas-register     check any history
  harness list                                         systems, workloads, nemeses, models, bugs

Exit codes:
  0 valid   1 anomaly   2 unknown   3 not possible on this machine   130 interrupted
  254 bad arguments   255 internal error";

/// Inject faults into a distributed system and check its history for consistency violations.
#[derive(Parser)]
#[command(name = "harness", version, after_help = EXAMPLES)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
    /// Output format of results on standard output.
    #[arg(long, global = true, value_enum, default_value_t = Format::Human)]
    format: Format,
    /// Print only results and errors, no progress.
    #[arg(long, global = true)]
    quiet: bool,
}

#[derive(Subcommand)]
enum Command {
    /// Start a system, inject faults while clients use it, and check the history.
    Test(test::TestArgs),
    /// Look for bugs: play many different runs, confirm and minimize what is found.
    Hunt(hunt::HuntArgs),
    /// Run a matrix of tests and summarize their outcomes.
    Suite(suite::SuiteArgs),
    /// Check histories of this or another tool against a model.
    Check(check::CheckArgs),
    /// Benchmark parts of this tool on inputs generated from a seed.
    Bench(bench::BenchArgs),
    /// Write the report of a run again and print its summary.
    Report(report::ReportArgs),
    /// Run the simulator over many seeds; report the first failure.
    Sim(sim::SimArgs),
    /// Repeat a run with the same configuration, seed and schedule.
    Replay(replay::ReplayArgs),
    /// Demonstrate a property of Raft on real replicas; `--list` shows the scenarios.
    Scenario(scenario::ScenarioArgs),
    /// Write a template file that describes your own server.
    Init(init::InitArgs),
    /// Minimize the fault schedule of an invalid run.
    Shrink(shrink::ShrinkArgs),
    /// Verify on this machine that seeded bugs are found and correct systems pass.
    Selftest,
    /// List finished runs.
    Runs(runs::RunsArgs),
    /// Serve a web page of all runs, finished and running.
    Serve(serve::ServeArgs),
    /// Show what this machine supports, and how to enable the rest.
    Doctor,
    /// List systems, workloads, nemeses, models and seeded bugs.
    List,
    /// Print shell completions.
    Completions(completions::CompletionsArgs),
    /// Run one replica of the built-in key-value store.
    #[command(disable_help_flag = true)]
    Node {
        /// Arguments of the replica; see `harness node --help`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<OsString>,
    },
}

/// Runs the command of the command line.
pub(crate) fn main() -> ExitCode {
    let began = std::time::Instant::now();
    let cli =
        match build_command().try_get_matches().and_then(|found| Cli::from_arg_matches(&found)) {
            Ok(cli) => cli,
            Err(error) => return report_misuse(&error),
        };
    match std::panic::catch_unwind(move || dispatch(cli, began)) {
        Ok(Ok(code)) => code,
        Ok(Err(error)) => {
            engine::live::print_stderr(&format!("harness: {}", failure::error_message(&error)));
            failure::exit_code(&error)
        }
        // The panic hook has printed its message on standard error.
        Err(_) => ExitCode::from(failure::INTERNAL),
    }
}

/// The command line. It parses a negative number as a value, so that the error names the option
/// that rejects it.
fn build_command() -> clap::Command {
    fn allow_negative_numbers(command: clap::Command) -> clap::Command {
        let option = |arg: &clap::Arg| arg.get_long().is_some() && arg.get_action().takes_values();
        let allow =
            |arg: clap::Arg| if option(&arg) { arg.allow_negative_numbers(true) } else { arg };
        command.mut_args(allow).mut_subcommands(allow_negative_numbers)
    }
    allow_negative_numbers(Cli::command())
}

fn dispatch(cli: Cli, began: std::time::Instant) -> anyhow::Result<ExitCode> {
    let options = OutputOptions { format: cli.format, quiet: cli.quiet };
    match cli.command {
        Command::Test(args) => test::main(&args, options, began),
        Command::Hunt(args) => hunt::main(&args, options),
        Command::Suite(args) => suite::main(&args, options),
        Command::Check(args) => check::main(&args, cli.format),
        Command::Bench(args) => bench::main(&args, cli.format),
        Command::Report(args) => report::main(&args, cli.format),
        Command::Sim(args) => sim::main(&args, cli.format),
        Command::Replay(args) => replay::main(&args, options, began),
        Command::Scenario(args) => scenario::main(&args, cli.format),
        Command::Init(args) => init::main(&args, cli.format),
        Command::Shrink(args) => shrink::main(&args, cli.format),
        Command::Selftest => selftest::main(options),
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

/// Prints help, version or an error; only an error exits with [`failure::USAGE`].
fn report_misuse(error: &clap::Error) -> ExitCode {
    // If standard error is closed, the message is lost.
    drop(error.print());
    if error.use_stderr() { ExitCode::from(failure::USAGE) } else { ExitCode::SUCCESS }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_line_is_consistent() {
        build_command().debug_assert();
    }

    #[test]
    fn rejects_a_negative_number_as_the_value_of_its_option() {
        for option in ["--nodes", "--rate", "--seed", "--concurrency"] {
            let line = ["harness", "test", option, "-3"];
            let refused =
                build_command().try_get_matches_from(line).expect_err("it is no such number");
            assert!(
                refused.to_string().contains(&format!("invalid value '-3' for '{option}")),
                "{refused}"
            );
        }
    }
}
