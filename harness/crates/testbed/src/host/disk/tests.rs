//! Compares what a power loss leaves with slow, obvious twins: two whole copies, of a file and of a
//! tree.

use super::corruption::{self, CorruptionKind};
use super::fault::Fault;
use super::names::{NameTrees, ROOT};
use super::overlay_fs::{AttributeChanges, OverlayFs};
use super::unsynced::Unsynced;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::Path;

/// What a program does to a file.
#[derive(Clone, Debug)]
enum FileStep {
    Write(u64, Vec<u8>),
    Resize(u64),
    Sync,
}

fn arb_file_step() -> impl Strategy<Value = FileStep> {
    prop_oneof![
        5 => (0..40_u64, prop::collection::vec(1..u8::MAX, 1..9))
            .prop_map(|(offset, bytes)| FileStep::Write(offset, bytes)),
        2 => (0..48_u64).prop_map(FileStep::Resize),
        1 => Just(FileStep::Sync),
    ]
}

fn write_at(file: &mut Vec<u8>, offset: u64, bytes: &[u8]) {
    let (begin, end) = (offset as usize, offset as usize + bytes.len());
    file.resize(file.len().max(end), 0);
    file[begin..end].copy_from_slice(bytes);
}

/// Keeps of a file in memory what is about to change.
fn save_originals(unsynced: &mut Unsynced, file: &[u8], range: std::ops::Range<u64>) {
    for missing in unsynced.unsaved_ranges(range) {
        let kept = file[missing.start as usize..missing.end as usize].to_vec();
        unsynced.save_original(missing.start, kept);
    }
}

fn revert_bytes(mut file: Vec<u8>, unsynced: &Unsynced) -> Vec<u8> {
    file.resize(unsynced.synced_size() as usize, 0);
    for (offset, bytes) in unsynced.originals() {
        write_at(&mut file, *offset, bytes);
    }
    file
}

proptest! {
    #[test]
    fn a_file_becomes_what_it_was_when_it_was_last_synced(
        steps in prop::collection::vec(arb_file_step(), 0..25),
    ) {
        let (mut live, mut durable, mut unsynced) = (Vec::new(), Vec::new(), Unsynced::new(0));
        for step in steps {
            match step {
                FileStep::Write(offset, bytes) => {
                    let range = offset..offset + bytes.len() as u64;
                    save_originals(&mut unsynced, &live, range.clone());
                    write_at(&mut live, offset, &bytes);
                    unsynced.record_write(range);
                }
                FileStep::Resize(size) => {
                    save_originals(&mut unsynced, &live, size..u64::MAX);
                    live.resize(size as usize, 0);
                    unsynced.record_resize();
                }
                FileStep::Sync => {
                    durable.clone_from(&live);
                    unsynced = Unsynced::new(live.len() as u64);
                }
            }
            prop_assert_eq!(&revert_bytes(live.clone(), &unsynced), &durable);
            prop_assert!(!unsynced.is_clean() || live == durable);
        }
    }
}

#[test]
fn of_a_torn_write_the_first_sectors_stay() {
    let mut unsynced = Unsynced::new(10);
    [(100..2_100), (5_000..6_000)].into_iter().for_each(|range| unsynced.record_write(range));
    assert_eq!(unsynced.persisted_ranges(0), []);
    assert_eq!(unsynced.persisted_ranges(100).len(), 0, "not even the first sector is full");
    assert_eq!(unsynced.persisted_ranges(600).first(), Some(&(100..1_536)));
    assert_eq!(unsynced.persisted_ranges(900), [100..2_100, 5_000..5_632]);
    assert_eq!(unsynced.persisted_ranges(1_000), [100..2_100, 5_000..6_000]);
}

