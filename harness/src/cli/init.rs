//! `harness init`: writes a template that describes a system.

use super::failure::Failure;
use super::output::{Format, print};
use anyhow::Result;
use engine::system::custom::{EXTENSION, STARTER};
use serde_json::json;
use std::fs::File;
use std::io::{ErrorKind, Write as _};
use std::process::ExitCode;

/// Options of `harness init`.
#[derive(clap::Args)]
pub(crate) struct InitArgs {
    /// Name of your system; the file is NAME.toml in the current directory.
    name: String,
}

/// Runs `harness init`.
pub(crate) fn main(args: &InitArgs, format: Format) -> Result<ExitCode> {
    let name = args.name.strip_suffix(EXTENSION).unwrap_or(&args.name);
    if name.is_empty() || !name.chars().all(|it| it.is_ascii_alphanumeric() || it == '-') {
        let why = format!("{name:?} is not a system name: use letters, digits and hyphens");
        return Err(Failure::Usage(why).into());
    }
    let path = format!("{name}{EXTENSION}");
    let text = STARTER.replace("mykv", name).replace("THIS.toml", &path);
    File::create_new(&path).and_then(|mut file| file.write_all(text.as_bytes())).map_err(
        |why| match why.kind() {
            ErrorKind::AlreadyExists => {
                Failure::Usage(format!("{path} already exists: choose another name, or remove it"))
            }
            _ => Failure::Machine(format!("cannot write {path}: {why}")),
        },
    )?;
    match format {
        Format::Human => print(&format!(
            "{path}: fill in the start command and the requests, then run: \
             harness test --system {path}"
        ))?,
        Format::Json => print(&json!({ "format": 1, "file": path }).to_string())?,
    }
    Ok(ExitCode::SUCCESS)
}
