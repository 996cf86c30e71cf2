//! Passes every request on to a directory below, and knows at any moment how to make that what was
//! last synced.
//!
//! Below, everything stands where programs see it. A file that has lost its last name and would
//! have one after a power loss waits in the stash, a second directory on the same file system. A
//! sync is a sync of what is below. Locks are taken in this order: the tree, then one file.

use super::fault::{DiskRequest, FaultInjector};
use super::names::{DirectoryEntry, NameTrees, ROOT};
use super::unsynced::Unsynced;
use nix::libc;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A directory below, seen through what can go wrong.
#[derive(Debug)]
pub(super) struct OverlayFs {
    lower_dir: PathBuf,
    stash: PathBuf,
    /// What goes wrong.
    pub(super) injector: FaultInjector,
    tree: Mutex<NodeTree>,
}

#[derive(Debug)]
struct NodeTree {
    names: NameTrees,
    nodes: BTreeMap<u64, Arc<Inode>>,
    stashed: BTreeSet<u64>,
    next_node: u64,
}

/// A file, a directory or a symbolic link.
#[derive(Debug)]
struct Inode {
    is_directory: bool,
    file_state: Mutex<FileState>,
}

#[derive(Debug, Default)]
struct FileState {
    open_count: u32,
    /// The file below, while it is open or has unsynced changes.
    open_file: Option<(Arc<File>, Unsynced)>,
}

/// What a power loss took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LostWrites {
    /// Bytes that are no more what they were.
    pub bytes: u64,
    /// Files that held them.
    pub files: u64,
    /// Names that vanished or came back.
    pub names: u64,
    /// Bytes of an unfinished write that had reached the disk.
    pub torn: u64,
}

/// What is to be changed about a node.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct AttributeChanges {
    pub(super) mode: Option<u32>,
    pub(super) owner: (Option<u32>, Option<u32>),
    pub(super) size: Option<u64>,
    pub(super) times: fs::FileTimes,
    pub(super) has_times: bool,
}