/// What a program does to a directory tree of a few names.
#[derive(Clone, Debug)]
enum TreeStep {
    Create(usize, usize),
    MakeDirectory(usize, usize),
    Link((usize, usize), (usize, usize)),
    Unlink(usize, usize),
    Rename((usize, usize), (usize, usize)),
    Write(usize, usize, u64, Vec<u8>),
    Truncate(usize, usize, u64),
    SyncFile(usize, usize),
    SyncDirectory(usize),
    PowerLoss,
}

/// The tree's directories: the root, and two in it, the second of which may also be in the first.
const DIRECTORIES: usize = 3;
const NAMES: [&str; 3] = ["a", "b", "c"];

fn arb_entry() -> impl Strategy<Value = (usize, usize)> {
    (0..DIRECTORIES, 0..NAMES.len())
}

fn arb_step() -> impl Strategy<Value = TreeStep> {
    let bytes = prop::collection::vec(1..u8::MAX, 1..5);
    prop_oneof![
        4 => arb_entry().prop_map(|(d, n)| TreeStep::Create(d, n)),
        2 => arb_entry().prop_map(|(d, n)| TreeStep::MakeDirectory(d, n)),
        1 => (arb_entry(), arb_entry()).prop_map(|(a, b)| TreeStep::Link(a, b)),
        2 => arb_entry().prop_map(|(d, n)| TreeStep::Unlink(d, n)),
        3 => (arb_entry(), arb_entry()).prop_map(|(a, b)| TreeStep::Rename(a, b)),
        4 => (arb_entry(), 0..9_u64, bytes)
            .prop_map(|((d, n), at, bytes)| TreeStep::Write(d, n, at, bytes)),
        1 => (arb_entry(), 0..12_u64).prop_map(|((d, n), size)| TreeStep::Truncate(d, n, size)),
        3 => arb_entry().prop_map(|(d, n)| TreeStep::SyncFile(d, n)),
        3 => (0..DIRECTORIES).prop_map(TreeStep::SyncDirectory),
        1 => Just(TreeStep::PowerLoss),
    ]
}

/// The twin: nodes hold two copies of their contents, and there are two copies of every directory.
#[derive(Clone, Debug, Default)]
struct ReferenceTree {
    files: BTreeMap<u64, (Vec<u8>, Vec<u8>)>,
    live: BTreeMap<(u64, OsString), u64>,
    durable: BTreeMap<(u64, OsString), u64>,
    directories: Vec<u64>,
}

impl ReferenceTree {
    fn list_directory(
        tree: &BTreeMap<(u64, OsString), u64>,
        directory: u64,
    ) -> Vec<(OsString, u64)> {
        let inside = tree.iter().filter(|((parent, _), _)| *parent == directory);
        inside.map(|((_, name), node)| (name.clone(), *node)).collect()
    }

    /// All paths and contents below a directory; directories end in a slash.
    fn collect_paths(&self, directory: u64, prefix: &str, shown: &mut BTreeMap<String, Vec<u8>>) {
        for (name, node) in Self::list_directory(&self.live, directory) {
            let path = format!("{prefix}{}", name.to_string_lossy());
            match self.files.get(&node) {
                Some((live, _)) => drop(shown.insert(path, live.clone())),
                None => {
                    shown.insert(format!("{path}/"), Vec::new());
                    self.collect_paths(node, &format!("{path}/"), shown);
                }
            }
        }
    }

    /// Makes durable what names a node and what is above it, where that has or had a name.
    fn sync_path_entries(&mut self, node: u64) {
        let mut nodes = vec![node];
        let mut next = 0;
        while next < nodes.len() {
            for tree in [&self.live, &self.durable] {
                let named = tree.iter().filter(|(_, it)| **it == nodes[next]);
                let above: Vec<u64> = named.map(|((directory, _), _)| *directory).collect();
                nodes
                    .extend(above.into_iter().filter(|it| !nodes.contains(it)).collect::<Vec<_>>());
            }
            next += 1;
        }
        let names: Vec<(u64, OsString)> = [&self.live, &self.durable]
            .into_iter()
            .flat_map(|tree| tree.iter().filter(|(_, it)| nodes.contains(it)))
            .map(|(entry, _)| entry.clone())
            .collect();
        for entry in names {
            match self.live.get(&entry) {
                Some(node) => drop(self.durable.insert(entry, *node)),
                None => drop(self.durable.remove(&entry)),
            }
        }
    }

