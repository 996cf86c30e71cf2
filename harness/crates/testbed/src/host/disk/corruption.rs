//! Corrupts synced files while no process uses them, in ways that a replica can detect.
//!
//! The corrupted place is random among the sectors with content, each equally likely: files are
//! often allocated long before they have content (etcd's log is 64 MB of zeros at first), and
//! corruption of unused sectors has no effect. The original content is kept, so that a replica that
//! refuses to start can be repaired: it serves as the good copy.

use crate::random::Rng;
use std::fs::{self, File};
use std::io;
use std::ops::Range;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

/// What a disk reads and writes at a time.
const SECTOR_BYTES: u64 = 512;
/// Smaller files are left alone: there is nothing in them to go wrong.
const MIN_FILE_BYTES: u64 = 64;
/// How often the dice are thrown until something really changes: sectors may be alike.
const MAX_ATTEMPTS: u32 = 64;
/// How much is looked through at a time.
const CHUNK_BYTES: u64 = 1 << 20;
/// At most so many bits flip.
const MAX_FLIPPED_BITS: u64 = 4;

/// A kind of damage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CorruptionKind {
    /// Some bits flip.
    BitFlip,
    /// A sector was acknowledged and never written.
    LostWrite,
    /// A sector was written to the place of another one.
    MisdirectedWrite,
    /// The end of a file is gone.
    Truncate,
}

/// What was done to a file, and what stood there before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileCorruption {
    path: PathBuf,
    /// Which file that was: another one may stand there by now.
    inode: u64,
    /// How long the file was left, if its end is gone.
    truncated_to: Option<u64>,
    /// What was changed, by offset.
    original: Vec<(u64, Vec<u8>)>,
    /// What stands there instead, in the end.
    corrupted: Vec<(u64, Vec<u8>)>,
    /// In words.
    pub description: String,
}

/// Bytes to write, by offset; or the file's new size.
#[derive(Debug, PartialEq, Eq)]
enum FileEdit {
    Write(Vec<(u64, Vec<u8>)>),
    Resize(u64),
}

/// Damages one of the files below this directory, if there is one that can be damaged.
pub(super) fn corrupt_file(
    directory: &Path,
    kind: CorruptionKind,
    random: u64,
) -> io::Result<Option<FileCorruption>> {
    let mut paths = Vec::new();
    collect_files(directory, &mut paths)?;
    paths.sort();
    let files = paths.into_iter().map(SectorMap::scan_file).collect::<io::Result<Vec<_>>>()?;
    let mut rng = Rng::new(random);
    for _ in 0..MAX_ATTEMPTS {
        let Some(filled) = choose_file(&files, &mut rng) else { break };
        let SectorMap { path, size, .. } = filled;
        let file = File::options().read(true).write(true).open(path)?;
        let edit = plan_edit(&file, filled, kind, &mut rng)?;
        let corruption = apply_edit(&file, path, *size, &edit)?;
        if let Some(corruption) = corruption {
            let name = path.strip_prefix(directory).unwrap_or(path).display();
            return Ok(Some(FileCorruption {
                description: format!("{} of {name}", corruption.description),
                ..corruption
            }));
        }
    }
    Ok(None)
}

/// A file, and where it holds anything but zeros.
struct SectorMap {
    path: PathBuf,
    size: u64,
    /// Where the sectors begin that do.
    sectors: Vec<u64>,
    /// Where the last byte ends that does.
    data_end: u64,
}

impl SectorMap {
    fn scan_file((path, size): (PathBuf, u64)) -> io::Result<Self> {
        let file = File::open(&path)?;
        let (mut sectors, mut end) = (Vec::new(), 0);
        for chunk in (0..size).step_by(CHUNK_BYTES as usize) {
            let bytes = read_range(&file, chunk..(chunk + CHUNK_BYTES).min(size))?;
            for (start, sector) in
                (chunk..).step_by(SECTOR_BYTES as usize).zip(bytes.chunks(SECTOR_BYTES as usize))
            {
                if let Some(last) = sector.iter().rposition(|byte| *byte != 0) {
                    sectors.push(start);
                    end = start + last as u64 + 1;
                }
            }
        }
        Ok(Self { path, size, sectors, data_end: end })
    }
}

fn collect_files(directory: &Path, files: &mut Vec<(PathBuf, u64)>) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        if metadata.is_dir() {
            collect_files(&entry.path(), files)?;
        } else if metadata.is_file() && metadata.len() >= MIN_FILE_BYTES {
            files.push((entry.path(), metadata.len()));
        }
    }
    Ok(())
}

/// A file, each as likely as it holds much.
fn choose_file<'a>(files: &'a [SectorMap], rng: &mut Rng) -> Option<&'a SectorMap> {
    let all: u64 = files.iter().map(|file| file.sectors.len() as u64).sum();
    let mut left = rng.below(all.max(1));
    files.iter().find(|file| {
        let holds = file.sectors.len() as u64;
        let found = left < holds;
        left = left.saturating_sub(holds);
        found
    })
}

