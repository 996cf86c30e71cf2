//! Writes the proof of a Yes where `--certificate` says: an order that anyone can replay.
//!
//! A history that is not valid has no certificate, and none is left lying from before: a file stands for a proof.

use super::super::failure::{Failure, machine};
use anyhow::{Context as _, Result};
use checker::{History, Limits, Validity, Verdict, linearize, registry};
use serde_json::json;
use std::path::{Path, PathBuf};

/// Where certificates go.
pub(super) enum Place {
    /// To this file: there is one history.
    File(PathBuf),
    /// Into this directory, by number and name of the history.
    Directory(PathBuf),
}

impl Place {
    /// The place that was asked for, if it can hold so many, and the model has orders at all.
    pub(super) fn of(out: &Path, histories: usize, model: &str) -> Result<Self> {
        let refuse = |why: String| Err(Failure::Usage(why).into());
        if registry::CHECKS.iter().any(|check| check.name() == model) {
            return refuse(format!(
                "--certificate: {model} is no sequential model, so there is no order to write"
            ));
        }
        if out.is_dir() {
            return Ok(Self::Directory(out.to_owned()));
        }
        if histories > 1 {
            return refuse(format!(
                "--certificate {}: there are {histories} histories, so this must be a directory that exists",
                out.display()
            ));
        }
        Ok(Self::File(out.to_owned()))
    }

    fn file(&self, number: usize, history: &Path) -> PathBuf {
        match self {
            Self::File(file) => file.clone(),
            Self::Directory(directory) => {
                let name = history.file_name().unwrap_or_default().to_string_lossy();
                directory.join(format!("{number:04}-{name}.json"))
            }
        }
    }

    /// Writes the certificate of a valid history; says what became of it.
    pub(super) fn write(
        &self,
        (number, path): (usize, &Path),
        history: &History,
        (model, verdict): (&str, &Verdict),
        limits: &Limits<'_>,
    ) -> Result<String> {
        let file = self.file(number, path);
        let objects = match verdict.validity {
            Validity::Valid => linearize(history, model, limits),
            _ => Err(Box::new(verdict.clone())),
        };
        let objects = match objects {
            Ok(objects) => objects,
            Err(verdict) => return without(&file, &verdict),
        };
        let certificate =
            json!({ "format": 1, "history": path, "model": model, "objects": objects });
        let text = serde_json::to_string(&certificate)? + "\n";
        std::fs::write(&file, text)
            .with_context(|| format!("{} cannot be written", file.display()))
            .map_err(machine)?;
        Ok(format!("certificate: {}", file.display()))
    }
}

fn without(file: &Path, verdict: &Verdict) -> Result<String> {
    match std::fs::remove_file(file) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            let what = format!("{} cannot be removed", file.display());
            return Err(machine(anyhow::Error::new(error).context(what)));
        }
        _ => {}
    }
    let why = match verdict.validity {
        Validity::Invalid => "the history is invalid".to_owned(),
        _ => verdict.message.clone(),
    };
    Ok(format!("no certificate: {why}"))
}
