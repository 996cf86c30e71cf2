//! Holds what every member of a cluster knows and nobody else should: a peer that does not say it is not listened to.
//!
//! It keeps out strangers and replicas of another cluster that were given the wrong address. It crosses the network as it
//! is, so it keeps nothing from whoever can listen there.

use std::hint::black_box;
use std::path::Path;
use std::{fmt, fs};

/// The shortest secret that is one.
const SHORTEST: usize = 16;

/// The shared secret; empty where there is none.
#[derive(Clone, Default)]
pub(super) struct Secret(Vec<u8>);

impl Secret {
    /// Reads it from a file, without the white space at the ends.
    pub(super) fn read(path: &Path) -> Result<Self, String> {
        let refuse = |why: String| format!("--peer-secret-file {}: {why}", path.display());
        let bytes = fs::read(path).map_err(|error| refuse(error.to_string()))?;
        let secret = bytes.trim_ascii();
        if secret.len() < SHORTEST {
            return Err(refuse(format!("a secret has at least {SHORTEST} bytes")));
        }
        Ok(Self(secret.to_vec()))
    }

    /// What a replica says to its peers.
    pub(super) fn spoken(&self) -> Vec<u8> {
        self.0.clone()
    }

    /// Whether a peer knows it. How long that takes depends on the length alone, so that nobody can guess byte by byte.
    pub(super) fn is(&self, said: &[u8]) -> bool {
        let differ = |sum, (a, b): (&u8, &u8)| black_box(sum | (a ^ b));
        self.0.len() == said.len() && self.0.iter().zip(said).fold(0, differ) == 0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_bytes_are_the_secret() {
        let secret = Secret(b"0123456789abcdef".to_vec());
        assert!(secret.is(b"0123456789abcdef") && secret.is(&secret.spoken()));
        for wrong in [&b""[..], b"0123456789abcde", b"0123456789abcdeg", b"1123456789abcdef"] {
            assert!(!secret.is(wrong), "{wrong:?}");
        }
        assert!(Secret::default().is(b"") && !Secret::default().is(b"0"));
        assert_eq!(format!("{secret:?}"), "Secret");
    }

    #[test]
    fn a_file_holds_a_secret_that_is_long_enough() {
        let directory = tempfile::TempDir::new().expect("a directory");
        let path = directory.path().join("secret");
        fs::write(&path, "  0123456789abcdef\n").expect("ours");
        assert!(Secret::read(&path).is_ok_and(|secret| secret.is(b"0123456789abcdef")));
        fs::write(&path, "short\n").expect("ours");
        assert!(Secret::read(&path).is_err_and(|why| why.contains("at least 16 bytes")));
        assert!(Secret::read(&directory.path().join("none")).is_err());
    }
}
