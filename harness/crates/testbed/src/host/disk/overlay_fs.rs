//! Passes every request on to a directory below, and knows at any moment how to make that what was
//! last synced.
//!
//! Below, everything stands where programs see it. A file that has lost its last name and would
//! have one after a power loss waits in the stash, a second directory on the same file system. A
//! sync is a sync of what is below. Locks are taken in this order: the tree, then one file.

use super::fault::{Switch, Wish};
use super::names::{Entry, Names, ROOT};
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
    below: PathBuf,
    stash: PathBuf,
    /// What goes wrong.
    pub(super) switch: Switch,
    tree: Mutex<Tree>,
}

#[derive(Debug)]
struct Tree {
    names: Names,
    nodes: BTreeMap<u64, Arc<Node>>,
    stashed: BTreeSet<u64>,
    next: u64,
}

/// A file, a directory or a symbolic link.
#[derive(Debug)]
struct Node {
    is_directory: bool,
    data: Mutex<Data>,
}

#[derive(Debug, Default)]
struct Data {
    opens: u32,
    /// The file below, while it is open or has unsynced changes.
    open: Option<(Arc<File>, Unsynced)>,
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
pub(super) struct Attributes {
    pub(super) mode: Option<u32>,
    pub(super) owner: (Option<u32>, Option<u32>),
    pub(super) size: Option<u64>,
    pub(super) times: fs::FileTimes,
    pub(super) has_times: bool,
}

fn errno(code: i32) -> io::Error {
    io::Error::from_raw_os_error(code)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl OverlayFs {
    /// A layer over an empty directory, with a stash on the same file system.
    pub(super) fn new(below: PathBuf, stash: PathBuf) -> io::Result<Self> {
        if fs::read_dir(&below)?.next().is_some() {
            return Err(errno(libc::ENOTEMPTY));
        }
        let root = Arc::new(Node { is_directory: true, data: Mutex::default() });
        let tree = Tree {
            names: Names::new(),
            nodes: BTreeMap::from([(ROOT, root)]),
            stashed: BTreeSet::new(),
            next: ROOT + 1,
        };
        Ok(Self { below, stash, switch: Switch::default(), tree: Mutex::new(tree) })
    }

    fn at(&self, path: &[OsString]) -> PathBuf {
        let mut all = self.below.clone();
        all.extend(path);
        all
    }

    fn stashed(&self, node: u64) -> PathBuf {
        self.stash.join(node.to_string())
    }

    /// Where a node is below.
    fn path(&self, tree: &Tree, node: u64) -> PathBuf {
        tree.names.path(node).map_or_else(|| self.stashed(node), |path| self.at(&path))
    }

    fn entry(&self, tree: &Tree, directory: u64, name: &OsStr) -> PathBuf {
        self.path(tree, directory).join(name)
    }

    /// What stands under a name.
    pub(super) fn lookup(&self, parent: u64, name: &OsStr) -> io::Result<(u64, Metadata)> {
        self.switch.admit(Wish::Look)?;
        let tree = lock(&self.tree);
        let node = tree.names.get(parent, name).ok_or_else(|| errno(libc::ENOENT))?;
        Ok((node, fs::symlink_metadata(self.entry(&tree, parent, name))?))
    }

    /// What is known of a node.
    pub(super) fn metadata(&self, node: u64) -> io::Result<Metadata> {
        self.switch.admit(Wish::Look)?;
        let tree = lock(&self.tree);
        let (found, path) = (tree.node(node)?, self.path(&tree, node));
        drop(tree);
        let data = lock(&found.data);
        match &data.open {
            Some((file, _)) => file.metadata(),
            None => fs::symlink_metadata(path),
        }
    }

    /// Makes a file and opens it.
    pub(super) fn create(&self, parent: u64, name: &OsStr, mode: u32) -> io::Result<u64> {
        self.switch.admit(Wish::Grow)?;
        let mut tree = lock(&self.tree);
        let path = self.entry(&tree, parent, name);
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create_new(true).mode(mode).open(path)?;
        let node = tree.add(false);
        let data = Data { opens: 1, open: Some((Arc::new(file), Unsynced::nothing(0))) };
        *lock(&tree.node(node)?.data) = data;
        tree.names.link(parent, name, node);
        Ok(node)
    }

    /// Makes a directory.
    pub(super) fn make_directory(&self, parent: u64, name: &OsStr, mode: u32) -> io::Result<u64> {
        self.switch.admit(Wish::Grow)?;
        let mut tree = lock(&self.tree);
        let path = self.entry(&tree, parent, name);
        fs::create_dir(&path)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(mode & 0o7777))?;
        let node = tree.add(true);
        tree.names.add_directory(node);
        tree.names.link(parent, name, node);
        Ok(node)
    }

    /// Makes a symbolic link.
    pub(super) fn symlink(&self, parent: u64, name: &OsStr, target: &Path) -> io::Result<u64> {
        self.switch.admit(Wish::Grow)?;
        let mut tree = lock(&self.tree);
        std::os::unix::fs::symlink(target, self.entry(&tree, parent, name))?;
        let node = tree.add(false);
        tree.names.link(parent, name, node);
        Ok(node)
    }

    /// Where a symbolic link leads.
    pub(super) fn target(&self, node: u64) -> io::Result<PathBuf> {
        self.switch.admit(Wish::Look)?;
        let tree = lock(&self.tree);
        fs::read_link(self.path(&tree, node))
    }

    /// Gives a file one more name.
    pub(super) fn link(&self, node: u64, parent: u64, name: &OsStr) -> io::Result<()> {
        self.switch.admit(Wish::Grow)?;
        let mut tree = lock(&self.tree);
        fs::hard_link(self.path(&tree, node), self.entry(&tree, parent, name))?;
        tree.names.link(parent, name, node);
        Ok(())
    }

    /// Takes a name away from a file or, if it is empty, from a directory.
    pub(super) fn unlink(&self, parent: u64, name: &OsStr) -> io::Result<()> {
        self.switch.admit(Wish::Change)?;
        let mut tree = lock(&self.tree);
        let node = tree.names.get(parent, name).ok_or_else(|| errno(libc::ENOENT))?;
        self.clear(&mut tree, parent, name, node)?;
        tree.names.unlink(parent, name);
        Ok(())
    }

    /// Clears the place below that a name stands for: a node that will be needed again goes to the
    /// stash.
    fn clear(&self, tree: &mut Tree, parent: u64, name: &OsStr, node: u64) -> io::Result<()> {
        let path = self.entry(tree, parent, name);
        let is_directory = tree.node(node)?.is_directory;
        if is_directory && !tree.names.list(node).is_empty() {
            return Err(errno(libc::ENOTEMPTY));
        }
        if tree.names.count(node) == 1 && tree.names.is_durable(node) {
            fs::rename(path, self.stashed(node))?;
            tree.stashed.insert(node);
            return Ok(());
        }
        if is_directory { fs::remove_dir(path) } else { fs::remove_file(path) }
    }

    /// Gives what stands under one name another one; what had that loses it.
    pub(super) fn rename(&self, from: &Entry, to: &Entry, replace: bool) -> io::Result<()> {
        self.switch.admit(Wish::Change)?;
        let mut tree = lock(&self.tree);
        let node = tree.names.get(from.0, &from.1).ok_or_else(|| errno(libc::ENOENT))?;
        let (old, new) = (self.entry(&tree, from.0, &from.1), self.entry(&tree, to.0, &to.1));
        match tree.names.get(to.0, &to.1) {
            Some(other) if other == node => return Ok(()),
            Some(_) if !replace => return Err(errno(libc::EEXIST)),
            // Below, one rename does it all unless the replaced node is still needed.
            Some(other) if tree.is_needed(other) => {
                self.clear(&mut tree, to.0, &to.1, other)?;
            }
            _ => {}
        }
        fs::rename(old, new)?;
        tree.names.rename(from.clone(), to.clone());
        Ok(())
    }

    /// The names in a directory, and whether each is a directory itself.
    pub(super) fn list(&self, node: u64) -> io::Result<Vec<(OsString, u64, fs::FileType)>> {
        self.switch.admit(Wish::Look)?;
        let tree = lock(&self.tree);
        let with_type = |(name, child): (OsString, u64)| {
            let kind = fs::symlink_metadata(self.entry(&tree, node, &name))?.file_type();
            Ok((name, child, kind))
        };
        tree.names.list(node).into_iter().map(with_type).collect()
    }

    /// The directory that a node is in; the root is in itself.
    pub(super) fn parent(&self, node: u64) -> u64 {
        lock(&self.tree).names.parent(node).unwrap_or(ROOT)
    }

    /// Opens a file.
    pub(super) fn open(&self, node: u64) -> io::Result<()> {
        self.switch.admit(Wish::Look)?;
        self.with_file(node, |data, _| {
            data.opens += 1;
            Ok(())
        })
    }

    /// Closes a file, once.
    pub(super) fn close(&self, node: u64) -> io::Result<()> {
        let node = lock(&self.tree).node(node)?;
        let mut data = lock(&node.data);
        data.opens = data.opens.saturating_sub(1);
        data.close_if_idle();
        Ok(())
    }

    /// Does something with a file that is open below while that lasts.
    fn with_file<T>(
        &self,
        node: u64,
        work: impl FnOnce(&mut Data, &File) -> io::Result<T>,
    ) -> io::Result<T> {
        let tree = lock(&self.tree);
        let found = tree.node(node)?;
        let mut data = lock(&found.data);
        if data.open.is_none() {
            let path = self.path(&tree, node);
            let both = OpenOptions::new().read(true).write(true).open(&path);
            let file = both.or_else(|_| File::open(&path))?;
            let size = file.metadata()?.len();
            data.open = Some((Arc::new(file), Unsynced::nothing(size)));
        }
        drop(tree);
        let file = data.open.as_ref().map(|(file, _)| Arc::clone(file));
        let done = file.ok_or_else(|| errno(libc::EBADF)).and_then(|file| work(&mut data, &file));
        data.close_if_idle();
        done
    }

    /// Reads up to so many bytes.
    pub(super) fn read(&self, node: u64, offset: u64, size: usize) -> io::Result<Vec<u8>> {
        self.switch.admit(Wish::Look)?;
        self.with_file(node, |_, file| read_at(file, offset, size))
    }

    /// Writes all of it.
    pub(super) fn write(&self, node: u64, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.switch.admit(Wish::Grow)?;
        self.with_file(node, |data, file| {
            let range = offset..offset + bytes.len() as u64;
            data.keep(file, range.clone())?;
            file.write_all_at(bytes, offset)?;
            data.unsynced()?.wrote(range);
            Ok(())
        })?;
        self.switch.wrote(bytes.len());
        Ok(())
    }

    /// Makes a file durable. A program's next write to it waits in the kernel meanwhile, as with
    /// any other disk.
    pub(super) fn sync(&self, node: u64, data_only: bool) -> io::Result<()> {
        self.switch.admit_sync()?;
        self.with_file(node, |data, file| {
            if data_only {
                file.sync_data()?
            } else {
                file.sync_all()?
            }
            let size = file.metadata()?.len();
            *data.unsynced()? = Unsynced::nothing(size);
            Ok(())
        })?;
        lock(&self.tree).names.sync_node(node);
        Ok(())
    }

    /// Makes the names in a directory durable.
    pub(super) fn sync_directory(&self, node: u64) -> io::Result<()> {
        self.switch.admit_sync()?;
        let mut tree = lock(&self.tree);
        File::open(self.path(&tree, node))?.sync_all()?;
        tree.names.sync(node);
        let stashed = std::mem::take(&mut tree.stashed);
        let (needed, done) = stashed.into_iter().partition(|it| tree.names.is_durable(*it));
        tree.stashed = needed;
        for node in done {
            remove(&self.stashed(node))?;
        }
        Ok(())
    }

    /// Changes what is known of a node.
    pub(super) fn change(&self, node: u64, wanted: &Attributes) -> io::Result<()> {
        self.switch.admit(Wish::Change)?;
        if let Some(size) = wanted.size {
            self.resize(node, size)?;
        }
        let path = self.path(&lock(&self.tree), node);
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

    fn resize(&self, node: u64, size: u64) -> io::Result<()> {
        self.with_file(node, |data, file| {
            if size > file.metadata()?.len() {
                self.switch.admit(Wish::Grow)?;
            }
            data.keep(file, size..u64::MAX)?;
            file.set_len(size)?;
            data.unsynced()?.resized();
            Ok(())
        })
    }

    /// The directory below, for questions about its file system.
    pub(super) fn below(&self) -> &Path {
        &self.below
    }

    /// Reverts everything to the last synced state, except the first so many thousandths of each
    /// file's writes since then. No file may be open.
    pub(super) fn lose(&self, thousandths: u64) -> io::Result<LostWrites> {
        let mut tree = lock(&self.tree);
        let mut loss = LostWrites::default();
        for node in tree.nodes.values() {
            let data = std::mem::take(&mut *lock(&node.data));
            if let Some((file, unsynced)) = data.open.filter(|(_, it)| !it.is_nothing()) {
                loss.bytes += unsynced.bytes(file.metadata()?.len());
                loss.torn += undo(&file, &unsynced, thousandths)?;
                loss.files += 1;
            }
        }
        let old = tree.names.clone();
        let change = tree.names.lose();
        loss.names = change.gone.len().max(change.back.len()) as u64;
        for (path, node) in &change.gone {
            self.take_away(&self.at(path), *node)?;
        }
        for (path, node) in &change.back {
            self.bring_back(&self.at(path), *node, &tree, &old)?;
        }
        self.forget_lost(&mut tree)?;
        Ok(loss)
    }

    /// Makes everything durable, as happens by itself in time. No file may be open.
    pub(super) fn settle(&self) -> io::Result<()> {
        let mut tree = lock(&self.tree);
        tree.nodes.values().for_each(|node| *lock(&node.data) = Data::default());
        tree.names.settle();
        self.forget_lost(&mut tree)
    }

    /// Forgets what has no name, and never will have one again.
    fn forget_lost(&self, tree: &mut Tree) -> io::Result<()> {
        for left in fs::read_dir(&self.stash)? {
            remove(&left?.path())?;
        }
        tree.stashed.clear();
        let Tree { names, nodes, .. } = tree;
        nodes.retain(|node, _| *node == ROOT || names.count(*node) > 0);
        Ok(())
    }

    fn take_away(&self, path: &Path, node: u64) -> io::Result<()> {
        let stashed = self.stashed(node);
        if fs::symlink_metadata(&stashed).is_ok() {
            return fs::remove_file(path);
        }
        fs::rename(path, stashed)
    }

    /// Files may have several names, which is why they are linked; directories cannot be.
    fn bring_back(&self, path: &Path, node: u64, tree: &Tree, old: &Names) -> io::Result<()> {
        let stashed = self.stashed(node);
        if tree.node(node)?.is_directory {
            return fs::rename(stashed, path);
        }
        if fs::symlink_metadata(&stashed).is_ok() {
            return fs::hard_link(stashed, path);
        }
        let known = old.path(node).ok_or_else(|| errno(libc::ENOENT))?;
        fs::hard_link(self.at(&known), path)
    }
}

impl Tree {
    fn node(&self, node: u64) -> io::Result<Arc<Node>> {
        self.nodes.get(&node).cloned().ok_or_else(|| errno(libc::ESTALE))
    }

    fn add(&mut self, is_directory: bool) -> u64 {
        let node = self.next;
        self.next += 1;
        self.nodes.insert(node, Arc::new(Node { is_directory, data: Mutex::default() }));
        node
    }

    /// Whether the node must not be lost together with its only name.
    fn is_needed(&self, node: u64) -> bool {
        self.names.count(node) == 1 && self.names.is_durable(node)
    }
}

impl Data {
    fn unsynced(&mut self) -> io::Result<&mut Unsynced> {
        self.open.as_mut().map(|(_, unsynced)| unsynced).ok_or_else(|| errno(libc::EBADF))
    }

    /// Keeps what was synced in this range, for it is about to change.
    fn keep(&mut self, file: &File, range: std::ops::Range<u64>) -> io::Result<()> {
        let unsynced = self.unsynced()?;
        for missing in unsynced.missing(range) {
            let length = usize::try_from(missing.end - missing.start).map_err(io::Error::other)?;
            unsynced.keep(missing.start, read_at(file, missing.start, length)?);
        }
        Ok(())
    }

    fn close_if_idle(&mut self) {
        if self.opens == 0 && self.open.as_ref().is_some_and(|(_, it)| it.is_nothing()) {
            self.open = None;
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
fn undo(file: &File, unsynced: &Unsynced, thousandths: u64) -> io::Result<u64> {
    let mut begun = Vec::new();
    for range in unsynced.begun(thousandths) {
        let length = usize::try_from(range.end - range.start).map_err(io::Error::other)?;
        begun.push((range.start, read_at(file, range.start, length)?));
    }
    file.set_len(unsynced.size())?;
    for (offset, bytes) in unsynced.before() {
        file.write_all_at(bytes, *offset)?;
    }
    for (offset, bytes) in &begun {
        file.write_all_at(bytes, *offset)?;
    }
    Ok(begun.iter().map(|(_, bytes)| bytes.len() as u64).sum())
}

fn remove(path: &Path) -> io::Result<()> {
    let is_directory = fs::symlink_metadata(path)?.is_dir();
    if is_directory { fs::remove_dir_all(path) } else { fs::remove_file(path) }
}