fn io_error(code: i32) -> io::Error {
    io::Error::from_raw_os_error(code)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl OverlayFs {
    /// A layer over an empty directory, with a stash on the same file system.
    pub(super) fn new(below: PathBuf, stash: PathBuf) -> io::Result<Self> {
        if fs::read_dir(&below)?.next().is_some() {
            return Err(io_error(libc::ENOTEMPTY));
        }
        let root = Arc::new(Inode { is_directory: true, file_state: Mutex::default() });
        let tree = NodeTree {
            names: NameTrees::new(),
            nodes: BTreeMap::from([(ROOT, root)]),
            stashed: BTreeSet::new(),
            next_node: ROOT + 1,
        };
        Ok(Self {
            lower_dir: below,
            stash,
            injector: FaultInjector::default(),
            tree: Mutex::new(tree),
        })
    }

    fn lower_path(&self, path: &[OsString]) -> PathBuf {
        let mut all = self.lower_dir.clone();
        all.extend(path);
        all
    }

    fn stash_path(&self, node: u64) -> PathBuf {
        self.stash.join(node.to_string())
    }

    /// Where a node is below.
    fn node_path(&self, tree: &NodeTree, node: u64) -> PathBuf {
        tree.names.path(node).map_or_else(|| self.stash_path(node), |path| self.lower_path(&path))
    }

    fn entry_path(&self, tree: &NodeTree, directory: u64, name: &OsStr) -> PathBuf {
        self.node_path(tree, directory).join(name)
    }

    /// What stands under a name.
    pub(super) fn lookup(&self, parent: u64, name: &OsStr) -> io::Result<(u64, Metadata)> {
        self.injector.admit_request(DiskRequest::Read)?;
        let tree = lock(&self.tree);
        let node = tree.names.get(parent, name).ok_or_else(|| io_error(libc::ENOENT))?;
        Ok((node, fs::symlink_metadata(self.entry_path(&tree, parent, name))?))
    }

    /// What is known of a node.
    pub(super) fn metadata(&self, node: u64) -> io::Result<Metadata> {
        self.injector.admit_request(DiskRequest::Read)?;
        let tree = lock(&self.tree);
        let (found, path) = (tree.find_node(node)?, self.node_path(&tree, node));
        drop(tree);
        let data = lock(&found.file_state);
        match &data.open_file {
            Some((file, _)) => file.metadata(),
            None => fs::symlink_metadata(path),
        }
    }

    /// Makes a file and opens it.
    pub(super) fn create(&self, parent: u64, name: &OsStr, mode: u32) -> io::Result<u64> {
        self.injector.admit_request(DiskRequest::Grow)?;
        let mut tree = lock(&self.tree);
        let path = self.entry_path(&tree, parent, name);
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create_new(true).mode(mode).open(path)?;
        let node = tree.add_node(false);
        let data = FileState { open_count: 1, open_file: Some((Arc::new(file), Unsynced::new(0))) };
        *lock(&tree.find_node(node)?.file_state) = data;
        tree.names.link(parent, name, node);
        Ok(node)
    }

    /// Makes a directory.
    pub(super) fn make_directory(&self, parent: u64, name: &OsStr, mode: u32) -> io::Result<u64> {
        self.injector.admit_request(DiskRequest::Grow)?;
        let mut tree = lock(&self.tree);
        let path = self.entry_path(&tree, parent, name);
        fs::create_dir(&path)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(mode & 0o7777))?;
        let node = tree.add_node(true);
        tree.names.add_directory(node);
        tree.names.link(parent, name, node);
        Ok(node)
    }

    /// Makes a symbolic link.
    pub(super) fn symlink(&self, parent: u64, name: &OsStr, target: &Path) -> io::Result<u64> {
        self.injector.admit_request(DiskRequest::Grow)?;
        let mut tree = lock(&self.tree);
        std::os::unix::fs::symlink(target, self.entry_path(&tree, parent, name))?;
        let node = tree.add_node(false);
        tree.names.link(parent, name, node);
        Ok(node)
    }

    /// Where a symbolic link leads.
    pub(super) fn read_link(&self, node: u64) -> io::Result<PathBuf> {
        self.injector.admit_request(DiskRequest::Read)?;
        let tree = lock(&self.tree);
        fs::read_link(self.node_path(&tree, node))
    }

    /// Gives a file one more name.
    pub(super) fn link(&self, node: u64, parent: u64, name: &OsStr) -> io::Result<()> {
        self.injector.admit_request(DiskRequest::Grow)?;
        let mut tree = lock(&self.tree);
        fs::hard_link(self.node_path(&tree, node), self.entry_path(&tree, parent, name))?;
        tree.names.link(parent, name, node);
        Ok(())
    }

    /// Takes a name away from a file or, if it is empty, from a directory.
    pub(super) fn unlink(&self, parent: u64, name: &OsStr) -> io::Result<()> {
        self.injector.admit_request(DiskRequest::Modify)?;
        let mut tree = lock(&self.tree);
        let node = tree.names.get(parent, name).ok_or_else(|| io_error(libc::ENOENT))?;
        self.remove_or_stash(&mut tree, parent, name, node)?;
        tree.names.unlink(parent, name);
        Ok(())
    }

    /// Clears the place below that a name stands for: a node that will be needed again goes to the
    /// stash.
    fn remove_or_stash(
        &self,
        tree: &mut NodeTree,
        parent: u64,
        name: &OsStr,
        node: u64,
    ) -> io::Result<()> {
        let path = self.entry_path(tree, parent, name);
        let is_directory = tree.find_node(node)?.is_directory;
        if is_directory && !tree.names.list_directory(node).is_empty() {
            return Err(io_error(libc::ENOTEMPTY));
        }
        if tree.names.link_count(node) == 1 && tree.names.is_durable(node) {
            fs::rename(path, self.stash_path(node))?;
            tree.stashed.insert(node);
            return Ok(());
        }
        if is_directory { fs::remove_dir(path) } else { fs::remove_file(path) }
    }

    /// Gives what stands under one name another one; what had that loses it.
    pub(super) fn rename(
        &self,
        from: &DirectoryEntry,
        to: &DirectoryEntry,
        replace: bool,
    ) -> io::Result<()> {
        self.injector.admit_request(DiskRequest::Modify)?;
        let mut tree = lock(&self.tree);
        let node = tree.names.get(from.0, &from.1).ok_or_else(|| io_error(libc::ENOENT))?;
        let (old, new) =
            (self.entry_path(&tree, from.0, &from.1), self.entry_path(&tree, to.0, &to.1));
        match tree.names.get(to.0, &to.1) {
            Some(other) if other == node => return Ok(()),
            Some(_) if !replace => return Err(io_error(libc::EEXIST)),
            // Below, one rename does it all unless the replaced node is still needed.
            Some(other) if tree.is_needed(other) => {
                self.remove_or_stash(&mut tree, to.0, &to.1, other)?;
            }
            _ => {}
        }
        fs::rename(old, new)?;
        tree.names.rename(from.clone(), to.clone());
        Ok(())
    }

    /// The names in a directory, and whether each is a directory itself.
    pub(super) fn list_directory(
        &self,
        node: u64,
    ) -> io::Result<Vec<(OsString, u64, fs::FileType)>> {
        self.injector.admit_request(DiskRequest::Read)?;
        let tree = lock(&self.tree);
        let with_type = |(name, child): (OsString, u64)| {
            let kind = fs::symlink_metadata(self.entry_path(&tree, node, &name))?.file_type();
            Ok((name, child, kind))
        };
        tree.names.list_directory(node).into_iter().map(with_type).collect()
    }

    /// The directory that a node is in; the root is in itself.
    pub(super) fn parent(&self, node: u64) -> u64 {
        lock(&self.tree).names.parent(node).unwrap_or(ROOT)
    }

    /// Opens a file.
    pub(super) fn open(&self, node: u64) -> io::Result<()> {
        self.injector.admit_request(DiskRequest::Read)?;
        self.with_file(node, |data, _| {
            data.open_count += 1;
            Ok(())
        })
    }

    /// Closes a file, once.
    pub(super) fn close(&self, node: u64) -> io::Result<()> {
        let node = lock(&self.tree).find_node(node)?;
        let mut data = lock(&node.file_state);
        data.open_count = data.open_count.saturating_sub(1);
        data.close_if_idle();
        Ok(())
    }

    /// Does something with a file that is open below while that lasts.
    fn with_file<T>(
        &self,
        node: u64,
        work: impl FnOnce(&mut FileState, &File) -> io::Result<T>,
    ) -> io::Result<T> {
        let tree = lock(&self.tree);
        let found = tree.find_node(node)?;
        let mut data = lock(&found.file_state);
        if data.open_file.is_none() {
            let path = self.node_path(&tree, node);
            let both = OpenOptions::new().read(true).write(true).open(&path);
            let file = both.or_else(|_| File::open(&path))?;
            let size = file.metadata()?.len();
            data.open_file = Some((Arc::new(file), Unsynced::new(size)));
        }
        drop(tree);
        let file = data.open_file.as_ref().map(|(file, _)| Arc::clone(file));
        let done =
            file.ok_or_else(|| io_error(libc::EBADF)).and_then(|file| work(&mut data, &file));
        data.close_if_idle();
        done
    }

    /// Reads up to so many bytes.
    pub(super) fn read(&self, node: u64, offset: u64, size: usize) -> io::Result<Vec<u8>> {
        self.injector.admit_request(DiskRequest::Read)?;
        self.with_file(node, |_, file| read_at(file, offset, size))
    }

    /// Writes all of it.
    pub(super) fn write(&self, node: u64, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.injector.admit_request(DiskRequest::Grow)?;
        self.with_file(node, |data, file| {
            let range = offset..offset + bytes.len() as u64;
            data.save_originals(file, range.clone())?;
            file.write_all_at(bytes, offset)?;
            data.unsynced_mut()?.record_write(range);
            Ok(())
        })?;
        self.injector.count_written(bytes.len());
        Ok(())
    }

    /// Makes a file durable. A program's next write to it waits in the kernel meanwhile, as with
    /// any other disk.
    pub(super) fn sync_file(&self, node: u64, data_only: bool) -> io::Result<()> {
        self.injector.admit_sync()?;
        self.with_file(node, |data, file| {
            if data_only {
                file.sync_data()?
            } else {
                file.sync_all()?
            }
            let size = file.metadata()?.len();
            *data.unsynced_mut()? = Unsynced::new(size);
            Ok(())
        })?;
        lock(&self.tree).names.sync_node(node);
        Ok(())
    }

    /// Makes the names in a directory durable.
    pub(super) fn sync_directory(&self, node: u64) -> io::Result<()> {
        self.injector.admit_sync()?;
        let mut tree = lock(&self.tree);
        File::open(self.node_path(&tree, node))?.sync_all()?;
        tree.names.sync_directory(node);
        let stashed = std::mem::take(&mut tree.stashed);
        let (needed, done) = stashed.into_iter().partition(|it| tree.names.is_durable(*it));
        tree.stashed = needed;
        for node in done {
            remove_path(&self.stash_path(node))?;
        }
        Ok(())
    }

    /// Changes what is known of a node.
    pub(super) fn set_attributes(&self, node: u64, wanted: &AttributeChanges) -> io::Result<()> {
        self.injector.admit_request(DiskRequest::Modify)?;
        if let Some(size) = wanted.size {
            self.resize_file(node, size)?;
        }
        let path = self.node_path(&lock(&self.tree), node);
        if let Some(mode) = wanted.mode {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode & 0o7777))?;
        }
        if wanted.owner != (None, None) {
            std::os::unix::fs::lchown(&path, wanted.owner.0, wanted.owner.1)?;
        }
        if wanted.has_times {
            File::open(&path)?.set_times(wanted.times)?;
        }
        Ok(())
    }

    fn resize_file(&self, node: u64, size: u64) -> io::Result<()> {
        self.with_file(node, |data, file| {
            if size > file.metadata()?.len() {
                self.injector.admit_request(DiskRequest::Grow)?;
            }
            data.save_originals(file, size..u64::MAX)?;
            file.set_len(size)?;
            data.unsynced_mut()?.record_resize();
            Ok(())
        })
    }

    /// The directory below, for questions about its file system.
    pub(super) fn lower_dir(&self) -> &Path {
        &self.lower_dir
    }

    /// Reverts everything to the last synced state, except the first so many thousandths of each
    /// file's writes since then. No file may be open.
    pub(super) fn lose_unsynced(&self, thousandths: u64) -> io::Result<LostWrites> {
        let mut tree = lock(&self.tree);
        let mut loss = LostWrites::default();
        for node in tree.nodes.values() {
            let data = std::mem::take(&mut *lock(&node.file_state));
            if let Some((file, unsynced)) = data.open_file.filter(|(_, it)| !it.is_clean()) {
                loss.bytes += unsynced.changed_bytes(file.metadata()?.len());
                loss.torn += revert_file(&file, &unsynced, thousandths)?;
                loss.files += 1;
            }
        }
        let old = tree.names.clone();
        let change = tree.names.lose_unsynced();
        loss.names = change.removed.len().max(change.restored.len()) as u64;
        for (path, node) in &change.removed {
            self.remove_name(&self.lower_path(path), *node)?;
        }
        for (path, node) in &change.restored {
            self.restore_name(&self.lower_path(path), *node, &tree, &old)?;
        }
        self.drop_unreachable(&mut tree)?;
        Ok(loss)
    }

    /// Makes everything durable, as happens by itself in time. No file may be open.
    pub(super) fn mark_all_durable(&self) -> io::Result<()> {
        let mut tree = lock(&self.tree);
        tree.nodes.values().for_each(|node| *lock(&node.file_state) = FileState::default());
        tree.names.mark_all_durable();
        self.drop_unreachable(&mut tree)
    }

    /// Forgets what has no name, and never will have one again.
    fn drop_unreachable(&self, tree: &mut NodeTree) -> io::Result<()> {
        for left in fs::read_dir(&self.stash)? {
            remove_path(&left?.path())?;
        }
        tree.stashed.clear();
        let NodeTree { names, nodes, .. } = tree;
        nodes.retain(|node, _| *node == ROOT || names.link_count(*node) > 0);
        Ok(())
    }

    fn remove_name(&self, path: &Path, node: u64) -> io::Result<()> {
        let stashed = self.stash_path(node);
        if fs::symlink_metadata(&stashed).is_ok() {
            return fs::remove_file(path);
        }
        fs::rename(path, stashed)
    }

    /// Files may have several names, which is why they are linked; directories cannot be.
    fn restore_name(
        &self,
        path: &Path,
        node: u64,
        tree: &NodeTree,
        old: &NameTrees,
    ) -> io::Result<()> {
        let stashed = self.stash_path(node);
        if tree.find_node(node)?.is_directory {
            return fs::rename(stashed, path);
        }
        if fs::symlink_metadata(&stashed).is_ok() {
            return fs::hard_link(stashed, path);
        }
        let known = old.path(node).ok_or_else(|| io_error(libc::ENOENT))?;
        fs::hard_link(self.lower_path(&known), path)
    }
}

