//! Compares what a power loss leaves with slow, obvious twins: two whole copies, of a file and of a
//! tree.

use super::damage::{self, Damage};
use super::fault::Fault;
use super::names::{Names, ROOT};
use super::overlay_fs::{Attributes, OverlayFs};
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

fn file_step() -> impl Strategy<Value = FileStep> {
    prop_oneof![
        5 => (0..40_u64, prop::collection::vec(1..u8::MAX, 1..9))
            .prop_map(|(offset, bytes)| FileStep::Write(offset, bytes)),
        2 => (0..48_u64).prop_map(FileStep::Resize),
        1 => Just(FileStep::Sync),
    ]
}

fn write(file: &mut Vec<u8>, offset: u64, bytes: &[u8]) {
    let (begin, end) = (offset as usize, offset as usize + bytes.len());
    file.resize(file.len().max(end), 0);
    file[begin..end].copy_from_slice(bytes);
}

/// Keeps of a file in memory what is about to change.
fn keep(unsynced: &mut Unsynced, file: &[u8], range: std::ops::Range<u64>) {
    for missing in unsynced.missing(range) {
        let kept = file[missing.start as usize..missing.end as usize].to_vec();
        unsynced.keep(missing.start, kept);
    }
}

fn undone(mut file: Vec<u8>, unsynced: &Unsynced) -> Vec<u8> {
    file.resize(unsynced.size() as usize, 0);
    for (offset, bytes) in unsynced.before() {
        write(&mut file, *offset, bytes);
    }
    file
}

proptest! {
    #[test]
    fn a_file_becomes_what_it_was_when_it_was_last_synced(steps in prop::collection::vec(file_step(), 0..25)) {
        let (mut live, mut durable, mut unsynced) = (Vec::new(), Vec::new(), Unsynced::nothing(0));
        for step in steps {
            match step {
                FileStep::Write(offset, bytes) => {
                    let range = offset..offset + bytes.len() as u64;
                    keep(&mut unsynced, &live, range.clone());
                    write(&mut live, offset, &bytes);
                    unsynced.wrote(range);
                }
                FileStep::Resize(size) => {
                    keep(&mut unsynced, &live, size..u64::MAX);
                    live.resize(size as usize, 0);
                    unsynced.resized();
                }
                FileStep::Sync => {
                    durable.clone_from(&live);
                    unsynced = Unsynced::nothing(live.len() as u64);
                }
            }
            prop_assert_eq!(&undone(live.clone(), &unsynced), &durable);
            prop_assert!(!unsynced.is_nothing() || live == durable);
        }
    }
}

#[test]
fn of_a_torn_write_the_first_sectors_stay() {
    let mut unsynced = Unsynced::nothing(10);
    [(100..2_100), (5_000..6_000)].into_iter().for_each(|range| unsynced.wrote(range));
    assert_eq!(unsynced.begun(0), []);
    assert_eq!(unsynced.begun(100).len(), 0, "not even the first sector is full");
    assert_eq!(unsynced.begun(600).first(), Some(&(100..1_536)));
    assert_eq!(unsynced.begun(900), [100..2_100, 5_000..5_632]);
    assert_eq!(unsynced.begun(1_000), [100..2_100, 5_000..6_000]);
}

/// What a program does to a directory tree of a few names.
#[derive(Clone, Debug)]
enum Step {
    Create(usize, usize),
    MakeDirectory(usize, usize),
    Link((usize, usize), (usize, usize)),
    Unlink(usize, usize),
    Rename((usize, usize), (usize, usize)),
    Write(usize, usize, u64, Vec<u8>),
    Truncate(usize, usize, u64),
    SyncFile(usize, usize),
    SyncDirectory(usize),
    Lose,
}

/// The tree's directories: the root, and two in it, the second of which may also be in the first.
const DIRECTORIES: usize = 3;
const NAMES: [&str; 3] = ["a", "b", "c"];

fn place() -> impl Strategy<Value = (usize, usize)> {
    (0..DIRECTORIES, 0..NAMES.len())
}

fn step() -> impl Strategy<Value = Step> {
    let bytes = prop::collection::vec(1..u8::MAX, 1..5);
    prop_oneof![
        4 => place().prop_map(|(d, n)| Step::Create(d, n)),
        2 => place().prop_map(|(d, n)| Step::MakeDirectory(d, n)),
        1 => (place(), place()).prop_map(|(a, b)| Step::Link(a, b)),
        2 => place().prop_map(|(d, n)| Step::Unlink(d, n)),
        3 => (place(), place()).prop_map(|(a, b)| Step::Rename(a, b)),
        4 => (place(), 0..9_u64, bytes).prop_map(|((d, n), at, bytes)| Step::Write(d, n, at, bytes)),
        1 => (place(), 0..12_u64).prop_map(|((d, n), size)| Step::Truncate(d, n, size)),
        3 => place().prop_map(|(d, n)| Step::SyncFile(d, n)),
        3 => (0..DIRECTORIES).prop_map(Step::SyncDirectory),
        1 => Just(Step::Lose),
    ]
}

