//! Corrupts synced files while no process uses them, in ways that a replica can detect.
//!
//! The corrupted place is random among the sectors with content, each equally likely: files are
//! often allocated long before they have content (etcd's log is 64 MB of zeros at first), and
//! corruption of unused sectors has no effect. The original content is kept, so that a replica that
//! refuses to start can be repaired: it serves as the good copy.

use std::fs::{self, File};
use std::io;
use std::ops::Range;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use workloads::Rng;

/// What a disk reads and writes at a time.
const SECTOR: u64 = 512;
/// Smaller files are left alone: there is nothing in them to go wrong.
const SMALLEST: u64 = 64;
/// How often the dice are thrown until something really changes: sectors may be alike.
const THROWS: u32 = 64;
/// How much is looked through at a time.
const CHUNK: u64 = 1 << 20;
/// At most so many bits flip.
const MOST_BITS: u64 = 4;

/// A kind of damage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    /// Some bits flip.
    Flip,
    /// A sector was acknowledged and never written.
    Lost,
    /// A sector was written to the place of another one.
    Misdirected,
    /// The end of a file is gone.
    Cut,
}

/// What was done to a file, and what stood there before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scar {
    path: PathBuf,
    /// Which file that was: another one may stand there by now.
    node: u64,
    /// How long the file was left, if its end is gone.
    cut_to: Option<u64>,
    /// What was changed, by offset.
    before: Vec<(u64, Vec<u8>)>,
    /// What stands there instead, in the end.
    after: Vec<(u64, Vec<u8>)>,
    /// In words.
    pub text: String,
}

/// Bytes to write, by offset; or the file's new size.
#[derive(Debug, PartialEq, Eq)]
enum Wound {
    Write(Vec<(u64, Vec<u8>)>),
    Resize(u64),
}

/// Damages one of the files below this directory, if there is one that can be damaged.
pub(super) fn inflict(directory: &Path, damage: Damage, dice: u64) -> io::Result<Option<Scar>> {
    let mut paths = Vec::new();
    collect(directory, &mut paths)?;
    paths.sort();
    let files = paths.into_iter().map(Filled::look).collect::<io::Result<Vec<_>>>()?;
    let mut rng = Rng::new(dice);
    for _ in 0..THROWS {
        let Some(filled) = throw(&files, &mut rng) else { break };
        let Filled { path, size, .. } = filled;
        let file = File::options().read(true).write(true).open(path)?;
        let wound = wound(&file, filled, damage, &mut rng)?;
        let scar = apply(&file, path, *size, &wound)?;
        if let Some(scar) = scar {
            let name = path.strip_prefix(directory).unwrap_or(path).display();
            return Ok(Some(Scar { text: format!("{} of {name}", scar.text), ..scar }));
        }
    }
    Ok(None)
}

/// A file, and where it holds anything but zeros.
struct Filled {
    path: PathBuf,
    size: u64,
    /// Where the sectors begin that do.
    sectors: Vec<u64>,
    /// Where the last byte ends that does.
    end: u64,
}

impl Filled {
    fn look((path, size): (PathBuf, u64)) -> io::Result<Self> {
        let file = File::open(&path)?;
        let (mut sectors, mut end) = (Vec::new(), 0);
        for chunk in (0..size).step_by(CHUNK as usize) {
            let bytes = read(&file, chunk..(chunk + CHUNK).min(size))?;
            for (start, sector) in
                (chunk..).step_by(SECTOR as usize).zip(bytes.chunks(SECTOR as usize))
            {
                if let Some(last) = sector.iter().rposition(|byte| *byte != 0) {
                    sectors.push(start);
                    end = start + last as u64 + 1;
                }
            }
        }
        Ok(Self { path, size, sectors, end })
    }
}

fn collect(directory: &Path, files: &mut Vec<(PathBuf, u64)>) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        if metadata.is_dir() {
            collect(&entry.path(), files)?;
        } else if metadata.is_file() && metadata.len() >= SMALLEST {
            files.push((entry.path(), metadata.len()));
        }
    }
    Ok(())
}

/// A file, each as likely as it holds much.
fn throw<'a>(files: &'a [Filled], rng: &mut Rng) -> Option<&'a Filled> {
    let all: u64 = files.iter().map(|file| file.sectors.len() as u64).sum();
    let mut left = rng.below(all.max(1));
    files.iter().find(|file| {
        let holds = file.sectors.len() as u64;
        let found = left < holds;
        left = left.saturating_sub(holds);
        found
    })
}

