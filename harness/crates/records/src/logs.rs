//! Reads the last lines of a replica's logs, and copies the ends of its own log files to `logs/`.
//!
//! Only regular files are opened, because opening a pipe could block; only `logs/` is written to.

use std::fs::{self, File};
use std::io::{Read as _, Result, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

/// How many of the last log lines of an exited replica are shown.
const TAIL_LINES: usize = 12;
/// How many bytes are read for these lines, and how many bytes of a file are copied.
const TAIL_BYTES: u64 = 64 << 10;
const COPIED_BYTES: u64 = 1 << 20;

/// The logs of one replica.
pub struct ReplicaLogs {
    /// Its standard output and error.
    pub output: PathBuf,
    /// Log files that it writes itself.
    pub own_files: Vec<PathBuf>,
}

impl ReplicaLogs {
    /// The last lines of each log; lines of its own files are prefixed with the file name.
    pub fn tail_lines(&self) -> Vec<String> {
        let own = self.own_files.iter().flat_map(|path| {
            let name = file_name(path);
            read_last_lines(path).into_iter().map(move |line| format!("{name}: {line}"))
        });
        read_last_lines(&self.output).into_iter().chain(own).collect()
    }

    /// Copies the ends of its own files to `logs/`; returns the errors.
    pub fn copy_own_files(&self) -> Vec<String> {
        let replica = self.output.file_stem().unwrap_or_default().to_string_lossy();
        let keep = |path: &PathBuf| {
            let kept = self.output.with_file_name(format!("{replica}-{}", file_name(path)));
            let why =
                read_tail(path, COPIED_BYTES).and_then(|bytes| fs::write(kept, bytes)).err()?;
            Some(format!("cannot copy the log {} of {replica}: {why}", path.display()))
        };
        self.own_files.iter().filter_map(keep).collect()
    }
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn read_last_lines(log: &Path) -> Vec<String> {
    let bytes = read_tail(log, TAIL_BYTES).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(TAIL_LINES)..].iter().map(|line| (*line).to_owned()).collect()
}

fn read_tail(path: &Path, most: u64) -> Result<Vec<u8>> {
    if !fs::metadata(path)?.is_file() {
        return Err(std::io::Error::other("not a regular file"));
    }
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(most)))?;
    let mut bytes = Vec::new();
    file.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_copies_the_ends_of_logs() {
        let folder = tempfile::tempdir().expect("a directory");
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("data")).expect("a directory");
        fs::write(at("n1.log"), "printed\n").expect("a file");
        fs::write(at("data/own.log"), "x".repeat(2 << 20) + "\nlast\n").expect("a file");
        let logs =
            ReplicaLogs { output: at("n1.log"), own_files: vec![at("data/own.log"), at("data")] };
        let words = logs.tail_lines();
        assert_eq!((words[0].as_str(), words[2].as_str()), ("printed", "own.log: last"));
        let trouble = logs.copy_own_files();
        assert!(trouble.len() == 1 && trouble[0].ends_with("not a regular file"), "{trouble:?}");
        let kept = fs::read(at("n1-own.log")).expect("it is kept");
        assert!(kept.len() as u64 == COPIED_BYTES && kept.ends_with(b"\nlast\n"));
    }
}