impl NodeTree {
    fn find_node(&self, node: u64) -> io::Result<Arc<Inode>> {
        self.nodes.get(&node).cloned().ok_or_else(|| io_error(libc::ESTALE))
    }

    fn add_node(&mut self, is_directory: bool) -> u64 {
        let node = self.next_node;
        self.next_node += 1;
        self.nodes.insert(node, Arc::new(Inode { is_directory, file_state: Mutex::default() }));
        node
    }

    /// Whether the node must not be lost together with its only name.
    fn is_needed(&self, node: u64) -> bool {
        self.names.link_count(node) == 1 && self.names.is_durable(node)
    }
}

impl FileState {
    fn unsynced_mut(&mut self) -> io::Result<&mut Unsynced> {
        self.open_file.as_mut().map(|(_, unsynced)| unsynced).ok_or_else(|| io_error(libc::EBADF))
    }

    /// Keeps what was synced in this range, for it is about to change.
    fn save_originals(&mut self, file: &File, range: std::ops::Range<u64>) -> io::Result<()> {
        let unsynced = self.unsynced_mut()?;
        for missing in unsynced.unsaved_ranges(range) {
            let length = usize::try_from(missing.end - missing.start).map_err(io::Error::other)?;
            unsynced.save_original(missing.start, read_at(file, missing.start, length)?);
        }
        Ok(())
    }

