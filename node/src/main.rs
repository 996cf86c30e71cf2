//! Runs one replica of the key-value store; `harness node` is the same command.

use std::process::ExitCode;

fn main() -> ExitCode {
    node::server::main(std::env::args_os())
}