    fn lose_unsynced(&mut self) {
        self.live = self.durable.clone();
        self.files.values_mut().for_each(|(live, durable)| live.clone_from(durable));
        // What nothing leads to is gone for good.
        let mut reached = vec![ROOT];
        let mut next = 0;
        while next < reached.len() {
            let inside = Self::list_directory(&self.live, reached[next]);
            reached.extend(inside.into_iter().map(|(_, node)| node));
            next += 1;
        }
        self.live.retain(|(directory, _), _| reached.contains(directory));
        self.durable = self.live.clone();
    }
}

/// What is really below.
fn read_tree(path: &Path, prefix: &str, shown: &mut BTreeMap<String, Vec<u8>>) {
    for entry in fs::read_dir(path).expect("it is a directory").flatten() {
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            shown.insert(format!("{name}/"), Vec::new());
            read_tree(&entry.path(), &format!("{name}/"), shown);
        } else {
            shown.insert(name, fs::read(entry.path()).expect("it is a file"));
        }
    }
}

struct OverlayAndReference {
    overlay: OverlayFs,
    reference: ReferenceTree,
    directory: tempfile::TempDir,
}

impl OverlayAndReference {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let (inside, stash) = (directory.path().join("data"), directory.path().join("stash"));
        fs::create_dir(&inside).and_then(|()| fs::create_dir(&stash)).expect("room for both");
        let overlay = OverlayFs::new(inside, stash).expect("it is empty");
        Self {
            overlay,
            reference: ReferenceTree { directories: vec![ROOT], ..ReferenceTree::default() },
            directory,
        }
    }

    /// A directory that exists, and a name.
    fn entry_at(&self, (directory, name): (usize, usize)) -> Option<(u64, OsString)> {
        let directory = *self.reference.directories.get(directory)?;
        let live = directory == ROOT || self.reference.live.values().any(|node| *node == directory);
        live.then(|| (directory, NAMES[name].into()))
    }

    fn file_at(&self, place: (usize, usize)) -> Option<u64> {
        let node = *self.reference.live.get(&self.entry_at(place)?)?;
        self.reference.files.contains_key(&node).then_some(node)
    }

    fn apply_step(&mut self, step: &TreeStep) -> Option<()> {
        match step {
            TreeStep::Create(directory, name) => {
                let entry = self.entry_at((*directory, *name))?;
                let made = self.overlay.create(entry.0, &entry.1, 0o644);
                assert_eq!(made.is_ok(), !self.reference.live.contains_key(&entry), "{made:?}");
                let node = made.ok()?;
                self.overlay.close(node).expect("it was open");
                self.reference.files.insert(node, Default::default());
                self.reference.live.insert(entry, node);
            }
            TreeStep::MakeDirectory(directory, name) => {
                let entry = self.entry_at((*directory, *name))?;
                if self.reference.directories.len() == DIRECTORIES {
                    return None;
                }
                let node = self.overlay.make_directory(entry.0, &entry.1, 0o755).ok()?;
                self.reference.directories.push(node);
                self.reference.live.insert(entry, node);
            }
            TreeStep::Link(from, to) => {
                let (node, entry) = (self.file_at(*from)?, self.entry_at(*to)?);
                let linked = self.overlay.link(node, entry.0, &entry.1);
                assert_eq!(linked.is_ok(), !self.reference.live.contains_key(&entry), "{linked:?}");
                linked.ok()?;
                self.reference.live.insert(entry, node);
            }
            TreeStep::Unlink(directory, name) => {
                let entry = self.entry_at((*directory, *name))?;
                self.overlay.unlink(entry.0, &entry.1).ok()?;
                self.reference.live.remove(&entry).expect("only what is there can be taken away");
            }
            TreeStep::Rename(from, to) => self.rename_within(*from, *to)?,
            TreeStep::Write(directory, name, offset, bytes) => {
                let node = self.file_at((*directory, *name))?;
                self.overlay.write(node, *offset, bytes).expect("it is a file");
                write_at(&mut self.reference.files.get_mut(&node)?.0, *offset, bytes);
            }
            TreeStep::Truncate(directory, name, size) => {
                let node = self.file_at((*directory, *name))?;
                let wanted = AttributeChanges { size: Some(*size), ..AttributeChanges::default() };
                self.overlay.set_attributes(node, &wanted).expect("it is a file");
                self.reference.files.get_mut(&node)?.0.resize(*size as usize, 0);
            }
            TreeStep::SyncFile(directory, name) => {
                let node = self.file_at((*directory, *name))?;
                self.overlay.sync_file(node, true).expect("it is a file");
                let (live, durable) = self.reference.files.get_mut(&node)?;
                durable.clone_from(live);
                self.reference.sync_path_entries(node);
            }
            TreeStep::SyncDirectory(directory) => {
                let (directory, _) = self.entry_at((*directory, 0))?;
                self.overlay.sync_directory(directory).expect("it is a directory");
                self.reference.durable.retain(|(parent, _), _| *parent != directory);
                let names =
                    ReferenceTree::list_directory(&self.reference.live, directory).into_iter();
                let names = names.map(|(name, node)| ((directory, name), node));
                self.reference.durable.extend(names);
                self.reference.sync_path_entries(directory);
            }
            TreeStep::PowerLoss => {
                self.overlay.lose_unsynced(0).expect("it can be undone");
                self.reference.lose_unsynced();
            }
        }
        Some(())
    }

    /// Within one directory: what moves between them is all or nothing, and has a test of its own.
    fn rename_within(&mut self, from: (usize, usize), to: (usize, usize)) -> Option<()> {
        let (from, to) = (self.entry_at(from)?, self.entry_at((from.0, to.1))?);
        let node = *self.reference.live.get(&from)?;
        self.overlay.rename(&from, &to, true).ok()?;
        if self.reference.live.get(&to) != Some(&node) {
            self.reference.live.remove(&from);
            self.reference.live.insert(to, node);
        }
        Some(())
    }

    fn compare_trees(&self, step: &TreeStep) {
        let (mut meant, mut found) = (BTreeMap::new(), BTreeMap::new());
        self.reference.collect_paths(ROOT, "", &mut meant);
        read_tree(&self.directory.path().join("data"), "", &mut found);
        assert_eq!(found, meant, "after {step:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn a_tree_is_always_what_programs_made_it_and_after_a_power_loss_what_was_synced(
        steps in prop::collection::vec(arb_step(), 0..60)
    ) {
        let mut pair = OverlayAndReference::new();
        for step in steps.iter().chain([&TreeStep::PowerLoss]) {
            if pair.apply_step(step).is_some() {
                pair.compare_trees(step);
            }
        }
        let left = fs::read_dir(pair.directory.path().join("stash")).expect("it is there").count();
        prop_assert_eq!(left, 0, "after a power loss nothing waits to come back");
    }
}

