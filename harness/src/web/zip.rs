//! Streams a run as a ZIP archive: files as they are, without compression.
//!
//! Each file is read twice, for its checksum and for its bytes, so that any unpacker can read the archive while it
//! comes. A file that grows meanwhile is cut where it was measured; one that shrinks breaks the archive off.

use super::inside::run as directory_of;
use super::refusal::{Refusal, nothing};
use super::site::Site;
use axum::body::Body;
use axum::extract::{Path as Named, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use tokio::sync::mpsc;

/// What the format holds without its extension for large files.
const MOST: u64 = u32::MAX as u64 - (1 << 20);
const CHUNK: usize = 1 << 16;

/// `GET /zip/…`.
pub(super) async fn download(
    State(site): State<Site>,
    Named((family, name)): Named<(String, String)>,
) -> Result<Response, Refusal> {
    let path = directory_of(&site.results, &family, &name).ok_or_else(nothing)?;
    let files = files(&path);
    let sizes = files.iter().filter_map(|file| fs::metadata(path.join(file)).ok());
    if sizes.map(|file| file.len()).sum::<u64>() > MOST || files.len() > usize::from(u16::MAX) {
        let text = format!("{} is too large for a ZIP; copy the directory", path.display());
        return Err(Refusal(StatusCode::PAYLOAD_TOO_LARGE, text));
    }
    let (sender, receiver) = mpsc::channel::<io::Result<Vec<u8>>>(4);
    tokio::task::spawn_blocking(move || {
        let mut send = |bytes| {
            sender.blocking_send(Ok(bytes)).map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))
        };
        if let Err(error) = write(&path, &files, &mut send) {
            // Whoever asked may be gone, too.
            drop(sender.blocking_send(Err(error)));
        }
    });
    let next =
        |mut receiver: mpsc::Receiver<_>| async { receiver.recv().await.map(|it| (it, receiver)) };
    let body = Body::from_stream(stream::unfold(receiver, next));
    let plain: String =
        name.chars().filter(|c| c.is_ascii_alphanumeric() || "-.".contains(*c)).collect();
    let disposition = format!("attachment; filename=\"{plain}.zip\"");
    let headers = [
        (header::CONTENT_TYPE, "application/zip".to_owned()),
        (header::CONTENT_DISPOSITION, disposition),
    ];
    Ok((headers, body).into_response())
}

/// All files of a directory and those below, in order; no links, nothing hidden.
pub(super) fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut left = vec![PathBuf::new()];
    while let Some(below) = left.pop() {
        for entry in fs::read_dir(directory.join(&below)).into_iter().flatten().flatten() {
            let name = below.join(entry.file_name());
            match entry.file_type() {
                _ if entry.file_name().to_string_lossy().starts_with('.') => (),
                Ok(kind) if kind.is_dir() => left.push(name),
                Ok(kind) if kind.is_file() => found.push(name),
                _ => (),
            }
        }
    }
    found.sort();
    found
}

/// A file in the archive.
struct Entry {
    name: String,
    crc: u32,
    size: u32,
    offset: u32,
}

fn write(
    directory: &Path,
    files: &[PathBuf],
    send: &mut dyn FnMut(Vec<u8>) -> io::Result<()>,
) -> io::Result<()> {
    let (mut entries, mut offset) = (Vec::new(), 0_u32);
    for file in files {
        let path = directory.join(file);
        let (crc, size) = measured(&path)?;
        let name = file.to_string_lossy().replace('\\', "_");
        let entry = Entry { name, crc, size, offset };
        let head = entry.local();
        offset = sum(&[offset, length(&head)?, size])?;
        send(head)?;
        contents(&path, size, send)?;
        entries.push(entry);
    }
    let directory: Vec<u8> = entries.iter().flat_map(Entry::central).collect();
    let end = end(entries.len(), length(&directory)?, offset);
    send(directory)?;
    send(end)
}

fn too_large() -> io::Error {
    io::Error::from(io::ErrorKind::FileTooLarge)
}

fn length(bytes: &[u8]) -> io::Result<u32> {
    u32::try_from(bytes.len()).map_err(|_| too_large())
}

fn sum(parts: &[u32]) -> io::Result<u32> {
    parts.iter().try_fold(0_u32, |sum, part| sum.checked_add(*part)).ok_or_else(too_large)
}

fn measured(path: &Path) -> io::Result<(u32, u32)> {
    let (mut file, mut crc, mut size) = (File::open(path)?, crc32fast::Hasher::new(), 0_u32);
    let mut buffer = vec![0; CHUNK];
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            return Ok((crc.finalize(), size));
        }
        crc.update(&buffer[..read]);
        size = sum(&[size, length(&buffer[..read])?])?;
    }
}

fn contents(
    path: &Path,
    size: u32,
    send: &mut dyn FnMut(Vec<u8>) -> io::Result<()>,
) -> io::Result<()> {
    let mut file = File::open(path)?.take(u64::from(size));
    while file.limit() > 0 {
        let mut bytes = vec![0; CHUNK.min(usize::try_from(file.limit()).unwrap_or(CHUNK))];
        file.read_exact(&mut bytes)?;
        send(bytes)?;
    }
    Ok(())
}

impl Entry {
    /// What both headers of a file say: version 2.0, names in UTF-8, stored, of the first day there is.
    fn common(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for field in [20_u16, 1 << 11, 0, 0, 0x21] {
            bytes.extend(field.to_le_bytes());
        }
        for field in [self.crc, self.size, self.size] {
            bytes.extend(field.to_le_bytes());
        }
        let name = u16::try_from(self.name.len()).unwrap_or(u16::MAX);
        bytes.extend(name.to_le_bytes());
        bytes.extend(0_u16.to_le_bytes());
        bytes
    }

    /// What stands before a file's bytes.
    fn local(&self) -> Vec<u8> {
        [b"PK\x03\x04".as_slice(), &self.common(), self.name.as_bytes()].concat()
    }

    /// What the directory at the end says of a file.
    fn central(&self) -> Vec<u8> {
        let made_by = 20_u16.to_le_bytes();
        let nothing_special = [0; 10];
        let offset = self.offset.to_le_bytes();
        let name = self.name.as_bytes();
        [b"PK\x01\x02".as_slice(), &made_by, &self.common(), &nothing_special, &offset, name]
            .concat()
    }
}

/// The end of the archive.
fn end(entries: usize, size: u32, offset: u32) -> Vec<u8> {
    let count = u16::try_from(entries).unwrap_or(u16::MAX).to_le_bytes();
    let (size, offset) = (size.to_le_bytes(), offset.to_le_bytes());
    [b"PK\x05\x06".as_slice(), &[0; 4], &count, &count, &size, &offset, &[0; 2]].concat()
}