/// The twin: nodes hold two copies of their contents, and there are two copies of every directory.
#[derive(Clone, Debug, Default)]
struct Twin {
    files: BTreeMap<u64, (Vec<u8>, Vec<u8>)>,
    live: BTreeMap<(u64, OsString), u64>,
    durable: BTreeMap<(u64, OsString), u64>,
    directories: Vec<u64>,
}

impl Twin {
    fn list(tree: &BTreeMap<(u64, OsString), u64>, directory: u64) -> Vec<(OsString, u64)> {
        let inside = tree.iter().filter(|((parent, _), _)| *parent == directory);
        inside.map(|((_, name), node)| (name.clone(), *node)).collect()
    }

    /// All paths and contents below a directory; directories end in a slash.
    fn show(&self, directory: u64, prefix: &str, shown: &mut BTreeMap<String, Vec<u8>>) {
        for (name, node) in Self::list(&self.live, directory) {
            let path = format!("{prefix}{}", name.to_string_lossy());
            match self.files.get(&node) {
                Some((live, _)) => drop(shown.insert(path, live.clone())),
                None => {
                    shown.insert(format!("{path}/"), Vec::new());
                    self.show(node, &format!("{path}/"), shown);
                }
            }
        }
    }

    /// Makes durable what names a node and what is above it, where that has or had a name.
    fn sync_ways(&mut self, node: u64) {
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

    fn lose(&mut self) {
        self.live = self.durable.clone();
        self.files.values_mut().for_each(|(live, durable)| live.clone_from(durable));
        // What nothing leads to is gone for good.
        let mut reached = vec![ROOT];
        let mut next = 0;
        while next < reached.len() {
            let inside = Self::list(&self.live, reached[next]);
            reached.extend(inside.into_iter().map(|(_, node)| node));
            next += 1;
        }
        self.live.retain(|(directory, _), _| reached.contains(directory));
        self.durable = self.live.clone();
    }
}

/// What is really below.
fn below(path: &Path, prefix: &str, shown: &mut BTreeMap<String, Vec<u8>>) {
    for entry in fs::read_dir(path).expect("it is a directory").flatten() {
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            shown.insert(format!("{name}/"), Vec::new());
            below(&entry.path(), &format!("{name}/"), shown);
        } else {
            shown.insert(name, fs::read(entry.path()).expect("it is a file"));
        }
    }
}

struct Pair {
    layer: OverlayFs,
    twin: Twin,
    place: tempfile::TempDir,
}

impl Pair {
    fn new() -> Self {
        let place = tempfile::tempdir().expect("a directory");
        let (inside, stash) = (place.path().join("data"), place.path().join("stash"));
        fs::create_dir(&inside).and_then(|()| fs::create_dir(&stash)).expect("room for both");
        let layer = OverlayFs::new(inside, stash).expect("it is empty");
        Self { layer, twin: Twin { directories: vec![ROOT], ..Twin::default() }, place }
    }

    /// A directory that exists, and a name.
    fn at(&self, (directory, name): (usize, usize)) -> Option<(u64, OsString)> {
        let directory = *self.twin.directories.get(directory)?;
        let live = directory == ROOT || self.twin.live.values().any(|node| *node == directory);
        live.then(|| (directory, NAMES[name].into()))
    }

    fn file(&self, place: (usize, usize)) -> Option<u64> {
        let node = *self.twin.live.get(&self.at(place)?)?;
        self.twin.files.contains_key(&node).then_some(node)
    }

