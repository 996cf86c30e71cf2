//! Finds the best disk backend of this machine, by making a disk fail.

use super::backend::{BackendChoice, DiskBackend};
use super::backing::Disk;
use super::fault::Fault;
use super::overlay::Overlay;
use crate::host::sandbox;
use crate::host::thread::Host;
use anyhow::{Context as _, Result, anyhow, ensure};
use nix::libc;
use nix::unistd::mkdtemp;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::OnceLock;

/// Why nothing is mounted outside.
const NO_MOUNT_NAMESPACE: &str =
    "a mount would stay behind without a mount namespace of our own; see harness doctor";

/// The best disk backend here, or why there is none. Tried once per process.
pub fn choose_backend() -> Result<BackendChoice, String> {
    static CHOICE: OnceLock<Result<BackendChoice, String>> = OnceLock::new();
    CHOICE.get_or_init(|| try_backends(sandbox::is_inside())).clone()
}

fn try_backends(is_inside: bool) -> Result<BackendChoice, String> {
    let inside = if is_inside { Ok(()) } else { Err(anyhow!(NO_MOUNT_NAMESPACE)) };
    let Err(why) = inside.and_then(|()| in_new_directory(try_overlay)) else {
        return Ok(BackendChoice { backend: DiskBackend::Overlay, why: None });
    };
    match in_new_directory(try_seccomp) {
        Ok(()) => {
            Ok(BackendChoice { backend: DiskBackend::Seccomp, why: Some(format!("{why:#}")) })
        }
        Err(error) => Err(format!("{why:#}; and without that: {error:#}")),
    }
}

/// Why disks cannot fail here, and what to do about it.
pub fn no_disk_faults_reason() -> Option<String> {
    let why = choose_backend().err()?;
    Some(format!("unsupported here: no disk backend works ({why})"))
}

/// Why no disk can lose power here, and what to do about it.
pub fn no_power_loss_reason() -> Option<String> {
    let why = match choose_backend() {
        Ok(BackendChoice { why, .. }) => why?,
        Err(why) => why,
    };
    Some(format!("unsupported here: only a FUSE overlay tracks unsynced data ({why})"))
}

/// The best disk backend in the sandbox, or outside, and why no better one.
pub fn try_here(is_inside: bool) -> Result<String> {
    let BackendChoice { backend, why } = try_backends(is_inside).map_err(|why| anyhow!(why))?;
    let but = why.map_or_else(String::new, |why| format!("; power-loss needs FUSE: {why}"));
    Ok(format!("{}{but}", backend.describe()))
}

fn in_new_directory(attempt: impl Fn(&Path) -> Result<()>) -> Result<()> {
    let place = mkdtemp(&std::env::temp_dir().join("harness-disk-XXXXXX"))
        .context("no directory can be made to try a disk in")?;
    let tried = attempt(&place.join("data"));
    drop(fs::remove_dir_all(&place));
    tried
}

/// Loses an unsynced write, and keeps a synced one.
fn try_overlay(path: &Path) -> Result<()> {
    let mut disk = Overlay::mount(path)?;
    let file = path.join("file");
    let write = || {
        let mut file = File::create(&file)?;
        file.write_all(b"kept")?;
        file.sync_all()?;
        File::open(path)?.sync_all()?;
        file.write_all(b" lost")
    };
    write().context("cannot write a file on it")?;
    let loss = disk.lose_unsynced(0)?;
    let left = fs::read(&file).context("cannot read a file on it")?;
    ensure!(left == b"kept" && loss.bytes == 5, "a power loss left {} bytes of 4", left.len());
    Ok(())
}

/// Lets a sync fail, and another one not.
fn try_seccomp(path: &Path) -> Result<()> {
    let host = Host::shared("trial")?;
    let disk = Disk::set_up(DiskBackend::Seccomp, &host, path)?;
    let file = path.join("file");
    let sync = move || File::create(&file).and_then(|file| file.sync_all());
    host.run(sync.clone())?.context("a whole disk does not sync")?;
    disk.set_fault(Fault::IoError);
    let failed = host.run(sync)?.err().and_then(|error: io::Error| error.raw_os_error());
    ensure!(failed == Some(libc::EIO), "a sync did not fail that should have");
    Ok(())
}
