//! Streams a run as a ZIP archive.
//!
//! Sizes and checksums follow the bytes of each file, so that nothing is read twice and nothing is
//! kept in memory or on disk.

use super::error::{ApiError, not_found};
use super::paths::resolve_run;
use super::site::Site;
use axum::body::Body;
use axum::extract::{Path as Named, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use std::fs::{self, File};
use std::io::{self, BufWriter, Read as _, Write};
use std::path::{Path, PathBuf};
use tokio::sync::mpsc;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

const CHUNK: usize = 1 << 16;
/// The fastest level leaves 6 % to 23 % of a run; the default one a quarter less than that.
const LEVEL: i64 = 1;

/// `GET /zip/…`.
pub(super) async fn download_archive(
    State(site): State<Site>,
    Named((family, name)): Named<(String, String)>,
) -> Result<Response, ApiError> {
    let path = resolve_run(&site.results, &family, &name).ok_or_else(not_found)?;
    let files = list_files(&path);
    let (sender, receiver) = mpsc::channel::<io::Result<Vec<u8>>>(4);
    tokio::task::spawn_blocking(move || {
        if let Err(error) = write_archive(&path, &files, BodyWriter(sender.clone())) {
            // The receiver may be gone, too.
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
pub(super) fn list_files(directory: &Path) -> Vec<PathBuf> {
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

/// Forwards what is written to the body of a response.
struct BodyWriter(mpsc::Sender<io::Result<Vec<u8>>>);

impl Write for BodyWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let sent = self.0.blocking_send(Ok(bytes.to_vec()));
        sent.map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes the archive. A file that grows meanwhile is cut at the size that it had.
fn write_archive(directory: &Path, files: &[PathBuf], out: impl Write) -> io::Result<()> {
    let mut archive = ZipWriter::new_stream(BufWriter::with_capacity(CHUNK, out));
    for path in files {
        let file = File::open(directory.join(path))?;
        let size = file.metadata()?.len();
        let options = SimpleFileOptions::default()
            .compression_level(Some(LEVEL))
            .large_file(size > u64::from(u32::MAX));
        archive.start_file(path.to_string_lossy().replace('\\', "_"), options)?;
        io::copy(&mut file.take(size), &mut archive)?;
    }
    archive.finish()?.into_inner().flush()
}
