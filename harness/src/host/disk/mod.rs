//! Puts a disk that can go wrong under a replica's data directory: any program's, without its knowledge.
//!
//! A [`Disk`] is a FUSE file system over a directory, mounted on that very directory in the sandbox's mount namespace, so
//! that what is below is seen there again when the mount is gone, however the harness ends. What programs write
//! arrives below at once, and a sync is a sync of what is below: never faster than the disk. The [`layer`] remembers
//! what has not been synced yet ([`unsynced`] for bytes, [`names`] for directory entries), which is what a power
//! loss takes. A [`fault::Fault`] decides how requests fare. Not modelled: extended attributes, special files, and
//! that unsynced changes may reach the disk by themselves. Nothing is durable before it is synced.

mod damage;
mod fault;
mod front;
mod layer;
mod names;
#[cfg(test)]
mod tests;
mod unsynced;

use super::sandbox;
use anyhow::{Context as _, Result, anyhow, ensure};
pub(crate) use damage::{Damage, Scar};
pub(crate) use fault::{Counts, Fault};
use front::Front;
use fuser::{BackgroundSession, Config, Session, SessionACL};
use layer::Layer;
pub(crate) use layer::Loss;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::unistd::{getgid, getuid, mkdtemp};
use std::fs::{self, File};
use std::io::Write as _;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const DEVICE: &str = "/dev/fuse";
/// Why nothing is mounted outside.
const OUTSIDE: &str =
    "a mount would stay behind without a mount namespace of our own; see harness doctor";
/// One may wait for the disk below while others are served.
const THREADS: usize = 4;

/// A disk under a directory; it is whole again, and gone, when dropped.
pub(crate) struct Disk {
    path: PathBuf,
    stash: PathBuf,
    layer: Arc<Layer>,
    session: Option<BackgroundSession>,
    /// What the layer's path to the directory below goes through: the mount hides every other way.
    _below: File,
}

impl Disk {
    /// Makes a directory and mounts a disk on it. Only where the mount namespace is our own does it not stay behind.
    pub(crate) fn mount(path: &Path) -> Result<Self> {
        fs::create_dir_all(path).with_context(|| format!("{} cannot be made", path.display()))?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let stash = path.with_file_name(format!(".{name}.unsynced"));
        fs::create_dir_all(&stash)
            .with_context(|| format!("{} cannot be made", stash.display()))?;
        let below = File::open(path)?;
        // Behind the link, not the link itself.
        let inside = PathBuf::from(format!("/proc/self/fd/{}/.", below.as_raw_fd()));
        let layer = Layer::new(inside, stash.clone())
            .with_context(|| format!("{} cannot be a disk", path.display()))?;
        let (path, layer) = (path.to_owned(), Arc::new(layer));
        let mut disk = Self { path, stash, layer, session: None, _below: below };
        disk.attach()?;
        Ok(disk)
    }

    fn attach(&mut self) -> Result<()> {
        let device = File::options().read(true).write(true).open(DEVICE);
        let device = device.with_context(|| {
            format!("{DEVICE} cannot be opened (as root run `modprobe fuse && chmod 666 {DEVICE}`)")
        })?;
        let options = format!(
            "fd={},rootmode=40000,user_id={},group_id={},default_permissions",
            device.as_raw_fd(),
            getuid(),
            getgid()
        );
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
        mount(Some("harness"), &self.path, Some("fuse"), flags, Some(options.as_str()))
            .context("the kernel refuses a FUSE mount")?;
        let mut config = Config::default();
        config.n_threads = Some(THREADS);
        let front = Front(Arc::clone(&self.layer));
        let begun = Session::from_fd(front, OwnedFd::from(device), SessionACL::Owner, config)
            .and_then(Session::spawn);
        if begun.is_err() {
            // The mount is of no use, and nobody would take it away.
            let _ = umount2(&self.path, MntFlags::MNT_DETACH);
        }
        self.session = Some(begun.context("the kernel does not speak FUSE with us")?);
        Ok(())
    }

