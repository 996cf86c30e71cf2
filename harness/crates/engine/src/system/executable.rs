//! Finds installed programs.

use nix::unistd::{AccessFlags, access};
use std::path::PathBuf;

/// The program of that name that a shell would find.
pub(super) fn find_on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let all = std::env::split_paths(&path).map(|folder| folder.join(name));
    all.into_iter().find(|file| file.is_file() && access(file, AccessFlags::X_OK).is_ok())
}