fn wound(file: &File, filled: &Filled, damage: Damage, rng: &mut Rng) -> io::Result<Wound> {
    let sector = |rng: &mut Rng| {
        let start = rng.choose(&filled.sectors).copied().unwrap_or(0);
        start..(start + SECTOR).min(filled.size)
    };
    Ok(match damage {
        Damage::Flip => {
            let mut bits = Vec::new();
            for _ in 0..=rng.below(MOST_BITS) {
                let place = sector(rng);
                let at = rng.between(place.start, place.end);
                let byte = read(file, at..at + 1)?[0] ^ (1 << rng.below(8));
                bits.push((at, vec![byte]));
            }
            Wound::Write(bits)
        }
        Damage::Lost => {
            let place = sector(rng);
            let length = usize::try_from(place.end - place.start).unwrap_or(0);
            Wound::Write(vec![(place.start, vec![0; length])])
        }
        Damage::Misdirected => {
            let (from, to) = (sector(rng), sector(rng));
            let length = (from.end - from.start).min(to.end - to.start);
            Wound::Write(vec![(to.start, read(file, from.start..from.start + length)?)])
        }
        // What holds nothing at the end goes with it, and some of what holds something.
        Damage::Cut => Wound::Resize(rng.between(filled.end / 2, filled.end)),
    })
}

/// Does it, unless that would change nothing.
fn apply(file: &File, path: &Path, size: u64, wound: &Wound) -> io::Result<Option<Scar>> {
    let node = file.metadata()?.ino();
    let (path, text) = (path.to_owned(), String::new());
    let bare = Scar { path, node, cut_to: None, before: Vec::new(), after: Vec::new(), text };
    match wound {
        Wound::Resize(new) => {
            let before = vec![(*new, read(file, *new..size)?)];
            file.set_len(*new)?;
            let text = format!("the last {} of {size} bytes", size - new);
            Ok(Some(Scar { cut_to: Some(*new), before, text, ..bare }))
        }
        Wound::Write(writes) => {
            let mut before = Vec::new();
            for (at, bytes) in writes {
                let old = read(file, *at..at + bytes.len() as u64)?;
                if old != *bytes {
                    file.write_all_at(bytes, *at)?;
                    before.push((*at, old));
                }
            }
            let places: Vec<String> =
                before.iter().map(|(at, old)| format!("{at}+{}", old.len())).collect();
            let text = format!("bytes {}", places.join(", "));
            let left =
                |(at, old): &(u64, Vec<u8>)| Ok((*at, read(file, *at..at + old.len() as u64)?));
            let after = before.iter().map(left).collect::<io::Result<_>>()?;
            Ok((!before.is_empty()).then_some(Scar { before, after, text, ..bare }))
        }
    }
}

/// Restores the original content of a file, and returns whether the corruption was unchanged; other
/// content stays. A deleted or replaced file needs no repair: nothing reads the corrupted bytes any
/// more. But if the place has changed since, a process has overwritten it and may depend on that,
/// so it stays as it is.
pub(super) fn heal(scar: &Scar) -> io::Result<bool> {
    let file = match File::options().read(true).write(true).open(&scar.path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
        file => file?,
    };
    if file.metadata()?.ino() != scar.node {
        return Ok(true);
    }
    if !scar.is_as_left(&file)? {
        return Ok(false);
    }
    // What was done last is undone first.
    for (at, bytes) in scar.before.iter().rev() {
        file.write_all_at(bytes, *at)?;
    }
    Ok(true)
}

impl Scar {
    /// Whether what was damaged is as it was left.
    fn is_as_left(&self, file: &File) -> io::Result<bool> {
        let length = file.metadata()?.len();
        if let Some(cut) = self.cut_to {
            return Ok(length == cut);
        }
        for (at, bytes) in &self.after {
            let end = at + bytes.len() as u64;
            if end > length || read(file, *at..end)? != *bytes {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

fn read(file: &File, range: Range<u64>) -> io::Result<Vec<u8>> {
    let length = usize::try_from(range.end - range.start).map_err(io::Error::other)?;
    let mut bytes = vec![0; length];
    file.read_exact_at(&mut bytes, range.start)?;
    Ok(bytes)
}
