//! Writes the certificate of a valid history (`--certificate`): a linearization to replay.
//!
//! A history that is not valid has no certificate; an old file is removed, so that an existing file
//! is always a proof.

use super::super::failure::{Failure, machine_error};
use anyhow::{Context as _, Result};
use checker::{History, Limits, Validity, Verdict, linearize, registry};
use serde_json::json;
use std::path::{Path, PathBuf};

/// The destination of certificates.
pub(super) enum CertificateOutput {
    /// This file, for one history.
    File(PathBuf),
    /// Files in this directory, named by number and name of the history.
    Directory(PathBuf),
}

impl CertificateOutput {
    /// The destination for so many histories; an error if the model has no linearizations.
    pub(super) fn new(out: &Path, histories: usize, model: &str) -> Result<Self> {
        let refuse = |why: String| Err(Failure::Usage(why).into());
        if registry::CHECKS.iter().any(|check| check.name() == model) {
            return refuse(format!(
                "--certificate: {model} is not a sequential model, so it has no linearization"
            ));
        }
        if out.is_dir() {
            return Ok(Self::Directory(out.to_owned()));
        }
        if histories > 1 {
            return refuse(format!(
                "--certificate {}: must be an existing directory for {histories} histories",
                out.display()
            ));
        }
        Ok(Self::File(out.to_owned()))
    }

    fn certificate_file(&self, number: usize, history: &Path) -> PathBuf {
        match self {
            Self::File(file) => file.clone(),
            Self::Directory(directory) => {
                let name = history.file_name().unwrap_or_default().to_string_lossy();
                directory.join(format!("{number:04}-{name}.json"))
            }
        }
    }

    /// Writes the certificate of a valid history; returns a message for the user.
    pub(super) fn write_certificate(
        &self,
        (number, path): (usize, &Path),
        history: &History,
        (model, verdict): (&str, &Verdict),
        limits: &Limits<'_>,
    ) -> Result<String> {
        let file = self.certificate_file(number, path);
        let objects = match verdict.validity {
            Validity::Valid => linearize(history, model, limits),
            _ => Err(Box::new(verdict.clone())),
        };
        let objects = match objects {
            Ok(objects) => objects,
            Err(verdict) => return remove_certificate(&file, &verdict),
        };
        let certificate =
            json!({ "format": 1, "history": path, "model": model, "objects": objects });
        let text = serde_json::to_string(&certificate)? + "\n";
        std::fs::write(&file, text)
            .with_context(|| format!("cannot write {}", file.display()))
            .map_err(machine_error)?;
        Ok(format!("certificate: {}", file.display()))
    }
}

fn remove_certificate(file: &Path, verdict: &Verdict) -> Result<String> {
    match std::fs::remove_file(file) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            let what = format!("cannot remove {}", file.display());
            return Err(machine_error(anyhow::Error::new(error).context(what)));
        }
        _ => {}
    }
    let why = match verdict.validity {
        Validity::Invalid => "the history is invalid".to_owned(),
        _ => verdict.message.clone(),
    };
    Ok(format!("no certificate: {why}"))
}
