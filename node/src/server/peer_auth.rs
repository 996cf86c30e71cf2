//! Authenticates peers by a secret that all members of a cluster share.
//!
//! It rejects strangers, and replicas of another cluster with a wrong address. It is sent in plain
//! text, so it protects nothing from an attacker who can read the network.

use std::hint::black_box;
use std::path::Path;
use std::{fmt, fs};

/// The least length of a secret, in bytes.
const MIN_LENGTH: usize = 16;

/// The shared secret; empty if there is none.
#[derive(Clone, Default)]
pub(super) struct PeerSecret(Vec<u8>);

impl PeerSecret {
    /// Reads the secret from a file, without surrounding white space.
    pub(super) fn read(path: &Path) -> Result<Self, String> {
        let error = |why: String| format!("--peer-secret-file {}: {why}", path.display());
        let bytes = fs::read(path).map_err(|cause| error(cause.to_string()))?;
        let secret = bytes.trim_ascii();
        if secret.len() < MIN_LENGTH {
            return Err(error(format!("a secret needs at least {MIN_LENGTH} bytes")));
        }
        Ok(Self(secret.to_vec()))
    }

    /// Returns the bytes that a replica sends to its peers.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        self.0.clone()
    }

    /// Whether a peer sent the right secret. The time depends on the length only, so that an
    /// attacker cannot guess it byte by byte.
    pub(super) fn matches(&self, received: &[u8]) -> bool {
        let differ = |sum, (a, b): (&u8, &u8)| black_box(sum | (a ^ b));
        self.0.len() == received.len() && self.0.iter().zip(received).fold(0, differ) == 0
    }
}

impl fmt::Debug for PeerSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PeerSecret")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_equal_bytes_match() {
        let secret = PeerSecret(b"0123456789abcdef".to_vec());
        assert!(secret.matches(b"0123456789abcdef") && secret.matches(&secret.to_bytes()));
        for other in [&b""[..], b"0123456789abcde", b"0123456789abcdeg", b"1123456789abcdef"] {
            assert!(!secret.matches(other), "{other:?}");
        }
        assert!(PeerSecret::default().matches(b"") && !PeerSecret::default().matches(b"0"));
        assert_eq!(format!("{secret:?}"), "PeerSecret");
    }

    #[test]
    fn a_secret_file_must_be_long_enough() {
        let directory = tempfile::TempDir::new().expect("a directory");
        let path = directory.path().join("secret");
        fs::write(&path, "  0123456789abcdef\n").expect("ours");
        assert!(PeerSecret::read(&path).is_ok_and(|secret| secret.matches(b"0123456789abcdef")));
        fs::write(&path, "short\n").expect("ours");
        assert!(PeerSecret::read(&path).is_err_and(|why| why.contains("at least 16 bytes")));
        assert!(PeerSecret::read(&directory.path().join("none")).is_err());
    }
}