    fn apply(&mut self, step: &Step) -> Option<()> {
        match step {
            Step::Create(directory, name) => {
                let entry = self.at((*directory, *name))?;
                let made = self.layer.create(entry.0, &entry.1, 0o644);
                assert_eq!(made.is_ok(), !self.twin.live.contains_key(&entry), "{made:?}");
                let node = made.ok()?;
                self.layer.close(node).expect("it was open");
                self.twin.files.insert(node, Default::default());
                self.twin.live.insert(entry, node);
            }
            Step::MakeDirectory(directory, name) => {
                let entry = self.at((*directory, *name))?;
                if self.twin.directories.len() == DIRECTORIES {
                    return None;
                }
                let node = self.layer.make_directory(entry.0, &entry.1, 0o755).ok()?;
                self.twin.directories.push(node);
                self.twin.live.insert(entry, node);
            }
            Step::Link(from, to) => {
                let (node, entry) = (self.file(*from)?, self.at(*to)?);
                let linked = self.layer.link(node, entry.0, &entry.1);
                assert_eq!(linked.is_ok(), !self.twin.live.contains_key(&entry), "{linked:?}");
                linked.ok()?;
                self.twin.live.insert(entry, node);
            }
            Step::Unlink(directory, name) => {
                let entry = self.at((*directory, *name))?;
                self.layer.unlink(entry.0, &entry.1).ok()?;
                self.twin.live.remove(&entry).expect("only what is there can be taken away");
            }
            Step::Rename(from, to) => self.rename(*from, *to)?,
            Step::Write(directory, name, offset, bytes) => {
                let node = self.file((*directory, *name))?;
                self.layer.write(node, *offset, bytes).expect("it is a file");
                write(&mut self.twin.files.get_mut(&node)?.0, *offset, bytes);
            }
            Step::Truncate(directory, name, size) => {
                let node = self.file((*directory, *name))?;
                let wanted = Attributes { size: Some(*size), ..Attributes::default() };
                self.layer.change(node, &wanted).expect("it is a file");
                self.twin.files.get_mut(&node)?.0.resize(*size as usize, 0);
            }
            Step::SyncFile(directory, name) => {
                let node = self.file((*directory, *name))?;
                self.layer.sync(node, true).expect("it is a file");
                let (live, durable) = self.twin.files.get_mut(&node)?;
                durable.clone_from(live);
                self.twin.sync_ways(node);
            }
            Step::SyncDirectory(directory) => {
                let (directory, _) = self.at((*directory, 0))?;
                self.layer.sync_directory(directory).expect("it is a directory");
                self.twin.durable.retain(|(parent, _), _| *parent != directory);
                let names = Twin::list(&self.twin.live, directory).into_iter();
                let names = names.map(|(name, node)| ((directory, name), node));
                self.twin.durable.extend(names);
                self.twin.sync_ways(directory);
            }
            Step::Lose => {
                self.layer.lose(0).expect("it can be undone");
                self.twin.lose();
            }
        }
        Some(())
    }

    /// Within one directory: what moves between them is all or nothing, and has a test of its own.
    fn rename(&mut self, from: (usize, usize), to: (usize, usize)) -> Option<()> {
        let (from, to) = (self.at(from)?, self.at((from.0, to.1))?);
        let node = *self.twin.live.get(&from)?;
        self.layer.rename(&from, &to, true).ok()?;
        if self.twin.live.get(&to) != Some(&node) {
            self.twin.live.remove(&from);
            self.twin.live.insert(to, node);
        }
        Some(())
    }

    fn compare(&self, step: &Step) {
        let (mut meant, mut found) = (BTreeMap::new(), BTreeMap::new());
        self.twin.show(ROOT, "", &mut meant);
        below(&self.place.path().join("data"), "", &mut found);
        assert_eq!(found, meant, "after {step:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn a_tree_is_always_what_programs_made_it_and_after_a_power_loss_what_was_synced(
        steps in prop::collection::vec(step(), 0..60)
    ) {
        let mut pair = Pair::new();
        for step in steps.iter().chain([&Step::Lose]) {
            if pair.apply(step).is_some() {
                pair.compare(step);
            }
        }
        let left = fs::read_dir(pair.place.path().join("stash")).expect("it is there").count();
        prop_assert_eq!(left, 0, "after a power loss nothing waits to come back");
    }
}

/// A root with a durable file `a` and a durable directory `b`; their nodes.
fn with_file_and_directory(names: &mut Names) {
    names.link(ROOT, "a".as_ref(), 2);
    names.add_directory(3);
    names.link(ROOT, "b".as_ref(), 3);
    names.sync(ROOT);
}

#[test]
fn a_move_between_directories_is_all_or_nothing_whichever_is_synced() {
    for synced in [Some(ROOT), Some(3), None] {
        let mut names = Names::new();
        with_file_and_directory(&mut names);
        names.rename((ROOT, "a".into()), (3, "c".into()));
        synced.into_iter().for_each(|directory| names.sync(directory));
        names.lose();
        let (old, new) = (names.get(ROOT, "a".as_ref()), names.get(3, "c".as_ref()));
        let wanted = if synced.is_some() { (None, Some(2)) } else { (Some(2), None) };
        assert_eq!((old, new), wanted, "{synced:?}");
    }
}

#[test]
fn a_move_into_a_new_directory_takes_that_along() {
    let mut names = Names::new();
    with_file_and_directory(&mut names);
    names.add_directory(4);
    names.link(ROOT, "new".as_ref(), 4);
    names.rename((ROOT, "a".into()), (4, "c".into()));
    names.sync(4);
    names.lose();
    assert_eq!(names.path(2), Some(vec!["new".into(), "c".into()]));
}

#[test]
fn a_synced_file_keeps_its_name() {
    let pair = Pair::new();
    let node = pair.layer.create(ROOT, "a".as_ref(), 0o644).expect("there is room");
    pair.layer
        .write(node, 0, b"precious")
        .and_then(|()| pair.layer.sync(node, false))
        .expect("it is open");
    let loss = pair.layer.lose(0).expect("it can be undone");
    assert_eq!((loss.bytes, loss.names), (0, 0));
    assert!(pair.layer.lookup(ROOT, "a".as_ref()).is_ok());
}

#[test]
fn a_full_disk_takes_no_more_and_a_failing_one_confirms_nothing() {
    let pair = Pair::new();
    let node = pair.layer.create(ROOT, "a".as_ref(), 0o644).expect("there is room");
    let code = |result: io::Result<()>| result.expect_err("it fails").raw_os_error();
    pair.layer.switch.set(Fault::Full);
    assert_eq!(code(pair.layer.write(node, 0, b"x")), Some(nix::libc::ENOSPC));
    pair.layer.sync(node, true).expect("what is there can be synced");
    pair.layer.switch.set(Fault::Failing);
    assert_eq!(code(pair.layer.sync(node, true)), Some(nix::libc::EIO));
    assert_eq!(pair.layer.switch.counts().errors, 1);
    pair.layer.switch.set(Fault::Whole);
    pair.layer.write(node, 0, b"x").expect("it is whole again");
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
        below(place.path(), "", &mut shown);
        shown
    };
    let whole = show();
    for dice in 0..200 {
        for kind in [Damage::Flip, Damage::Lost, Damage::Misdirected, Damage::Cut] {
            let scar = damage::inflict(place.path(), kind, dice).expect("it can be damaged");
            let scar = scar.expect("there is something to damage");
            assert_ne!(show(), whole, "{scar:?}");
            assert!(scar.text.ends_with("of deep/a"), "{scar:?}");
            assert!(damage::heal(&scar).expect("it can be healed"));
            assert_eq!(show(), whole, "{scar:?}");
        }
    }
}

