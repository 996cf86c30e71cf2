//! Mounts a FUSE file system on a data directory, whose requests pass through a [`OverlayFs`].
//!
//! It is mounted over its own directory, in the sandbox's mount namespace, so that the directory
//! reappears when the mount is gone, however the harness ends. A write reaches the directory at
//! once, and a sync syncs the directory: it is never faster than the disk. The layer tracks
//! unsynced data, which a power loss takes. Not modelled: extended attributes, special files, and
//! unsynced changes that reach the disk by themselves. Nothing is durable before it is synced.

use super::fault::{Fault, FaultInjector};
use super::fuse::FuseServer;
use super::overlay_fs::{LostWrites, OverlayFs};
use anyhow::{Context as _, Result};
use fuser::{BackgroundSession, Config, Session, SessionACL};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::unistd::{getgid, getuid};
use std::fs::{self, File};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const DEVICE: &str = "/dev/fuse";
/// One may wait for the disk below while others are served.
const WORKER_THREADS: usize = 4;

/// A mount over a directory; it is whole again, and gone, when dropped.
pub(super) struct Overlay {
    path: PathBuf,
    stash: PathBuf,
    overlay_fs: Arc<OverlayFs>,
    session: Option<BackgroundSession>,
    /// What the layer's path to the directory below goes through: the mount hides every other way.
    _lower_dir: File,
}

impl Overlay {
    /// Makes a directory and mounts a disk on it. Outside of a mount namespace of ours, the mount
    /// would stay behind.
    pub(super) fn mount(path: &Path) -> Result<Self> {
        fs::create_dir_all(path).with_context(|| format!("cannot create {}", path.display()))?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let stash = path.with_file_name(format!(".{name}.unsynced"));
        fs::create_dir_all(&stash).with_context(|| format!("cannot create {}", stash.display()))?;
        let below = File::open(path)?;
        // Behind the link, not the link itself.
        let inside = PathBuf::from(format!("/proc/self/fd/{}/.", below.as_raw_fd()));
        let overlay_fs = OverlayFs::new(inside, stash.clone())
            .with_context(|| format!("{} cannot be a disk", path.display()))?;
        let (path, overlay_fs) = (path.to_owned(), Arc::new(overlay_fs));
        let mut disk = Self { path, stash, overlay_fs, session: None, _lower_dir: below };
        disk.mount_fuse()?;
        Ok(disk)
    }

    fn mount_fuse(&mut self) -> Result<()> {
        let device = File::options().read(true).write(true).open(DEVICE);
        let device = device.with_context(|| {
            format!("cannot open {DEVICE} (as root run `modprobe fuse && chmod 666 {DEVICE}`)")
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
        config.n_threads = Some(WORKER_THREADS);
        let server = FuseServer(Arc::clone(&self.overlay_fs));
        let begun = Session::from_fd(server, OwnedFd::from(device), SessionACL::Owner, config)
            .and_then(Session::spawn);
        if begun.is_err() {
            // The mount is unusable, and only this code can remove it.
            let _ = umount2(&self.path, MntFlags::MNT_DETACH);
        }
        self.session = Some(begun.context("the kernel does not speak FUSE with us")?);
        Ok(())
    }

    /// Unmounts the disk; processes with open files there get errors.
    fn unmount_fuse(&mut self) -> Result<()> {
        let Some(session) = self.session.take() else { return Ok(()) };
        umount2(&self.path, MntFlags::MNT_FORCE | MntFlags::MNT_DETACH)
            .with_context(|| format!("cannot unmount {}", self.path.display()))?;
        // Its threads end because the connection is gone, which they may call an error.
        drop(session.join());
        Ok(())
    }

    /// What is wrong with it.
    pub(super) fn injector(&self) -> &FaultInjector {
        &self.overlay_fs.injector
    }

    /// Loses unsynced data, but for the first so many thousandths of each file's unsynced writes.
    /// Every process that used it must be dead. Afterwards the disk works.
    pub(super) fn lose_unsynced(&mut self, thousandths: u64) -> Result<LostWrites> {
        self.unmount_fuse()?;
        let loss = self
            .overlay_fs
            .lose_unsynced(thousandths)
            .context("what was not synced cannot be undone")?;
        self.overlay_fs.injector.set_fault(Fault::Healthy);
        self.mount_fuse()?;
        Ok(loss)
    }

    /// Works on the directory while nothing is mounted. Every process that used it must be dead;
    /// its unsynced data has been written by then.
    pub(super) fn while_unmounted<T>(
        &mut self,
        work: impl FnOnce(&Path) -> std::io::Result<T>,
    ) -> Result<T> {
        self.unmount_fuse()?;
        let done =
            self.overlay_fs.mark_all_durable().and_then(|()| work(self.overlay_fs.lower_dir()));
        self.mount_fuse()?;
        Ok(done?)
    }
}

impl Drop for Overlay {
    fn drop(&mut self) {
        self.overlay_fs.injector.set_fault(Fault::Healthy);
        if let Err(error) = self.unmount_fuse() {
            crate::cleanup::report_failure(&error);
        }
        // What is left of it is in the run's directory, and goes with that.
        drop(fs::remove_dir_all(&self.stash));
    }
}
