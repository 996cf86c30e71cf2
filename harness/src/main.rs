//! Breaks a distributed system on purpose and proves whether it lied.

mod bench;
mod cli;
#[cfg(test)]
#[path = "../tests/not_run/mod.rs"]
mod not_run;
mod scenario;
mod web;

fn main() -> std::process::ExitCode {
    cli::main()
}
