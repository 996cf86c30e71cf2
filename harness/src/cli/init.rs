//! `harness init`: writes a file that describes a system, to start from.

use super::failure::Failure;
use super::output::{Format, print};
use anyhow::Result;
use engine::system::custom::{EXTENSION, STARTER};
use serde_json::json;
use std::fs::File;
use std::io::{ErrorKind, Write as _};
use std::process::ExitCode;

/// What is to be described.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The name of your system; the file is NAME.toml, in this directory.
    name: String,
}

/// Carries out `harness init`.
pub(crate) fn main(args: &Args, format: Format) -> Result<ExitCode> {
    let name = args.name.strip_suffix(EXTENSION).unwrap_or(&args.name);
    if name.is_empty() || !name.chars().all(|it| it.is_ascii_alphanumeric() || it == '-') {
        let why = format!("{name:?} is no name for a system: letters, digits and hyphens will do");
        return Err(Failure::Usage(why).into());
    }
    let path = format!("{name}{EXTENSION}");
    let text = STARTER.replace("mykv", name).replace("THIS.toml", &path);
    File::create_new(&path)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(|why| match why.kind() {
            ErrorKind::AlreadyExists => Failure::Usage(format!(
                "{path} is there already, and nothing is written over: take another name, or remove it"
            )),
            _ => Failure::Machine(format!("{path} cannot be written: {why}")),
        })?;
    match format {
        Format::Human => print(&format!(
            "{path}: fill in how a replica is started and what is asked, then: harness test --system {path}"
        ))?,
        Format::Json => print(&json!({ "format": 1, "file": path }).to_string())?,
    }
    Ok(ExitCode::SUCCESS)
}