    fn close_if_idle(&mut self) {
        if self.open_count == 0 && self.open_file.as_ref().is_some_and(|(_, it)| it.is_clean()) {
            self.open_file = None;
        }
    }
}

fn read_at(file: &File, offset: u64, size: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; size];
    let mut done = 0;
    while done < size {
        match file.read_at(&mut bytes[done..], offset + done as u64)? {
            0 => break,
            count => done += count,
        }
    }
    bytes.truncate(done);
    Ok(bytes)
}

/// Makes a file what it was, but for the beginning of what was written; how much of that stayed.
fn revert_file(file: &File, unsynced: &Unsynced, thousandths: u64) -> io::Result<u64> {
    let mut begun = Vec::new();
    for range in unsynced.persisted_ranges(thousandths) {
        let length = usize::try_from(range.end - range.start).map_err(io::Error::other)?;
        begun.push((range.start, read_at(file, range.start, length)?));
    }
    file.set_len(unsynced.synced_size())?;
    for (offset, bytes) in unsynced.originals() {
        file.write_all_at(bytes, *offset)?;
    }
    for (offset, bytes) in &begun {
        file.write_all_at(bytes, *offset)?;
    }
    Ok(begun.iter().map(|(_, bytes)| bytes.len() as u64).sum())
}

fn remove_path(path: &Path) -> io::Result<()> {
    let is_directory = fs::symlink_metadata(path)?.is_dir();
    if is_directory { fs::remove_dir_all(path) } else { fs::remove_file(path) }
}