/// A root with a durable file `a` and a durable directory `b`; their nodes.
fn with_file_and_directory(names: &mut NameTrees) {
    names.link(ROOT, "a".as_ref(), 2);
    names.add_directory(3);
    names.link(ROOT, "b".as_ref(), 3);
    names.sync_directory(ROOT);
}

#[test]
fn a_move_between_directories_is_all_or_nothing_whichever_is_synced() {
    for synced in [Some(ROOT), Some(3), None] {
        let mut names = NameTrees::new();
        with_file_and_directory(&mut names);
        names.rename((ROOT, "a".into()), (3, "c".into()));
        synced.into_iter().for_each(|directory| names.sync_directory(directory));
        names.lose_unsynced();
        let (old, new) = (names.get(ROOT, "a".as_ref()), names.get(3, "c".as_ref()));
        let wanted = if synced.is_some() { (None, Some(2)) } else { (Some(2), None) };
        assert_eq!((old, new), wanted, "{synced:?}");
    }
}

#[test]
fn a_move_into_a_new_directory_takes_that_along() {
    let mut names = NameTrees::new();
    with_file_and_directory(&mut names);
    names.add_directory(4);
    names.link(ROOT, "new".as_ref(), 4);
    names.rename((ROOT, "a".into()), (4, "c".into()));
    names.sync_directory(4);
    names.lose_unsynced();
    assert_eq!(names.path(2), Some(vec!["new".into(), "c".into()]));
}

