//! Keeps two trees of names: the one that programs see, and the one that a power loss leaves. Pure.
//!
//! As in file systems with a journal (ext4, XFS, Btrfs), a name becomes durable when its directory
//! is synced, or what it names, and so does the way there. A move between directories is all or
//! nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};

/// The directory that is always there.
pub(super) const ROOT: u64 = 1;

/// A directory, and a name in it.
pub(super) type DirectoryEntry = (u64, OsString);

/// Which node stands under which name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct NameTree {
    directories: BTreeMap<u64, BTreeMap<OsString, u64>>,
    /// The names of each node that has any.
    names_by_node: BTreeMap<u64, BTreeSet<DirectoryEntry>>,
}

/// Names as they are, and as they would be.
#[derive(Clone, Debug)]
pub(super) struct NameTrees {
    live: NameTree,
    durable: NameTree,
    /// Moves between directories that are not durable yet: from where, to where.
    moves: Vec<(DirectoryEntry, DirectoryEntry)>,
}

/// What a power loss does to names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct NameChanges {
    /// Names that vanish, those in the deepest directories first, with their paths.
    pub(super) removed: Vec<(Vec<OsString>, u64)>,
    /// Names that come back, those in the deepest directories last.
    pub(super) restored: Vec<(Vec<OsString>, u64)>,
}

impl NameTree {
    fn get(&self, directory: u64, name: &OsStr) -> Option<u64> {
        self.directories.get(&directory)?.get(name).copied()
    }

    fn link(&mut self, (directory, name): DirectoryEntry, node: u64) {
        self.names_by_node.entry(node).or_default().insert((directory, name.clone()));
        self.directories.entry(directory).or_default().insert(name, node);
    }

    fn unlink(&mut self, entry: &DirectoryEntry) -> Option<u64> {
        let node = self.directories.get_mut(&entry.0)?.remove(&entry.1)?;
        let homes = self.names_by_node.entry(node).or_default();
        homes.remove(entry);
        if homes.is_empty() {
            self.names_by_node.remove(&node);
        }
        Some(node)
    }

    fn set_entry(&mut self, entry: &DirectoryEntry, node: Option<u64>) {
        self.unlink(entry);
        if let Some(node) = node {
            self.link(entry.clone(), node);
        }
    }

    /// The names that lead from the root to this node, if any do.
    fn path(&self, node: u64) -> Option<Vec<OsString>> {
        if node == ROOT {
            return Some(Vec::new());
        }
        let (directory, name) = self.names_by_node.get(&node)?.first()?;
        let mut path = self.path(*directory)?;
        path.push(name.clone());
        Some(path)
    }

    fn entries(&self) -> impl Iterator<Item = (DirectoryEntry, u64)> {
        let all = self.directories.iter();
        all.flat_map(|(directory, names)| {
            names.iter().map(|(name, node)| ((*directory, name.clone()), *node))
        })
    }

    /// Forgets directories that nothing leads to, and what is in them.
    fn prune_unreachable(&mut self) {
        let lost: Vec<u64> =
            self.directories.keys().copied().filter(|it| self.path(*it).is_none()).collect();
        for directory in lost {
            for name in self.directories.remove(&directory).unwrap_or_default().into_keys() {
                self.names_by_node.values_mut().for_each(|homes| {
                    homes.remove(&(directory, name.clone()));
                });
            }
        }
        self.names_by_node.retain(|_, homes| !homes.is_empty());
    }
}

impl NameTrees {
    /// An empty root.
    pub(super) fn new() -> Self {
        let mut tree = NameTree::default();
        tree.directories.insert(ROOT, BTreeMap::new());
        Self { live: tree.clone(), durable: tree, moves: Vec::new() }
    }

    /// What stands under a name.
    pub(super) fn get(&self, directory: u64, name: &OsStr) -> Option<u64> {
        self.live.get(directory, name)
    }

    /// The names in a directory.
    pub(super) fn list_directory(&self, directory: u64) -> Vec<(OsString, u64)> {
        let names = self.live.directories.get(&directory).into_iter().flatten();
        names.map(|(name, node)| (name.clone(), *node)).collect()
    }

    /// The directory that a node is in, by one of its names.
    pub(super) fn parent(&self, node: u64) -> Option<u64> {
        self.live.names_by_node.get(&node)?.first().map(|(directory, _)| *directory)
    }

    /// The way to a node from the root, if it has a name.
    pub(super) fn path(&self, node: u64) -> Option<Vec<OsString>> {
        self.live.path(node)
    }

    /// How many names a node has.
    pub(super) fn link_count(&self, node: u64) -> usize {
        self.live.names_by_node.get(&node).map_or(0, BTreeSet::len)
    }

