//! Finds and reads the histories of `harness check`.

use checker::History;
use checker::history::{Format, ParseError};
use std::path::{Path, PathBuf};

/// The format of histories.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Input {
    /// Detect the format.
    Auto,
    /// JSON Lines as in history.jsonl, or one JSON array.
    Jsonl,
    /// EDN of Jepsen, Knossos and Elle.
    Edn,
    /// Porcupine's etcd logs and key-value histories.
    Porcupine,
    /// AWDIT's sessions of transactions on registers, without times.
    Sessions,
}

/// Why a file has no readable history.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unreadable {
    /// It cannot be read.
    #[error("{}: cannot be read: {why}", file.display())]
    File { file: PathBuf, why: std::io::Error },
    /// Its format is unknown.
    #[error(
        "{}: unknown format (not JSON Lines, EDN, Porcupine or AWDIT sessions); \
         set it with --input",
        file.display()
    )]
    Format { file: PathBuf },
    /// It cannot be parsed.
    #[error("{}:{}:{}: {}", file.display(), damage.line, damage.column, damage.why)]
    Parse { file: PathBuf, damage: ParseError },
}

impl Unreadable {
    /// The error as JSON.
    pub(super) fn to_json(&self) -> serde_json::Value {
        let mut told = serde_json::json!({ "error": self.to_string() });
        if let Self::Parse { damage, .. } = self {
            told["line"] = damage.line.into();
            told["column"] = damage.column.into();
            told["reason"] = damage.why.clone().into();
        }
        told
    }
}

/// Reads a history; warns of a torn last line on standard error.
pub(super) fn read_history(path: &Path, input: Input) -> Result<History, Unreadable> {
    let file = history_file(path);
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
        Some(Err(damage)) => Err(Unreadable::Parse { file, damage }),
        Some(Ok(parsed)) => {
            if let Some(torn) = parsed.torn {
                engine::live::print_stderr(&format!(
                    "harness: {}: warning: {torn}",
                    file.display()
                ));
            }
            Ok(parsed.history)
        }
    }
}

/// The file itself, the history in the directory of a run, or standard input.
fn history_file(path: &Path) -> PathBuf {
    if path == Path::new("-") {
        return "/dev/stdin".into();
    }
    if !path.is_dir() {
        return path.to_owned();
    }
    let (ours, jepsens) = (path.join("history.jsonl"), path.join("history.edn"));
    if !ours.exists() && jepsens.exists() { jepsens } else { ours }
}