#[test]
fn a_synced_file_keeps_its_name() {
    let pair = OverlayAndReference::new();
    let node = pair.overlay.create(ROOT, "a".as_ref(), 0o644).expect("there is room");
    pair.overlay
        .write(node, 0, b"precious")
        .and_then(|()| pair.overlay.sync_file(node, false))
        .expect("it is open");
    let loss = pair.overlay.lose_unsynced(0).expect("it can be undone");
    assert_eq!((loss.bytes, loss.names), (0, 0));
    assert!(pair.overlay.lookup(ROOT, "a".as_ref()).is_ok());
}

#[test]
fn a_full_disk_takes_no_more_and_a_failing_one_confirms_nothing() {
    let pair = OverlayAndReference::new();
    let node = pair.overlay.create(ROOT, "a".as_ref(), 0o644).expect("there is room");
    let code = |result: io::Result<()>| result.expect_err("it fails").raw_os_error();
    pair.overlay.injector.set_fault(Fault::Full);
    assert_eq!(code(pair.overlay.write(node, 0, b"x")), Some(nix::libc::ENOSPC));
    pair.overlay.sync_file(node, true).expect("what is there can be synced");
    pair.overlay.injector.set_fault(Fault::IoError);
    assert_eq!(code(pair.overlay.sync_file(node, true)), Some(nix::libc::EIO));
    assert_eq!(pair.overlay.injector.counts().errors, 1);
    pair.overlay.injector.set_fault(Fault::Healthy);
    pair.overlay.write(node, 0, b"x").expect("it is whole again");
}

#[test]
fn damage_changes_something_and_heals_without_a_trace() {
    let place = tempfile::tempdir().expect("a directory");
    let bytes: Vec<u8> = (0..3_000_u32).map(|it| (it % 251) as u8).collect();
    fs::create_dir(place.path().join("deep")).expect("room");
    fs::write(place.path().join("deep/a"), &bytes).expect("room");
    fs::write(place.path().join("small"), "too small").expect("room");
    let show = || {
        let mut shown = BTreeMap::new();
        read_tree(place.path(), "", &mut shown);
        shown
    };
    let whole = show();
    for dice in 0..200 {
        for kind in [
            CorruptionKind::BitFlip,
            CorruptionKind::LostWrite,
            CorruptionKind::MisdirectedWrite,
            CorruptionKind::Truncate,
        ] {
            let corruption =
                corruption::corrupt_file(place.path(), kind, dice).expect("it can be damaged");
            let corruption = corruption.expect("there is something to damage");
            assert_ne!(show(), whole, "{corruption:?}");
            assert!(corruption.description.ends_with("of deep/a"), "{corruption:?}");
            assert!(corruption::repair_file(&corruption).expect("it can be healed"));
            assert_eq!(show(), whole, "{corruption:?}");
        }
    }
}