    /// Whether a node would have a name after a power loss.
    pub(super) fn is_durable(&self, node: u64) -> bool {
        self.durable.names_by_node.contains_key(&node)
    }

    /// A new directory, which has no name yet.
    pub(super) fn add_directory(&mut self, node: u64) {
        self.live.directories.insert(node, BTreeMap::new());
        self.durable.directories.insert(node, BTreeMap::new());
    }

    /// Gives a node a name that is free.
    pub(super) fn link(&mut self, directory: u64, name: &OsStr, node: u64) {
        self.live.link((directory, name.to_owned()), node);
    }

    /// Takes a name away.
    pub(super) fn unlink(&mut self, directory: u64, name: &OsStr) -> Option<u64> {
        self.live.unlink(&(directory, name.to_owned()))
    }

    /// Gives what stands under one name another one, which is taken away from whatever had it.
    pub(super) fn rename(&mut self, from: DirectoryEntry, to: DirectoryEntry) {
        self.live.unlink(&to);
        let Some(node) = self.live.unlink(&from) else { return };
        self.live.link(to.clone(), node);
        if from.0 != to.0 {
            self.moves.push((from, to));
        }
    }

    /// Makes the names of a directory durable, and the other ends of moves into and out of it.
    pub(super) fn sync_directory(&mut self, directory: u64) {
        let names = |tree: &NameTree| tree.directories.get(&directory).cloned().unwrap_or_default();
        let known = names(&self.live).into_keys().chain(names(&self.durable).into_keys());
        let mut set: BTreeSet<DirectoryEntry> = known.map(|name| (directory, name)).collect();
        set.extend(self.path_entries(directory));
        self.make_durable(set);
    }

    /// Makes the names of a node durable, and the way to them.
    pub(super) fn sync_node(&mut self, node: u64) {
        self.make_durable(self.path_entries(node));
    }

    /// The names that a node and all directories above it have, or would have after a power loss.
    fn path_entries(&self, node: u64) -> BTreeSet<DirectoryEntry> {
        let mut ways = BTreeSet::new();
        let mut next = vec![node];
        while let Some(node) = next.pop() {
            let known = [&self.live, &self.durable].map(|tree| tree.names_by_node.get(&node));
            for entry in known.into_iter().flatten().flatten() {
                if ways.insert(entry.clone()) {
                    next.push(entry.0);
                }
            }
        }
        ways
    }

    /// Makes these names durable, and what has to become so with them.
    fn make_durable(&mut self, mut set: BTreeSet<DirectoryEntry>) {
        loop {
            let more: Vec<DirectoryEntry> =
                self.moves.iter().flat_map(|one| self.move_dependencies(one, &set)).collect();
            let before = set.len();
            set.extend(more);
            if set.len() == before {
                break;
            }
        }
        for entry in &set {
            let node = self.live.get(entry.0, &entry.1);
            self.durable.set_entry(entry, node);
        }
        self.moves.retain(|(from, to)| !set.contains(from) || !set.contains(to));
    }

    /// What has to become durable together with what is in the set: both ends of a move, and the
    /// way to its target.
    fn move_dependencies(
        &self,
        (from, to): &(DirectoryEntry, DirectoryEntry),
        set: &BTreeSet<DirectoryEntry>,
    ) -> Vec<DirectoryEntry> {
        if !set.contains(from) && !set.contains(to) {
            return Vec::new();
        }
        let mut all = vec![from.clone(), to.clone()];
        let mut directory = to.0;
        while let Some(home) = self.live.names_by_node.get(&directory).and_then(BTreeSet::first) {
            all.push(home.clone());
            directory = home.0;
        }
        all
    }

    /// Makes all names durable.
    pub(super) fn mark_all_durable(&mut self) {
        self.durable = self.live.clone();
        self.moves.clear();
    }

    /// Makes everything what it was when it was last synced.
    pub(super) fn lose_unsynced(&mut self) -> NameChanges {
        self.durable.prune_unreachable();
        let old = std::mem::replace(&mut self.live, self.durable.clone());
        self.moves.clear();
        let gone = entries_only_in(&old, &self.live).into_iter().rev().collect();
        NameChanges { removed: gone, restored: entries_only_in(&self.live, &old) }
    }
}

/// The names of one tree that the other one has not, or not for the same node; the shortest paths
/// first.
fn entries_only_in(tree: &NameTree, other: &NameTree) -> Vec<(Vec<OsString>, u64)> {
    let fresh = tree
        .entries()
        .filter(|((directory, name), node)| other.get(*directory, name) != Some(*node));
    let mut all: Vec<(Vec<OsString>, u64)> = fresh
        .filter_map(|((directory, name), node)| {
            let mut path = tree.path(directory)?;
            path.push(name);
            Some((path, node))
        })
        .collect();
    all.sort_by_key(|(path, _)| path.len());
    all
}
