//! Breaks a distributed system on purpose and proves whether it lied.

mod bench;
mod cli;
mod evidence;
mod host;
mod nemesis;
mod net;
#[cfg(test)]
#[path = "../tests/not_run/mod.rs"]
mod not_run;
mod report;
mod run;
mod scenario;
mod sim;
mod store;
mod suite;
mod system;
mod web;

fn main() -> std::process::ExitCode {
    cli::main()
}