#[test]
fn what_stands_in_the_place_of_a_damaged_file_is_left_alone() {
    let place = tempfile::tempdir().expect("a directory");
    let (path, next) = (place.path().join("snapshot"), place.path().join("next"));
    std::fs::write(&path, [7; 2000]).expect("ours");
    let scar = damage::inflict(place.path(), Damage::Flip, 1).expect("it can be damaged");
    let scar = scar.expect("there is something to damage");
    std::fs::write(&next, [9; 2000]).expect("ours");
    std::fs::rename(&next, &path).expect("ours");
    damage::heal(&scar).expect("there is nothing to heal");
    assert_eq!(std::fs::read(&path).expect("ours"), [9; 2000]);
    std::fs::remove_file(&path).expect("ours");
    damage::heal(&scar).expect("there is nothing to heal");
}

#[test]
fn what_a_replica_has_changed_since_is_not_undone_with_the_damage() {
    let place = tempfile::tempdir().expect("a directory");
    let path = place.path().join("log");
    for (kind, change) in [(Damage::Cut, 0), (Damage::Cut, 1), (Damage::Lost, 1), (Damage::Lost, 2)]
    {
        fs::write(&path, [7; 2_000]).expect("room");
        let scar = damage::inflict(place.path(), kind, 1).expect("it can be damaged");
        let scar = scar.expect("there is something to damage");
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
        assert!(!damage::heal(&scar).expect("it can be read"), "{scar:?}");
        assert_eq!(fs::read(&path).expect("it is there"), left, "{scar:?}");
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
        [Damage::Flip, Damage::Lost, Damage::Misdirected, Damage::Cut].map(|kind| (dice, kind))
    }) {
        fs::write(&path, &bytes).expect("room");
        let scar = damage::inflict(place.path(), kind, dice).expect("it can be damaged");
        assert!(scar.is_some(), "{kind:?}, dice {dice}");
        let mut left = fs::read(&path).expect("it is there");
        left.resize(bytes.len(), 0);
        assert_ne!(left[8_192..10_240], bytes[8_192..10_240], "{kind:?}, dice {dice}");
    }
}

#[test]
fn what_is_empty_cannot_be_damaged_by_emptiness() {
    let place = tempfile::tempdir().expect("a directory");
    fs::write(place.path().join("a"), vec![0; 4_096]).expect("room");
    assert_eq!(damage::inflict(place.path(), Damage::Lost, 1).expect("it can be read"), None);
}

#[test]
fn what_is_settled_survives_a_power_loss() {
    let pair = Pair::new();
    let node = pair.layer.create(ROOT, "a".as_ref(), 0o644).expect("there is room");
    pair.layer.write(node, 0, b"late").expect("it is open");
    pair.layer.settle().expect("there is room");
    let loss = pair.layer.lose(0).expect("it can be undone");
    assert_eq!((loss.bytes, loss.names), (0, 0));
    assert!(pair.layer.lookup(ROOT, "a".as_ref()).is_ok());
}