fn plan_edit(
    file: &File,
    filled: &SectorMap,
    kind: CorruptionKind,
    rng: &mut Rng,
) -> io::Result<FileEdit> {
    let sector = |rng: &mut Rng| {
        let start = rng.choose(&filled.sectors).copied().unwrap_or(0);
        start..(start + SECTOR_BYTES).min(filled.size)
    };
    Ok(match kind {
        CorruptionKind::BitFlip => {
            let mut bits = Vec::new();
            for _ in 0..=rng.below(MAX_FLIPPED_BITS) {
                let place = sector(rng);
                let at = rng.between(place.start, place.end);
                let byte = read_range(file, at..at + 1)?[0] ^ (1 << rng.below(8));
                bits.push((at, vec![byte]));
            }
            FileEdit::Write(bits)
        }
        CorruptionKind::LostWrite => {
            let place = sector(rng);
            let length = usize::try_from(place.end - place.start).unwrap_or(0);
            FileEdit::Write(vec![(place.start, vec![0; length])])
        }
        CorruptionKind::MisdirectedWrite => {
            let (from, to) = (sector(rng), sector(rng));
            let length = (from.end - from.start).min(to.end - to.start);
            FileEdit::Write(vec![(to.start, read_range(file, from.start..from.start + length)?)])
        }
        // What holds nothing at the end goes with it, and some of what holds something.
        CorruptionKind::Truncate => {
            FileEdit::Resize(rng.between(filled.data_end / 2, filled.data_end))
        }
    })
}

/// Does it, unless that would change nothing.
fn apply_edit(
    file: &File,
    path: &Path,
    size: u64,
    edit: &FileEdit,
) -> io::Result<Option<FileCorruption>> {
    let node = file.metadata()?.ino();
    let (path, text) = (path.to_owned(), String::new());
    let bare = FileCorruption {
        path,
        inode: node,
        truncated_to: None,
        original: Vec::new(),
        corrupted: Vec::new(),
        description: text,
    };
    match edit {
        FileEdit::Resize(new) => {
            let before = vec![(*new, read_range(file, *new..size)?)];
            file.set_len(*new)?;
            let text = format!("the last {} of {size} bytes", size - new);
            Ok(Some(FileCorruption {
                truncated_to: Some(*new),
                original: before,
                description: text,
                ..bare
            }))
        }
        FileEdit::Write(writes) => {
            let mut before = Vec::new();
            for (at, bytes) in writes {
                let old = read_range(file, *at..at + bytes.len() as u64)?;
                if old != *bytes {
                    file.write_all_at(bytes, *at)?;
                    before.push((*at, old));
                }
            }
            let places: Vec<String> =
                before.iter().map(|(at, old)| format!("{at}+{}", old.len())).collect();
            let text = format!("bytes {}", places.join(", "));
            let left = |(at, old): &(u64, Vec<u8>)| {
                Ok((*at, read_range(file, *at..at + old.len() as u64)?))
            };
            let after = before.iter().map(left).collect::<io::Result<_>>()?;
            Ok((!before.is_empty()).then_some(FileCorruption {
                original: before,
                corrupted: after,
                description: text,
                ..bare
            }))
        }
    }
}

/// Restores the original content of a file, and returns whether the corruption was unchanged; other
/// content stays. A deleted or replaced file needs no repair: nothing reads the corrupted bytes any
/// more. But if the place has changed since, a process has overwritten it and may depend on that,
/// so it stays as it is.
pub(super) fn repair_file(corruption: &FileCorruption) -> io::Result<bool> {
    let file = match File::options().read(true).write(true).open(&corruption.path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
        file => file?,
    };
    if file.metadata()?.ino() != corruption.inode {
        return Ok(true);
    }
    if !corruption.is_unchanged(&file)? {
        return Ok(false);
    }
    // What was done last is undone first.
    for (at, bytes) in corruption.original.iter().rev() {
        file.write_all_at(bytes, *at)?;
    }
    Ok(true)
}

impl FileCorruption {
    /// Whether what was damaged is as it was left.
    fn is_unchanged(&self, file: &File) -> io::Result<bool> {
        let length = file.metadata()?.len();
        if let Some(cut) = self.truncated_to {
            return Ok(length == cut);
        }
        for (at, bytes) in &self.corrupted {
            let end = at + bytes.len() as u64;
            if end > length || read_range(file, *at..end)? != *bytes {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

fn read_range(file: &File, range: Range<u64>) -> io::Result<Vec<u8>> {
    let length = usize::try_from(range.end - range.start).map_err(io::Error::other)?;
    let mut bytes = vec![0; length];
    file.read_exact_at(&mut bytes, range.start)?;
    Ok(bytes)
}