#[test]
fn what_stands_in_the_place_of_a_damaged_file_is_left_alone() {
    let place = tempfile::tempdir().expect("a directory");
    let (path, next) = (place.path().join("snapshot"), place.path().join("next"));
    std::fs::write(&path, [7; 2000]).expect("ours");
    let corruption = corruption::corrupt_file(place.path(), CorruptionKind::BitFlip, 1)
        .expect("it can be damaged");
    let corruption = corruption.expect("there is something to damage");
    std::fs::write(&next, [9; 2000]).expect("ours");
    std::fs::rename(&next, &path).expect("ours");
    corruption::repair_file(&corruption).expect("there is nothing to heal");
    assert_eq!(std::fs::read(&path).expect("ours"), [9; 2000]);
    std::fs::remove_file(&path).expect("ours");
    corruption::repair_file(&corruption).expect("there is nothing to heal");
}

#[test]
fn what_a_replica_has_changed_since_is_not_undone_with_the_damage() {
    let place = tempfile::tempdir().expect("a directory");
    let path = place.path().join("log");
    for (kind, change) in [
        (CorruptionKind::Truncate, 0),
        (CorruptionKind::Truncate, 1),
        (CorruptionKind::LostWrite, 1),
        (CorruptionKind::LostWrite, 2),
    ] {
        fs::write(&path, [7; 2_000]).expect("room");
        let corruption =
            corruption::corrupt_file(place.path(), kind, 1).expect("it can be damaged");
        let corruption = corruption.expect("there is something to damage");
        let mut left = fs::read(&path).expect("it is there");
        match change {
            0 => left.extend([9; 10]),
            1 => left.truncate(100),
            _ => left.fill(9),
        }
        // In place, as a process with the file open does.
        let file = fs::File::options().write(true).open(&path).expect("it is there");
        file.set_len(left.len() as u64).expect("room");
        std::os::unix::fs::FileExt::write_all_at(&file, &left, 0).expect("room");
        assert!(!corruption::repair_file(&corruption).expect("it can be read"), "{corruption:?}");
        assert_eq!(fs::read(&path).expect("it is there"), left, "{corruption:?}");
    }
}

#[test]
fn damage_hits_what_is_there_in_a_file_that_was_made_long_before() {
    let place = tempfile::tempdir().expect("a directory");
    let path = place.path().join("log");
    let mut bytes = vec![0; 4 << 20];
    bytes[8_192..10_192].fill(7);
    bytes[8_192..8_292].fill(5);
    for (dice, kind) in (0..50).flat_map(|dice| {
        [
            CorruptionKind::BitFlip,
            CorruptionKind::LostWrite,
            CorruptionKind::MisdirectedWrite,
            CorruptionKind::Truncate,
        ]
        .map(|kind| (dice, kind))
    }) {
        fs::write(&path, &bytes).expect("room");
        let corruption =
            corruption::corrupt_file(place.path(), kind, dice).expect("it can be damaged");
        assert!(corruption.is_some(), "{kind:?}, dice {dice}");
        let mut left = fs::read(&path).expect("it is there");
        left.resize(bytes.len(), 0);
        assert_ne!(left[8_192..10_240], bytes[8_192..10_240], "{kind:?}, dice {dice}");
    }
}

#[test]
fn what_is_empty_cannot_be_damaged_by_emptiness() {
    let place = tempfile::tempdir().expect("a directory");
    fs::write(place.path().join("a"), vec![0; 4_096]).expect("room");
    assert_eq!(
        corruption::corrupt_file(place.path(), CorruptionKind::LostWrite, 1)
            .expect("it can be read"),
        None
    );
}

#[test]
fn what_is_settled_survives_a_power_loss() {
    let pair = OverlayAndReference::new();
    let node = pair.overlay.create(ROOT, "a".as_ref(), 0o644).expect("there is room");
    pair.overlay.write(node, 0, b"late").expect("it is open");
    pair.overlay.mark_all_durable().expect("there is room");
    let loss = pair.overlay.lose_unsynced(0).expect("it can be undone");
    assert_eq!((loss.bytes, loss.names), (0, 0));
    assert!(pair.overlay.lookup(ROOT, "a".as_ref()).is_ok());
}
