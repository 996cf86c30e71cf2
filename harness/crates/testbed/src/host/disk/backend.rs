//! The backends that make disks fail, and which of them this machine has.

use std::fmt;

/// What makes disks fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskBackend {
    /// A FUSE file system over each data directory.
    Overlay,
    /// System calls of replicas, trapped by seccomp.
    Seccomp,
}

impl DiskBackend {
    /// What that is, and what it can do.
    pub fn describe(self) -> &'static str {
        match self {
            Self::Overlay => "a FUSE overlay on each data directory, for every disk fault",
            Self::Seccomp => {
                "system calls on files in the data directories, trapped by seccomp, for every disk \
                 fault but power-loss"
            }
        }
    }
}

impl fmt::Display for DiskBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Overlay => "fuse",
            Self::Seccomp => "seccomp",
        })
    }
}

/// What is taken here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackendChoice {
    /// The best there is.
    pub backend: DiskBackend,
    /// Why nothing better.
    pub why: Option<String>,
}
