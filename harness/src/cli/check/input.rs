//! Finds and reads the files that `harness check` is given.

use checker::History;
use checker::history::{Format, ParseError};
use std::path::{Path, PathBuf};

/// How histories are written, as far as the command line knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Input {
    /// Whichever of the others it looks like.
    Auto,
    /// JSON lines as in a run's history.jsonl, or one JSON array.
    Jsonl,
    /// EDN, as of Jepsen, Knossos and Elle.
    Edn,
    /// Porcupine's etcd logs and key-value texts.
    Porcupine,
    /// Sessions of transactions on registers without times, as AWDIT's tests have them.
    Sessions,
}

/// A file without a history in it.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unreadable {
    /// It cannot be read.
    #[error("{}: cannot be read: {why}", file.display())]
    File { file: PathBuf, why: std::io::Error },
    /// It is like no format.
    #[error(
        "{}: this is neither JSON lines nor EDN nor a log for Porcupine nor sessions for AWDIT; say which with --input",
        file.display()
    )]
    Format { file: PathBuf },
    /// It is damaged.
    #[error("{}:{}:{}: {}", file.display(), damage.line, damage.column, damage.why)]
    Damage { file: PathBuf, damage: ParseError },
}

impl Unreadable {
    /// What programs want to know.
    pub(super) fn json(&self) -> serde_json::Value {
        let mut told = serde_json::json!({ "error": self.to_string() });
        if let Self::Damage { damage, .. } = self {
            told["line"] = damage.line.into();
            told["column"] = damage.column.into();
            told["reason"] = damage.why.clone().into();
        }
        told
    }
}

/// Reads a history; a torn last line is told on standard error.
pub(super) fn read(path: &Path, input: Input) -> Result<History, Unreadable> {
    let file = file(path);
    let bytes = match std::fs::read(&file) {
        Ok(bytes) => bytes,
        Err(why) => return Err(Unreadable::File { file, why }),
    };
    let format = match input {
        Input::Auto => Format::detect(&bytes),
        Input::Jsonl => Some(Format::Jsonl),
        Input::Edn => Some(Format::Edn),
        Input::Porcupine => Some(Format::Porcupine),
        Input::Sessions => Some(Format::Sessions),
    };
    match format.map(|format| format.parse(&bytes)) {
        None => Err(Unreadable::Format { file }),
        Some(Err(damage)) => Err(Unreadable::Damage { file, damage }),
        Some(Ok(parsed)) => {
            if let Some(torn) = parsed.torn {
                engine::live::say(&format!("harness: {}: warning: {torn}", file.display()));
            }
            Ok(parsed.history)
        }
    }
}

/// The file itself, or the history in a run's directory, or standard input.
fn file(path: &Path) -> PathBuf {
    if path == Path::new("-") {
        return "/dev/stdin".into();
    }
    if !path.is_dir() {
        return path.to_owned();
    }
    let (ours, jepsens) = (path.join("history.jsonl"), path.join("history.edn"));
    if !ours.exists() && jepsens.exists() { jepsens } else { ours }
}