    /// Takes the mount away; whoever still has a file open there gets errors.
    fn detach(&mut self) -> Result<()> {
        let Some(session) = self.session.take() else { return Ok(()) };
        umount2(&self.path, MntFlags::MNT_FORCE | MntFlags::MNT_DETACH)
            .with_context(|| format!("{} cannot be unmounted", self.path.display()))?;
        // Its threads end because the connection is gone, which they may call an error.
        drop(session.join());
        Ok(())
    }

    /// Changes what is wrong with it, and counts from zero again; what it did until then.
    pub(crate) fn set(&self, fault: Fault) -> Counts {
        self.layer.switch.set(fault)
    }

    /// What it did since its fault last changed.
    pub(crate) fn counts(&self) -> Counts {
        self.layer.switch.counts()
    }

    /// How many bytes were ever written to it.
    pub(crate) fn written(&self) -> u64 {
        self.layer.switch.written()
    }

    /// Whether it is holding a sync.
    pub(crate) fn is_holding(&self) -> bool {
        self.layer.switch.is_holding()
    }

    /// Loses what was not synced, but for the first so many thousandths of each file's unsynced writes. Whoever used
    /// it must be dead. Afterwards it is whole.
    pub(crate) fn lose(&mut self, thousandths: u64) -> Result<Loss> {
        self.detach()?;
        let loss = self.layer.lose(thousandths).context("what was not synced cannot be undone")?;
        self.set(Fault::Whole);
        self.attach()?;
        Ok(loss)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        self.set(Fault::Whole);
        if let Err(error) = self.detach() {
            crate::report::say(&format!("harness: {error:#}"));
        }
        // What is left of it is in the run's directory, and goes with that.
        drop(fs::remove_dir_all(&self.stash));
    }
}

impl Disk {
    /// Damages what is on it, if there is anything to damage. Whoever used it must be dead; what it had not synced
    /// has been written by then.
    pub(crate) fn damage(&mut self, damage: Damage, dice: u64) -> Result<Option<Scar>> {
        self.detach()?;
        self.layer.settle().context("what was not synced cannot be written")?;
        let scar = damage::inflict(self.layer.below(), damage, dice);
        self.attach()?;
        scar.context("nothing there can be damaged")
    }

    /// Gives back what was damaged. Whoever used it must be dead.
    pub(crate) fn heal(&mut self, scar: &Scar) -> Result<()> {
        self.detach()?;
        let healed = self.layer.settle().and_then(|()| damage::heal(scar));
        self.attach()?;
        healed.context("what was damaged cannot be given back")
    }
}

/// Why no disk can be made here, and what to do about it, as was tried just now.
pub(crate) fn unable() -> Option<String> {
    let tried = if sandbox::is_inside() { try_here() } else { Err(anyhow!(OUTSIDE)) };
    let error = tried.err()?;
    Some(format!("unsupported here: disks cannot be made to fail ({error:#})"))
}

/// Loses an unsynced write, and keeps a synced one.
pub(crate) fn try_here() -> Result<String> {
    let place = mkdtemp(&std::env::temp_dir().join("harness-disk-XXXXXX"))
        .context("no directory can be made to try a disk in")?;
    let tried = try_in(&place.join("data"));
    drop(fs::remove_dir_all(&place));
    tried
}

fn try_in(path: &Path) -> Result<String> {
    let mut disk = Disk::mount(path)?;
    let file = path.join("file");
    let write = || {
        let mut file = File::create(&file)?;
        file.write_all(b"kept")?;
        file.sync_all()?;
        File::open(path)?.sync_all()?;
        file.write_all(b" lost")
    };
    write().context("a file on it cannot be written")?;
    let loss = disk.lose(0)?;
    let left = fs::read(&file).context("a file on it cannot be read")?;
    ensure!(left == b"kept" && loss.bytes == 5, "a power loss left {} bytes of 4", left.len());
    Ok("a disk under a directory lost what was not synced, and nothing else".to_owned())
}
