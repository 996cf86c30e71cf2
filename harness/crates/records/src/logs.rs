//! Reads the last lines of a replica's logs, and copies the ends of its own log files to `logs/`.
//!
//! Only regular files are opened, because opening a pipe could block; only `logs/` is written to.

use std::fs::{self, File};
use std::io::{Read as _, Result, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

/// How many of the last log lines of an exited replica are shown.
const LAST_WORDS: usize = 12;
/// How many bytes are read for these lines, and how many bytes of a file are copied.
const WORDS: u64 = 64 << 10;
const KEPT: u64 = 1 << 20;

/// The logs of one replica.
pub struct Logs {
    /// Its standard output and error.
    pub said: PathBuf,
    /// Log files that it writes itself.
    pub own: Vec<PathBuf>,
}

impl Logs {
    /// The last lines of each log; lines of its own files are prefixed with the file name.
    pub fn last_words(&self) -> Vec<String> {
        let own = self.own.iter().flat_map(|path| {
            let name = name(path);
            last_lines(path).into_iter().map(move |line| format!("{name}: {line}"))
        });
        last_lines(&self.said).into_iter().chain(own).collect()
    }

    /// Copies the ends of its own files to `logs/`; returns the errors.
    pub fn keep(&self) -> Vec<String> {
        let replica = self.said.file_stem().unwrap_or_default().to_string_lossy();
        let keep = |path: &PathBuf| {
            let kept = self.said.with_file_name(format!("{replica}-{}", name(path)));
            let why = end(path, KEPT).and_then(|bytes| fs::write(kept, bytes)).err()?;
            Some(format!("cannot copy the log {} of {replica}: {why}", path.display()))
        };
        self.own.iter().filter_map(keep).collect()
    }
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn last_lines(log: &Path) -> Vec<String> {
    let bytes = end(log, WORDS).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LAST_WORDS)..].iter().map(|line| (*line).to_owned()).collect()
}

fn end(path: &Path, most: u64) -> Result<Vec<u8>> {
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
        let logs = Logs { said: at("n1.log"), own: vec![at("data/own.log"), at("data")] };
        let words = logs.last_words();
        assert_eq!((words[0].as_str(), words[2].as_str()), ("printed", "own.log: last"));
        let trouble = logs.keep();
        assert!(trouble.len() == 1 && trouble[0].ends_with("not a regular file"), "{trouble:?}");
        let kept = fs::read(at("n1-own.log")).expect("it is kept");
        assert!(kept.len() as u64 == KEPT && kept.ends_with(b"\nlast\n"));
    }
}
