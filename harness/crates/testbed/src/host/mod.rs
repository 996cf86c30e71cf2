//! Runs replicas on hosts of their own and keeps them from outliving the harness.
//!
//! [`sandbox`] puts the controller into namespaces before anything else runs, a [`thread::Host`] is
//! one host, [`process`] is a replica on it (under an [`init`], with a [`process_tree`]), [`disk`]
//! is what it writes to, and [`crate::doctor`] reports what this machine permits. However the
//! controller exits, the kernel kills its replicas.

pub mod clock;
pub mod disk;
mod init;
pub(crate) mod permissions;
pub mod process;
mod process_tree;
pub mod sandbox;
pub mod thread;
